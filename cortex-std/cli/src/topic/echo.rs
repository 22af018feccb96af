//! `cortex topic echo`.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts show paths such as `scan[10:20]`")]

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cortex_cli::typed_json::ValueError;
use cortex_std::discovery::Topic;
use cortex_std::{SequenceTracker, Step};

use crate::candidates;
use crate::csv::Table;
use crate::failure::{Failure, Outcome, Result};
use crate::field_path::FieldPath;
use crate::interrupt::Interrupt;
use crate::message::{AnyMessage, Form, frames_line};
use crate::output::{Paint, escaped, print, print_json, print_stderr, refuse_json};
use crate::plain_json::Arrays;
use crate::render::Render;
use crate::session::Session;
use crate::subscription::{self, MessageQueue, ReceivedMessage};

/// Longest time between an interrupt and the end of the command.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Show the messages of a topic as they arrive.
///
/// No type definitions are needed, since messages describe themselves. The fields of standard types
/// have names, those of other types are numbered. An array is shown as dtype, shape, min, max, mean
/// and first items, a list of more than 64 items by its first items.
///
/// A PATH is position, position[0], scan[10:20], data.gains.kp or data["a.b"]: field names, keys of
/// maps, and indices and slices of lists and arrays. A message without the value is skipped and
/// counted; --csv leaves its cells empty.
///
/// The first line of --csv names the columns: timestamp_ns, sequence, node, and the path of each value
/// of the first message. Values that only later messages have are left out and reported, with exit
/// code 1.
///
/// Receiving never waits for the output: if the output is slower, the oldest messages are skipped
/// and counted, and no publisher is slowed down.
///
/// With --timeout the command waits for a topic that does not exist yet; the same limit applies to
/// each message. Exit code 1 if fewer messages arrived than -n requests, or none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex topic echo /chatter\n  \
    cortex topic echo --once /cam/frame\n  \
    cortex topic echo --field data.gains.kp /config\n  \
    cortex topic echo --field 'scan[10:20]' /scan\n  \
    cortex topic echo --csv --field position /pose > pose.csv\n  \
    cortex topic echo --json --typed -n 10 /pose | jq .fields\n  \
    cortex topic echo --raw -n 100 /pose | cortex decode")]
pub(crate) struct Echo {
    /// Name of the topic.
    #[arg(value_parser = crate::input::topic_name, add = ArgValueCandidates::new(candidates::topics))]
    topic: String,
    /// End after the first message.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// End after COUNT messages.
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Show only the value at this path, such as position[0] or data.gains.kp.
    #[arg(long, value_name = "PATH")]
    field: Option<FieldPath>,
    /// Show all items of arrays, and long text in full.
    #[arg(long, visible_alias = "full-length", conflicts_with = "no_arr")]
    full: bool,
    /// Show only dtype and shape of arrays.
    #[arg(long)]
    no_arr: bool,
    /// Show messages as a table of comma-separated values, with all items of arrays.
    #[arg(long, conflicts_with_all = ["raw", "full"])]
    csv: bool,
    /// Show the frames as hex, as `cortex decode` reads them.
    #[arg(long, conflicts_with_all = ["field", "full", "no_arr"])]
    raw: bool,
    /// With --json, show values as typed JSON, which is lossless.
    #[arg(long, conflicts_with_all = ["csv", "raw", "full", "no_arr"])]
    typed: bool,
}

/// The state of the command, for the exit code and the final notes.
struct Progress {
    shown: u64,
    lost: u64,
    /// Messages without the value at the path of `--field`.
    missing: u64,
    /// No message of the type can have the value.
    is_impossible: bool,
    /// Whether several nodes publish the topic.
    is_shared: bool,
    /// The publishers when the command began.
    publishers: Vec<Topic>,
    table: Table,
}

impl Echo {
    pub(crate) fn run(&self, session: &Session) -> Result {
        if self.typed && !session.json {
            return Err(Failure::Usage("--typed requires --json".to_owned()));
        }
        if self.csv || self.raw {
            refuse_json(session.json, if self.csv { "a table" } else { "a line of frames" })?;
        }
        let interrupt = Interrupt::get();
        let publishers = session.topic(&self.topic)?.publishers;
        let queue = MessageQueue::new();
        let input = queue.clone();
        subscription::receive(&publishers, &session.discovery, move |received| {
            input.push(received);
        })?;

        let wanted = if self.once { Some(1) } else { self.count };
        let mut trackers = HashMap::<Arc<str>, SequenceTracker>::new();
        let arrays = if self.no_arr { Arrays::Shape } else { Arrays::Full };
        let mut progress = Progress {
            shown: 0,
            lost: 0,
            missing: 0,
            is_impossible: false,
            is_shared: false,
            publishers,
            table: Table::new(arrays, std::io::stdout().is_terminal()),
        };
        let mut is_timed_out = false;
        let mut last_shown = Instant::now();
        while !interrupt.is_set()
            && !progress.is_impossible
            && wanted.is_none_or(|wanted| progress.shown < wanted)
        {
            let received = queue.pop(POLL_INTERVAL);
            let shown = progress.shown;
            if let Some(received) = received {
                if let Some(header) = received.header()
                    && let Step::Lost(count) =
                        trackers.entry(Arc::clone(&received.node)).or_default().step(&header)
                {
                    progress.lost = progress.lost.saturating_add(count);
                }
                progress.is_shared = progress.publishers.len().max(trackers.len()) > 1;
                self.show(session, &received, &mut progress)?;
            }
            if progress.shown > shown {
                last_shown = Instant::now();
            }
            is_timed_out = session.timeout.is_some_and(|timeout| last_shown.elapsed() >= timeout);
            if is_timed_out {
                break;
            }
        }
        let is_short = wanted.is_none_or(|wanted| progress.shown < wanted);
        self.report(session, &progress, queue.dropped(), is_timed_out && is_short);
        let is_enough = progress.shown >= wanted.unwrap_or(1);
        let is_whole = !progress.is_impossible && progress.table.omitted().next().is_none();
        Ok(Outcome::found_if(is_enough && is_whole))
    }

