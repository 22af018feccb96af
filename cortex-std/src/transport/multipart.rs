//! A received message.

use std::cell::Cell;

use smallvec::SmallVec;

use super::local::message::LocalMessage;
use super::zmq::frame::Frame;

/// Topic, header, metadata and five arrays: most messages need no more and so no allocation.
const INLINE: usize = 8;

/// The parts of one received message, in order.
///
/// Reused for the next message it keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Multipart {
    parts: Parts,
}

/// The parts as a transport received them.
#[derive(Debug, Default)]
enum Parts {
    #[default]
    Empty,
    Frames(Frames),
    Local(LocalMessage),
}

/// Frames of libzmq. Boxed, since they are 64 bytes each and a message is moved several times on its way to
/// the caller. The box that a thread released last is used again, so receiving allocates nothing.
#[derive(Debug)]
struct Frames {
    /// None only once dropped.
    list: Option<Box<FrameList>>,
}

type FrameList = SmallVec<[Frame; INLINE]>;

thread_local! {
    static SPARE: Cell<Option<Box<FrameList>>> = const { Cell::new(None) };
}

impl Frames {
    fn new() -> Self {
        // At the end of the thread there is no spare.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        Self { list: Some(spare.unwrap_or_default()) }
    }

    fn as_slice(&self) -> &[Frame] {
        self.list.as_ref().map_or(&[], |list| list.as_slice())
    }

    fn list(&mut self) -> &mut FrameList {
        self.list.get_or_insert_default()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(mut list) = self.list.take() {
            list.clear();
            // Dropped where the thread ends.
            let _ = SPARE.try_with(|spare| spare.set(Some(list)));
        }
    }
}

impl Multipart {
    /// The number of parts.
    pub(crate) fn len(&self) -> usize {
        match &self.parts {
            Parts::Empty => 0,
            Parts::Frames(frames) => frames.as_slice().len(),
            Parts::Local(message) => message.len(),
        }
    }

    /// True before a message was received.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of part `index`.
    #[inline]
    pub(crate) fn frame(&self, index: usize) -> Option<&[u8]> {
        match &self.parts {
            Parts::Empty => None,
            Parts::Frames(frames) => frames.as_slice().get(index).map(Frame::as_slice),
            Parts::Local(message) => message.part(index),
        }
    }

    /// The bytes of every part.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.frame(index))
    }

    /// The first part of a message of frames; the others are released.
    pub(crate) fn into_first(self) -> Option<Frame> {
        match self.parts {
            Parts::Frames(mut frames) => frames.list().drain(..).next(),
            Parts::Empty | Parts::Local(_) => None,
        }
    }

    /// Releases every part.
    pub(crate) fn clear(&mut self) {
        match &mut self.parts {
            Parts::Frames(frames) => frames.list().clear(),
            parts => *parts = Parts::Empty,
        }
    }

    /// Appends a frame.
    pub(super) fn push(&mut self, frame: Frame) {
        if !matches!(self.parts, Parts::Frames(_)) {
            self.parts = Parts::Frames(Frames::new());
        }
        if let Parts::Frames(frames) = &mut self.parts {
            frames.list().push(frame);
        }
    }

    /// Replaces the parts.
    #[inline]
    pub(super) fn set_local(&mut self, message: LocalMessage) {
        self.parts = Parts::Local(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(message: &mut Multipart, bytes: &[u8]) {
        message.push(Frame::from_copy(bytes).unwrap());
    }

    #[test]
    fn parts_are_found_inline_and_beyond() {
        for count in 0..10_usize {
            let mut message = Multipart::default();
            for i in 0..count {
                push(&mut message, &[i as u8; 3]);
            }
            assert_eq!(message.len(), count);
            for i in 0..count {
                assert_eq!(message.frame(i), Some(&[i as u8; 3][..]));
            }
            assert_eq!(message.frame(count), None);
            assert_eq!(message.frame(usize::MAX), None);
            assert_eq!(message.iter().count(), count);
            assert_eq!(message.into_first().is_some(), count > 0);
        }
    }

    #[test]
    fn a_cleared_message_is_empty_and_usable() {
        let mut message = Multipart::default();
        for _ in 0..9 {
            push(&mut message, b"old");
        }
        message.clear();
        assert!(message.is_empty());
        assert_eq!(message.frame(0), None);
        push(&mut message, b"new");
        assert_eq!(message.iter().collect::<Vec<_>>(), [b"new"]);
    }
}
