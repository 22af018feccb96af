//! The commands by which a publisher lends arrays in shared memory, and the counters of both sides.
//!
//! Both peers tell in READY that they can (`X-Cortex-Memory`). Before a message the publisher names each array
//! that it lends; the message then has an empty part in its place. The subscriber returns the lease once its
//! last user has dropped the message. All numbers are little-endian.
//!
//! ```text
//! X-CORTEX-BUFFER   id u32, length u64       a memfd, passed with the first byte; length 0: id is no more
//! X-CORTEX-LEND     part u32, lease u32, id u32, offset u64, length u64      of the next message
//! X-CORTEX-RETURN   lease u32                                                from the subscriber
//! ```

use smallvec::SmallVec;

use crate::wire::zmtp::FrameHeader;

/// The property of READY by which a peer says that it knows these commands.
pub(super) const MEMORY_PROPERTY: &str = "X-Cortex-Memory";

/// Length and name of the commands.
const BUFFER: &[u8] = b"\x0fX-CORTEX-BUFFER";
const LEND: &[u8] = b"\x0dX-CORTEX-LEND";
const RETURN: &[u8] = b"\x0fX-CORTEX-RETURN";

/// The frame of a command: none is longer, so encoding allocates nothing.
pub(super) type CommandFrame = SmallVec<[u8; 64]>;

/// A command about shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// A buffer that the publisher may lend from.
    Buffer { id: u32, len: u64 },
    /// A part of the next message lies in a buffer.
    Lend(Lend),
    /// The subscriber does not need a part any more.
    Return { lease: u32 },
}

/// Where a part of the next message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lend {
    /// The index of the part, which is empty in the message itself.
    pub(super) part: u32,
    /// Names this part until it is returned.
    pub(super) lease: u32,
    /// The buffer.
    pub(super) id: u32,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Sharing {
    /// The frame of the command.
    pub(super) fn encode(self) -> CommandFrame {
        let mut body = CommandFrame::new();
        match self {
            Self::Buffer { id, len } => {
                body.extend_from_slice(BUFFER);
                body.extend_from_slice(&id.to_le_bytes());
                body.extend_from_slice(&len.to_le_bytes());
            }
            Self::Lend(Lend { part, lease, id, offset, len }) => {
                body.extend_from_slice(LEND);
                [part, lease, id].iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
                [offset, len].iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
            }
            Self::Return { lease } => {
                body.extend_from_slice(RETURN);
                body.extend_from_slice(&lease.to_le_bytes());
            }
        }
        let mut frame = CommandFrame::from_slice(&FrameHeader::command(body.len() as u64).encode());
        frame.extend_from_slice(&body);
        frame
    }

    /// The command in the body of a frame; `None` for another one, or a malformed one.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        if let Some(numbers) = body.strip_prefix(LEND) {
            let mut numbers = Numbers(numbers);
            let (part, lease, id) = (numbers.u32()?, numbers.u32()?, numbers.u32()?);
            let (offset, len) = (numbers.u64()?, numbers.u64()?);
            return Some(Self::Lend(Lend { part, lease, id, offset, len }));
        }
        if let Some(numbers) = body.strip_prefix(BUFFER) {
            let mut numbers = Numbers(numbers);
            return Some(Self::Buffer { id: numbers.u32()?, len: numbers.u64()? });
        }
        let numbers = body.strip_prefix(RETURN)?;
        Some(Self::Return { lease: Numbers(numbers).u32()? })
    }
}

/// Numbers that are read one after the other; what is added later behind them is ignored.
struct Numbers<'b>(&'b [u8]);

impl Numbers<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_decoded_as_encoded_and_a_shorter_one_is_none() {
        let lend = Lend { part: 3, lease: u32::MAX, id: 7, offset: 4096, len: u64::MAX };
        for command in [
            Sharing::Buffer { id: 1, len: 1 << 40 },
            Sharing::Lend(lend),
            Sharing::Return { lease: 9 },
        ] {
            let frame = command.encode();
            let (header, start) = FrameHeader::decode(&frame).unwrap().unwrap();
            assert!(header.is_command() && header.len() == (frame.len() - start) as u64);
            assert!(!frame.spilled());
            let body = &frame[start..];
            assert_eq!(Sharing::decode(body), Some(command));
            for len in 0..body.len() {
                assert_eq!(Sharing::decode(&body[..len]), None);
            }
            assert_eq!(Sharing::decode(&[body, b"more"].concat()), Some(command));
        }
        assert_eq!(Sharing::decode(b"\x05OTHER\0\0\0\0\0\0\0\0"), None);
    }
}
