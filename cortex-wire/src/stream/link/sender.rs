//! The sender: numbered frames.

use crate::stream::link::frame::FrameEncoder;
use crate::stream::link::layout::{KIND_HELLO, KIND_MESSAGE};

/// The interval between hellos, in milliseconds.
pub const HELLO_INTERVAL_MS: u64 = 1000;

/// Numbers the frames of one direction, and schedules the hellos.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    pub(super) sequence: u32,
    pub(super) next_hello_ms: Option<u64>,
}

impl Sender {
    /// A sender whose next frame has number 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { sequence: 0, next_hello_ms: None }
    }

    /// Whether a hello is due. If so, the caller must send it, as the next one is due only
    /// [`HELLO_INTERVAL_MS`] later.
    ///
    /// Units: milliseconds of any monotonic clock, such as the time since start.
    #[must_use]
    pub const fn hello_is_due(&mut self, now_ms: u64) -> bool {
        if let Some(next) = self.next_hello_ms
            && now_ms < next
        {
            return false;
        }
        self.next_hello_ms = Some(now_ms.saturating_add(HELLO_INTERVAL_MS));
        true
    }

    /// Makes a hello due at once, because the peer has started.
    pub const fn make_hello_due(&mut self) {
        self.next_hello_ms = None;
    }

    /// Starts a hello; its payload is the result of [`Hello::encode`](super::Hello::encode).
    pub fn start_hello(&mut self) -> FrameEncoder {
        self.start(KIND_HELLO)
    }

    /// Starts a message; its payload is, for each frame, its length as a big-endian `u32` and its
    /// bytes. Receivers drop a message with fewer bytes than the lengths give.
    pub fn start_message(&mut self) -> FrameEncoder {
        self.start(KIND_MESSAGE)
    }

    /// Passes the bytes of a hello to `write`.
    pub fn hello(&mut self, mut hello: &[u8], mut write: impl FnMut(&[u8])) {
        let mut frame = self.start_hello();
        while let Some(bytes) = frame.push(&mut hello) {
            write(bytes);
        }
        write(frame.finish());
    }

    /// Passes the bytes of a message of these frames, the topic first, to `write`.
    pub fn message(&mut self, frames: &[&[u8]], mut write: impl FnMut(&[u8])) {
        let mut frame = self.start_message();
        for bytes in frames {
            for mut piece in [&length_prefix(bytes)[..], bytes] {
                while let Some(bytes) = frame.push(&mut piece) {
                    write(bytes);
                }
            }
        }
        write(frame.finish());
    }

    fn start(&mut self, kind: u8) -> FrameEncoder {
        let mut frame = FrameEncoder::new();
        self.begin(&mut frame, kind);
        frame
    }

    /// Starts a frame in place.
    pub(super) fn begin(&mut self, frame: &mut FrameEncoder, kind: u8) {
        frame.begin(kind, self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// The length before a frame of a message. Receivers drop messages with a frame of 2^32 bytes or
/// more, whose length is not representable.
pub(super) fn length_prefix(frame: &[u8]) -> [u8; 4] {
    u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_due_at_the_start_then_every_second_and_on_request() {
        let mut sender = Sender::new();
        assert!(sender.hello_is_due(5));
        assert!(!sender.hello_is_due(1004));
        assert!(sender.hello_is_due(1005));
        assert!(!sender.hello_is_due(1006));
        sender.make_hello_due();
        assert!(sender.hello_is_due(1007));
        assert!(!sender.hello_is_due(u64::from(u16::MAX).min(2006)));
        assert!(sender.hello_is_due(u64::MAX));
    }
}
