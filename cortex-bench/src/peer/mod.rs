//! The two processes of a contender: one sends, one receives, and this one tells them when.
//!
//! Both are this program once more, or a Python script, that read commands from stdin and answer on
//! stdout, one JSON object on a line. What is measured is between the two; they are there for the
//! whole suite, so that contenders can take turns without being started anew.

mod cortex;
mod inbox;
mod libzmq;
mod publisher;
mod subscriber;
mod unix;

use std::error::Error;
use std::io::{self, BufRead};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cortex_std::discovery::{Daemon, DaemonHandle};
use cortex_tests::{Program, python};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) use inbox::Received;
use libzmq::Tuning;

/// The topic of everything.
const TOPIC: &str = "/bench/topic";
/// What the one field beside the array holds, as every contender sends it.
const FRAME_ID: &str = "bench";

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

    fn discovery(&self) -> String {
        format!("ipc://{}/discovery.sock", self.folder)
    }

    /// The socket of who needs no discovery.
    fn path(&self) -> String {
        format!("{}/socket", self.folder)
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    Publisher,
    Subscriber,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
        }
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

/// What was measured between the two.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: Sent,
    pub(crate) received: Received,
}

/// Two processes that send and receive.
#[derive(Debug)]
pub(crate) struct Pair {
    publisher: Program,
    subscriber: Program,
    // Ended after them.
    _daemon: Option<DaemonHandle>,
    _folder: tempfile::TempDir,
}

impl Pair {
    /// Starts both and waits until they are connected.
    pub(crate) fn start(setup: &Setup) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::Builder::new().prefix("cortex-bench").tempdir()?;
        let setup = Setup { folder: folder.path().display().to_string(), ..setup.clone() };
        let daemon = match setup.transport {
            Transport::Cortex => Some(Daemon::bind(&setup.discovery())?.spawn()?),
            _ => None,
        };
        let mut publisher = Program::spawn(command(Role::Publisher, &setup)?);
        publisher.expect_event("bound");
        let mut subscriber = Program::spawn(command(Role::Subscriber, &setup)?);
        publisher.expect_event("ready");
        subscriber.expect_event("ready");
        Ok(Self { publisher, subscriber, _daemon: daemon, _folder: folder })
    }

    /// Sends and receives.
    pub(crate) fn run(&mut self, run: Run) -> Result<Outcome, Box<dyn Error>> {
        let line = serde_json::to_string(&run)?;
        self.subscriber.send_line(&line);
        self.subscriber.expect_event("armed");
        self.publisher.send_line(&line);
        let sent = serde_json::from_value(self.publisher.expect_event("sent"))?;
        let received = serde_json::from_value(self.subscriber.expect_event("received"))?;
        Ok(Outcome { sent, received })
    }

    /// Seconds on processors that both take in this time though nothing is sent.
    pub(crate) fn idle_cpu_seconds(&mut self, time: Duration) -> Result<f64, Box<dyn Error>> {
        let before = self.cpu_seconds()?;
        std::thread::sleep(time);
        Ok(self.cpu_seconds()? - before)
    }

    fn cpu_seconds(&mut self) -> Result<f64, Box<dyn Error>> {
        let mut sum = 0.0;
        for program in [&mut self.publisher, &mut self.subscriber] {
            program.send_line("\"cpu\"");
            sum += program.expect_event("cpu")["cpu_seconds"].as_f64().ok_or("no time")?;
        }
        Ok(sum)
    }
}

fn command(role: Role, setup: &Setup) -> Result<Command, Box<dyn Error>> {
    let mut command;
    if setup.transport == Transport::Pyzmq {
        command = script("pyzmq_peer.py");
    } else {
        command = Command::new(std::env::current_exe()?);
        command.arg("peer");
    }
    command.arg(role.name()).arg(serde_json::to_string(setup)?);
    match setup.transport {
        Transport::Libzmq if setup.is_tuned => Tuning::apply_to(&mut command),
        Transport::Cortex if !setup.is_tuned => drop(command.env("CORTEX_MALLOC", "default")),
        _ => {}
    }
    Ok(command)
}

/// The version of Python and of pyzmq that the scripts run with; none if they cannot.
pub(crate) fn python_version() -> Option<String> {
    // What is missing is said on stderr.
    let output = std::panic::catch_unwind(|| script("version.py")).ok()?.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A script of ours in a Python that has the packages it needs.
pub(crate) fn script(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut command = Command::new(python::interpreter_with(&folder.join("requirements.txt")));
    command
        .arg(folder.join(name))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONSAFEPATH");
    command
}

/// The work of one process of a pair, until stdin ends.
pub(crate) fn serve(role: Role, setup: &str) -> Result<(), Box<dyn Error>> {
    let setup: Setup = serde_json::from_str(setup)?;
    allow_descriptors()?;
    match role {
        Role::Publisher => publisher::serve(&setup),
        Role::Subscriber => subscriber::serve(&setup),
    }
}

/// As many descriptors as the system grants: a topic takes several.
fn allow_descriptors() -> Result<(), Box<dyn Error>> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(())
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
fn obey(mut answer: impl FnMut(Run) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        match parse(&line?)? {
            Asked::Run(run) => answer(run)?,
            Asked::Cpu(_) => say("cpu", &Sent { cpu_seconds: cpu_seconds() })?,
        }
    }
    // What still runs on other threads is of no use to anybody.
    std::process::exit(0)
}

fn parse<T: DeserializeOwned>(line: &str) -> Result<T, Box<dyn Error>> {
    Ok(serde_json::from_str(line)?)
}

/// Writes an event with the fields of `body`.
fn say(event: &str, body: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut line = serde_json::to_value(body)?;
    if !line.is_object() {
        line = serde_json::json!({});
    }
    line["event"] = event.into();
    println!("{line}");
    Ok(())
}

/// Time that this process took on processors.
pub(crate) fn cpu_seconds() -> f64 {
    seconds(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime))
}

/// Nanoseconds of the clock that all processes of a machine share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn seconds(time: rustix::time::Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Sleeps until a time of [`monotonic_ns`].
pub(crate) fn sleep_until_ns(at: u64) {
    let at = rustix::time::Timespec {
        tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (at % 1_000_000_000) as _,
    };
    let clock = rustix::thread::ClockId::Monotonic;
    while rustix::thread::clock_nanosleep_absolute(clock, &at) == Err(rustix::io::Errno::INTR) {}
}
