//! `cortex` on a terminal: colours, tables that are updated in place, and Ctrl-C.

use std::process::Command;

use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{Program, python};
use serde_json::Value as Json;

use crate::python_publisher;

/// Runs a command on a new terminal and types Ctrl-C, either when the command has written the wanted
/// text or after the wanted number of milliseconds. In the second case it types Ctrl-C again every two
/// seconds, since the command may not have installed its handler yet. Prints the output, the exit code
/// and whether the terminal's settings are unchanged.
const ON_A_TERMINAL: &str = r#"
import fcntl, json, os, pty, select, signal, subprocess, sys, termios, time
wanted, command = sys.argv[1], sys.argv[2:]
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
def own_terminal():
    # A shell starts background processes with SIGINT ignored, which children inherit.
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

fn written(result: &Json) -> &str {
    result["written"].as_str().expect("text")
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
        let result = on_a_terminal(&folder, wanted, arguments, "");
        assert_eq!(
            (&result["code"], &result["is_sane"]),
            (&Json::from(code), &Json::from(true)),
            "{result}"
        );
        let written = written(&result);
        // The ^C that the terminal echoed is erased.
        assert!(written.ends_with("\r\x1b[J"), "{result}");
        // No mode of the terminal was changed, and all colours are reset.
        assert!(!written.contains("\x1b[?"), "{result}");
        assert!(ends_uncoloured(written), "{result}");
    }
}

/// Whether the last colour code resets the colours.
fn ends_uncoloured(written: &str) -> bool {
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
            let result = on_a_terminal(&folder, when, arguments, "");
            assert_eq!(result["is_sane"], true, "{when}: {result}");
            assert!(ends_uncoloured(written(&result)), "{when}: {result}");
        }
    }
}

#[test]
fn a_table_is_updated_in_place_and_ends_with_a_summary() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    // The cursor moves up over the two lines of the first table.
    let result = on_a_terminal(&folder, "\x1b[2A", &["topic", "hz", "/tick"], "1");
    let written = written(&result);
    assert!(written.matches("TOPIC").count() >= 2, "{result}");
    assert!(written.contains("RATE  PUBLISHED"), "{result}");
    assert!(written.contains('█'), "a sparkline: {result}");
    assert!(written.contains("lost none"), "{result}");
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
