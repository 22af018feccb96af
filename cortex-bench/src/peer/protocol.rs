//! What both processes of a pair are told, and what they answer: one JSON object on a line.

use std::error::Error;
use std::io::{self, BufRead};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::clock::cpu_seconds;

/// The topic of everything.
pub(super) const TOPIC: &str = "/bench/topic";
/// What the one field beside the array holds, as every contender sends it.
pub(super) const FRAME_ID: &str = "bench";

/// Who carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transport {
    /// This project.
    Cortex,
    /// libzmq, by hand.
    Libzmq,
    /// libzmq in Python, as its documentation says.
    Pyzmq,
    /// A stream socket of the kernel: lengths and bytes, nothing else.
    Unix,
    /// The program of `peers-rs`.
    Zenoh,
    /// The same.
    Zeromq,
    /// The same.
    Iceoryx2,
}

/// In which way it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sending {
    /// The payload is copied into a frame.
    Copy,
    /// The frame borrows it from an owner.
    Owner,
    /// The payload is in memory of the publisher already.
    Loan,
}

/// In which way it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Receiving {
    /// A callback on a thread.
    Thread,
    /// A callback in the event loop.
    Async,
    /// The same in Python, with uvloop.
    Uvloop,
    /// A call that blocks.
    Blocking,
}

/// A pair of peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) transport: Transport,
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
    /// Bytes of a payload; sixteen at least.
    pub(crate) len: usize,
    /// Messages that may wait.
    pub(crate) queue: u32,
    /// Whether the sender waits where the queue is full; otherwise the message is lost.
    pub(crate) waits: bool,
    /// Subscribers to each topic.
    pub(crate) subscribers: usize,
    /// Whether large frames are made cheaper; otherwise malloc and the kernel are left as they are.
    pub(crate) is_tuned: bool,
    /// Topics that the sender uses in turn.
    pub(crate) topics: usize,
    /// The folder for sockets.
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
            topics: 1,
            folder: String::new(),
        }
    }

    /// Where the daemon is.
    pub(super) fn discovery(&self) -> String {
        format!("ipc://{}/discovery.sock", self.folder)
    }

    /// The socket of who needs no discovery.
    pub(super) fn path(&self) -> String {
        format!("{}/socket", self.folder)
    }
}

/// Messages to be sent and received.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Messages that count.
    pub(crate) count: u64,
    /// Messages before them, to each subscriber.
    pub(crate) warmup: u64,
    /// Between two messages; 0: as fast as it goes.
    pub(crate) period_ns: u64,
    /// Whether it is noted how old each message is.
    pub(crate) is_timed: bool,
}

/// What the sender says after a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Time on processors, for all messages.
    pub(crate) cpu_seconds: f64,
}

/// A command from the other end of stdin.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Asked {
    Run(Run),
    Cpu(Cpu),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cpu {
    Cpu,
}

/// Lets `answer` answer every command; what only asks for the time is answered here.
pub(super) fn obey(
    mut answer: impl FnMut(Run) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        match parse(&line?)? {
            Asked::Run(run) => answer(run)?,
            Asked::Cpu(_) => say("cpu", &Sent { cpu_seconds: cpu_seconds() })?,
        }
    }
    Ok(())
}

pub(super) fn parse<T: DeserializeOwned>(line: &str) -> Result<T, Box<dyn Error>> {
    Ok(serde_json::from_str(line)?)
}

/// Writes an event with the fields of `body`.
pub(super) fn say(event: &str, body: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut line = serde_json::to_value(body)?;
    if !line.is_object() {
        line = serde_json::json!({});
    }
    line["event"] = event.into();
    println!("{line}");
    Ok(())
}
