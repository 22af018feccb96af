//! The bytes that wait for one peer, after a write that the kernel did not accept wholly.

use std::collections::VecDeque;
use std::io::IoSlice;

use rustix::io::Errno;
use smallvec::SmallVec;

use super::encoder::{Encoder, Segment};
use crate::transport::error::SocketError;
use crate::transport::socket::Part;
use crate::transport::zmq::frame::Frame;

/// Small messages are appended to a piece of up to this length.
const PIECE_LEN: usize = 64 * 1024;
/// Pieces of one write.
const MAX_SLICES: usize = 32;

/// Bytes that wait.
#[derive(Debug)]
enum Piece {
    /// A copy.
    Copy(Vec<u8>),
    /// A part that is shared with other peers.
    Shared(Frame),
}

impl Piece {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copy(bytes) => bytes,
            Self::Shared(frame) => frame.as_slice(),
        }
    }
}

/// A queue of bytes in which the ends of messages are marked.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are written.
    offset: usize,
    /// Bytes written since the start.
    written: u64,
    /// Bytes pushed since the start.
    pushed: u64,
    /// The ends of messages that are not wholly written, in bytes since the start, and how many end there.
    ends: VecDeque<(u64, usize)>,
    /// Messages that are not wholly written.
    unsent: usize,
    /// Whether bytes of the first message are written.
    is_begun: bool,
    /// The end of the last message that is wholly written.
    last_end: u64,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Messages that wait, without the one that is being written, as libzmq counts.
    pub(super) fn messages(&self) -> usize {
        self.unsent.saturating_sub(usize::from(self.is_begun))
    }

    /// Messages that are not wholly written.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.pushed.saturating_sub(self.written)
    }

    /// Appends bytes that end no message.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            match self.pieces.back_mut() {
                Some(Piece::Copy(last)) if last.len().saturating_add(bytes.len()) <= PIECE_LEN => {
                    last.extend_from_slice(bytes);
                }
                _ => self.pieces.push_back(Piece::Copy(bytes.to_vec())),
            }
            self.pushed = self.pushed.saturating_add(bytes.len() as u64);
        }
    }

    /// The last `messages` messages end here.
    fn push_end(&mut self, messages: usize) {
        if messages > 0 {
            self.ends.push_back((self.pushed, messages));
            self.unsent = self.unsent.saturating_add(messages);
        }
    }

    /// Appends encoded messages without their first `skip` bytes, which are written. A borrowed part becomes
    /// a frame, which all peers share.
    ///
    /// # Errors
    /// When memory is exhausted; a message that is begun cannot be completed then. Never without a borrowed
    /// part.
    pub(super) fn push_messages(
        &mut self,
        encoder: &Encoder,
        parts: &mut [Part<'_>],
        mut skip: usize,
    ) -> Result<(), SocketError> {
        let begun = skip > 0;
        for segment in encoder.segments() {
            match segment {
                Segment::Inline(range) => {
                    let bytes = encoder.inline(range);
                    self.push_bytes(bytes.get(skip.min(bytes.len())..).unwrap_or_default());
                    skip = skip.saturating_sub(bytes.len());
                }
                Segment::Part(index) => {
                    let Some(part) = parts.get_mut(*index) else { continue };
                    let len = part.len();
                    if skip < len {
                        let frame = share(part)?;
                        if self.pieces.is_empty() {
                            self.offset = skip;
                            self.pieces.push_back(Piece::Shared(frame));
                        } else if skip == 0 {
                            self.pieces.push_back(Piece::Shared(frame));
                        } else {
                            // Only the first piece of a backlog can be partly written.
                            let rest = frame.as_slice().get(skip..).unwrap_or_default().to_vec();
                            self.pieces.push_back(Piece::Copy(rest));
                        }
                        self.pushed = self.pushed.saturating_add((len - skip) as u64);
                    }
                    skip = skip.saturating_sub(len);
                }
            }
        }
        self.is_begun |= begun;
        self.push_end(encoder.messages());
        Ok(())
    }

    /// Writes until everything is written or `write` accepts no more (`WOULDBLOCK`).
    ///
    /// # Errors
    /// Any other error of `write`: the connection is lost.
    pub(super) fn write(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> Result<usize, Errno>,
    ) -> Result<(), Errno> {
        while !self.pieces.is_empty() {
            let mut slices = SmallVec::<[IoSlice<'_>; MAX_SLICES]>::new();
            for (index, piece) in self.pieces.iter().take(MAX_SLICES).enumerate() {
                let skip = if index == 0 { self.offset } else { 0 };
                slices.push(IoSlice::new(piece.as_slice().get(skip..).unwrap_or_default()));
            }
            let written = write(&slices);
            drop(slices);
            match written {
                Ok(count) => self.advance(count),
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Removes `count` bytes that are written.
    fn advance(&mut self, mut count: usize) {
        self.written = self.written.saturating_add(count as u64);
        while let Some(first) = self.pieces.front() {
            let left = first.as_slice().len().saturating_sub(self.offset);
            if count < left {
                self.offset = self.offset.saturating_add(count);
                break;
            }
            count = count.saturating_sub(left);
            self.offset = 0;
            self.pieces.pop_front();
        }
        while let Some(&(end, messages)) = self.ends.front()
            && end <= self.written
        {
            self.ends.pop_front();
            self.unsent = self.unsent.saturating_sub(messages);
            self.last_end = end;
            self.is_begun = false;
        }
        self.is_begun |= self.written > self.last_end && !self.ends.is_empty();
    }
}

/// A frame with the bytes of a part, which becomes a frame itself.
fn share(part: &mut Part<'_>) -> Result<Frame, SocketError> {
    if let Part::Copy(bytes) = part {
        *part = Part::Frame(Frame::from_copy(bytes)?);
    }
    match part {
        Part::Frame(frame) | Part::Counted(frame) => frame.share(),
        Part::Copy(bytes) => Frame::from_copy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that accepts at most `step` bytes at a time and nothing at every other call.
    fn drain(backlog: &mut Backlog, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut accepts = false;
        while !backlog.is_empty() {
            let before = backlog.bytes();
            backlog
                .write(|slices| {
                    accepts = !accepts;
                    if !accepts {
                        return Err(Errno::WOULDBLOCK);
                    }
                    let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                    let count = step.min(all.len());
                    out.extend_from_slice(&all[..count]);
                    Ok(count)
                })
                .unwrap();
            assert!(backlog.bytes() < before || !accepts);
        }
        assert_eq!((backlog.bytes(), backlog.messages()), (0, 0));
        out
    }

    fn encoded(parts: &[Part<'_>]) -> (Encoder, Vec<u8>) {
        let mut encoder = Encoder::default();
        encoder.encode(parts);
        let bytes = encoder.slices(parts).iter().flat_map(|slice| slice.to_vec()).collect();
        (encoder, bytes)
    }

    #[test]
    fn a_partial_write_at_any_byte_is_completed_in_pieces_of_any_size() {
        let big = vec![9; 3000];
        let parts = || [Part::Copy(b"/t"), Part::Copy(&big), Part::Copy(b"tail")];
        let (encoder, whole) = encoded(&parts());
        for written in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let mut backlog = Backlog::default();
            backlog.push_messages(&encoder, &mut parts(), written).unwrap();
            assert_eq!(backlog.messages(), usize::from(written == 0));
            assert_eq!(backlog.bytes(), (whole.len() - written) as u64);
            backlog.push_messages(&encoder, &mut parts(), 0).unwrap();
            backlog.push_bytes(b"xyz");
            assert_eq!(backlog.messages(), 1 + usize::from(written == 0));
            let expected = [&whole[written..], &whole, b"xyz"].concat();
            assert_eq!(drain(&mut backlog, written % 97 + 1), expected);
        }
    }

    #[test]
    fn messages_count_until_their_last_byte_is_written() {
        let mut backlog = Backlog::default();
        for part in [b"o", b"t"] {
            let mut encoder = Encoder::default();
            encoder.append(&[Part::Copy(part)]);
            backlog.push_messages(&encoder, &mut [], 0).unwrap();
        }
        let mut left = 4;
        backlog
            .write(|_| match std::mem::take(&mut left) {
                0 => Err(Errno::WOULDBLOCK),
                count => Ok(count),
            })
            .unwrap();
        assert_eq!((backlog.messages(), backlog.bytes()), (0, 2), "the second is being written");
        assert_eq!(backlog.write(|_| Err(Errno::PIPE)), Err(Errno::PIPE));
    }
}
