//! The suites: each module measures the answer to one question.

pub(crate) mod codec;
pub(crate) mod fanout;
pub(crate) mod images;
pub(crate) mod latency;
mod operation;
pub(crate) mod scale;
pub(crate) mod serialization;
pub(crate) mod throughput;
pub(crate) mod timers;
