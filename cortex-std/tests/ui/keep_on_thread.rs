use cortex_std::wire::ImageMessage;
use cortex_std::{CreateError, Node, ThreadSubscriber};

fn subscribe(node: &Node) -> Result<ThreadSubscriber, CreateError> {
    let mut kept = Vec::new();
    node.subscriber::<ImageMessage>("/cam").on_thread(move |image, _| {
        kept.push(image);
    })
}

fn main() {}
