//! `cortex` on a terminal: colours, tables that are refreshed in place, and Ctrl-C.

use std::process::Command;

use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{Program, python};
use serde_json::Value as Json;

use crate::python_publisher;

/// Runs a command on a terminal of its own, types Ctrl-C once it has written the text that is waited
/// for, or after so many milliseconds, and tells what it wrote, how it ended, and whether the terminal
/// is as it was. Ctrl-C is typed again for who was not listening yet.
const ON_A_TERMINAL: &str = r#"
import fcntl, json, os, pty, select, signal, subprocess, sys, termios, time
wanted, command = sys.argv[1], sys.argv[2:]
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
def own_terminal():
    # Shells start what runs in the background with Ctrl-C ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
typing = time.monotonic() + int(wanted) / 1000 if wanted.isdigit() else None
written, typed = b"", False
while True:
    if select.select([master], [], [], 0.005)[0]:
        written += os.read(master, 65536)
        if not typed and typing is None and wanted.encode() in written:
            os.write(master, b"\x03")
            typed = True
    elif child.poll() is not None:
        break
    if typing is not None and time.monotonic() >= typing:
        os.write(master, b"\x03")
        typing = time.monotonic() + 2
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
        assert!(is_uncoloured(written), "{told}");
    }
}

/// Whether every colour ended.
fn is_uncoloured(written: &str) -> bool {
    let codes = written.split("\x1b[").skip(1);
    let colours = codes.filter_map(|code| code.split_once('m').map(|(code, _)| code));
    let colours = colours.filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
    colours.last().is_none_or(|code| code == "0")
}

#[test]
fn ctrl_c_at_any_point_leaves_the_terminal_as_it_was() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    let own = folder.address("own/discovery.sock");
    for arguments in [
        &["topic", "echo", "/tick"][..],
        &["topic", "echo", "--timeout", "60", "/nothing"],
        &["topic", "hz", "--all"],
        &["topic", "pub", "-w", "0", "--rate", "1000", "/other", "IntMessage", "1"],
        &["topic", "pub", "/other", "IntMessage", "@-"],
        &["decode"],
        &["discovery", "--address", &own],
    ] {
        // Milliseconds after its start.
        for when in ["0", "10", "30", "100", "300"] {
            let told = on_a_terminal(&folder, when, arguments, "");
            assert_eq!(told["is_sane"], true, "{when}: {told}");
            assert!(is_uncoloured(written(&told)), "{when}: {told}");
        }
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
    assert!(written.matches("TOPIC").count() >= 2, "{told}");
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
