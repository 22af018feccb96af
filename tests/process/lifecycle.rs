//! Start and end of nodes: threads, signals, and leftovers.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cortex_std::wire::StringMessage;
use cortex_std::{Node, StopToken, ThreadError, ThreadOptions};
use cortex_tests::graph::{Folder, assert_nothing_is_left, daemon, registered};
use cortex_tests::{DEADLINE, Program, Signal, wait_until};
use tracing_subscriber::util::SubscriberInitExt;

/// The time within which a program ends after a signal, for any callback.
const PROMISE: Duration = Duration::from_secs(2);

fn node(address: &str) -> Node {
    Node::builder("both").discovery(address).create().expect("a node")
}

fn named(name: &str) -> ThreadOptions {
    ThreadOptions::named(name)
}

#[test]
fn spin_ends_when_another_thread_shuts_the_node_down_and_everything_is_closed_by_then() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let node = node(daemon.address());
    let notes = registered(&node);
    let handle = node.handle();
    let other = std::thread::spawn(move || handle.shutdown());
    // The node is closed when this returns, also if another thread closes it.
    node.spin().expect("no error");
    assert!(notes.publish(&StringMessage { data: "late" }).is_err());
    assert_nothing_is_left(&folder, daemon);
    other.join().expect("it ends");
}

#[tokio::test]
async fn run_ends_when_a_callback_shuts_the_node_down() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let node = node(daemon.address());
    let _notes = registered(&node);
    let handle = node.handle();
    node.timer(Duration::from_millis(1), async move |_| handle.shutdown());
    node.run().await.expect("no error");
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn many_threads_may_shut_a_node_down_at_the_same_time() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let node = node(daemon.address());
    let _notes = registered(&node);
    for number in 0..4 {
        let handle = node.handle();
        let body = move |_: StopToken| handle.shutdown();
        let thread = node.spawn_thread(named(&format!("own-{number}")), body);
        // The others may have shut it down by now.
        assert!(matches!(thread, Ok(_) | Err(ThreadError::ShutDown)));
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let handle = node.handle();
            scope.spawn(move || handle.shutdown());
        }
    });
    node.spin().expect("no error");
    assert!(node.handle().is_shut_down());
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn a_spawned_thread_gets_its_stop_token_and_may_publish_a_last_message() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let talker = node(daemon.address());
    let listener = Node::builder("listener").discovery(daemon.address()).create().expect("a node");
    let notes = registered(&talker);
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    wait_until("it is connected", || {
        assert!(seen.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        notes.subscriber_count() > 0
    });
    let (started, has_started) = channel();
    let thread = talker.spawn_thread(named("motor"), move |stop| {
        assert_eq!(std::thread::current().name(), Some("motor"));
        started.send(()).expect("the receiver exists");
        assert!(stop.wait_timeout(DEADLINE));
        let sent = notes.publish(&StringMessage { data: "motors off" });
        assert!(sent.is_ok(), "{sent:?}");
    });
    let thread = thread.expect("a thread");
    has_started.recv_timeout(DEADLINE).expect("it started");
    assert!(!thread.is_finished());
    drop(talker);
    assert!(thread.is_finished());
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(StringMessage { data: "motors off" }));
    drop(listener);
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn one_thread_can_be_stopped_and_another_one_may_panic() {
    let folder = Folder::new();
    let node = node(&folder.discovery());
    let wait = |stop: StopToken| assert!(stop.wait_timeout(DEADLINE));
    let first = node.spawn_thread(named("first"), wait).expect("a thread");
    let second = node.spawn_thread(named("second"), wait).expect("a thread");
    let third = node.spawn_thread(named("third"), |_| panic!("on purpose"));
    let third = third.expect("a thread");
    wait_until("the third has panicked", || third.is_finished());
    first.stop();
    wait_until("the first has ended", || first.is_finished());
    assert_eq!((first.name(), second.is_finished()), ("first", false));
    node.handle().shutdown();
    assert!(second.is_finished());
    let late = node.spawn_thread(named("late"), wait);
    assert!(matches!(late, Err(ThreadError::ShutDown)));
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Logs what this thread does until the guard is dropped.
    fn record(&self) -> impl Sized + use<> {
        let writer = self.clone();
        let logging = tracing_subscriber::fmt().with_ansi(false);
        logging.with_writer(move || writer.clone()).set_default()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_thread_that_ends_by_a_dropped_handle_while_its_node_runs_is_logged() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let node = node(daemon.address());
    let log = Log::default();
    let timer = |name| {
        let builder = node.timer_builder(DEADLINE).thread(named(name));
        builder.on_thread(|_| ()).expect("a thread")
    };
    let subscriber = |name| {
        let builder = node.subscriber::<StringMessage>("/t").thread(named(name));
        builder.on_thread(|_, _| ()).expect("a thread")
    };
    let (stopped, kept) = (timer("stopped"), (timer("kept"), subscriber("kept-too")));
    let logging = log.record();
    let _ = timer("dropped");
    let _ = subscriber("dropped-too");
    stopped.stop();
    drop(stopped);
    drop(node);
    drop(kept);
    drop(logging);
    let said = log.text();
    assert!(said.contains("a timer ends: its handle is dropped thread=\"dropped\""), "{said}");
    assert!(
        said.contains("a subscriber ends: its handle is dropped thread=\"dropped-too\""),
        "{said}"
    );
    assert!(!said.contains("stopped") && !said.contains("kept"), "{said}");
}

#[test]
fn a_thread_that_does_not_stop_is_reported_by_name_and_left() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let node = node(daemon.address());
    let _notes = registered(&node);
    let (release, released) = sync_channel::<()>(0);
    let thread = node
        .spawn_thread(named("stubborn"), move |_| {
            let _ = released.recv();
        })
        .expect("a thread");
    let log = Log::default();
    let logging = log.record();
    drop(node);
    drop(logging);
    assert!(!thread.is_finished());
    let said = log.text();
    assert!(said.contains("ERROR") && said.contains("stubborn"), "{said}");
    assert_nothing_is_left(&folder, daemon);
    drop(release);
    wait_until("it ends", || thread.is_finished());
}

