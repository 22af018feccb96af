//! Graphs whose nodes share this process: publishers, subscribers, timers, clients.
//!
//! The tests run on threads beside each other and share one libzmq context. A test that measures or
//! sets something of the whole process runs in one of its own, by [`run_alone`].

use std::process::Command;

mod client;
mod faults;
mod hostile_memory;
mod kills;
mod lanes;
mod leaks;
mod links;
mod promises;
mod publisher;
mod publishing;
mod pubsub;
mod raw;
mod shared;
mod shared_memory;
mod stats;
mod subscriber;
mod timers;
mod transports;
mod zmtp;

/// Set for the process that [`run_alone`] starts.
const ALONE: &str = "CORTEX_TEST_ALONE";

/// Whether this process runs one test only and was started by [`run_alone`].
fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs the test `name`, such as `stats::a_test`, in a process of its own.
///
/// # Panics
/// If the test fails there, or none has this name.
#[track_caller]
fn run_alone(name: &str) {
    run_alone_with(name, []);
}

/// Runs a test as [`run_alone`] does, with these environment variables as well.
///
/// # Panics
/// As [`run_alone`].
#[track_caller]
fn run_alone_with<'a>(name: &str, variables: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.args(["--exact", name]).env(ALONE, "1").envs(variables);
    let output = command.output().expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}
