//! Requests to the discovery daemon and its responses: one MessagePack map each.
//!
//! # Examples
//!
//! ```
//! use cortex_wire::discovery::{Command, Request};
//!
//! let request = Request { topic_name: Some("/camera"), ..Request::new(Command::LookupTopic) };
//! let mut out = [0; 64];
//! let bytes = request.encode(&mut out)?;
//! assert_eq!(Request::decode(bytes)?, request);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Source: wire reference, "Discovery".

use crate::error::{DecodeError, DecodeErrorKind, DiscoveryKey, EncodeError};
use crate::msgpack::key::read_entries;
use crate::msgpack::once::Once;
use crate::msgpack::read::Reader;
use crate::msgpack::write::Writer;

pub use crate::topics::{TopicEntry, TopicInfo, Topics, TopicsIter};

/// The daemon's default address.
pub const DEFAULT_ADDRESS: &str = "ipc:///tmp/cortex/discovery.sock";

/// The command of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command {
    /// Registers a topic; requires `topic_info`.
    RegisterTopic,
    /// Unregisters a topic; requires `topic_name`.
    UnregisterTopic,
    /// Looks up a topic; requires `topic_name`.
    LookupTopic,
    /// Lists all topics.
    ListTopics,
    /// Checks that the daemon responds.
    Ping,
    /// Stops the daemon.
    Shutdown,
}

impl Command {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::RegisterTopic => 1,
            Self::UnregisterTopic => 2,
            Self::LookupTopic => 3,
            Self::ListTopics => 4,
            Self::Ping => 5,
            Self::Shutdown => 99,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::RegisterTopic,
            2 => Self::UnregisterTopic,
            3 => Self::LookupTopic,
            4 => Self::ListTopics,
            5 => Self::Ping,
            99 => Self::Shutdown,
            _ => return None,
        })
    }
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Status {
    /// Success.
    Ok,
    /// No such topic.
    NotFound,
    /// Another node has registered the topic.
    AlreadyExists,
    /// The request was malformed or failed.
    Error,
}

impl Status {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NotFound => 1,
            Self::AlreadyExists => 2,
            Self::Error => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Ok,
            1 => Self::NotFound,
            2 => Self::AlreadyExists,
            3 => Self::Error,
            _ => return None,
        })
    }
}

/// A request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    /// The command.
    pub command: Command,
    /// The topic to look up or unregister.
    pub topic_name: Option<&'a str>,
    /// The topic to register.
    pub topic_info: Option<TopicInfo<'a>>,
    /// Fields that only Rust peers send.
    pub ext: RequestExt,
}

/// The Rust extension of a request; a Python daemon ignores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestExt {
    /// The layout hash of the topic's messages.
    pub layout: Option<u64>,
    /// How long the registration is valid without being renewed, in milliseconds.
    pub lease_ms: Option<u32>,
    /// Whether the topic may have several publishers; all of them must set it.
    pub shared: bool,
}

impl<'a> Request<'a> {
    /// A request without a topic.
    #[must_use]
    pub const fn new(command: Command) -> Self {
        let ext = RequestExt { layout: None, lease_ms: None, shared: false };
        Self { command, topic_name: None, topic_info: None, ext }
    }

