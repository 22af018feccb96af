//! The receiver: from bytes of the line to frames.

use cobs::{DecodeResult, DecoderState};

use crate::stream::io::Chunk;
use crate::stream::link::error::{LinkError, LinkErrorKind};
use crate::stream::link::hello::Hello;
use crate::stream::link::layout::{
    CHECKSUM_LEN, KIND_HELLO, KIND_MESSAGE, OVERHEAD, PREAMBLE_LEN, extend_checksum,
};
use crate::stream::multipart::{Multipart, Splitter};

/// A received hello or message.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'a> {
    /// A hello of the other end.
    Hello {
        /// The hello.
        hello: Hello<'a>,
        /// Whether its epoch differs from that of the previous hello: the other end has started or
        /// restarted, and has not yet received our hello.
        is_new: bool,
    },
    /// A message: topic, header, metadata, buffers. Its content is not checked.
    Message(Multipart<'a>),
}

/// The counters of a [`Receiver`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// All received bytes.
    pub bytes: u64,
    /// Valid hellos and messages.
    pub frames: u64,
    /// Frames missing by their sequence numbers, including damaged ones.
    pub lost: u64,
    /// Frames that were received twice in a row.
    pub duplicated: u64,
    /// Damaged frames; a frame that was split counts once for each part.
    pub damaged: u64,
    /// Undamaged frames that were rejected: too long, or not valid.
    pub refused: u64,
    /// Restarts of the other end.
    pub restarted: u64,
}

/// Decodes hellos and messages from received bytes.
///
/// `B` is the buffer for one frame: `[u8; N]` on a board, a `Vec<u8>` elsewhere. It does not grow;
/// a longer frame is dropped with an error that contains its length.
#[derive(Debug)]
pub struct Receiver<B> {
    /// The frames of a message as a [`FrameList`](crate::stream::multipart::FrameList), or the
    /// payload of another kind of frame.
    buffer: B,
    /// Bytes of the frame so far, including those that did not fit.
    len: usize,
    /// Kind and sequence number.
    preamble: [u8; PREAMBLE_LEN],
    /// The last four bytes, which are the checksum at the end of the frame.
    last_bytes: u32,
    splitter: Splitter,
    /// Whether the frame in the buffer was returned.
    is_taken: bool,
    cobs: DecoderState,
    /// Sequence number and checksum of the last frame.
    last: Option<(u32, u32)>,
    epoch: Option<u64>,
    stats: Stats,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Receiver<B> {
    /// A receiver that starts at any position of a stream.
    pub fn new(buffer: B) -> Self {
        Self {
            buffer,
            len: 0,
            preamble: [0; PREAMBLE_LEN],
            last_bytes: 0,
            splitter: Splitter::new(),
            is_taken: false,
            cobs: DecoderState::Idle,
            last: None,
            epoch: None,
            stats: Stats::default(),
        }
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Discards the incomplete frame and the epoch of the other end, for use with a new stream.
    pub fn restart(&mut self) {
        self.start();
        self.is_taken = false;
        self.cobs = DecoderState::Idle;
        self.last = None;
        self.epoch = None;
    }

    /// Consumes bytes from the start of `input` until a frame is complete; returns `None` when
    /// `input` is empty. Call it until then.
    ///
    /// # Errors
    ///
    /// Why a frame was dropped. The next call continues after it.
    #[must_use = "each event is returned once"]
    pub fn receive(&mut self, input: &mut &[u8]) -> Option<Result<Event<'_>, LinkError>> {
        let result = self.take(input)?;
        match result {
            Ok(()) => Some(self.open()),
            Err(kind) => Some(Err(self.dropped(kind))),
        }
    }

    /// Consumes bytes up to the end of a frame.
    fn take(&mut self, input: &mut &[u8]) -> Option<Result<(), LinkErrorKind>> {
        if self.is_taken {
            self.is_taken = false;
            self.start();
        }
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.stats.bytes = self.stats.bytes.saturating_add(1);
            match self.cobs.feed(byte) {
                Ok(DecodeResult::NoData) => {}
                Ok(DecodeResult::DataStart) => self.start(),
                Ok(DecodeResult::DataContinue(byte)) => self.push(byte),
                Ok(DecodeResult::DataComplete) => return Some(Ok(())),
                Err(_) => return Some(Err(LinkErrorKind::Truncated)),
            }
        }
        None
    }

