//! `cortex`: what goes on in a graph, from the command line.

mod completions;
mod compose;
mod daemon;
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

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Outcome, Result};
use crate::output::{Paint, note, safe};
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
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  cortex topic list -t\n  cortex topic echo --once /cam/frame\n  \
            cortex topic hz --all\n  cortex topic pub --once /chatter StringMessage hello"
    )]
    Topic(topic::Topic),
    /// Who publishes.
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  cortex node list\n  cortex node info camera"
    )]
    Node(node::Node),
    Graph(graph::Graph),
    Doctor(doctor::Doctor),
    Discovery(daemon::Daemon),
    Gateway(gateway::Gateway),
    Decode(decode::Decode),
    Encode(encode::Encode),
    Completions(completions::Completions),
}

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    cli.session.settle();
    match cli.verb {
        // It has a flag for it.
        Verb::Discovery(_) => {}
        // It runs unattended.
        Verb::Gateway(_) => log(LevelFilter::WARN),
        _ => log(LevelFilter::OFF),
    }
    let ended = run(&cli);
    interrupt::wipe();
    match ended {
        Ok(Outcome::Found) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Ok(Outcome::Missed) => ExitCode::from(1),
        Err(Failure::Failed(reason)) => {
            // Peers may have had a word in it.
            note(&format!("cortex: {}", safe(&reason)));
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
        Verb::Discovery(verb) => verb.run(&cli.session),
        Verb::Gateway(verb) => verb.run(&cli.session),
        Verb::Decode(verb) => verb.run(),
        Verb::Encode(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(),
    }
}

/// Writes what the library logs to stderr, as much as `RUST_LOG` asks for.
fn log(unless_set: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(unless_set.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_ansi(Paint::stderr().is_on())
        .with_writer(std::io::stderr)
        .init();
}
