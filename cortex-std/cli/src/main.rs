//! `cortex`: what goes on in a graph, from the command line.

mod completions;
mod compose;
mod decode;
mod doctor;
mod encode;
mod failure;
mod file;
mod gateway;
mod graph;
mod interrupt;
mod items;
mod line;
mod listener;
mod measure;
mod message;
mod node;
mod output;
mod plain;
mod render;
mod session;
mod tap;
mod topic;
mod types;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Outcome, Result};
use crate::output::note;
use crate::session::Session;

/// See what is going on in a Cortex graph: topics, nodes, rates, losses, and what is wrong.
///
/// Rust and Python nodes are treated alike. Messages tell what they are, so no types are needed.
#[derive(Parser)]
#[command(name = "cortex", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 what was asked for is there, 1 it is not or something was lost, \
    2 wrong usage.\nColours only on a terminal, and not where NO_COLOR is set. RUST_LOG shows what \
    happens inside.\n\nExamples:\n  \
    cortex topic list\n  \
    cortex topic echo /cam/frame\n  \
    cortex topic hz --all\n  \
    cortex doctor"
)]
struct Cli {
    #[command(flatten)]
    session: Session,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// What is published, and what is in it.
    #[command(subcommand)]
    Topic(topic::Topic),
    /// Who publishes.
    #[command(subcommand)]
    Node(node::Node),
    Graph(graph::Graph),
    Doctor(doctor::Doctor),
    Gateway(gateway::Gateway),
    Decode(decode::Decode),
    Encode(encode::Encode),
    Completions(completions::Completions),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let ended = run(&cli);
    interrupt::wipe();
    match ended {
        Ok(Outcome::Found) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Ok(Outcome::Missed) => ExitCode::from(1),
        Err(Failure::Failed(reason)) => {
            note(&format!("cortex: {reason}"));
            ExitCode::from(1)
        }
        Err(Failure::Usage(reason)) => {
            note(&format!("cortex: {reason} (--help tells more)"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result {
    match &cli.verb {
        Verb::Topic(verb) => verb.run(&cli.session),
        Verb::Node(verb) => verb.run(&cli.session),
        Verb::Graph(verb) => verb.run(&cli.session),
        Verb::Doctor(verb) => verb.run(&cli.session),
        Verb::Gateway(verb) => verb.run(&cli.session),
        Verb::Decode(verb) => verb.run(),
        Verb::Encode(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(),
    }
}