    /// Starts a frame.
    const fn start(&mut self) {
        self.len = 0;
        self.splitter = Splitter::new();
    }

    /// Takes the next byte of a frame. The last four are its checksum, so each byte is processed
    /// after the four that follow it.
    fn push(&mut self, byte: u8) {
        let place = self.len.checked_sub(CHECKSUM_LEN);
        let [before, ..] = self.last_bytes.to_be_bytes();
        self.last_bytes = self.last_bytes.wrapping_shl(8) | u32::from(byte);
        self.len = self.len.saturating_add(1);
        let Some(place) = place else { return };
        if let Some(place) = self.preamble.get_mut(place) {
            *place = before;
            return;
        }
        let buffer = self.buffer.as_mut();
        let [kind, ..] = self.preamble;
        if kind == KIND_MESSAGE {
            self.splitter.push(buffer, before);
        } else if let Some(place) = buffer.get_mut(place.saturating_sub(PREAMBLE_LEN)) {
            *place = before;
        }
    }

    /// The payload, unless it is a message's.
    fn payload(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.len.saturating_sub(OVERHEAD)).unwrap_or_default()
    }

    /// The checksum of kind, sequence and payload.
    fn checksum(&self) -> u32 {
        let [kind, ..] = self.preamble;
        let mut checksum = extend_checksum(0, &self.preamble);
        if kind == KIND_MESSAGE {
            self.splitter.visit(self.buffer.as_ref(), |bytes| {
                checksum = extend_checksum(checksum, bytes);
            });
            checksum
        } else {
            extend_checksum(checksum, self.payload())
        }
    }

    /// Decodes a complete frame.
    fn open(&mut self) -> Result<Event<'_>, LinkError> {
        self.is_taken = true;
        if let Err(kind) = self.check() {
            return Err(self.dropped(kind));
        }
        let [kind, ..] = self.preamble;
        let buffer = self.buffer.as_ref();
        let event = match kind {
            KIND_HELLO => {
                Hello::decode(buffer.get(..self.len.saturating_sub(OVERHEAD)).unwrap_or_default())
                    .map(|hello| {
                        let before = self.epoch.replace(hello.epoch);
                        Event::Hello { hello, is_new: before != Some(hello.epoch) }
                    })
            }
            KIND_MESSAGE => {
                self.splitter.message(buffer).map(Event::Message).ok_or(LinkErrorKind::Frames)
            }
            found => Err(LinkErrorKind::Kind { found }),
        };
        match event {
            Ok(event) => {
                self.stats.frames = self.stats.frames.saturating_add(1);
                Ok(event)
            }
            Err(kind) => Err(count_dropped(&mut self.stats, kind)),
        }
    }

    /// Checks length, checksum and sequence number.
    fn check(&mut self) -> Result<(), LinkErrorKind> {
        let capacity = self.buffer.as_ref().len();
        if self.len > capacity {
            return Err(LinkErrorKind::TooLong { len: self.len, capacity });
        }
        if self.len < OVERHEAD {
            return Err(LinkErrorKind::TooShort { len: self.len });
        }
        let (expected, found) = (self.checksum(), self.last_bytes);
        if expected != found {
            return Err(LinkErrorKind::Checksum { expected, found });
        }
        let [_, sequence @ ..] = self.preamble;
        let sequence = u32::from_be_bytes(sequence);
        let last = self.last.replace((sequence, found));
        if last == Some((sequence, found)) {
            return Err(LinkErrorKind::Duplicate { sequence });
        }
        if let Some((last, _)) = last {
            match sequence.wrapping_sub(last) {
                missing @ 1..=0x7fff_ffff => {
                    let missing = u64::from(missing.saturating_sub(1));
                    self.stats.lost = self.stats.lost.saturating_add(missing);
                }
                _ => self.stats.restarted = self.stats.restarted.saturating_add(1),
            }
        }
        Ok(())
    }

    fn dropped(&mut self, kind: LinkErrorKind) -> LinkError {
        count_dropped(&mut self.stats, kind)
    }
}

