//! The common part of `hz`, `bw` and `delay`: receives topics concurrently, reads only headers, and
//! shows a table or lines once a second.

mod meter;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::listing::{self, by_name};
use crate::output::{Paint, escaped, print, print_json, print_stderr, print_wrapped};
use crate::session::{Session, seconds};
use crate::subscription;

use meter::Sample;
pub(crate) use meter::{Distribution, Meter};
use table::LiveTable;

/// Time between two updates of the table.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest time between an interrupt and the end of the command.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Length of a sparkline, in periods.
const HISTORY_LEN: usize = 30;

/// Arguments of the three commands.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// Names of the topics.
    #[arg(required_unless_present = "all")]
    topics: Vec<String>,
    /// Measure all topics, including those that are registered later.
    #[arg(short, long, conflicts_with = "topics")]
    all: bool,
    /// Length of the window over which values are computed, in messages.
    #[arg(short, long, value_name = "MESSAGES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    window: u32,
    /// End after so many seconds; by default on Ctrl-C.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
}

/// The values that one of the three commands shows.
pub(crate) trait Measurement {
    /// Titles of the columns after the topic.
    const TITLES: &'static [&'static str];
    /// The values over the window, one for each title.
    fn cells(meter: &Meter) -> Vec<String>;
    /// The value of the last second, for the sparkline.
    fn trend(meter: &Meter) -> f64;
    /// The values over the window as JSON.
    fn to_json(meter: &Meter) -> Json;
    /// The values over all messages as one line.
    fn summary(meter: &Meter) -> String;
    /// The values over all messages as JSON.
    fn summary_json(meter: &Meter) -> Json;
}

/// A topic and a node that publishes it: each publisher has its own sequence numbers.
type Source = (Arc<str>, Arc<str>);
type Sources = BTreeMap<Source, SourceStats>;

/// The statistics of a source.
struct SourceStats {
    meter: Meter,
    /// The trend value of each of the last periods.
    history: Vec<f64>,
}

