//! Lists of topics: the same in an answer of the daemon and in a hello.

use core::fmt;

use crate::discovery::TopicInfo;
use crate::msgpack::Reader;
use crate::{DecodeError, link};

/// What a [`Topics`] lists: [`TopicInfo`] or [`link::Topic`]. Nothing else can be.
pub trait TopicEntry<'a>: sealed::Read<'a> {}

impl<'a> TopicEntry<'a> for TopicInfo<'a> {}
impl<'a> TopicEntry<'a> for link::Topic<'a> {}

mod sealed {
    use super::{DecodeError, Reader, TopicInfo, link};

    #[expect(unnameable_types, reason = "that is how a trait is sealed")]
    pub trait Read<'a>: Copy {
        fn read_entry(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
    }

    impl<'a> Read<'a> for TopicInfo<'a> {
        fn read_entry(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
            Self::read_packed(reader)
        }
    }

    impl<'a> Read<'a> for link::Topic<'a> {
        fn read_entry(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
            Self::read(reader)
        }
    }
}

/// A list of topics, built from a slice or read from an answer or a hello.
///
/// Source: wire reference, "Discovery"; the hello is [`link::Hello`].
#[derive(Clone, Copy)]
pub struct Topics<'a, T = TopicInfo<'a>>(Repr<'a, T>);

#[derive(Clone, Copy)]
enum Repr<'a, T> {
    Built(&'a [T]),
    /// Checked when it was read.
    Wire(Reader<'a>, u32),
}

impl<T> Topics<'_, T> {
    /// Number of topics.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Repr::Built(topics) => topics.len(),
            Repr::Wire(_, count) => usize::try_from(count).unwrap_or(usize::MAX),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: TopicEntry<'a>> Topics<'a, T> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = reader.read_list()?;
        let first = *reader;
        for _ in 0..count {
            T::read_entry(reader)?;
        }
        Ok(Self(Repr::Wire(first, count)))
    }
}

impl<T> Default for Topics<'_, T> {
    fn default() -> Self {
        Self(Repr::Built(&[]))
    }
}

impl<'a, T> From<&'a [T]> for Topics<'a, T> {
    fn from(topics: &'a [T]) -> Self {
        Self(Repr::Built(topics))
    }
}

impl<'a, T: TopicEntry<'a>> IntoIterator for Topics<'a, T> {
    type Item = T;
    type IntoIter = TopicsIter<'a, T>;

    fn into_iter(self) -> TopicsIter<'a, T> {
        TopicsIter(self)
    }
}

impl<'a, T: TopicEntry<'a> + fmt::Debug> fmt::Debug for Topics<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl<'a, T: TopicEntry<'a> + PartialEq> PartialEq for Topics<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.into_iter().eq(*other)
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for Topics<'_, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} topics", self.len());
    }
}

/// The topics of a [`Topics`].
#[derive(Clone)]
pub struct TopicsIter<'a, T = TopicInfo<'a>>(Topics<'a, T>);

impl<'a, T: TopicEntry<'a>> Iterator for TopicsIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0.0 {
            Repr::Built(topics) => {
                let (first, rest) = topics.split_first()?;
                *topics = rest;
                Some(*first)
            }
            Repr::Wire(reader, count) => {
                *count = count.checked_sub(1)?;
                T::read_entry(reader).ok()
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.0.len();
        (len, Some(len))
    }
}

impl<'a, T: TopicEntry<'a>> ExactSizeIterator for TopicsIter<'a, T> {}

impl<'a, T: TopicEntry<'a> + fmt::Debug> fmt::Debug for TopicsIter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
