//! The hello, by which each end announces its node and its topics.

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::message::{Message, TypeInfo};
use crate::msgpack::read::Reader;
use crate::msgpack::write::Writer;
use crate::stream::link::error::LinkErrorKind;
use crate::stream::link::layout::VERSION;
use crate::topics::{self, TopicEntry};

/// The hello that each end sends once a second.
///
/// # Examples
///
/// ```
/// use cortex_wire::link::{Direction, Hello, Topic};
/// use cortex_wire::{FloatMessage, IntMessage};
///
/// let topics = [
///     Topic::of::<FloatMessage>(Direction::Published, "/temperature"),
///     Topic::of::<IntMessage>(Direction::Subscribed, "/rate"),
/// ];
/// let hello = Hello { node: "board", epoch: 7, topics: topics[..].into(), time_ns: None };
/// let mut out = [0; 128];
/// let bytes = hello.encode(&mut out)?;
/// assert_eq!(Hello::decode(bytes).ok(), Some(hello));
/// # Ok::<(), cortex_wire::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello<'a> {
    /// The name of the node.
    pub node: &'a str,
    /// A number that changes with each start: random, or a persistent counter.
    pub epoch: u64,
    /// The topics that it publishes and subscribes to.
    pub topics: Topics<'a>,
    /// The time of the sender's clock, if it knows the time: nanoseconds since the Unix epoch. A
    /// board sets its clock by it; see [`WallClock`](super::WallClock).
    pub time_ns: Option<u64>,
}

impl<'a> Hello<'a> {
    /// Encodes the payload of a hello.
    ///
    /// # Errors
    ///
    /// `OutputFull` with the required length.
    pub fn encode<'w>(&self, out: &'w mut [u8]) -> Result<&'w [u8], EncodeError> {
        let mut out = Writer::new(out);
        out.write_list(if self.time_ns.is_some() { 5 } else { 4 })?;
        out.write_int(VERSION);
        out.write_str(self.node)?;
        out.write_int(self.epoch);
        out.write_list(self.topics.len())?;
        for topic in self.topics {
            topic.write(&mut out)?;
        }
        if let Some(time_ns) = self.time_ns {
            out.write_int(time_ns);
        }
        out.finish()
    }

    /// Decodes the payload of a hello; fields appended by later versions are ignored.
    ///
    /// # Errors
    ///
    /// `Version`, or `Hello` with the offset in `payload`.
    pub fn decode(payload: &'a [u8]) -> Result<Self, LinkErrorKind> {
        let mut reader = Reader::new(payload);
        let (count, version) = read_start(&mut reader).map_err(LinkErrorKind::Hello)?;
        if version != u64::from(VERSION) {
            return Err(LinkErrorKind::Version { found: version });
        }
        Self::read(reader, count).map_err(LinkErrorKind::Hello)
    }

    fn read(mut reader: Reader<'a>, count: u32) -> Result<Self, DecodeError> {
        let node = reader.read_str()?;
        let epoch = reader.read_integer()?;
        let topics = Topics::read(&mut reader)?;
        let mut more = u64::from(count.saturating_sub(4));
        let mut time_ns = None;
        if more > 0 {
            let mut ahead = reader;
            // A value of another type is not a time, and is ignored as what follows.
            if let Ok(time) = ahead.read_integer() {
                time_ns = Some(time);
                reader = ahead;
                more = more.saturating_sub(1);
            }
        }
        reader.skip_items(more)?;
        reader.finish()?;
        Ok(Self { node, epoch, topics, time_ns })
    }
}

/// Reads the head of the list and the version.
fn read_start(reader: &mut Reader<'_>) -> Result<(u32, u64), DecodeError> {
    let count = read_fields(reader, 4)?;
    Ok((count, reader.read_integer()?))
}

/// Reads the head of a list of at least `required` fields.
fn read_fields(reader: &mut Reader<'_>, required: usize) -> Result<u32, DecodeError> {
    let start = *reader;
    let found = reader.read_list()?;
    if usize::try_from(found).is_ok_and(|found| found < required) {
        return Err(start.error(DecodeErrorKind::FieldCount { required, total: required, found }));
    }
    Ok(found)
}

/// The direction of a topic, from the view of the sender of the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// It publishes the topic.
    Published,
    /// It subscribes to the topic.
    Subscribed,
}

