//! Shared by the tests of all packages: the [`golden`] vectors, [`python`] peers, and
//! [`Program`]s that are started, read from and ended.
//!
//! Everything here waits for events with one deadline, [`DEADLINE`], and panics with the event and
//! the output of the program so far. Nothing sleeps in the hope that an event has happened.
//!
//! ```no_run
//! use cortex_tests::python;
//!
//! let mut daemon = python::peer("daemon.py", ["--address", "ipc:///tmp/test/discovery.sock"]);
//! daemon.expect_event("ready");
//! daemon.terminate();
//! assert!(daemon.wait().success());
//! ```

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use serde_json::Value;

pub use rustix::process::Signal;

pub mod frames;
pub mod golden;
pub mod graph;
pub mod python;
pub mod typed;

/// The longest wait for any event.
pub const DEADLINE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(5);

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within [`DEADLINE`]; the message names `what`.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        thread::sleep(POLL);
    }
}

/// A running program whose stdout is read line by line; killed when dropped.
///
/// A test that panics shows the output of its programs.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// One for stdout, one for stderr: disconnected once all of it was read.
    ended: [Receiver<()>; 2],
    output: Arc<Mutex<Output>>,
}

#[derive(Debug, Default)]
struct Output {
    stdout: String,
    stderr: String,
}

impl Program {
    /// Starts `command` with stdin, stdout and stderr connected to this program.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let name = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::<Mutex<Output>>::default();

        let (line_sender, lines) = channel();
        let (stdout_sender, stdout_ended) = channel::<()>();
        let stdout = child.stdout.take().expect("stdout is piped");
        let written = Arc::clone(&output);
        thread::spawn(move || {
            each_line(stdout, |line| {
                append(&written, |output| output.stdout += &format!("{line}\n"));
                let _ = line_sender.send(line);
            });
            drop(stdout_sender);
        });

        let (stderr_sender, stderr_ended) = channel::<()>();
        let stderr = child.stderr.take().expect("stderr is piped");
        let written = Arc::clone(&output);
        thread::spawn(move || {
            each_line(stderr, |line| {
                append(&written, |output| output.stderr += &format!("{line}\n"));
            });
            drop(stderr_sender);
        });

        Self {
            name,
            stdin: child.stdin.take(),
            child,
            lines,
            ended: [stdout_ended, stderr_ended],
            output,
        }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of stdout, without its line end.
    ///
    /// # Panics
    /// If none comes within [`DEADLINE`] or the program has ended.
    #[track_caller]
    pub fn next_line(&mut self) -> String {
        self.line_before(Instant::now() + DEADLINE, "next line")
    }

    /// The next line of stdout, or `None` if none comes within `timeout` or stdout has ended.
    pub fn try_next_line(&mut self, timeout: Duration) -> Option<String> {
        self.lines.recv_timeout(timeout).ok()
    }

