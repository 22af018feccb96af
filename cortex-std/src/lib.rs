#![doc = include_str!("../README.md")]
// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The derive macro of `cortex-wire` names this crate from outside and from inside alike.
extern crate self as cortex_std;

// The modules from the top down; imports go down this list, never up.
//
// result       the error that stands for all errors of the crate
// inspect      queries of diagnostic tools
// node         nodes: what a user holds
// publisher    publishers of typed messages, loans
// subscriber   subscribers to typed messages, queues, samples
// timer        timers on an absolute grid
// raw          frames without a type; the outlet that all publishers send through
// runtime      what the parts of a node share; threads, signals, shutdown
// discovery    the daemon, its clients, a node's agent
// stop         stop tokens
// name, error  valid names; errors of what stands above
// transport    the sockets that carry messages; libzmq
// endpoint     addresses, socket files, ports
// stats        counters and latencies
// log, mutex, clock   log lines; a mutex without poisoning; the wall clock
mod clock;
pub mod discovery;
mod endpoint;
mod error;
pub mod inspect;
mod log;
mod mutex;
mod name;
mod node;
mod publisher;
pub mod raw;
mod result;
mod runtime;
mod stats;
mod stop;
mod subscriber;
mod timer;
mod transport;

#[cfg(test)]
mod auto_traits;

/// What tests/fuzz feeds: present in builds of cargo-fuzz only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    use crate::transport::session;

    /// A peer that sends `data` to a publisher.
    pub fn publisher(data: &[u8]) {
        session::fuzz_publisher(data);
    }

    /// A publisher that sends `data` to a subscriber.
    pub fn subscriber(data: &[u8]) {
        session::fuzz_subscriber(data);
    }
}

pub use cortex_wire as wire;
#[cfg(feature = "ndarray")]
pub use cortex_wire::ndarray;
pub use cortex_wire::{Header, Message};
pub use discovery::agent::Registration;
pub use endpoint::EndpointError;
pub use error::{
    CreateError, NameError, PublishError, ReceiveError, RegistrationError, ThreadError, WaitError,
};
pub use log::ErrorChain;
pub use node::{Node, NodeBuilder, NodeHandle};
pub use publisher::{Loan, Publisher, PublisherBuilder, Stamped};
pub use raw::outlet::Published;
pub use result::{Error, Result, ok};
pub use runtime::callback::CallbackResult;
#[cfg(feature = "tokio")]
pub use runtime::signal::shutdown_signal;
pub use runtime::thread_options::ThreadOptions;
pub use runtime::threads::ThreadHandle;
pub use stats::histogram::Quantiles;
pub use stats::latency::{Latency, Samples};
pub use stats::node::{NodeStats, TimerStats};
pub use stats::parts::{PublisherInfo, SubscriberInfo};
pub use stats::{PeerStats, PublisherStats, Rejected, SharedStats, SubscriberStats};
pub use stop::StopToken;
pub use subscriber::{
    Loss, LossKind, Queue, Sample, SequenceTracker, Step, Subscriber, SubscriberBuilder,
    SubscriberHandle, ThreadSubscriber,
};
#[cfg(feature = "tokio")]
pub use timer::TimerHandle;
pub use timer::{MissedTicks, ThreadTimer, Tick, TimerBuilder};
pub use transport::{SocketError, SocketErrorKind, Transport};
