use cortex_std::wire::ImageMessage;
use cortex_std::{CreateError, Node};

fn subscribe(node: &Node) -> Result<(), CreateError> {
    let mut kept = Vec::new();
    node.subscriber::<ImageMessage>("/cam").on_message(async move |image, _| {
        kept.push(image);
    })?;
    Ok(())
}

fn main() {}
