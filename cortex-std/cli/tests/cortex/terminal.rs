//! `cortex` on a terminal: colours, tables that are updated in place, and Ctrl-C.

use std::process::Command;

use cortex_std::Registration;
use cortex_std::wire::StringMessage;
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{Program, python, wait_until};
use serde_json::Value as Json;
use unicode_width::UnicodeWidthStr;

use crate::python_publisher;

/// Runs a command on a new terminal and types Ctrl-C, either when the command has written the wanted
/// text or after the wanted number of milliseconds. In the second case it types Ctrl-C again every two
/// seconds, since the command may not have installed its handler yet. Prints the output, the exit code
/// and whether the terminal's settings are unchanged.
const ON_A_TERMINAL: &str = r#"
import fcntl, json, os, pty, select, signal, struct, subprocess, sys, termios, time
wanted, command = sys.argv[1], sys.argv[2:]
master, slave = pty.openpty()
def resize(size):
    columns, rows = map(int, size.split("x"))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
# The size of the terminal, and those that it gets after a table of the size before: the command clears the
# screen when it sees a new size.
sizes = os.environ.get("SIZES", "").split()
if sizes:
    resize(sizes.pop(0))
before = termios.tcgetattr(slave)
def own_terminal():
    # A shell starts background processes with SIGINT ignored, which children inherit.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
typing = time.monotonic() + int(wanted) / 1000 if wanted.isdigit() else None
written, typed, resized = b"", False, 0
while True:
    if select.select([master], [], [], 0.005)[0]:
        written += os.read(master, 65536)
        screens = written.split(b"\x1b[H\x1b[2J")
        if sizes and len(screens) > resized and b"TOPIC" in screens[-1]:
            resized += 1
            resize(sizes.pop(0))
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
    on_a_terminal_of(folder, "", wanted, arguments, no_color)
}

/// The same with these sizes of the terminal, COLUMNSxROWS: the first one, and one after a table of each.
#[track_caller]
fn on_a_terminal_of(
    folder: &Folder,
    sizes: &str,
    wanted: &str,
    arguments: &[&str],
    no_color: &str,
) -> Json {
    let mut command = Command::new(python::interpreter());
    command
        .args(["-c", ON_A_TERMINAL, wanted, env!("CARGO_BIN_EXE_cortex")])
        .args(arguments)
        .env("CORTEX_DISCOVERY", folder.discovery())
        .env("SIZES", sizes)
        .env("NO_COLOR", no_color);
    Program::spawn(command).next_json()
}

fn written(result: &Json) -> &str {
    result["written"].as_str().expect("text")
}

#[test]
fn a_recording_shows_a_line_and_ctrl_c_completes_its_file() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    let path = folder.path().join("tick.mcap").display().to_string();
    let arguments = ["bag", "record", "/tick", "-o", &path];
    let result = on_a_terminal(&folder, "1 topic, ", &arguments, "");
    assert_eq!((&result["code"], &result["is_sane"]), (&0.into(), &true.into()), "{result}");
    assert!(written(&result).contains("of 1 topic and 1 publisher, "), "{result}");
    crate::run_in(&folder, &["bag", "info", &path]).with_code(0);
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

/// The lines of each version of a table, without the summary.
fn tables(written: &str) -> Vec<Vec<&str>> {
    let frames = written.split("\r\x1b[J").filter(|frame| frame.starts_with("TOPIC"));
    // Without the ^C that the terminal echoes.
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with(['\x1b', '^']);
    frames.map(|frame| frame.split("\r\n").filter(is_line).collect()).collect()
}

#[test]
fn a_table_fits_every_terminal_and_follows_its_size() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let names = ["/カメラ/前方/画像", "/🚀/telemetry", "/robot/arm/left/gripper/joint_states"];
    let others: Vec<_> = (0..20).map(|number| format!("/other/{number:02}")).collect();
    let names = names.into_iter().chain(others.iter().map(String::as_str));
    let publisher = |name: &str| {
        let publisher = talker.raw_publisher(name, "StringMessage", 1).expect("it binds");
        let is_known = || publisher.registration() == Some(Registration::Registered);
        wait_until("it is registered", is_known);
        publisher
    };
    let _publishers: Vec<_> = names.map(publisher).collect();
    let _clock =
        python_publisher(&folder, "clock", "/a/topic/with/a/rather/long/name/tick", "int_1");

    // Two tables of the last size, the second one in place of the first.
    let sizes = ["80x24", "40x10", "120x40"];
    let command = ["topic", "hz", "--all"];
    let result = on_a_terminal_of(&folder, &sizes.join(" "), "\x1b[25A", &command, "1");
    let written = written(&result);
    let tables = tables(written);
    let of = |columns: usize, rows: usize| {
        let fits = |table: &&Vec<&str>| {
            table.len() < rows && table.iter().all(|line| line.width() <= columns)
        };
        tables.iter().filter(fits).count()
    };
    assert!(of(80, 24) >= 1 && of(40, 10) >= 1 && of(120, 40) == tables.len(), "{tables:#?}");
    // A resized terminal is cleared, since it may have wrapped the lines.
    assert_eq!(written.matches("\x1b[H\x1b[2J").count(), 2, "{written:?}");
    let first = &tables[0];
    assert_eq!(first.len(), 23);
    assert!(first[22].starts_with(".. 3 more rows: enlarge the terminal"), "{first:#?}");
    let last = tables.last().expect("a table");
    assert_eq!(last.len(), 25);
    // At 40 columns the rates stay, and the name is shortened in its middle.
    let narrow = tables.iter().find(|table| table[0].width() <= 40 && table.len() == 9);
    let narrow = narrow.unwrap_or_else(|| panic!("{tables:#?}"));
    assert!(narrow[1].starts_with("/a/to") && narrow[1].contains('…'), "{narrow:#?}");
    assert!(narrow[0].contains("RATE  PUBLISHED"), "{narrow:#?}");
}

#[test]
fn a_table_of_values_writes_no_control_characters_to_a_terminal() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let text = talker.publisher::<StringMessage>("/text").latched().create().expect("it binds");
    wait_until("it is registered", || text.registration() == Registration::Registered);
    let _ = text.publish(&StringMessage { data: "\x1b[2J\x07\u{9b}" }).expect("it is kept");
    for flags in [&["--csv"][..], &["--json"], &[]] {
        let echo = [&["topic", "echo", "--once", "/text"], flags].concat();
        let result = on_a_terminal(&folder, "nothing that is written", &echo, "1");
        let written = written(&result);
        assert!(!written.contains(['\x1b', '\x07', '\u{9b}']), "{flags:?}: {result}");
    }
}