/// Starts one of the programs in programs/lifecycle.rs.
fn start(program: &str, address: &str, mode: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifecycle"));
    command.args([program, mode]).env("CORTEX_DISCOVERY", address);
    Program::spawn(command)
}

/// Waits until the program handles SIGTERM instead of being ended by it.
fn wait_for_its_handlers(program: &Program) {
    let tasks = format!("/proc/{}/task", program.id());
    // The mask in /proc is not enough: a handler is installed before the thread that it wakes. The
    // thread starts when both are complete.
    wait_until("it handles signals", || {
        let tasks = std::fs::read_dir(&tasks).expect("it runs").filter_map(Result::ok);
        let mut names =
            tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.any(|name| name.trim() == "cortex-signal")
    });
}

#[test]
fn a_thousand_nodes_leave_no_descriptor_no_thread_no_file_and_no_registration() {
    // At the same time, since they mostly wait for threads and for the daemon.
    for mut program in ["alone", "daemon", "host"].map(|mode| start("thousand", "", mode)) {
        // Each hundred has its own deadline.
        for hundreds in 1..=10 {
            program.expect_line(&format!("{hundreds} hundred nodes"));
        }
        assert!(program.wait().success(), "{}{}", program.stdout(), program.stderr());
    }
}

#[test]
fn a_signal_ends_spin_and_leaves_nothing() {
    // HUP is that of a closed terminal or a lost connection of ssh.
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = Folder::new();
        let daemon = daemon(&folder);
        let mut program = start("spin", daemon.address(), "");
        program.expect_line("ready");
        wait_for_its_handlers(&program);
        let start = Instant::now();
        program.signal(signal);
        program.expect_line("ended");
        assert!(program.wait().success(), "{}", program.stderr());
        assert!(start.elapsed() < PROMISE, "{:?}", start.elapsed());
        assert_nothing_is_left(&folder, daemon);
    }
}

