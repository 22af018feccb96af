//! The protocol of the processes of a pair: requests and events, one JSON object per line.

use std::error::Error;
use std::io::{self, BufRead};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::clock::cpu_seconds;

/// The topic of all messages.
pub(super) const TOPIC: &str = "/bench/topic";
/// The frame id of all messages.
pub(super) const FRAME_ID: &str = "bench";

/// The library that transports the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transport {
    /// cortex-std.
    Cortex,
    /// libzmq, used directly.
    Libzmq,
    /// pyzmq, used as its documentation shows.
    Pyzmq,
    /// A stream socket of the kernel.
    Unix,
    /// zenoh, in the program of `peers-rs`.
    Zenoh,
    /// The pure-Rust zeromq, in the program of `peers-rs`.
    Zeromq,
    /// iceoryx2, in the program of `peers-rs`.
    Iceoryx2,
}

/// The way of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sending {
    /// The payload is copied into a frame.
    Copy,
    /// The frame borrows the payload from its owner.
    Owner,
    /// The payload is written into memory loaned from the publisher.
    Loan,
}

/// The way of receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Receiving {
    /// A callback on a thread.
    Thread,
    /// A callback in the event loop.
    Async,
    /// A callback in the event loop of Python's uvloop.
    Uvloop,
    /// A blocking call.
    Blocking,
}

/// The configuration of a pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) transport: Transport,
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
    /// Length of the payload in bytes, at least 16.
    pub(crate) len: usize,
    /// Length of the queue in messages.
    pub(crate) queue: u32,
    /// Whether the sender blocks if the queue is full; otherwise the message is lost.
    pub(crate) waits: bool,
    /// Subscribers to each topic.
    pub(crate) subscribers: usize,
    /// Whether malloc and socket buffers are tuned for large frames; otherwise they keep their
    /// defaults.
    pub(crate) is_tuned: bool,
    /// Whether Cortex uses libzmq instead of its local transport.
    pub(crate) is_over_libzmq: bool,
    /// Topics that the sender uses in turn.
    pub(crate) topics: usize,
    /// Folder of the sockets.
    pub(crate) folder: String,
}

impl Setup {
    /// One topic, one subscriber, a queue of 1000.
    pub(crate) fn new(
        transport: Transport,
        sending: Sending,
        receiving: Receiving,
        len: usize,
    ) -> Self {
        Self {
            transport,
            sending,
            receiving,
            len,
            queue: 1000,
            waits: true,
            subscribers: 1,
            is_tuned: true,
            is_over_libzmq: false,
            topics: 1,
            folder: String::new(),
        }
    }

    /// The address of the daemon.
    pub(super) fn discovery(&self) -> String {
        format!("ipc://{}/discovery.sock", self.folder)
    }

    /// The socket path of transports without discovery.
    pub(super) fn path(&self) -> String {
        format!("{}/socket", self.folder)
    }
}

/// A request to send and receive messages.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Measured messages.
    pub(crate) count: u64,
    /// Messages before the measured ones, for each subscriber.
    pub(crate) warmup: u64,
    /// Time between two messages; 0 sends as fast as possible.
    pub(crate) period_ns: u64,
    /// Whether the age of each message is measured.
    pub(crate) is_timed: bool,
}

/// The event of the publisher after a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// CPU time of the process for all messages.
    pub(crate) cpu_seconds: f64,
}

/// A line of stdin.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Request {
    Run(Run),
    Cpu(Cpu),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cpu {
    Cpu,
}

/// Handles requests until stdin ends: calls `handle_run` for a run, and responds itself to a request
/// for the CPU time.
pub(super) fn serve_requests(
    mut handle_run: impl FnMut(Run) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        match parse(&line?)? {
            Request::Run(run) => handle_run(run)?,
            Request::Cpu(_) => write_event("cpu", &Sent { cpu_seconds: cpu_seconds() })?,
        }
    }
    Ok(())
}

pub(super) fn parse<T: DeserializeOwned>(line: &str) -> Result<T, Box<dyn Error>> {
    Ok(serde_json::from_str(line)?)
}

/// Writes an event with the fields of `body` to stdout.
pub(super) fn write_event(event: &str, body: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut line = serde_json::to_value(body)?;
    if !line.is_object() {
        line = serde_json::json!({});
    }
    line["event"] = event.into();
    println!("{line}");
    Ok(())
}
