//! Writing of frames to a stream.

use embedded_io::Write;

use crate::stream::error::StreamError;
use crate::stream::io::write_all;
#[cfg(feature = "async")]
use crate::stream::io::write_all_async;
use crate::stream::link::error::LinkError;
use crate::stream::link::frame::FrameEncoder;
use crate::stream::link::layout::{KIND_HELLO, KIND_MESSAGE};
use crate::stream::link::sender::{Sender, length_prefix};

pub(super) fn hello_if_due<S: Write>(
    stream: &mut S,
    sender: &mut Sender,
    hello: &[u8],
    now_ms: u64,
) -> Result<(), StreamError<S::Error, LinkError>> {
    if sender.hello_is_due(now_ms) { self::hello(stream, sender, hello) } else { Ok(()) }
}

// Not inlined, so that the frame is on the stack only during the call.
#[inline(never)]
fn hello<S: Write>(
    stream: &mut S,
    sender: &mut Sender,
    hello: &[u8],
) -> Result<(), StreamError<S::Error, LinkError>> {
    let mut frame = FrameEncoder::new();
    sender.begin(&mut frame, KIND_HELLO);
    push(stream, &mut frame, hello)?;
    finish(stream, &mut frame)
}

#[inline(never)]
pub(super) fn message<S: Write>(
    stream: &mut S,
    sender: &mut Sender,
    frames: &[&[u8]],
) -> Result<(), StreamError<S::Error, LinkError>> {
    let mut frame = FrameEncoder::new();
    sender.begin(&mut frame, KIND_MESSAGE);
    for bytes in frames {
        push(stream, &mut frame, &length_prefix(bytes))?;
        push(stream, &mut frame, bytes)?;
    }
    finish(stream, &mut frame)
}

#[cfg(feature = "async")]
pub(super) async fn hello_if_due_async<S: embedded_io_async::Write>(
    stream: &mut S,
    sender: &mut Sender,
    hello: &[u8],
    now_ms: u64,
) -> Result<(), StreamError<S::Error, LinkError>> {
    if !sender.hello_is_due(now_ms) {
        return Ok(());
    }
    let mut frame = FrameEncoder::new();
    sender.begin(&mut frame, KIND_HELLO);
    push_async(stream, &mut frame, hello).await?;
    write_all_async(stream, frame.finish()).await?;
    stream.flush().await.map_err(StreamError::Io)
}

#[cfg(feature = "async")]
pub(super) async fn message_async<S: embedded_io_async::Write>(
    stream: &mut S,
    sender: &mut Sender,
    frames: &[&[u8]],
) -> Result<(), StreamError<S::Error, LinkError>> {
    let mut frame = FrameEncoder::new();
    sender.begin(&mut frame, KIND_MESSAGE);
    for bytes in frames {
        push_async(stream, &mut frame, &length_prefix(bytes)).await?;
        push_async(stream, &mut frame, bytes).await?;
    }
    write_all_async(stream, frame.finish()).await?;
    stream.flush().await.map_err(StreamError::Io)
}

/// Writer of a message in pieces: its bytes never need to be in memory at the same time.
///
/// If it is dropped before [`finish`](Self::finish), or finished before a frame is complete, the
/// receiver drops the message.
///
/// # Examples
///
/// An image, line by line:
///
/// ```
/// # use cortex_wire::link::Link;
/// # fn example<S: embedded_io::Write>(link: &mut Link<S, [u8; 64]>, header: &[u8],
/// #     metadata: &[u8], mut scan: impl FnMut(usize) -> [u8; 320])
/// # -> Result<(), cortex_wire::StreamError<S::Error, cortex_wire::link::LinkError>> {
/// let mut message = link.start_message();
/// message.frame(b"/camera")?;
/// message.frame(header)?;
/// message.frame(metadata)?;
/// message.start_frame(320 * 240)?;
/// for line in 0..240 {
///     message.write(&scan(line))?;
/// }
/// message.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the receiver drops a message that is not finished"]
pub struct MessageWriter<'l, S> {
    stream: &'l mut S,
    frame: FrameEncoder,
    /// Bytes missing from the started frame.
    left: u32,
    /// Whether each frame was complete before the next was started.
    is_whole: bool,
}

impl<'l, S> MessageWriter<'l, S> {
    pub(super) fn new(stream: &'l mut S, sender: &mut Sender) -> Self {
        Self { stream, frame: sender.start_message(), left: 0, is_whole: true }
    }
}

impl<S: Write> MessageWriter<'_, S> {
    /// Sends a complete frame.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<(), StreamError<S::Error, LinkError>> {
        self.start_frame(u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
        self.write(bytes)
    }

    /// Starts a frame of `len` bytes.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn start_frame(&mut self, len: u32) -> Result<(), StreamError<S::Error, LinkError>> {
        self.is_whole &= self.left == 0;
        self.left = len;
        push(self.stream, &mut self.frame, &len.to_be_bytes())
    }

    /// Sends the next bytes of the frame; bytes beyond its length are discarded.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError<S::Error, LinkError>> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.left = self.left.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        push(self.stream, &mut self.frame, bytes)
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn finish(mut self) -> Result<(), StreamError<S::Error, LinkError>> {
        if self.left == 0 && self.is_whole {
            return finish(self.stream, &mut self.frame);
        }
        // The frame ends without its checksum, so the other end drops it.
        write_all(self.stream, &[0])
    }
}

fn push<S: Write>(
    stream: &mut S,
    frame: &mut FrameEncoder,
    mut bytes: &[u8],
) -> Result<(), StreamError<S::Error, LinkError>> {
    while let Some(block) = frame.push(&mut bytes) {
        write_all(stream, block)?;
    }
    Ok(())
}

fn finish<S: Write>(
    stream: &mut S,
    frame: &mut FrameEncoder,
) -> Result<(), StreamError<S::Error, LinkError>> {
    write_all(stream, frame.finish())?;
    stream.flush().map_err(StreamError::Io)
}

#[cfg(feature = "async")]
async fn push_async<S: embedded_io_async::Write>(
    stream: &mut S,
    frame: &mut FrameEncoder,
    mut bytes: &[u8],
) -> Result<(), StreamError<S::Error, LinkError>> {
    while let Some(block) = frame.push(&mut bytes) {
        write_all_async(stream, block).await?;
    }
    Ok(())
}
