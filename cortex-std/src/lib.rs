#![doc = include_str!("../README.md")]

// The derive macro of `cortex-wire` names this crate from outside and from inside alike.
extern crate self as cortex_std;

// The top of this list uses what stands below it.
pub mod inspect;
mod node;
mod publisher;
mod subscriber;
mod timer;

pub mod raw;

mod runtime;

pub mod discovery;

mod stop;

mod error;
mod name;

mod transport;

mod endpoint;

mod stats;

mod log;
mod mutex;

pub use cortex_wire as wire;
pub use discovery::agent::Registration;
pub use endpoint::EndpointError;
pub use error::{CreateError, PublishError, ReceiveError};
pub use log::ErrorChain;
pub use node::{Node, NodeBuilder, NodeHandle};
pub use publisher::{Loan, Publisher, PublisherBuilder};
pub use raw::outlet::Published;
pub use runtime::callback::CallbackResult;
#[cfg(feature = "tokio")]
pub use runtime::signal::shutdown_signal;
pub use runtime::thread_options::ThreadOptions;
pub use runtime::threads::ThreadHandle;
pub use stats::latency::{Latency, Samples};
pub use stats::node::{NodeStats, TimerStats};
pub use stats::{PublisherStats, Rejected, SubscriberStats};
pub use stop::StopToken;
pub use subscriber::{
    Loss, LossKind, Queue, Sample, SequenceTracker, Step, Subscriber, SubscriberBuilder,
    SubscriberHandle, ThreadSubscriber,
};
pub use timer::{MissedTicks, ThreadTimer, Tick, TimerBuilder};
pub use transport::{SocketError, SocketErrorKind};
