//! `cortex doctor`, `cortex completions`, and commands without a daemon.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use cortex_std::discovery::{Client, Topic};
use cortex_std::wire::discovery::RequestExt;
use cortex_tests::graph::{Folder, daemon, node, registered};
use cortex_tests::{DEADLINE, python};
use serde_json::Value as Json;

use crate::{Ended, end, run_in, start, start_in};

/// The findings of a check.
fn findings<'a>(found: &'a [Json], check: &str) -> Vec<(&'a str, &'a str)> {
    let text = |json: &'a Json| json.as_str().expect("text");
    found
        .iter()
        .filter(|finding| finding["check"] == check)
        .map(|finding| (text(&finding["status"]), text(&finding["text"])))
        .collect()
}

/// Gives the folder permissions that pass the checks.
fn make_private(folder: &Folder) {
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder.path(), mode).expect("it is ours");
}

#[test]
fn without_a_daemon_every_command_fails_within_a_second() {
    let folder = Folder::new();
    for arguments in [
        &["topic", "list"][..],
        &["topic", "info", "/t"],
        &["topic", "echo", "/t"],
        &["topic", "hz", "--all"],
        &["topic", "pub", "/t", "StringMessage", "hi"],
        &["node", "list"],
        &["graph"],
    ] {
        // On a busy machine starting a process may take that long, but not every time.
        let mut times = Vec::new();
        let ended = loop {
            let start = Instant::now();
            let ended = run_in(&folder, arguments).with_code(1);
            times.push(start.elapsed());
            if start.elapsed() < Duration::from_secs(1) {
                break ended;
            }
            assert!(times.len() < 20, "{arguments:?} took {times:?}");
        };
        let expected = format!(
            "cortex: no discovery daemon answers at {}: the socket file does not exist (start a Rust node, which hosts it, or `cortex-discovery`)\n",
            folder.discovery()
        );
        assert_eq!(ended.stderr, expected, "{arguments:?}");
        assert!(ended.lines.is_empty());
    }
    assert_eq!(folder.files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_listener_that_does_not_respond_is_not_a_daemon() {
    let folder = Folder::new();
    let path = folder.path().join("discovery.sock");
    let _silent = UnixListener::bind(&path).expect("it binds");
    // Each waits for its timeout.
    let [list, doctor] =
        [["topic", "list"], ["doctor", "--json"]].map(|arguments| start_in(&folder, &arguments));
    let ended = end(list).with_code(1);
    assert!(ended.stderr.starts_with("cortex: no discovery daemon answers at "), "{ended:?}");
    assert!(!ended.stderr.contains("start one"), "{ended:?}");
    let found = end(doctor).with_code(1).json();
    let text = "listens there but does not respond";
    let daemon = findings(&found, "daemon");
    assert!(
        daemon.len() == 1 && daemon[0].0 == "problem" && daemon[0].1.ends_with(text),
        "{daemon:?}"
    );
}

#[test]
fn a_healthy_graph_has_no_problem() {
    let folder = Folder::new();
    make_private(&folder);
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let _notes = registered(&talker);
    let found = run_in(&folder, &["doctor", "--json"]).with_code(0).json();
    let daemon = findings(&found, "daemon");
    assert_eq!(daemon[0].0, "ok");
    assert!(
        daemon[0].1.contains("a Rust daemon (epoch ")
            && daemon[0].1.contains(&format!("process {}", std::process::id())),
        "{daemon:?}"
    );
    let versions = findings(&found, "versions");
    assert!(
        versions[0].1.contains("libzmq 4.3.") && versions[0].1.contains("with ipc"),
        "{versions:?}"
    );
    assert_eq!(
        findings(&found, "topics"),
        [("ok", "1, all publishers alive, no conflicting types")]
    );
    assert_eq!(findings(&found, "files"), [("ok", "2 socket(s), none stale")]);
    assert_eq!(findings(&found, "permissions")[0].0, "ok");
    for check in ["limits", "clock"] {
        assert!(
            findings(&found, check).iter().all(|(status, _)| *status != "problem"),
            "{found:?}"
        );
    }
    let text = run_in(&folder, &["doctor"]).with_code(0);
    assert!(text.lines[1].starts_with("ok       daemon: responds at ipc://"), "{text:?}");
    // The limits and the clock of the test machine may cause warnings.
    let verdict = text.lines.last().expect("a verdict");
    assert!(verdict == "no problems" || verdict.starts_with("no problems, "), "{text:?}");
    let found = run_in(&folder, &["doctor", "--json"]).json();
    assert!(findings(&found, "address").is_empty());
    // An environment with the address of another daemon.
    let given = ["doctor", "--json", "--discovery", &folder.discovery()];
    let found = end(start(&given, &[("CORTEX_DISCOVERY", "ipc:///tmp/elsewhere.sock")])).json();
    let expected = "nodes started in this environment use ipc:///tmp/elsewhere.sock";
    assert_eq!(findings(&found, "address"), [("warning", expected)]);
}

#[test]
fn a_python_daemon_is_told_from_a_rust_one() {
    let folder = Folder::new();
    let mut daemon = python::peer("daemon.py", ["--address", &folder.discovery()]);
    daemon.expect_event("ready");
    let found = run_in(&folder, &["doctor", "--json"]).json();
    let about = findings(&found, "daemon");
    assert!(
        about[0].1.contains("a Python daemon")
            && about[0].1.contains(&format!("process {}", daemon.id())),
        "{about:?}"
    );
}

#[test]
fn remains_of_a_dead_publisher_are_found_and_deleted_by_fix() {
    let folder = Folder::new();
    make_private(&folder);
    let daemon = daemon(&folder);
    std::fs::create_dir(folder.path().join("topics")).expect("a folder");
    let path = folder.path().join("topics").join("gone.sock");
    // A listener that is dropped leaves its file.
    drop(UnixListener::bind(&path).expect("it binds"));
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    let ghost = Topic {
        name: "/gone".to_owned(),
        address: format!("ipc://{}", path.display()),
        message_type: "StringMessage".to_owned(),
        fingerprint: 1,
        publisher_node: "ghost".to_owned(),
    };
    client.register(&ghost, RequestExt::default()).expect("it is registered");

    let found = run_in(&folder, &["doctor", "--json"]).with_code(1).json();
    let stale = format!("{} is stale", path.display());
    assert_eq!(findings(&found, "files"), [("warning", stale.as_str())]);
    let dead = "/gone is registered by ghost, but no process listens at its address";
    assert_eq!(findings(&found, "topics"), [("problem", dead)]);
    assert!(
        findings(&found, "fingerprints")[0]
            .1
            .contains("is not the fingerprint of that standard message")
    );
    assert!(path.exists(), "only --fix deletes");

    let ended: Ended = run_in(&folder, &["doctor", "--fix"]);
    let fixed = format!("fixed    files: deleted stale socket file {}", path.display());
    assert!(ended.lines.contains(&fixed), "{ended:?}");
    assert!(!path.exists());
    // The socket of the daemon stays.
    client.ping().expect("the daemon responds");
    daemon.stop();
}

#[test]
fn reports_a_folder_with_open_permissions_or_a_long_path() {
    let folder = Folder::new();
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), mode).expect("it is ours");
    let found = run_in(&folder, &["doctor", "--json"]).with_code(1).json();
    assert_eq!(findings(&found, "permissions")[0].0, "warning");
    let long = format!("ipc:///tmp/{}/discovery.sock", "x".repeat(75));
    let ended = end(start(&["doctor", "--json", "--discovery", &long], &[]));
    let found = ended.with_code(1).json();
    assert_eq!(findings(&found, "paths")[0].0, "problem", "{found:?}");
}

#[test]
fn every_verb_has_completions_and_help_with_examples() {
    for shell in ["bash", "zsh", "fish"] {
        let script = end(start(&["completions", shell], &[])).with_code(0).text();
        // The script requests the words from the program.
        assert!(script.contains("CORTEX_COMPLETE"), "{shell}");
    }
    end(start(&["completions", "tcl"], &[])).with_code(2);
    for verb in [
        &["topic", "list"][..],
        &["topic", "info"],
        &["topic", "type"],
        &["topic", "find"],
        &["topic", "echo"],
        &["topic", "hz"],
        &["topic", "bw"],
        &["topic", "delay"],
        &["topic", "pub"],
        &["node", "list"],
        &["node", "info"],
        &["graph"],
        &["topic"],
        &["node"],
        &["doctor"],
        &["discovery"],
        &["gateway"],
        &["decode"],
        &["encode"],
        &["completions"],
        &["man"],
        &[],
    ] {
        let help = end(start(&[verb, &["--help"]].concat(), &[])).with_code(0).text();
        assert!(help.contains("Examples:\n  "), "{verb:?}: {help}");
        assert!(help.contains("--discovery") && help.contains("--json"), "{verb:?}");
    }
}