    /// Encodes the request.
    ///
    /// # Errors
    ///
    /// `OutputFull` with the required length.
    pub fn encode<'w>(&self, out: &'w mut [u8]) -> Result<&'w [u8], EncodeError> {
        let RequestExt { layout, lease_ms, shared } = self.ext;
        let ext = count([layout.is_some(), lease_ms.is_some(), shared]);
        let mut out = Writer::new(out);
        out.write_map(count([true, true, self.topic_info.is_some(), ext > 0]))?;
        out.write_str(DiscoveryKey::Command.as_str())?;
        out.write_int(self.command.code());
        out.write_str(DiscoveryKey::TopicName.as_str())?;
        match self.topic_name {
            Some(name) => out.write_str(name)?,
            None => out.write_nil(),
        }
        if let Some(info) = &self.topic_info {
            out.write_str(DiscoveryKey::TopicInfo.as_str())?;
            info.write_packed(&mut out)?;
        }
        if ext > 0 {
            out.write_str(DiscoveryKey::Ext.as_str())?;
            out.write_map(ext)?;
            if let Some(layout) = layout {
                out.write_str("layout")?;
                out.write_int(layout);
            }
            if let Some(lease_ms) = lease_ms {
                out.write_str("lease_ms")?;
                out.write_int(lease_ms);
            }
            if shared {
                out.write_str("shared")?;
                out.write_bool(true);
            }
        }
        out.finish()
    }

    /// Decodes a request. Unknown keys are ignored; the value of a known key is checked.
    ///
    /// # Errors
    ///
    /// The reason, with the byte offset in the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut command = Once::new(DiscoveryKey::Command);
        let mut topic_name = Once::new(DiscoveryKey::TopicName);
        let mut topic_info = Once::new(DiscoveryKey::TopicInfo);
        let mut ext = RequestExt::default();
        let mut reader = Reader::new(body);
        read_entries(&mut reader, |key, reader| match key {
            "command" => command.set(reader, |reader| read_code(reader, Command::from_code)),
            "topic_name" => topic_name.set(reader, |reader| optional(reader, Reader::read_str)),
            "topic_info" => {
                topic_info.set(reader, |reader| optional(reader, TopicInfo::read_packed))
            }
            "ext" => read_entries(reader, |key, reader| {
                match key {
                    "layout" => ext.layout = Some(reader.read_integer()?),
                    "lease_ms" => ext.lease_ms = Some(reader.read_integer()?),
                    "shared" => ext.shared = reader.read_bool()?,
                    _ => reader.skip()?,
                }
                Ok(())
            }),
            _ => reader.skip(),
        })?;
        reader.finish()?;
        Ok(Self {
            command: command.require(0)?,
            topic_name: topic_name.get().flatten(),
            topic_info: topic_info.get().flatten(),
            ext,
        })
    }
}

/// A response of the daemon.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response<'a> {
    /// The result.
    pub status: Status,
    /// The result as human-readable text.
    pub message: &'a str,
    /// The topic that was looked up.
    pub topic_info: Option<TopicInfo<'a>>,
    /// The listed topics, or all publishers of a shared topic.
    pub topics: Topics<'a>,
    /// Fields that only Rust peers send.
    pub ext: ResponseExt,
}

/// The Rust extension of a response; a Python client ignores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseExt {
    /// A random number that changes with each start of the daemon.
    pub epoch: Option<u64>,
    /// The layout hash of the topic that was looked up.
    pub layout: Option<u64>,
}

impl<'a> Response<'a> {
    /// A response without topics.
    #[must_use]
    pub fn new(status: Status, message: &'a str) -> Self {
        Self {
            status,
            message,
            topic_info: None,
            topics: Topics::default(),
            ext: ResponseExt::default(),
        }
    }

    /// Encodes the response.
    ///
    /// # Errors
    ///
    /// `OutputFull` with the required length.
    pub fn encode<'w>(&self, out: &'w mut [u8]) -> Result<&'w [u8], EncodeError> {
        let ResponseExt { epoch, layout } = self.ext;
        let ext = count([epoch.is_some(), layout.is_some()]);
        let mut out = Writer::new(out);
        let with_topics = !self.topics.is_empty();
        out.write_map(count([true, true, self.topic_info.is_some(), with_topics, ext > 0]))?;
        out.write_str(DiscoveryKey::Status.as_str())?;
        out.write_int(self.status.code());
        out.write_str(DiscoveryKey::Message.as_str())?;
        out.write_str(self.message)?;
        if let Some(info) = &self.topic_info {
            out.write_str(DiscoveryKey::TopicInfo.as_str())?;
            info.write_packed(&mut out)?;
        }
        if with_topics {
            out.write_str(DiscoveryKey::Topics.as_str())?;
            out.write_list(self.topics.len())?;
            for info in self.topics {
                info.write_packed(&mut out)?;
            }
        }
        if ext > 0 {
            out.write_str(DiscoveryKey::Ext.as_str())?;
            out.write_map(ext)?;
            if let Some(epoch) = epoch {
                out.write_str("epoch")?;
                out.write_int(epoch);
            }
            if let Some(layout) = layout {
                out.write_str("layout")?;
                out.write_int(layout);
            }
        }
        out.finish()
    }

    /// Decodes a response. Unknown keys are ignored; the value of a known key is checked.
    ///
    /// # Errors
    ///
    /// The reason, with the byte offset in the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut status = Once::new(DiscoveryKey::Status);
        let mut message = Once::new(DiscoveryKey::Message);
        let mut topic_info = Once::new(DiscoveryKey::TopicInfo);
        let mut topics = Once::new(DiscoveryKey::Topics);
        let mut ext = ResponseExt::default();
        let mut reader = Reader::new(body);
        read_entries(&mut reader, |key, reader| match key {
            "status" => status.set(reader, |reader| read_code(reader, Status::from_code)),
            "message" => message.set(reader, |reader| optional(reader, Reader::read_str)),
            "topic_info" => {
                topic_info.set(reader, |reader| optional(reader, TopicInfo::read_packed))
            }
            "topics" => topics.set(reader, |reader| optional(reader, Topics::read)),
            "ext" => read_entries(reader, |key, reader| {
                match key {
                    "epoch" => ext.epoch = Some(reader.read_integer()?),
                    "layout" => ext.layout = Some(reader.read_integer()?),
                    _ => reader.skip()?,
                }
                Ok(())
            }),
            _ => reader.skip(),
        })?;
        reader.finish()?;
        Ok(Self {
            status: status.require(0)?,
            message: message.get().flatten().unwrap_or_default(),
            topic_info: topic_info.get().flatten(),
            topics: topics.get().flatten().unwrap_or_default(),
            ext,
        })
    }
}

