//! `cortex topic echo`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::wire::Value;
use cortex_std::{SequenceTracker, Step};

use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::message::{AnyMessage, Form, frames_line};
use crate::output::{Paint, note, safe, say, say_json};
use crate::plain::{self, Arrays};
use crate::render::Render;
use crate::session::Session;
use crate::tap::{self, Arrival, Backlog};

/// How soon an interrupt is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// Show the messages of a topic as they come.
///
/// No type is needed: messages describe themselves. Known types show the names of their fields, of
/// others the fields are numbered. Of an array dtype, shape, min, max, mean and the first items are
/// shown.
///
/// Messages are received as fast as they come; where showing them is slower, the oldest ones are
/// skipped, which is told at the end, and no publisher is held up.
///
/// A topic that is not there yet is waited for with --timeout, which also limits the wait for each
/// message. Exit code 1 where fewer messages came than -n asked for, or none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex topic echo /chatter\n  \
    cortex topic echo --once /cam/frame\n  \
    cortex topic echo --field data.gains.kp /config\n  \
    cortex topic echo --csv --field position /pose > pose.csv\n  \
    cortex topic echo --json --typed -n 10 /pose | jq .fields\n  \
    cortex topic echo --raw -n 100 /pose | cortex decode")]
pub(crate) struct Echo {
    /// The topic.
    topic: String,
    /// End after the first message.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// End after so many messages.
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Show this field alone: names of fields and keys, numbers of list items, with dots between.
    #[arg(long, value_name = "PATH")]
    field: Option<String>,
    /// Show all items of arrays, and long texts in full.
    #[arg(long, visible_alias = "full-length", conflicts_with = "no_arr")]
    full: bool,
    /// Do not show what is in arrays.
    #[arg(long)]
    no_arr: bool,
    /// Show values with commas between, one message a line; all items of arrays.
    #[arg(long, conflicts_with_all = ["json", "raw", "full"])]
    csv: bool,
    /// Show the frames as hex, as `cortex decode` reads them.
    #[arg(long, conflicts_with_all = ["json", "field", "full", "no_arr"])]
    raw: bool,
    /// With --json: values in the notation that loses nothing.
    #[arg(long, conflicts_with_all = ["csv", "raw", "full", "no_arr"])]
    typed: bool,
}

/// What was seen, for the exit code and for what is told at the end.
#[derive(Default)]
struct Seen {
    shown: u64,
    lost: u64,
    is_field_missing: bool,
    /// By several nodes.
    is_shared: bool,
}

impl Echo {
    pub(crate) fn run(&self, session: &Session) -> Result {
        if self.typed && !session.json {
            return Err(Failure::Usage("--typed goes with --json".to_owned()));
        }
        let interrupt = Interrupt::get();
        let publishers = session.topic(&self.topic)?.publishers;
        let backlog = Backlog::new();
        let waiting = backlog.clone();
        tap::open(&publishers, &session.discovery, move |arrival| waiting.push(arrival))?;

        let wanted = if self.once { Some(1) } else { self.count };
        let mut trackers = HashMap::<Arc<str>, SequenceTracker>::new();
        let mut seen = Seen::default();
        let mut is_late = false;
        let mut heard = Instant::now();
        while !interrupt.is_set()
            && !seen.is_field_missing
            && wanted.is_none_or(|wanted| seen.shown < wanted)
        {
            let Some(arrival) = backlog.pop(LOOK) else {
                is_late = session.timeout.is_some_and(|timeout| heard.elapsed() >= timeout);
                if is_late {
                    break;
                }
                continue;
            };
            heard = Instant::now();
            if let Some(header) = arrival.header()
                && let Step::Lost(count) =
                    trackers.entry(Arc::clone(&arrival.node)).or_default().step(&header)
            {
                seen.lost = seen.lost.saturating_add(count);
            }
            seen.is_shared = publishers.len().max(trackers.len()) > 1;
            self.show(session, &arrival, &mut seen)?;
        }

        let skipped = backlog.skipped();
        let lost = seen.lost.saturating_sub(skipped);
        if skipped > 0 {
            note(&format!("cortex: {skipped} messages came faster than they were shown"));
        }
        if lost > 0 {
            note(&format!("cortex: {lost} messages were lost"));
        }
        if is_late && wanted.is_none_or(|wanted| seen.shown < wanted) {
            let timeout = session.timeout.unwrap_or_default();
            note(&format!("cortex: no message on {} for {timeout:?}", self.topic));
        }
        let is_enough = seen.shown >= wanted.unwrap_or(1);
        Ok(Outcome::found_if(is_enough && !seen.is_field_missing))
    }

    fn show(&self, session: &Session, arrival: &Arrival, seen: &mut Seen) -> Result<()> {
        if self.raw {
            seen.shown += 1;
            return say(&frames_line(arrival.message.frames().skip(1)));
        }
        let payload = arrival.message.payload();
        let mut message = match AnyMessage::read(&payload) {
            Ok(message) => message,
            Err(error) => {
                note(&format!("cortex: a message on {} cannot be read: {error}", self.topic));
                return Ok(());
            }
        };
        seen.shown += 1;
        if let Some(path) = &self.field {
            match field(&message, path) {
                Some(value) => message.fields = vec![(path.clone().into(), value)],
                None => {
                    let names: Vec<_> =
                        message.fields.iter().map(|(name, _)| name.as_ref()).collect();
                    let (ty, names) = (message.type_name(), names.join(", "));
                    note(&format!("cortex: {ty} has no field {path}, but {names}"));
                    seen.is_field_missing = true;
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
            return say_json(&message.to_json(Some(&self.topic), form));
        }
        if self.csv {
            let arrays = if self.no_arr { Arrays::Shape } else { Arrays::Full };
            let values = message.fields.iter().map(|(_, value)| *value);
            return say(&plain::csv(values, arrays));
        }
        let render = Render { paint: Paint::stdout(), arrays };
        if self.field.is_some() {
            let values = message.fields.iter().map(|(_, value)| render.value(*value));
            return say(&values.collect::<Vec<_>>().join("\n"));
        }
        let topic = match seen.is_shared {
            true => format!("{} of {}", safe(&self.topic), safe(&arrival.node)),
            false => safe(&self.topic),
        };
        say(&render.message(&topic, &message, arrival.wall_ns))
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