/// A topic of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Topic<'a> {
    /// Whether the end publishes it or subscribes to it.
    pub direction: Direction,
    /// Its name.
    pub name: &'a str,
    /// The bare class name of its messages.
    pub message_type: &'a str,
    /// The wire fingerprint of its messages.
    pub fingerprint: u64,
    /// The layout hash of its messages.
    pub layout: u64,
}

impl<'a> Topic<'a> {
    const FIELDS: usize = 5;

    /// A topic of messages of type `M`.
    #[must_use]
    pub fn of<M: Message>(direction: Direction, name: &'a str) -> Self {
        let info = TypeInfo::of::<M>();
        Self {
            direction,
            name,
            message_type: info.name(),
            fingerprint: info.fingerprint,
            layout: info.layout,
        }
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.write_list(Self::FIELDS)?;
        out.write_int(match self.direction {
            Direction::Published => 0_u8,
            Direction::Subscribed => 1,
        });
        out.write_str(self.name)?;
        out.write_str(self.message_type)?;
        out.write_int(self.fingerprint);
        out.write_int(self.layout);
        Ok(())
    }
}

impl<'a> TopicEntry<'a> for Topic<'a> {}

impl<'a> topics::sealed::Read<'a> for Topic<'a> {
    fn read_entry(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = read_fields(reader, Self::FIELDS)?;
        let start = *reader;
        let direction = match reader.read_integer::<u64>()? {
            0 => Direction::Published,
            1 => Direction::Subscribed,
            _ => return Err(start.error(DecodeErrorKind::IntegerRange)),
        };
        let topic = Self {
            direction,
            name: reader.read_str()?,
            message_type: reader.read_str()?,
            fingerprint: reader.read_integer()?,
            layout: reader.read_integer()?,
        };
        reader.skip_items(u64::from(count).saturating_sub(5))?;
        Ok(topic)
    }
}

/// The topics of a hello.
pub type Topics<'a> = topics::Topics<'a, Topic<'a>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::{FloatMessage, ImageMessage};

    #[test]
    fn rejects_every_truncation() {
        let topics = [
            Topic::of::<FloatMessage>(Direction::Published, "/a"),
            Topic::of::<ImageMessage<'_>>(Direction::Subscribed, "/b"),
        ];
        let hello =
            Hello { node: "board", epoch: u64::MAX, topics: topics[..].into(), time_ns: None };
        let mut out = [0; 128];
        let bytes = hello.encode(&mut out).expect("it fits");
        assert_eq!(Hello::decode(bytes), Ok(hello));
        for len in 0..bytes.len() {
            assert!(matches!(Hello::decode(&bytes[..len]), Err(LinkErrorKind::Hello(_))), "{len}");
        }
    }

    #[test]
    fn the_time_is_optional_and_fields_after_it_are_ignored() {
        let with_time =
            Hello { node: "gateway", epoch: 1, topics: Topics::default(), time_ns: Some(u64::MAX) };
        let mut out = [0; 64];
        let bytes = with_time.encode(&mut out).expect("it fits");
        assert_eq!(Hello::decode(bytes), Ok(with_time));
        // Without it, as older peers send it; with more than it; with something else in its place.
        let time = |bytes: &[u8]| Hello::decode(bytes).map(|hello| hello.time_ns);
        assert_eq!(time(b"\x94\x01\xa1g\x01\x90"), Ok(None));
        assert_eq!(time(b"\x96\x01\xa1g\x01\x90\x07\xa1x"), Ok(Some(7)));
        assert_eq!(time(b"\x96\x01\xa1g\x01\x90\xa1x\x07"), Ok(None));
        assert_eq!(time(b"\x95\x01\xa1g\x01\x90\xff"), Ok(None));
    }

    #[test]
    fn ignores_appended_fields_and_rejects_another_version() {
        let mut bytes = *b"\x95\x01\xa1b\x05\x91\x96\x00\xa2/t\xa1T\x01\x02\xc0\xc3";
        let hello = Hello::decode(&bytes).expect("it is one");
        let topic = hello.topics.into_iter().next().expect("a topic");
        assert_eq!((topic.name, topic.message_type, topic.layout), ("/t", "T", 2));
        bytes[1] = 2;
        assert_eq!(Hello::decode(&bytes), Err(LinkErrorKind::Version { found: 2 }));
    }
}