fn optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    let mut ahead = *reader;
    if ahead.read_nil().is_ok() {
        *reader = ahead;
        return Ok(None);
    }
    read(reader).map(Some)
}

fn read_code<T>(
    reader: &mut Reader<'_>,
    known: impl Fn(u8) -> Option<T>,
) -> Result<T, DecodeError> {
    let at = *reader;
    known(reader.read_integer()?).ok_or_else(|| at.error(DecodeErrorKind::IntegerRange))
}

fn count<const N: usize>(present: [bool; N]) -> usize {
    present.into_iter().filter(|&present| present).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: TopicInfo<'_> = TopicInfo {
        name: "/t",
        address: "ipc:///x",
        message_type: "ImageMessage",
        fingerprint: u64::MAX,
        publisher_node: "n",
    };

    #[test]
    fn round_trips_extensions_and_ignores_unknown_ones() {
        let request = Request {
            topic_info: Some(INFO),
            ext: RequestExt { layout: Some(7), lease_ms: Some(5000), shared: true },
            ..Request::new(Command::RegisterTopic)
        };
        let mut out = [0; 256];
        assert_eq!(Request::decode(request.encode(&mut out).unwrap()), Ok(request));

        // {"command": 5, "ext": {"later": [1]}, "more": nil}
        let mut out = [0; 64];
        let mut writer = Writer::new(&mut out);
        writer.write_map(3).unwrap();
        writer.write_str("command").unwrap();
        writer.write_int(5);
        writer.write_str("ext").unwrap();
        writer.write_map(1).unwrap();
        writer.write_str("later").unwrap();
        writer.write_list(1).unwrap();
        writer.write_int(1);
        writer.write_str("more").unwrap();
        writer.write_nil();
        assert_eq!(Request::decode(writer.finish().unwrap()), Ok(Request::new(Command::Ping)));
    }

    #[test]
    fn rejects_missing_duplicate_and_unknown_commands() {
        let error = Request::decode(&[0x80]).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::DiscoveryKey(DiscoveryKey::Command));
        let twice = [
            0x82, 0xa7, b'c', b'o', b'm', b'm', b'a', b'n', b'd', 5, 0xa7, b'c', b'o', b'm', b'm',
            b'a', b'n', b'd', 5,
        ];
        let error = Request::decode(&twice).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::DiscoveryKey(DiscoveryKey::Command));
        let unknown = [0x81, 0xa7, b'c', b'o', b'm', b'm', b'a', b'n', b'd', 42];
        assert_eq!(
            Request::decode(&unknown),
            Err(DecodeError::new(DecodeErrorKind::IntegerRange, 9))
        );
    }

    #[test]
    fn rejects_truncation_at_every_byte() {
        let topics = [INFO, INFO];
        let response = Response {
            topic_info: Some(INFO),
            topics: Topics::from(&topics[..]),
            ext: ResponseExt { epoch: Some(1), layout: None },
            ..Response::new(Status::Ok, "fine")
        };
        let mut out = [0; 512];
        let bytes = response.encode(&mut out).unwrap();
        assert_eq!(Response::decode(bytes), Ok(response));
        for len in 0..bytes.len() {
            assert!(Response::decode(&bytes[..len]).is_err(), "at {len}");
        }
    }
}
