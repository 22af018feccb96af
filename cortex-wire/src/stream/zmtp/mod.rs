//! ZMTP 3.1, ZeroMQ's protocol over tcp, without libzmq: a board with a TCP stack is a publisher, a
//! subscriber or a client of the discovery daemon.
//!
//! [`Connection`] is the state machine of the protocol, without clock and stream: it consumes bytes
//! and returns events and bytes to write. [`Socket`] runs it on an `embedded_io` stream; with
//! feature `async`, its `*_async` methods on an `embedded_io_async` one. A connection has one peer:
//! a publisher has a connection for each accepted subscriber. Supported are the greeting, the NULL
//! mechanism, SUBSCRIBE and CANCEL as commands and as the messages of ZMTP 3.0, PING and PONG. No
//! other mechanism is supported, so nothing is encrypted.
//!
//! ```text
//! greeting, 64 bytes   0xff | 8 x 0 | 0x7f | 3 | 1 | "NULL", 20 bytes | as-server 0 | 31 x 0
//! frame                flags | len u8, or u64 big-endian | body
//!                      flags: 1 more frames follow, 2 long length, 4 command
//! command body         len u8 | name | data          READY, SUBSCRIBE, CANCEL, PING, PONG, ERROR
//! ```
//!
//! A publisher has one topic and a port for it, as everywhere in Cortex. Therefore a subscription
//! needs no memory: the publisher counts the subscriptions that are a prefix of its topic.
//!
//! Other implementations of the protocol's roles, as cortex-std's local transport, use its parts:
//! [`Greeting`], [`FrameHeader`] and [`Command`].
//!
//! # Examples
//!
//! A publisher that registers at the daemon and serves one subscriber:
//!
//! ```
//! use cortex_wire::discovery::{RequestExt, Status, TopicInfo};
//! use cortex_wire::zmtp::{Role, Socket, register};
//! use cortex_wire::{FloatMessage, Header, Message, TypeInfo};
//! # fn example<S: embedded_io::Read + embedded_io::Write + embedded_io::ReadReady>(
//! #     to_daemon: S, accepted: S) -> Result<(), Box<dyn core::error::Error>> where S::Error: 'static {
//!
//! let info = TopicInfo {
//!     name: "/temperature",
//!     address: "tcp://192.168.1.7:5601",
//!     message_type: TypeInfo::of::<FloatMessage>().name(),
//!     fingerprint: FloatMessage::FINGERPRINT,
//!     publisher_node: "board",
//! };
//! let ext = RequestExt { layout: Some(FloatMessage::LAYOUT), ..RequestExt::default() };
//! let mut client = Socket::new(to_daemon, Role::Req, [0; 256])?;
//! assert_eq!(register(&mut client, &info, ext, &mut [0; 256])?, Status::Ok);
//!
//! let mut subscriber = Socket::new(accepted, Role::Pub { topic: "/temperature" }, [0; 128])?;
//! let mut scratch = [0; 32];
//! for sequence in 0.. {
//!     // Receives subscriptions without waiting for them.
//!     subscriber.poll()?;
//!     let header = Header::of::<FloatMessage>(0, sequence);
//!     subscriber.publish(&header, &FloatMessage { data: 21.5 }, &mut scratch)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Source: ZMTP 3.1, <https://rfc.zeromq.org/spec/37/>; ZMTP 3.0, <https://rfc.zeromq.org/spec/23/>.

mod command;
mod connection;
mod error;
mod frame;
mod greeting;
mod register;
mod socket;

pub use command::{Command, Properties, pong_head, subscription_head, write_ready};
pub use connection::{Connection, Event, Role};
pub use error::{ZmtpError, ZmtpErrorKind};
pub use frame::{FrameHead, FrameHeader};
pub use greeting::Greeting;
pub use register::{RegisterError, register};
pub use socket::{SendError, Socket};
