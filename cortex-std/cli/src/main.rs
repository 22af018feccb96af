//! `cortex`: the command line for a Cortex graph.

mod bag;
mod candidates;
mod completions;
mod csv;
mod daemon;
mod decode;
mod doctor;
mod encode;
mod failure;
mod field_path;
mod field_values;
mod file;
mod gateway;
mod graph;
mod image;
mod input;
mod interrupt;
mod items;
mod listener;
mod listing;
mod lookup;
mod measure;
mod message;
mod node;
mod output;
mod pace;
mod plain_json;
mod render;
mod session;
mod strict_json;
mod subscribers;
mod subscription;
mod summary;
mod time;
mod topic;
mod types;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::CompleteEnv;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Outcome, Result};
use crate::output::{Paint, escaped, print_stderr};
use crate::session::Session;

/// Inspect a Cortex graph: topics, nodes, rates, losses, and problems.
///
/// Works with Rust and Python nodes alike. Messages describe themselves, so no type definitions are
/// needed.
#[derive(Parser)]
#[command(name = "cortex", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 success, 1 nothing found, a failure, or lost messages, 2 wrong \
    usage.\nColours are written only to a terminal, and not if NO_COLOR is set. RUST_LOG sets the \
    log level.\n\nExamples:\n  \
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
    /// Topics and their messages.
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  cortex topic list -t\n  cortex topic echo --once /cam/frame\n  \
            cortex topic hz --all\n  cortex topic pub --once /chatter StringMessage hello"
    )]
    Topic(topic::Topic),
    /// Nodes that publish.
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  cortex node list\n  cortex node info camera"
    )]
    Node(node::Node),
    /// Record topics into a file, and play them back.
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  cortex bag record -a -o drive.mcap\n  cortex bag info drive.mcap\n  \
            cortex bag play drive.mcap\n  cortex bag repair drive.mcap"
    )]
    Bag(bag::Bag),
    Graph(graph::Graph),
    Doctor(doctor::Doctor),
    Discovery(daemon::Daemon),
    Gateway(gateway::Gateway),
    Decode(decode::Decode),
    Encode(encode::Encode),
    Completions(completions::Completions),
    Man(completions::Man),
}

fn main() -> ExitCode {
    // Answers a shell that requests completions, and ends.
    CompleteEnv::with_factory(Cli::command).var(candidates::VARIABLE).complete();
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report(&error),
    };
    cli.session.apply_address_flag();
    match cli.verb {
        // It initializes logging itself, for its flag --log-level.
        Verb::Discovery(_) => {}
        // A gateway runs unattended.
        Verb::Gateway(_) => init_log(LevelFilter::WARN),
        _ => init_log(LevelFilter::OFF),
    }
    let result = run(&cli);
    interrupt::erase_echoed_key();
    match result {
        Ok(Outcome::Found) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Ok(Outcome::Missed) => ExitCode::from(1),
        Err(Failure::Failed(reason)) => {
            // The reason may contain text sent by a peer.
            print_stderr(&format!("cortex: {}", escaped(&reason)));
            ExitCode::from(1)
        }
        Err(Failure::Usage(reason)) => {
            print_stderr(&format!("cortex: {} (see --help)", escaped(&reason)));
            ExitCode::from(2)
        }
    }
}

/// Prints a usage error, or a help text that was requested.
fn report(error: &clap::Error) -> ExitCode {
    match error.print() {
        Err(failed) if failed.kind() != std::io::ErrorKind::BrokenPipe => {
            print_stderr(&format!("cortex: {failed}"));
            ExitCode::from(1)
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

fn run(cli: &Cli) -> Result {
    let is_client = matches!(
        cli.verb,
        Verb::Topic(_) | Verb::Node(_) | Verb::Graph(_) | Verb::Doctor(_) | Verb::Gateway(_)
    );
    if is_client {
        cli.session.check_address()?;
    }
    match &cli.verb {
        Verb::Topic(verb) => verb.run(&cli.session),
        Verb::Node(verb) => verb.run(&cli.session),
        Verb::Bag(verb) => verb.run(&cli.session),
        Verb::Graph(verb) => verb.run(&cli.session),
        Verb::Doctor(verb) => verb.run(&cli.session),
        Verb::Discovery(verb) => verb.run(&cli.session),
        Verb::Gateway(verb) => verb.run(&cli.session),
        Verb::Decode(verb) => verb.run(),
        Verb::Encode(verb) => verb.run(&cli.session),
        Verb::Completions(verb) => verb.run(&cli.session),
        Verb::Man(verb) => verb.run(&cli.session, Cli::command()),
    }
}

/// Writes the log of the libraries to stderr, at the level of `RUST_LOG` or else at `default`.
fn init_log(default: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(default.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_ansi(Paint::stderr().is_on())
        .with_writer(std::io::stderr)
        .init();
}
