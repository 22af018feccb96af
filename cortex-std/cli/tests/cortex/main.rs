//! `cortex` as a user runs it, with Rust and Python peers.

mod bag;
mod codec;
mod completions;
mod delivery;
mod diagnosis;
mod echo;
mod graph;
mod measure;
mod peers;
mod publish;
mod terminal;
mod topics;
mod tour;

use std::process::Command;

use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, Program, golden, python};
use serde_json::Value as Json;

/// The output and exit code of a program that has ended.
#[derive(Debug)]
struct Ended {
    lines: Vec<String>,
    stderr: String,
    code: Option<i32>,
}

impl Ended {
    /// Stdout as one text.
    fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Stdout as JSON, one object per line.
    #[track_caller]
    fn json(&self) -> Vec<Json> {
        let parse = |line: &String| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
        };
        self.lines.iter().map(parse).collect()
    }

    /// Checks the exit code.
    #[track_caller]
    fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex"));
    command.args(arguments).env_remove("CORTEX_DISCOVERY").env_remove("RUST_LOG");
    command.envs(variables.iter().copied());
    Program::spawn(command)
}

/// Starts `cortex` in the graph of a folder.
fn start_in(folder: &Folder, arguments: &[&str]) -> Program {
    start(arguments, &[("CORTEX_DISCOVERY", &folder.discovery())])
}

#[track_caller]
fn end(mut program: Program) -> Ended {
    let status = program.wait();
    // Stdout ends with the program.
    while program.try_next_line(DEADLINE).is_some() {}
    let lines = program.stdout().lines().map(str::to_owned).collect();
    Ended { lines, stderr: program.stderr(), code: status.code() }
}

/// Runs `cortex` in the graph of a folder until it ends.
#[track_caller]
fn run_in(folder: &Folder, arguments: &[&str]) -> Ended {
    end(start_in(folder, arguments))
}

/// A registered Python publisher of golden messages.
#[track_caller]
fn python_publisher(folder: &Folder, node: &str, topic: &str, names: &str) -> Program {
    let golden = golden::path("messages.json").display().to_string();
    let (discovery, address) = (folder.discovery(), folder.address(&format!("{node}.sock")));
    let mut publisher = python::peer(
        "publisher.py",
        [
            "--discovery",
            &discovery,
            "--node",
            node,
            "--topic",
            topic,
            "--address",
            &address,
            "--golden",
            &golden,
            "--names",
            names,
            "--period",
            "0.01",
        ],
    );
    publisher.expect_event("ready");
    publisher
}