    /// Reports lost, skipped and missing values.
    fn report(&self, session: &Session, progress: &Progress, skipped: u64, is_timed_out: bool) {
        let topic = escaped(&self.topic);
        let lost = progress.lost.saturating_sub(skipped);
        if skipped > 0 {
            print_stderr(&format!("cortex: {skipped} messages skipped: the output is too slow"));
        }
        if lost > 0 {
            print_stderr(&format!("cortex: {lost} messages lost"));
        }
        if let Some(path) = self.field.as_ref().filter(|_| progress.missing > 0) {
            let missing = progress.missing;
            print_stderr(&format!("cortex: {missing} messages on {topic} had no {path}"));
        }
        let omitted: Vec<_> = progress.table.omitted().take(10).collect();
        if !omitted.is_empty() {
            let omitted = escaped(&omitted.join(", "));
            print_stderr(&format!(
                "cortex: left out of the table, since the first message has no such values: {omitted}"
            ));
        }
        if is_timed_out {
            let timeout = session.timeout.unwrap_or_default();
            print_stderr(&format!("cortex: no message on {topic} for {timeout:?}"));
        }
    }

    fn show(
        &self,
        session: &Session,
        received: &ReceivedMessage,
        progress: &mut Progress,
    ) -> Result<()> {
        if self.raw {
            progress.shown += 1;
            return print(&frames_line(received.message.frames().skip(1)));
        }
        let payload = received.message.payload();
        let mut message = match AnyMessage::decode(&payload) {
            Ok(message) => message,
            Err(error) => {
                let topic = escaped(&self.topic);
                print_stderr(&format!("cortex: cannot decode a message on {topic}: {error}"));
                return Ok(());
            }
        };
        let is_same = |publisher: &&Topic| publisher.fingerprint == message.header.fingerprint;
        let publisher = progress.publishers.iter().find(is_same);
        message.registered = publisher.map(|publisher| publisher.message_type.clone());
        if let Some(path) = &self.field {
            match path.select(&message.fields, self.typed) {
                Ok(fields) => message.fields = fields,
                Err(error) => {
                    if message.info.is_none() && path.is_name_outside(&message.fields) {
                        return Err(numbered(&message));
                    }
                    progress.note_missing(path, &message, &error);
                    if !self.csv || progress.table.is_empty() {
                        return Ok(());
                    }
                    message.fields.clear();
                }
            }
        }
        progress.shown += 1;
        let arrays = match (self.full, self.no_arr) {
            (true, _) => Arrays::Full,
            (_, true) => Arrays::Shape,
            _ => Arrays::Summary,
        };
        if session.json {
            let form = if self.typed { Form::Typed } else { Form::Plain(arrays) };
            return print_json(&message.to_json(Some(&self.topic), form));
        }
        if self.csv {
            let header = &message.header;
            let (timestamp, sequence) = (header.timestamp_ns, header.sequence);
            let leading = [timestamp.to_string(), sequence.to_string(), received.node.to_string()];
            let lines = progress.table.lines(leading, &message.fields);
            return print(&lines.map_err(Failure::Failed)?);
        }
        let render = Render { paint: Paint::stdout(), arrays };
        if self.field.is_some() {
            let values = message.fields.iter().map(|(_, value)| render.value(*value));
            return print(&values.collect::<Vec<_>>().join("\n"));
        }
        let topic = match progress.is_shared {
            true => format!("{} of {}", escaped(&self.topic), escaped(&received.node)),
            false => escaped(&self.topic),
        };
        print(&render.message(&topic, &message, received.wall_ns))
    }
}

/// The error for the name of a field in a message that has only numbers.
fn numbered(message: &AnyMessage<'_>) -> Failure {
    let last = message.fields.len().saturating_sub(1);
    Failure::Usage(escaped(&format!(
        "{} is not a standard type, so its fields are numbered in their order: --field 0 to {last}",
        message.type_name()
    )))
}

impl Progress {
    /// Counts a message without the value at a path, and reports the first one.
    fn note_missing(&mut self, path: &FieldPath, message: &AnyMessage<'_>, error: &ValueError) {
        self.missing += 1;
        let ty = message.type_name();
        // All messages of a standard type have the same fields.
        if message.info.is_some() && !path.begins_in(&message.fields) {
            self.is_impossible = true;
            self.missing = 0;
            print_stderr(&escaped(&format!("cortex: {ty} has no {path}: {error}")));
        } else if self.missing == 1 {
            let sequence = message.header.sequence;
            print_stderr(&escaped(&format!(
                "cortex: message #{sequence} has no {path}: {error}; messages without it are skipped"
            )));
        }
    }
}