/// Processes the bytes of a stream's last read.
pub(super) fn take<'r, B: AsRef<[u8]> + AsMut<[u8]>>(
    receiver: &'r mut Receiver<B>,
    chunk: &mut Chunk,
) -> Option<Result<Event<'r>, LinkError>> {
    let mut input = chunk.rest();
    let result = receiver.receive(&mut input);
    chunk.keep(input.len());
    result
}

/// Counts a frame that is dropped.
fn count_dropped(stats: &mut Stats, kind: LinkErrorKind) -> LinkError {
    let count = match kind {
        LinkErrorKind::Duplicate { .. } => &mut stats.duplicated,
        kind if kind.is_damage() => &mut stats.damaged,
        _ => &mut stats.refused,
    };
    *count = count.saturating_add(1);
    LinkError { kind, offset: stats.bytes }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::standard::FloatMessage;
    use crate::stream::link::frame::FrameEncoder;
    use crate::stream::link::hello::{Direction, Topic};
    use crate::stream::link::sender::Sender;

    fn message(sender: &mut Sender, frames: &[&[u8]]) -> Vec<u8> {
        let mut line = Vec::new();
        sender.message(frames, |bytes| line.extend_from_slice(bytes));
        line
    }

    fn hello(sender: &mut Sender, epoch: u64) -> Vec<u8> {
        let topics = [Topic::of::<FloatMessage>(Direction::Published, "/t")];
        let mut out = [0; 64];
        let hello = Hello { node: "board", epoch, topics: topics[..].into(), time_ns: None };
        let hello = hello.encode(&mut out).expect("it fits");
        let mut line = Vec::new();
        sender.hello(hello, |bytes| line.extend_from_slice(bytes));
        line
    }

    /// The result of each frame in `line`: the frames of a message, `h` or `H` (new) for a hello.
    fn received(receiver: &mut Receiver<[u8; 64]>, line: &[u8]) -> Vec<Result<Vec<u8>, LinkError>> {
        let mut input = line;
        let mut all = Vec::new();
        while let Some(result) = receiver.receive(&mut input) {
            all.push(result.map(|event| match event {
                Event::Hello { is_new: true, .. } => b"H".to_vec(),
                Event::Hello { .. } => b"h".to_vec(),
                Event::Message(message) => message.frames().collect::<Vec<_>>().concat(),
            }));
        }
        all
    }

    #[test]
    fn receives_frames_from_pieces_of_any_size() {
        let mut sender = Sender::new();
        let line = [message(&mut sender, &[b"/t", &[0; 20], b""]), hello(&mut sender, 3)].concat();
        for step in 1..line.len() {
            let mut receiver = Receiver::new([0; 64]);
            let pieces = line.chunks(step);
            let all: Vec<_> = pieces.flat_map(|piece| received(&mut receiver, piece)).collect();
            assert_eq!(all, [Ok([b"/t", &[0; 20][..]].concat()), Ok(b"H".to_vec())]);
        }
    }

    #[test]
    fn detects_every_truncation_and_flipped_bit_and_receives_the_next_frame() {
        let mut sender = Sender::new();
        let first = message(&mut sender, &[b"/t", b"\0first"]);
        let next = message(&mut sender, &[b"/t", b"next"]);
        let damaged = (0..first.len()).map(|len| first[..len].to_vec());
        let damaged = damaged.chain((0..first.len() * 8).map(|bit| {
            let mut flipped = first.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        }));
        for damaged in damaged {
            let mut receiver = Receiver::new([0; 64]);
            let all = received(&mut receiver, &[&damaged[..], &next[..]].concat());
            let whole: Vec<_> = all.into_iter().flatten().collect();
            // A frame that lacks only its first or last zero is completed by its neighbour's.
            let (last, before) = whole.split_last().expect("the next frame");
            assert_eq!(last, b"/tnext", "after {damaged:?}");
            assert!(before.is_empty() || before == [b"/t\0first"], "from {damaged:?}");
        }
    }

    #[test]
    fn drops_and_counts_a_duplicate_frame() {
        let mut sender = Sender::new();
        let first = message(&mut sender, &[b"/t", b"1"]);
        let second = message(&mut sender, &[b"/t", b"2"]);
        let mut receiver = Receiver::new([0; 64]);
        let line = [&first[..], &first, &second, &second, &second].concat();
        let all = received(&mut receiver, &line);
        let duplicate = |sequence| LinkErrorKind::Duplicate { sequence };
        let kinds: Vec<_> = all.into_iter().map(|result| result.map_err(|e| e.kind)).collect();
        let (one, two) = (Ok(b"/t1".to_vec()), Ok(b"/t2".to_vec()));
        let expected = [one, Err(duplicate(0)), two, Err(duplicate(1)), Err(duplicate(1))];
        assert_eq!(kinds, expected);
        assert_eq!(receiver.stats().duplicated, 3);
        assert_eq!((receiver.stats().lost, receiver.stats().frames), (0, 2));
    }

    #[test]
    fn a_gap_counts_as_loss_and_a_step_back_as_a_restart() {
        let mut sender = Sender::new();
        let frames: Vec<_> = (0..10).map(|_| message(&mut sender, &[b"/t"])).collect();
        let mut receiver = Receiver::new([0; 64]);
        received(&mut receiver, &frames[2]);
        assert_eq!(receiver.stats().lost, 0);
        received(&mut receiver, &frames[6]);
        assert_eq!((receiver.stats().lost, receiver.stats().restarted), (3, 0));
        received(&mut receiver, &frames[0]);
        assert_eq!((receiver.stats().lost, receiver.stats().restarted), (3, 1));
    }

    #[test]
    fn receives_the_hello_of_a_board_that_was_reset_after_its_first_frame() {
        let mut receiver = Receiver::new([0; 64]);
        for epoch in [1, 2] {
            let mut sender = Sender::new();
            assert_eq!(received(&mut receiver, &hello(&mut sender, epoch)), [Ok(b"H".to_vec())]);
        }
        let mut sender = Sender { sequence: 1, ..Sender::default() };
        assert_eq!(received(&mut receiver, &hello(&mut sender, 2)), [Ok(b"h".to_vec())]);
    }

    #[test]
    fn reports_the_length_of_a_frame_beyond_the_buffer_and_receives_the_next() {
        let mut sender = Sender::new();
        let long = message(&mut sender, &[b"/t", &[7; 3000]]);
        let fits = message(&mut sender, &[b"/t", &[7; 64 - OVERHEAD - 8 - 2]]);
        let mut receiver = Receiver::new([0; 64]);
        let all = received(&mut receiver, &[&long[..], &fits].concat());
        let len = 3000 + 8 + 2 + OVERHEAD;
        let kind = LinkErrorKind::TooLong { len, capacity: 64 };
        let offset = u64::try_from(long.len()).expect("it is short");
        assert_eq!(all[0], Err(LinkError { kind, offset }));
        assert!(all[1].is_ok());
        assert_eq!(receiver.stats().refused, 1);
    }

    #[test]
    fn rejects_undamaged_frames_that_are_invalid() {
        let mut sender = Sender::new();
        let mut line = Vec::new();
        for (kind, payload) in [(3, &b""[..]), (2, b""), (2, b"\0\0\0\x01"), (1, b"\xc1")] {
            let mut frame = FrameEncoder::new();
            frame.begin(kind, sender.sequence);
            sender.sequence += 1;
            let mut payload = payload;
            assert!(frame.push(&mut payload).is_none());
            line.extend_from_slice(frame.finish());
        }
        let mut receiver = Receiver::new([0; 64]);
        let all = received(&mut receiver, &line);
        let kinds: Vec<_> =
            all.into_iter().map(|result| result.expect_err("refused").kind).collect();
        assert!(matches!(
            kinds[..],
            [
                LinkErrorKind::Kind { found: 3 },
                LinkErrorKind::Frames,
                LinkErrorKind::Frames,
                LinkErrorKind::Hello(_)
            ]
        ));
        assert_eq!(receiver.stats().refused, 4);
    }
}
