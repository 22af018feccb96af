//! The example `blocking` as a program without tokio: `cargo test -p cortex-smoke` builds none.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn the_blocking_example_publishes_receives_and_ends_on_ctrl_c() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = format!("ipc://{}/discovery.sock", folder.path().display());
    let mut program = Command::new(env!("CARGO_BIN_EXE_blocking_without_tokio"))
        .env("CORTEX_DISCOVERY", address)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stdout = BufReader::new(program.stdout.take().expect("stdout is piped"));
    let mut lines = stdout.lines().map(|line| line.expect("text"));
    // The subscribers connect one after the other.
    for form in ["all [", "latest ["] {
        assert!(lines.any(|line| line.starts_with(form)), "no line of {form}");
    }
    let interrupt = Command::new("kill").args(["-INT", &program.id().to_string()]).status();
    assert!(interrupt.expect("a signal is sent").success());
    assert!(lines.any(|line| line.ends_with(" as the latest")), "no summary");
    assert!(program.wait().expect("it ends").success());
}
