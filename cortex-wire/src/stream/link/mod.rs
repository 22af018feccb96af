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
mod layout;
mod port;
mod receiver;
mod sender;

pub use error::{LinkError, LinkErrorKind};
pub use frame::{BLOCK_CAPACITY, FrameEncoder};
pub use hello::{Direction, Hello, Topic, Topics};
pub use layout::{OVERHEAD, VERSION, line_len};
pub use port::{Link, MessageWriter, PublishError};
pub use receiver::{Event, Receiver, Stats};
pub use sender::{HELLO_INTERVAL_MS, Sender};
