//! `cortex completions` and `cortex man`.

use std::process::Command;

use cortex_tests::graph::{Folder, daemon, node, registered};
use cortex_tests::{Program, wait_until};

use crate::{end, python_publisher, start, start_in};

/// The words that bash offers for a command line, whose last word may be a part of one.
fn completed(folder: &Folder, line: &str) -> Vec<String> {
    let script = end(start(&["completions", "bash"], &[])).with_code(0).text();
    let path = folder.path().join("completions.bash");
    std::fs::write(&path, script).expect("a file");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cortex"));
    let search = format!(
        "{}:{}",
        program.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let run = r#"
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        $(complete -p cortex | sed 's/.*-F \([^ ]*\) .*/\1/') cortex "${COMP_WORDS[COMP_CWORD]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    command.args(["-c", run, "bash"]).arg(&path).args(line.split(' '));
    command.env("PATH", search).env("CORTEX_DISCOVERY", folder.discovery());
    end(Program::spawn(command)).with_code(0).lines
}

#[test]
fn topics_nodes_and_types_of_the_running_graph_are_completed() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let _notes = registered(&talker);
    let _camera = python_publisher(&folder, "camera", "/cam", "int_1");
    let evil = talker.raw_publisher("/$(reboot)", "StringMessage", 1).expect("it binds");
    wait_until("it is registered", || {
        evil.registration() == Some(cortex_std::Registration::Registered)
    });
    assert_eq!(completed(&folder, "cortex topic echo /"), ["/cam", "/t"]);
    assert_eq!(completed(&folder, "cortex topic hz /t /c"), ["/cam"]);
    assert_eq!(completed(&folder, "cortex topic info /t"), ["/t"]);
    assert_eq!(completed(&folder, "cortex node info ca"), ["camera"]);
    assert_eq!(completed(&folder, "cortex topic pub /t Str"), ["StringMessage"]);
    assert_eq!(completed(&folder, "cortex topic find Poi"), ["PointCloudMessage"]);
    assert_eq!(completed(&folder, "cortex topic ec"), ["echo"]);
    // Without a daemon there are none.
    let alone = Folder::new();
    assert!(completed(&alone, "cortex topic echo /").iter().all(String::is_empty));
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = Folder::new();
    let pages = folder.path().join("man");
    let written = start_in(&folder, &["man", &pages.display().to_string()]);
    end(written).with_code(0);
    for page in ["cortex", "cortex-topic-echo", "cortex-gateway", "cortex-doctor"] {
        let text = std::fs::read_to_string(pages.join(format!("{page}.1"))).expect("a page");
        assert!(text.contains(".SH SYNOPSIS") && text.contains("Examples:"), "{page}: {text}");
    }
    let page = end(start_in(&folder, &["man"])).with_code(0).text();
    assert!(page.contains(".TH cortex 1"), "{page}");
}
