#![doc = include_str!("../README.md")]

// The derive macro of `cortex-wire` names this crate from outside and from inside alike.
extern crate self as cortex_std;

mod agent;
mod callback;
mod census;
pub mod discovery;
mod endpoint;
mod error;
mod graph;
pub mod inspect;
mod latency;
mod links;
mod node;
mod place;
mod publisher;
mod queue;
pub mod raw;
mod receiver;
mod sample;
mod schedule;
mod sequence;
mod signal;
mod socket;
mod stats;
mod stop;
mod subscriber;
mod thread;
mod timer;
mod worker;

pub use census::{NodeStats, TimerStats};
pub use cortex_wire as wire;
pub use endpoint::EndpointError;
pub use error::{CreateError, PublishError, ReceiveError};
pub use latency::{Latency, Samples};
pub use node::{Node, NodeBuilder, NodeHandle};
pub use publisher::{Loan, Published, Publisher, PublisherBuilder, Registration};
pub use queue::Queue;
pub use receiver::{Loss, LossKind};
pub use sample::Sample;
pub use sequence::{SequenceTracker, Step};
#[cfg(feature = "tokio")]
pub use signal::shutdown_signal;
pub use socket::error::{SocketError, SocketErrorKind};
pub use stats::{PublisherStats, Rejected, SubscriberStats};
pub use stop::StopToken;
pub use subscriber::{Outcome, Subscriber, SubscriberBuilder, SubscriberHandle, ThreadSubscriber};
pub use thread::{ThreadHandle, ThreadOptions};
pub use timer::{MissedTicks, ThreadTimer, Tick, TimerBuilder};
