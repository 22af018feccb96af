//! Whole multipart messages over a serial line, or any other stream of bytes.
//!
//! There is no session: either end may start, stop, reset or be unplugged at any time. What was
//! damaged is dropped whole and counted, and the next frame is received again. Once a second each
//! end says [`Hello`]: who it is, since when, and which topics it publishes and subscribes to.
//!
//! ```text
//! 0x00 | COBS( kind u8 | sequence u32 | payload | CRC-32 u32 ) | 0x00          big-endian
//!
//! kind 1, hello      MessagePack: [version, node, epoch,
//!                                  [[direction, name, type, fingerprint, layout], ...]]
//! kind 2, message    len u32 | topic | len u32 | header | len u32 | metadata | len u32 | buffer ...
//! ```
//!
//! - [COBS] leaves no zero byte inside, so a zero ends a frame whatever came before. Each frame
//!   brings both of its zeros: a frame that loses one takes no neighbour with it.
//! - The checksum is CRC-32/ISO-HDLC, that of zlib and Ethernet, over all that stands before it.
//! - `sequence` counts the frames of one direction. The same number and checksum twice in a row are
//!   a duplicate, a gap is a loss, a step back a peer that was reset.
//! - A message is as long as the receiver's buffer allows: [`OVERHEAD`] and 4 bytes for each frame
//!   are added to its bytes there.
//!
//! The cores know neither time nor stream: [`Sender`] and [`FrameEncoder`] make bytes,
//! [`Receiver`] takes them, and time is a number that the caller gives. [`Link`] puts them onto an
//! `embedded_io` stream; with feature `async`, its `*_async` methods onto an `embedded_io_async`
//! one.
//!
//! # Examples
//!
//! ```
//! use cortex_wire::link::{Event, Receiver, Sender};
//! use cortex_wire::{FloatMessage, Header, decode, encode};
//!
//! // On the board: the message's frames, as bytes for the line.
//! let mut metadata = [0; 32];
//! let mut buffers = cortex_wire::heapless::Vec::<&[u8], 0>::new();
//! let metadata = encode(&FloatMessage { data: 21.5 }, &mut metadata, &mut buffers)?;
//! let header = Header::of::<FloatMessage>(0, 0).encode();
//! let mut line = Vec::new();
//! let mut sender = Sender::new();
//! sender.message(&[b"/temperature", &header, metadata], |bytes| line.extend_from_slice(bytes));
//!
//! // On the other end: the bytes as they come, in pieces of any size.
//! let mut receiver = Receiver::new([0; 256]);
//! let mut input = &line[..];
//! match receiver.receive(&mut input) {
//!     Some(Ok(Event::Message(message))) => {
//!         assert_eq!(message.topic(), b"/temperature");
//!         assert_eq!(decode::<FloatMessage>(&message)?.data, 21.5);
//!     }
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! [COBS]: https://doi.org/10.1109/90.769765

mod error;
mod frame;
mod hello;
mod port;
mod receiver;
mod sender;

pub use error::{LinkError, LinkErrorKind};
pub use frame::{BLOCK_CAPACITY, FrameEncoder};
pub use hello::{Direction, Hello, Topic, Topics};
pub use port::{Link, MessageWriter, PublishError};
pub use receiver::{Event, Receiver, Stats};
pub use sender::{HELLO_INTERVAL_MS, Sender};

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Version of what stands behind the two zeros, told by each [`Hello`].
pub const VERSION: u8 = 1;

/// Bytes of a frame beside its payload, before COBS: kind, sequence and checksum.
pub const OVERHEAD: usize = 9;

/// Bytes of kind and sequence.
const PREAMBLE_LEN: usize = 5;

const KIND_HELLO: u8 = 1;
const KIND_MESSAGE: u8 = 2;

/// A table of one KiB: a quarter of the time of none, a sixteenth of the flash of the largest.
type Checksum = Crc<u32, Table<1>>;

static CRC: Checksum = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Bytes that a frame with `payload_len` bytes of payload takes on the line at most.
///
/// At 8N1 a byte takes ten bits: a 32 x 32 image of one byte per pixel, 1,024 bytes and about 120
/// around them, takes 100 ms at 115,200 baud.
#[must_use]
pub const fn line_len(payload_len: usize) -> usize {
    let body = payload_len.saturating_add(OVERHEAD);
    body.saturating_add(body / 254).saturating_add(3)
}
