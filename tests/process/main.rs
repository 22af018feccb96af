//! Graphs of several processes: Python peers, daemons and nodes that are stopped or killed.

mod descriptors;
mod discovery;
mod hosting;
mod interop;
mod lifecycle;
mod peers;
