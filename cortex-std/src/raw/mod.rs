//! Frames as they are: for foreign formats, bridges and tools.
//!
//! No header, no numbering, no type: a message is a list of frames, and a subscription is a prefix of the
//! first one, which most formats use as the topic. Addresses are explicit; only
//! [`Node::raw_publisher`](crate::Node::raw_publisher) uses the daemon, and its frames must be those of a
//! Cortex message.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use cortex_std::raw::{RawPublisher, RawSubscriber};
//!
//! # let folder = tempfile::tempdir()?;
//! let address = format!("ipc://{}/telemetry.sock", folder.path().display());
//! let telemetry = RawPublisher::bind(&address)?;
//!
//! let mut reader = RawSubscriber::connect(&address)?;
//! reader.subscribe(b"telemetry/")?;
//! telemetry.blocking_wait_for_subscribers(1, Duration::from_secs(10))?;
//!
//! telemetry.send(&[b"telemetry/arm", b"{\"temp\": 36.6}"])?;
//! let message = reader.recv_timeout(Duration::from_secs(10))?.ok_or("it was sent")?;
//! assert_eq!(message.frame(0), Some(&b"telemetry/arm"[..]));
//! assert_eq!(message.frame(1), Some(&b"{\"temp\": 36.6}"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bound_socket;
mod drain;
mod latch;
mod message;
pub(crate) mod outlet;
mod publisher;
pub(crate) mod sender;
mod subscriber;
mod wait;

pub use message::{Payload, RawMessage};
pub use publisher::{RawOptions, RawPublisher};
pub use subscriber::RawSubscriber;

pub(crate) use bound_socket::BoundSocket;
pub(crate) use publisher::LINGER;