impl MeasureArgs {
    /// Measures until Ctrl-C, `--duration` or `--timeout`.
    pub(crate) fn run<M: Measurement>(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let (sender, samples) = channel();
        let mut sources = Sources::new();
        for name in &self.topics {
            let publishers = session.topic(name)?.publishers;
            self.subscribe(session, &publishers, &sender, &mut sources)?;
        }
        let mut client = session.client()?;
        if self.all && client.list()?.is_empty() {
            print_stderr("cortex: no topic is registered yet");
        }
        let mut table = LiveTable::new(Paint::stdout());
        let start = Instant::now();
        let end = self.duration.and_then(|duration| start.checked_add(duration));
        let mut next = start;
        let mut last_received = start;
        let mut is_timed_out = false;
        while !interrupt.is_set() && end.is_none_or(|end| Instant::now() < end) && !is_timed_out {
            if self.all && next <= Instant::now() {
                // If the daemon does not answer, the known topics are still measured.
                for publishers in by_name(&listing::topics(&mut client).unwrap_or_default()) {
                    self.subscribe(session, publishers, &sender, &mut sources)?;
                }
            }
            next += PERIOD;
            let until = end.map_or(next, |end| end.min(next));
            while !interrupt.is_set()
                && let Some(left) = until.checked_duration_since(Instant::now())
            {
                match samples.recv_timeout(left.min(POLL_INTERVAL)) {
                    Ok((source, sample)) => {
                        last_received = Instant::now();
                        self.stats(&mut sources, source).meter.record(sample);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            is_timed_out =
                session.timeout.is_some_and(|timeout| last_received.elapsed() >= timeout);
            if next <= Instant::now() {
                show::<M>(session, &mut table, &mut sources)?;
                // Missed updates are skipped.
                next = next.max(Instant::now());
            }
        }
        table.end();
        summarize::<M>(session, &sources)?;
        if sources.is_empty() {
            return Err(Failure::Failed("no topic is registered".to_owned()));
        }
        let is_silent = sources.values().any(|stats| stats.meter.received() == 0);
        let is_lossy = sources.values().any(|stats| stats.meter.lost() > 0);
        // With --all some topics may be silent.
        Ok(Outcome::found_if((self.all || !is_silent) && !is_lossy))
    }

    /// Subscribes to a topic, unless this has been done.
    fn subscribe(
        &self,
        session: &Session,
        publishers: &[Topic],
        sender: &Sender<(Source, Sample)>,
        sources: &mut Sources,
    ) -> Result<()> {
        let Some(Topic { name, .. }) = publishers.first() else { return Ok(()) };
        if sources.keys().any(|(topic, _)| **topic == **name) {
            return Ok(());
        }
        let name: Arc<str> = name.as_str().into();
        for publisher in publishers {
            self.stats(sources, (Arc::clone(&name), publisher.publisher_node.as_str().into()));
        }
        let sender = sender.clone();
        subscription::receive(publishers, &session.discovery, move |received| {
            let sample = Sample {
                at: received.at,
                wall_ns: received.wall_ns,
                header: received.header(),
                len: received.message.len(),
            };
            // Fails while the command ends and the receiver is dropped.
            let _ = sender.send(((Arc::clone(&name), received.node), sample));
        })
    }

    /// The statistics of a source, which may be new.
    fn stats<'s>(&self, sources: &'s mut Sources, source: Source) -> &'s mut SourceStats {
        let window = usize::try_from(self.window).unwrap_or(usize::MAX);
        let new = || SourceStats { meter: Meter::new(window), history: Vec::new() };
        sources.entry(source).or_insert_with(new)
    }
}

/// The label of a source: its topic, and its node if the topic has several.
fn label((topic, node): &Source, sources: &Sources) -> String {
    match sources.keys().filter(|(other, _)| other == topic).count() {
        0 | 1 => escaped(topic),
        _ => format!("{} of {}", escaped(topic), escaped(node)),
    }
}

fn show<M: Measurement>(
    session: &Session,
    table: &mut LiveTable,
    sources: &mut Sources,
) -> Result<()> {
    for (source, SourceStats { meter, history }) in &mut *sources {
        if history.len() == HISTORY_LEN {
            history.remove(0);
        }
        history.push(M::trend(meter));
        if session.json {
            print_json(&with_source(source, meter, false, M::to_json(meter)))?;
        }
    }
    if session.json {
        return Ok(());
    }
    let rows = sources.iter().map(|(source, SourceStats { meter, history })| {
        let cells = match meter.silence() {
            None => Ok(M::cells(meter)),
            Some(None) => Err("no message yet".to_owned()),
            Some(Some(time)) => Err(format!("silent for {} s", time.as_secs())),
        };
        (label(source, sources), cells, history.as_slice())
    });
    table.show(M::TITLES, rows)
}

fn summarize<M: Measurement>(session: &Session, sources: &Sources) -> Result<()> {
    let paint = Paint::stdout();
    for (source, SourceStats { meter, .. }) in sources {
        if session.json {
            print_json(&with_source(source, meter, true, M::summary_json(meter)))?;
            continue;
        }
        let name = paint.name(&label(source, sources));
        if meter.received() == 0 {
            print(&format!("{name}: no message"))?;
            continue;
        }
        let lost = match meter.lost() {
            0 => paint.good("lost none"),
            lost => paint.bad(&format!("lost {lost} ({:.2} %)", meter.loss() * 100.0)),
        };
        let restarts = match meter.restarts() {
            0 => String::new(),
            restarts => format!(", {restarts} restarts"),
        };
        let (received, seconds) = (meter.received(), meter.seconds());
        let values = M::summary(meter);
        let text =
            format!("{name}: {received} messages in {seconds:.1} s, {lost}{restarts}, {values}");
        print_wrapped(&text, 2)?;
        if meter.malformed() > 0 {
            print_stderr(&format!("cortex: {} messages had no valid header", meter.malformed()));
        }
    }
    Ok(())
}

/// The JSON object of a source: the entries of all three commands, and the command's own `values`.
fn with_source((topic, node): &Source, meter: &Meter, is_summary: bool, values: Json) -> Json {
    let mut object = serde_json::json!({
        "topic": &**topic,
        "node": &**node,
        "summary": is_summary,
        "received": meter.received(),
        "lost": meter.lost(),
        "loss": meter.loss(),
        "restarts": meter.restarts(),
        "malformed": meter.malformed(),
        "seconds": meter.seconds(),
    });
    if let (Some(object), Json::Object(values)) = (object.as_object_mut(), values) {
        object.extend(values);
    }
    object
}
