//! Multipart messages over a serial line, or any other byte stream.
//!
//! There is no session: either end may start, stop, reset or be unplugged at any time. A damaged
//! frame is dropped completely and counted, and the next frame is received. Once a second each end
//! sends a [`Hello`]: the name and the start of its node, and the topics it publishes and
//! subscribes to.
//!
//! ```text
//! 0x00 | COBS( kind u8 | sequence u32 | payload | CRC-32 u32 ) | 0x00          big-endian
//!
//! kind 1, hello      MessagePack: [version, node, epoch,
//!                                  [[direction, name, type, fingerprint, layout], ...],
//!                                  time_ns]      the last one only from an end that knows it
//! kind 2, message    len u32 | topic | len u32 | header | len u32 | metadata | len u32 | buffer ...
//! ```
//!
//! - [COBS] removes zero bytes from the content, so a zero always ends a frame. Each frame has a
//!   zero at both ends: a frame that loses one does not damage its neighbour.
//! - The checksum is CRC-32/ISO-HDLC, as in zlib and Ethernet, over kind, sequence and payload.
//! - `sequence` counts the frames of one direction. The same number and checksum twice in a row
//!   mean a duplicate, a gap means loss, a step back means that the peer was reset.
//! - The receiver's buffer limits the length of a message; the buffer also holds [`OVERHEAD`] and 4
//!   bytes for each frame.
//!
//! [`Sender`], [`FrameEncoder`] and [`Receiver`] are state machines without clock and stream:
//! they produce and consume bytes, and the caller passes the time. [`Link`] runs them on an
//! `embedded_io` stream; with feature `async`, its `*_async` methods on an `embedded_io_async` one.
//!
//! # Examples
//!
//! ```
//! use cortex_wire::link::{Event, Receiver, Sender};
//! use cortex_wire::{FloatMessage, Header, decode, encode};
//!
//! // On the board: encode the frames of a message for the line.
//! let mut metadata = [0; 32];
//! let mut buffers = cortex_wire::heapless::Vec::<&[u8], 0>::new();
//! let metadata = encode(&FloatMessage { data: 21.5 }, &mut metadata, &mut buffers)?;
//! let header = Header::of::<FloatMessage>(0, 0).encode();
//! let mut line = Vec::new();
//! let mut sender = Sender::new();
//! sender.message(&[b"/temperature", &header, metadata], |bytes| line.extend_from_slice(bytes));
//!
//! // On the other end: pass received bytes in pieces of any size.
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

mod clock;
mod error;
mod frame;
mod halves;
mod hello;
mod layout;
mod port;
mod receiver;
mod sender;
mod write;

pub use clock::WallClock;
pub use error::{LinkError, LinkErrorKind};
pub use frame::{BLOCK_CAPACITY, FrameEncoder};
pub use halves::{LinkReader, LinkWriter};
pub use hello::{Direction, Hello, Topic, Topics};
pub use layout::{OVERHEAD, VERSION, line_len, payload_len};
pub use port::{Link, PublishError};
pub use receiver::{Event, Receiver, Stats};
pub use sender::{HELLO_INTERVAL_MS, Sender};
pub use write::MessageWriter;
