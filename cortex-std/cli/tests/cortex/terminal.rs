//! `cortex` on a terminal: colours, tables that are refreshed in place, and Ctrl-C.

use std::process::Command;

use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{Program, python};
use serde_json::Value as Json;

use crate::python_publisher;

/// Runs a command on a terminal of its own, types Ctrl-C once it has written the text that is waited
/// for, and tells what it wrote, how it ended, and whether the terminal is as it was.
const ON_A_TERMINAL: &str = r#"
import json, os, pty, signal, subprocess, sys, termios
wanted, command = sys.argv[1].encode(), sys.argv[2:]
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
def own_terminal():
    os.setsid()
    import fcntl
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
written, typed = b"", False
import select
while True:
    if select.select([master], [], [], 0.02)[0]:
        written += os.read(master, 65536)
        if not typed and wanted in written:
            os.write(master, b"\x03")
            typed = True
    elif child.poll() is not None:
        break
after = termios.tcgetattr(slave)
print(json.dumps({"written": written.decode(), "code": child.returncode, "is_sane": before == after}), flush=True)
"#;

#[track_caller]
fn on_a_terminal(folder: &Folder, wanted: &str, arguments: &[&str], no_color: &str) -> Json {
    let mut command = Command::new(python::interpreter());
    command
        .args(["-c", ON_A_TERMINAL, wanted, env!("CARGO_BIN_EXE_cortex")])
        .args(arguments)
        .env("CORTEX_DISCOVERY", folder.discovery())
        .env("NO_COLOR", no_color);
    Program::spawn(command).next_json()
}

fn written(told: &Json) -> &str {
    told["written"].as_str().expect("text")
}

#[test]
fn ctrl_c_ends_every_watching_command_with_a_sane_terminal() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    for (wanted, arguments, code) in [
        ("---", &["topic", "echo", "/tick"][..], 0),
        ("TOPIC", &["topic", "hz", "/tick"], 0),
        ("TOPIC", &["topic", "bw", "--all"], 0),
        ("TOPIC", &["topic", "delay", "/tick"], 0),
        ("waiting", &["topic", "pub", "/other", "IntMessage", "1"], 1),
    ] {
        let told = on_a_terminal(&folder, wanted, arguments, "");
        assert_eq!(
            (&told["code"], &told["is_sane"]),
            (&Json::from(code), &Json::from(true)),
            "{told}"
        );
        let written = written(&told);
        // The ^C that the terminal showed is wiped away.
        assert!(written.ends_with("\r\x1b[J"), "{told}");
        // No mode of the screen was changed, and what was coloured ended.
        assert!(!written.contains("\x1b[?"), "{told}");
        let coloured = written.matches("\x1b[").count() - written.matches("\x1b[J").count();
        assert!(coloured.is_multiple_of(2), "{told}");
    }
}

#[test]
fn a_table_is_refreshed_in_place_and_ends_with_a_summary() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    // The cursor goes up over the two lines of the first table.
    let told = on_a_terminal(&folder, "\x1b[2A", &["topic", "hz", "/tick"], "1");
    let written = written(&told);
    assert_eq!(written.matches("TOPIC").count(), 2, "{told}");
    assert!(written.contains("RATE  PUBLISHED"), "{told}");
    assert!(written.contains('█'), "a sparkline: {told}");
    assert!(written.contains("lost none"), "{told}");
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    let echo = ["topic", "echo", "--once", "/tick"];
    assert!(
        written(&on_a_terminal(&folder, "nothing that is written", &echo, ""))
            .contains("\x1b[1m/tick\x1b[0m")
    );
    assert!(
        !written(&on_a_terminal(&folder, "nothing that is written", &echo, "1")).contains('\x1b')
    );
}
