//! Lists of topics, in a response of the daemon and in a hello of the link.

use core::fmt;

use crate::error::{DecodeError, DiscoveryKey, EncodeError};
use crate::msgpack::key::read_entries;
use crate::msgpack::once::Once;
use crate::msgpack::read::Reader;
use crate::msgpack::write::Writer;

/// A topic and its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TopicInfo<'a> {
    /// The topic.
    pub name: &'a str,
    /// The ZeroMQ endpoint to connect to.
    pub address: &'a str,
    /// The bare class name of its messages.
    pub message_type: &'a str,
    /// The wire fingerprint of its messages.
    pub fingerprint: u64,
    /// The name of the publishing node.
    pub publisher_node: &'a str,
}

impl<'a> TopicInfo<'a> {
    /// Writes a map of exactly the five keys that a Python client accepts.
    fn write(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.write_map(5)?;
        out.write_str(DiscoveryKey::Name.as_str())?;
        out.write_str(self.name)?;
        out.write_str(DiscoveryKey::Address.as_str())?;
        out.write_str(self.address)?;
        out.write_str(DiscoveryKey::MessageType.as_str())?;
        out.write_str(self.message_type)?;
        out.write_str(DiscoveryKey::Fingerprint.as_str())?;
        out.write_int(self.fingerprint);
        out.write_str(DiscoveryKey::PublisherNode.as_str())?;
        out.write_str(self.publisher_node)
    }

    /// Writes the map packed as bytes.
    pub(crate) fn write_packed(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut measure = Writer::new(&mut []);
        self.write(&mut measure)?;
        out.write_bytes_head(measure.len())?;
        self.write(out)
    }

    /// Reads a map packed as bytes; other keys than the five are ignored.
    pub(crate) fn read_packed(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.read_bytes()?;
        let start = reader.offset().saturating_sub(bytes.len());
        let mut inner = Reader::new_at(bytes, start);
        let mut name = Once::new(DiscoveryKey::Name);
        let mut address = Once::new(DiscoveryKey::Address);
        let mut message_type = Once::new(DiscoveryKey::MessageType);
        let mut fingerprint = Once::new(DiscoveryKey::Fingerprint);
        let mut publisher_node = Once::new(DiscoveryKey::PublisherNode);
        read_entries(&mut inner, |key, reader| match key {
            "name" => name.set(reader, Reader::read_str),
            "address" => address.set(reader, Reader::read_str),
            "message_type" => message_type.set(reader, Reader::read_str),
            "fingerprint" => fingerprint.set(reader, Reader::read_integer),
            "publisher_node" => publisher_node.set(reader, Reader::read_str),
            _ => reader.skip(),
        })?;
        inner.finish()?;
        Ok(Self {
            name: name.require(start)?,
            address: address.require(start)?,
            message_type: message_type.require(start)?,
            fingerprint: fingerprint.require(start)?,
            publisher_node: publisher_node.require(start)?,
        })
    }
}

/// An entry of [`Topics`]: [`TopicInfo`] or [`link::Topic`](crate::link::Topic). The trait is
/// sealed.
pub trait TopicEntry<'a>: sealed::Read<'a> {}

pub(crate) mod sealed {
    use crate::error::DecodeError;
    use crate::msgpack::read::Reader;

    #[expect(unnameable_types, reason = "the trait is sealed")]
    pub trait Read<'a>: Copy {
        fn read_entry(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
    }
}

impl<'a> TopicEntry<'a> for TopicInfo<'a> {}

impl<'a> sealed::Read<'a> for TopicInfo<'a> {
    fn read_entry(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::read_packed(reader)
    }
}

/// A list of topics, built from a slice or decoded from a response or a hello.
///
/// Source: wire reference, "Discovery"; the hello is [`link::Hello`](crate::link::Hello).
#[derive(Clone, Copy)]
pub struct Topics<'a, T = TopicInfo<'a>>(Repr<'a, T>);

#[derive(Clone, Copy)]
enum Repr<'a, T> {
    Built(&'a [T]),
    /// At the first topic; checked when it was decoded.
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

    /// Whether there are no topics.
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

/// Iterator over the topics of a [`Topics`].
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
