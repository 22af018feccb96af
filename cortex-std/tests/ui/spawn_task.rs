use cortex_std::wire::ImageMessage;
use cortex_std::{CreateError, Node};

fn subscribe(node: &Node) -> Result<(), CreateError> {
    node.subscriber::<ImageMessage>("/cam").on_message(async |image, _| {
        tokio::spawn(async move { println!("{}", image.encoding) });
    })?;
    Ok(())
}

fn main() {}
