//! The pair of processes of a contender: a publisher and a subscriber, controlled by this process.
//!
//! Both run this program or a Python script. They read requests from stdin and write events to
//! stdout, one JSON object per line. They run for the whole suite, so that contenders take turns
//! without a restart.

mod clock;
mod cortex;
mod inbox;
mod libzmq;
mod protocol;
mod publisher;
mod subscriber;
mod unix;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cortex_std::discovery::{Daemon, DaemonHandle};
use cortex_tests::{Program, python};

pub(crate) use clock::{monotonic_ns, sleep_until_ns};
use inbox::Inbox;
pub(crate) use inbox::Received;
use libzmq::Tuning;
use protocol::{FRAME_ID, TOPIC, write_event};
pub(crate) use protocol::{Receiving, Run, Sending, Sent, Setup, Transport};
use publisher::Send;

/// The role of a process.
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

/// Time in which a process must end after its stdin is closed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The measurements of both processes in one run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: Sent,
    pub(crate) received: Received,
}

/// A publisher process and a subscriber process.
#[derive(Debug)]
pub(crate) struct Pair {
    publisher: Program,
    subscriber: Program,
    // Dropped after the processes.
    _daemon: Option<DaemonHandle>,
    _folder: tempfile::TempDir,
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A process that is killed may leave its shared memory behind: let both end by themselves.
        for program in [&mut self.publisher, &mut self.subscriber] {
            program.close_stdin();
        }
        for program in [&mut self.publisher, &mut self.subscriber] {
            let begin = std::time::Instant::now();
            while program.is_running() && begin.elapsed() < EXIT_TIMEOUT {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
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

    /// Sends and receives the messages of one run.
    pub(crate) fn run(&mut self, run: Run) -> Result<Outcome, Box<dyn Error>> {
        let line = serde_json::to_string(&run)?;
        self.subscriber.send_line(&line);
        self.subscriber.expect_event("armed");
        self.publisher.send_line(&line);
        let sent = serde_json::from_value(self.publisher.expect_event("sent"))?;
        let received = serde_json::from_value(self.subscriber.expect_event("received"))?;
        Ok(Outcome { sent, received })
    }

    /// CPU seconds of both processes in `time`, while no messages are sent.
    pub(crate) fn idle_cpu_seconds(&mut self, time: Duration) -> Result<f64, Box<dyn Error>> {
        let before = self.cpu_seconds()?;
        std::thread::sleep(time);
        Ok(self.cpu_seconds()? - before)
    }

    fn cpu_seconds(&mut self) -> Result<f64, Box<dyn Error>> {
        let mut sum = 0.0;
        for program in [&mut self.publisher, &mut self.subscriber] {
            program.send_line("\"cpu\"");
            let event = program.expect_event("cpu");
            sum += event["cpu_seconds"].as_f64().ok_or("cpu_seconds is missing")?;
        }
        Ok(sum)
    }
}

fn command(role: Role, setup: &Setup) -> Result<Command, Box<dyn Error>> {
    let mut command = match setup.transport {
        Transport::Pyzmq => script("pyzmq_peer.py"),
        Transport::Zenoh | Transport::Zeromq | Transport::Iceoryx2 => {
            Command::new(peers_program().ok_or("peers-rs is not built")?)
        }
        Transport::Cortex | Transport::Libzmq | Transport::Unix => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("peer");
            command
        }
    };
    command.arg(role.name()).arg(serde_json::to_string(setup)?);
    match setup.transport {
        Transport::Libzmq if setup.is_tuned => Tuning::apply_to(&mut command),
        Transport::Cortex if !setup.is_tuned => drop(command.env("CORTEX_MALLOC", "default")),
        _ => {}
    }
    if setup.is_over_libzmq {
        command.env("CORTEX_TRANSPORT", "zmq");
    }
    Ok(command)
}

/// The program of `peers-rs`, if it is built.
pub(crate) fn peers_program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers-rs/target/release")
        .join("cortex-bench-peers");
    program.is_file().then_some(program)
}

/// The versions of Python and its packages, if the scripts can run.
pub(crate) fn python_version() -> Option<String> {
    // The reason for a failure goes to stderr.
    let output = std::panic::catch_unwind(|| script("version.py")).ok()?.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A command that runs a script of `peers` in a Python with the required packages.
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

/// Runs one process of a pair until stdin ends.
pub(crate) fn serve(role: Role, setup: &str) -> Result<(), Box<dyn Error>> {
    let setup: Setup = protocol::parse(setup)?;
    raise_open_file_limit()?;
    match role {
        Role::Publisher => publisher::serve(&mut *sender(&setup)?)?,
        Role::Subscriber => {
            let inbox = Inbox::default();
            receive(&setup, &inbox)?;
            subscriber::serve(&setup, &inbox)?;
        }
    }
    // Ends the receiving threads, which would run for ever.
    std::process::exit(0)
}

/// A sender with all its subscribers; calls `bound` when they can connect.
fn sender(setup: &Setup) -> Result<Box<dyn Send>, Box<dyn Error>> {
    let bound = || write_event("bound", &serde_json::json!({}));
    match setup.transport {
        Transport::Cortex => cortex::sender(setup, bound),
        Transport::Libzmq => Ok(Box::new(libzmq::Sender::new(setup, bound)?)),
        Transport::Unix => Ok(Box::new(unix::Sender::new(setup, bound)?)),
        _ => Err(OTHER_PROGRAM.into()),
    }
}

/// Starts threads that receive until the process ends.
fn receive(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
    match setup.transport {
        Transport::Cortex => cortex::receive(setup, inbox),
        Transport::Libzmq => libzmq::receive(setup, inbox),
        Transport::Unix => unix::receive(setup, inbox),
        _ => Err(OTHER_PROGRAM.into()),
    }
}

const OTHER_PROGRAM: &str = "peers-rs or pyzmq_peer.py implements this transport";

/// Raises the limit of open files to the maximum, since each topic needs several descriptors.
fn raise_open_file_limit() -> Result<(), Box<dyn Error>> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(())
}