#[test]
fn a_hangup_that_nohup_ignores_does_not_end_spin() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_lifecycle")).args(["spin", ""]);
    command.env("CORTEX_DISCOVERY", daemon.address());
    let mut program = Program::spawn(command);
    program.expect_line("ready");
    wait_for_its_handlers(&program);
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id()));
    let status = status.expect("it runs");
    let mask = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a mask");
        u64::from_str_radix(line.trim(), 16).expect("hex")
    };
    let bit = 1 << (Signal::HUP.as_raw() - 1);
    assert_eq!((mask("SigIgn:") & bit, mask("SigCgt:") & bit), (bit, 0));
    program.signal(Signal::TERM);
    program.expect_line("ended");
    assert!(program.wait().success(), "{}", program.stderr());
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn a_callback_that_blocks_does_not_keep_the_process_alive_after_a_signal() {
    for (mode, signal, code) in
        [("", Signal::INT, 130), ("", Signal::TERM, 143), ("print", Signal::INT, 130)]
    {
        let folder = Folder::new();
        let daemon = daemon(&folder);
        let mut program = start("block", daemon.address(), mode);
        program.expect_line("ready");
        wait_until("it blocks", || program.stderr().contains("blocks"));
        let start = Instant::now();
        program.signal(signal);
        assert_eq!(program.wait().code(), Some(code), "{}", program.stderr());
        assert!(start.elapsed() < PROMISE, "{:?}", start.elapsed());
        // The node was closed nevertheless.
        assert_nothing_is_left(&folder, daemon);
    }
}

#[test]
fn a_second_signal_ends_a_blocked_process_sooner() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let mut program = start("block", daemon.address(), "");
    wait_until("it blocks", || program.stderr().contains("blocks"));
    let start = Instant::now();
    program.signal(Signal::INT);
    // As an impatient user does.
    wait_until("some time has passed", || start.elapsed() > Duration::from_millis(600));
    program.signal(Signal::INT);
    assert_eq!(program.wait().code(), Some(130), "{}", program.stderr());
    assert!(start.elapsed() < PROMISE, "{:?}", start.elapsed());
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn a_signal_after_the_node_ended_ends_the_process_by_default() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let mut program = start("spin", daemon.address(), "stay");
    program.expect_line("ready");
    wait_for_its_handlers(&program);
    program.signal(Signal::TERM);
    program.expect_line("stays");
    // Two at once count as one; so this is repeated.
    let start = Instant::now();
    wait_until("a second has passed", || start.elapsed() > Duration::from_secs(1));
    program.signal(Signal::INT);
    assert_eq!(program.wait().signal(), Some(2));
}

#[test]
fn a_killed_program_leaves_nothing_that_keeps_the_next_one_from_working() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let listener = Node::builder("listener").discovery(daemon.address()).create().expect("a node");
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    for _ in 0..3 {
        let mut program = start("publish", daemon.address(), "");
        program.expect_line("ready");
        let id = program.id().to_string();
        wait_until("a message of the new one arrives", || {
            let sample = seen.recv_timeout(Duration::from_millis(100)).expect("no error");
            sample.is_some_and(|sample| sample.message() == Ok(StringMessage { data: &id }))
        });
        program.signal(Signal::KILL);
        assert_eq!(program.wait().signal(), Some(9));
    }
    drop((seen, listener));
    daemon.stop();
}

#[test]
fn a_publisher_that_is_not_registered_is_reported_on_stderr_without_a_log() {
    let folder = Folder::new();
    let mut refused = start("unregistered", &folder.discovery(), "refused");
    refused.expect_line("the publisher is not registered: ");
    assert!(refused.wait().success());
    let said = refused.stderr();
    assert!(said.contains("cortex: the topic \"/t\" is not registered: "), "{said}");

    let mut alone = start("unregistered", &folder.address("absent.sock"), "no daemon");
    alone.expect_line("ready");
    wait_until("it is reported", || {
        alone.stderr().contains("cortex: no topic is registered yet: ")
    });
    wait_for_its_handlers(&alone);
    alone.signal(Signal::INT);
    assert!(alone.wait().success());
    assert_eq!(alone.stderr().lines().count(), 1, "{}", alone.stderr());
}

#[test]
fn a_node_that_is_the_daemon_starts_and_ends_without_a_warning() {
    // Whether the first request finds the daemon differs from start to start.
    for _ in 0..10 {
        let folder = Folder::new();
        let mut program = start("spin", &folder.discovery(), "log");
        program.expect_line("ready");
        wait_for_its_handlers(&program);
        program.signal(Signal::INT);
        program.expect_line("ended");
        assert!(program.wait().success());
        let said = program.stderr();
        assert!(said.contains("hosting it") && !said.contains("WARN"), "{said}");
        assert!(!said.contains("ERROR"), "{said}");
    }
}