    /// The next line of stdout that contains `text`; lines before it are skipped.
    ///
    /// # Panics
    /// If none comes within [`DEADLINE`] or the program has ended.
    #[track_caller]
    pub fn expect_line(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let line = self.line_before(end, &format!("line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The next line of stdout, as JSON.
    ///
    /// # Panics
    /// If none comes within [`DEADLINE`], the program has ended, or the line is not JSON.
    #[track_caller]
    pub fn next_json(&mut self) -> Value {
        let line = self.next_line();
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{}: not JSON: {error}: {line}", self.name))
    }

    /// The next line of stdout that is a JSON object whose `event` is `name`; lines before it are
    /// skipped.
    ///
    /// # Panics
    /// If none comes within [`DEADLINE`] or the program has ended.
    #[track_caller]
    pub fn expect_event(&mut self, name: &str) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            let line = self.line_before(end, &format!("event {name:?}"));
            match serde_json::from_str::<Value>(&line) {
                Ok(event) if event["event"] == name => return event,
                _ => {}
            }
        }
    }

    #[track_caller]
    fn line_before(&mut self, end: Instant, what: &str) -> String {
        let left = end.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no {what} within {DEADLINE:?}{}", self.report())
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("stdout ended without {what}{}", self.report())
            }
        }
    }

    /// Writes `line` and a line end to stdin.
    ///
    /// # Panics
    /// If stdin was closed by [`close_stdin`](Self::close_stdin) or by the program.
    #[track_caller]
    pub fn send_line(&mut self, line: &str) {
        let Some(stdin) = &mut self.stdin else { panic!("{}: stdin is closed already", self.name) };
        if let Err(error) = writeln!(stdin, "{line}").and_then(|()| stdin.flush()) {
            panic!("cannot write to stdin: {error}{}", self.report());
        }
    }

    /// Closes stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal, unless the program has ended.
    pub fn signal(&mut self, signal: Signal) {
        // Not reaped yet, so the id still is this child's.
        if let Ok(None) = self.child.try_wait() {
            let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            if let Some(id) = id {
                let _ = kill_process(id, signal);
            }
        }
    }

    /// Sends SIGTERM, which requests the end of the program.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&mut self) {
        self.signal(Signal::INT);
    }

    /// Ends the program at once: SIGKILL. Returns when it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether the program has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// If it does not end within [`DEADLINE`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < end => thread::sleep(POLL),
                Ok(None) => panic!("did not end within {DEADLINE:?}{}", self.report()),
                Err(error) => panic!("{}: cannot wait for it: {error}", self.name),
            }
        }
    }

    /// The program's output on stderr: so far, or all of it once the program has ended.
    #[must_use]
    pub fn stderr(&mut self) -> String {
        self.settle();
        self.output().stderr.clone()
    }

    /// The program's output on stdout, lines already taken included: so far, or all of it once the
    /// program has ended.
    #[must_use]
    pub fn stdout(&mut self) -> String {
        self.settle();
        self.output().stdout.clone()
    }

    fn output(&self) -> std::sync::MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the end, lets the readers finish. A grandchild may hold a pipe open, hence the limit.
    fn settle(&mut self) {
        if !self.is_running() {
            for ended in &self.ended {
                let _ = ended.recv_timeout(Duration::from_secs(5));
            }
        }
    }

    fn report(&mut self) -> String {
        // Stdout that ended without a line often means that the end itself is a moment away.
        for _ in 0..20 {
            if !self.is_running() {
                break;
            }
            thread::sleep(POLL);
        }
        self.settle();
        let state = match self.child.try_wait() {
            Ok(Some(status)) => status.to_string(),
            _ => "still running".into(),
        };
        let output = self.output();
        format!(
            "\n--- {} ({state})\n--- stdout:\n{}--- stderr:\n{}---",
            self.name,
            tail(&output.stdout),
            tail(&output.stderr)
        )
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{}", self.report());
        }
    }
}

fn each_line(stream: impl Read, mut take: impl FnMut(String)) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(mut line) = line else { break };
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        take(String::from_utf8_lossy(&line).into_owned());
    }
}

fn append(output: &Mutex<Output>, add: impl FnOnce(&mut Output)) {
    add(&mut output.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The last part of a long text, from a line start.
fn tail(text: &str) -> &str {
    const SHOWN: usize = 8000;
    let from = text.len().saturating_sub(SHOWN);
    if from == 0 {
        return text;
    }
    match text.as_bytes()[from..].iter().position(|&byte| byte == b'\n') {
        Some(end) => &text[from + end + 1..],
        None => "(one long line)\n",
    }
}

#[cfg(doctest)]
mod borrow;

/// The book's chapters: their Rust code is compiled and run as documentation tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/src/testing.md")]
    mod testing {}
    #[doc = include_str!("../../docs/src/from-ros2.md")]
    mod from_ros2 {}
    #[doc = include_str!("../../docs/src/concepts.md")]
    mod concepts {}
    #[doc = include_str!("../../docs/src/messages.md")]
    mod messages {}
    #[doc = include_str!("../../docs/src/images.md")]
    mod images {}
    #[doc = include_str!("../../docs/src/tensors.md")]
    mod tensors {}
    #[doc = include_str!("../../docs/src/control-loops.md")]
    mod control_loops {}
    #[doc = include_str!("../../docs/src/boards.md")]
    mod boards {}
    #[doc = include_str!("../../docs/src/board-programs.md")]
    mod board_programs {}
    #[doc = include_str!("../../docs/src/migrating.md")]
    mod migrating {}
    #[doc = include_str!("../../docs/src/performance.md")]
    mod performance {}
    #[doc = include_str!("../../docs/src/debugging.md")]
    mod debugging {}
    #[doc = include_str!("../../docs/src/bag.md")]
    mod bag {}
    #[doc = include_str!("../../docs/src/recipes.md")]
    mod recipes {}
    #[doc = include_str!("../../docs/src/getting-started.md")]
    mod getting_started {}
    #[doc = include_str!("../../docs/src/introduction.md")]
    mod introduction {}
    #[doc = include_str!("../../docs/src/wire.md")]
    mod wire {}
    #[doc = include_str!("../../docs/src/reference.md")]
    mod reference {}
    #[doc = include_str!("../../docs/src/comparison.md")]
    mod comparison {}
}
