//! Processes that may open few files: an error and no abort.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use cortex_std::discovery::Client;
use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{DEADLINE, Program, wait_until};

/// Starts a program that may open so many files.
fn start_with(limit: u32, program: &str, arguments: &[&str], folder: &Folder) -> Program {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\"")).arg(program);
    command.args(arguments).env("CORTEX_DISCOVERY", folder.discovery());
    Program::spawn(command)
}

#[test]
fn a_node_with_too_few_descriptors_is_an_error_and_no_abort() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let graph = env!("CARGO_BIN_EXE_graph");
    let mut has_run = false;
    let mut has_failed = false;
    for limit in (8..=60).step_by(2) {
        let arguments = ["publish", "node", "/a", "/b", "/c"];
        let mut program = start_with(limit, graph, &arguments, &folder);
        wait_until("it is ready or ends", || {
            program.stdout().contains("ready") || !program.is_running()
        });
        if program.is_running() {
            has_run = true;
            program.terminate();
        }
        let status = program.wait();
        let text = program.stderr();
        assert_ne!(status.signal(), Some(6), "{limit}: aborted: {text}");
        // The panic of the test program, which shows the error.
        has_failed |= status.code() == Some(101);
    }
    assert!(has_run && has_failed, "{has_run} {has_failed}");
}

#[test]
fn a_daemon_serves_more_clients_than_its_soft_limit_of_open_files() {
    let folder = Folder::new();
    let graph = env!("CARGO_BIN_EXE_graph");
    let mut command = Command::new("sh");
    command.arg("-c").arg("ulimit -S -n 64; exec \"$0\" daemon").arg(graph);
    command.env("CORTEX_DISCOVERY", folder.discovery());
    let mut daemon = Program::spawn(command);
    daemon.expect_line("ready");
    let connect = |_| Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    let mut clients: Vec<_> = (0..200).map(connect).collect();
    for client in &mut clients {
        client.ping().expect("it answers");
    }
    assert!(daemon.is_running(), "{}", daemon.stderr());
}

#[test]
fn a_daemon_with_more_clients_than_descriptors_goes_on_and_serves_again_when_they_leave() {
    let folder = Folder::new();
    let graph = env!("CARGO_BIN_EXE_graph");
    // libzmq, which CORTEX_TRANSPORT may choose, aborts when it cannot accept a connection.
    let arguments = ["CORTEX_TRANSPORT=local", graph, "daemon"];
    let mut daemon = start_with(64, "env", &arguments, &folder);
    daemon.expect_line("ready");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let timeout = Duration::from_millis(300);
                let connect = |_| Client::connect(&folder.discovery(), timeout).expect("a client");
                let mut clients: Vec<_> = (0..50).map(connect).collect();
                let answered = clients.iter_mut().filter_map(|client| client.ping().ok()).count();
                assert!(answered > 0, "no client is served");
            });
        }
    });
    assert!(daemon.is_running(), "{}", daemon.stderr());
    let log = daemon.stderr();
    assert!(log.contains("too few file descriptors are left for another client"), "{log}");
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    client.ping().expect("it answers");
}

#[test]
fn the_soft_limit_of_open_files_is_raised_unless_the_environment_says_default() {
    let folder = Folder::new();
    let graph = env!("CARGO_BIN_EXE_graph");
    for (switch, is_raised) in [("", true), ("default", false)] {
        let mut command = Command::new("sh");
        command.arg("-c").arg("ulimit -S -n 200; exec \"$0\" daemon").arg(graph);
        command.env("CORTEX_DISCOVERY", folder.discovery()).env("CORTEX_OPEN_FILES", switch);
        let mut daemon = Program::spawn(command);
        daemon.expect_line("ready");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id()));
        let limits = limits.expect("it runs");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
        let soft: u64 =
            line.split_whitespace().nth(3).and_then(|n| n.parse().ok()).expect("a number");
        assert_eq!(soft > 200, is_raised, "{line}");
        daemon.terminate();
        let _ = daemon.wait();
    }
}

#[test]
fn a_tcp_daemon_with_more_connections_than_descriptors_goes_on_and_serves_again_when_they_end() {
    const LIMIT: u32 = 64;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let place = free.expect("a port");
    let discovery = format!("CORTEX_DISCOVERY=tcp://{place}");
    let arguments = [&*discovery, env!("CARGO_BIN_EXE_graph"), "daemon"];
    let mut daemon = start_with(LIMIT, "env", &arguments, &Folder::new());
    daemon.expect_line("ready");
    let connect = |_| TcpStream::connect(place).expect("the kernel accepts it");
    let connections: Vec<_> = (0..2 * LIMIT).map(connect).collect();
    let files = format!("/proc/{}/fd", daemon.id());
    wait_until("no descriptor is left, or it ended", || {
        let count = std::fs::read_dir(&files).map_or(0, Iterator::count);
        count as u64 >= u64::from(LIMIT) || !daemon.is_running()
    });
    drop(connections);
    let address = format!("tcp://{place}");
    let mut client = Client::connect(&address, DEADLINE).expect("a client");
    client.ping().expect("it answers");
    assert!(daemon.is_running(), "{}", daemon.stderr());
}
