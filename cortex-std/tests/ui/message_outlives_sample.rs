use cortex_std::wire::ImageMessage;
use cortex_std::{ReceiveError, Subscriber};

fn last_of(
    frames: &mut Subscriber<ImageMessage<'static>>,
) -> Result<ImageMessage<'static>, ReceiveError> {
    let sample = frames.recv_blocking()?;
    Ok(sample.message()?)
}

fn main() {}
