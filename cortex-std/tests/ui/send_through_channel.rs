use cortex_std::wire::ImageMessage;
use cortex_std::{CreateError, Node};

fn subscribe(node: &Node) -> Result<(), CreateError> {
    let (sender, _receiver) = std::sync::mpsc::channel();
    node.subscriber::<ImageMessage>("/cam").on_message(async move |image, _| {
        let _ = sender.send(image);
    })?;
    Ok(())
}

fn main() {}
