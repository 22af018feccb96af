//! Recordings of Cortex topics: bags, which are [MCAP](https://mcap.dev) files.
//!
//! A bag holds messages as they travelled: header, metadata and buffers, byte for byte. Types need not be
//! known. [`Writer`] writes a bag and [`Reader`] reads it; [`Recorder`] is a writer on a thread of its own
//! behind a bounded queue, so that a slow disk never delays a receiver. [`repair`] makes a complete bag of
//! what is left of a damaged one.
//!
//! # The file
//!
//! | what | where |
//! |---|---|
//! | a publisher of a topic | a channel: topic; metadata `node`, `fingerprint` and, where known, `layout` |
//! | class, fingerprint, field names and types | the channel's schema: encoding `cortex`, JSON |
//! | a message | encoding `cortex`: for each frame after the topic `u32` big-endian length, then its bytes |
//! | arrival at the recorder | log time |
//! | timestamp of the header | publish time; the arrival where a message has no valid header |
//! | losses of each channel | the last metadata record named `cortex.losses` |
//!
//! Chunks are whole: a file that is cut off at any byte can be read up to its last complete chunk, which
//! [`Recorder`] ends once a second. The file is written without seeking.
//!
//! # Examples
//!
//! ```
//! use cortex_bag::{ChannelInfo, Compression, Reader, Writer, WriterOptions};
//! use cortex_std::wire::{self, Header, StringMessage};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes.mcap");
//! let options = WriterOptions::default().compression(Compression::None);
//! let mut writer = Writer::create(&path, &options)?;
//! let header = Header::of::<StringMessage>(1_700_000_000_000_000_000, 0);
//! let notes = writer.channel(&ChannelInfo::new("/notes", "talker", "StringMessage", header.fingerprint))?;
//! // Frames as they arrive: header, metadata, buffers.
//! writer.write(notes, 1_700_000_000_000_050_000, [&header.encode()[..], b"\x91\xa5hello"])?;
//! writer.finish()?;
//!
//! for message in Reader::open(&path)? {
//!     let message = message?;
//!     assert_eq!((message.channel.topic.as_str(), message.channel.node.as_str()), ("/notes", "talker"));
//!     assert_eq!(wire::decode::<StringMessage>(&message)?.data, "hello");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The modules from the top down; imports go down this list, never up.
//
// recorder   a writer on a thread behind a bounded queue; limits and splitting
// repair     a complete bag from a damaged one
// writer     channels, messages, losses, chunks
// reader     messages and damage
// message    a message as it is stored
// channel    what a channel says
// losses     the counts in the file
// output     where a bag is written to
// error      errors
mod channel;
mod error;
mod losses;
mod message;
mod output;
mod reader;
mod recorder;
mod repair;
mod writer;

pub use channel::{ChannelInfo, Field};
pub use error::{Damage, ReadError, WriteError};
pub use losses::Losses;
pub use message::Message;
pub use output::Output;
pub use reader::{Reader, channels};
pub use recorder::{Limits, Recorder, RecorderStats, Source};
pub use repair::{Repaired, repair};
pub use writer::{ChannelId, Compression, Writer, WriterOptions};

/// Bytes of the longest message that a bag holds, and of the longest chunk that is decompressed.
pub const MAX_MESSAGE_LEN: usize = 512 << 20;

/// The encoding of messages and schemas.
const ENCODING: &str = "cortex";
