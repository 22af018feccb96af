//! `cortex topic echo`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::wire::Value;
use cortex_std::{SequenceTracker, Step};

use crate::csv;
use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::message::{AnyMessage, Form, frames_line};
use crate::output::{Paint, escaped, print, print_json, print_stderr};
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
/// and first items.
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
    cortex topic echo --csv --field position /pose > pose.csv\n  \
    cortex topic echo --json --typed -n 10 /pose | jq .fields\n  \
    cortex topic echo --raw -n 100 /pose | cortex decode")]
pub(crate) struct Echo {
    /// Name of the topic.
    topic: String,
    /// End after the first message.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// End after COUNT messages.
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Show only this field; PATH is field names, map keys and list indices, separated by dots.
    #[arg(long, value_name = "PATH")]
    field: Option<String>,
    /// Show all items of arrays, and long text in full.
    #[arg(long, visible_alias = "full-length", conflicts_with = "no_arr")]
    full: bool,
    /// Show only dtype and shape of arrays.
    #[arg(long)]
    no_arr: bool,
    /// Show messages as comma-separated values, one per line, with all items of arrays.
    #[arg(long, conflicts_with_all = ["json", "raw", "full"])]
    csv: bool,
    /// Show the frames as hex, as `cortex decode` reads them.
    #[arg(long, conflicts_with_all = ["json", "field", "full", "no_arr"])]
    raw: bool,
    /// With --json, show values as typed JSON, which is lossless.
    #[arg(long, conflicts_with_all = ["csv", "raw", "full", "no_arr"])]
    typed: bool,
}

/// The state of the command, for the exit code and the final notes.
#[derive(Default)]
struct Progress {
    shown: u64,
    lost: u64,
    is_field_missing: bool,
    /// Whether several nodes publish the topic.
    is_shared: bool,
}

impl Echo {
    pub(crate) fn run(&self, session: &Session) -> Result {
        if self.typed && !session.json {
            return Err(Failure::Usage("--typed requires --json".to_owned()));
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
        let mut progress = Progress::default();
        let mut is_timed_out = false;
        let mut last_received = Instant::now();
        while !interrupt.is_set()
            && !progress.is_field_missing
            && wanted.is_none_or(|wanted| progress.shown < wanted)
        {
            let Some(received) = queue.pop(POLL_INTERVAL) else {
                is_timed_out =
                    session.timeout.is_some_and(|timeout| last_received.elapsed() >= timeout);
                if is_timed_out {
                    break;
                }
                continue;
            };
            last_received = Instant::now();
            if let Some(header) = received.header()
                && let Step::Lost(count) =
                    trackers.entry(Arc::clone(&received.node)).or_default().step(&header)
            {
                progress.lost = progress.lost.saturating_add(count);
            }
            progress.is_shared = publishers.len().max(trackers.len()) > 1;
            self.show(session, &received, &mut progress)?;
        }

        let skipped = queue.dropped();
        let lost = progress.lost.saturating_sub(skipped);
        if skipped > 0 {
            print_stderr(&format!("cortex: {skipped} messages skipped: the output is too slow"));
        }
        if lost > 0 {
            print_stderr(&format!("cortex: {lost} messages lost"));
        }
        if is_timed_out && wanted.is_none_or(|wanted| progress.shown < wanted) {
            let timeout = session.timeout.unwrap_or_default();
            print_stderr(&format!("cortex: no message on {} for {timeout:?}", self.topic));
        }
        let is_enough = progress.shown >= wanted.unwrap_or(1);
        Ok(Outcome::found_if(is_enough && !progress.is_field_missing))
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
                let topic = &self.topic;
                print_stderr(&format!("cortex: cannot decode a message on {topic}: {error}"));
                return Ok(());
            }
        };
        progress.shown += 1;
        if let Some(path) = &self.field {
            match field(&message, path) {
                Some(value) => message.fields = vec![(path.clone().into(), value)],
                None => {
                    let names: Vec<_> =
                        message.fields.iter().map(|(name, _)| name.as_ref()).collect();
                    let (ty, names) = (message.type_name(), names.join(", "));
                    print_stderr(&format!("cortex: {ty} has no field {path}; it has {names}"));
                    progress.is_field_missing = true;
                    return Ok(());
                }
            }
        }
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
            let arrays = if self.no_arr { Arrays::Shape } else { Arrays::Full };
            let values = message.fields.iter().map(|(_, value)| *value);
            return print(&csv::record(values, arrays));
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

/// The value at a path such as `data.gains.0`.
fn field<'a>(message: &AnyMessage<'a>, path: &str) -> Option<Value<'a>> {
    let mut steps = path.split('.');
    let first = steps.next()?;
    let at = first.parse::<usize>().ok();
    let named = message.fields.iter().position(|(name, _)| name == first);
    let mut value = message.fields.get(named.or(at)?)?.1;
    for step in steps {
        value = match value {
            Value::Map(map) => map.get(step)?,
            Value::List(list) => list.get(step.parse().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}
