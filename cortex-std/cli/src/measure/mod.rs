//! The common part of `hz`, `bw` and `delay`: receives topics concurrently, reads only headers, and
//! shows a table or lines once a second.

mod clock;
mod distribution;
mod meter;
mod sources;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cortex_std::discovery::Topic;
use serde_json::Value as Json;

use crate::candidates;
use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::listing::by_name;
use crate::lookup;
use crate::output::{Paint, escaped, print, print_json, print_stderr, print_wrapped};
use crate::session::{Session, seconds};
use crate::subscription;

pub(crate) use distribution::{Distribution, Sizes};
pub(crate) use meter::Meter;
use meter::Sample;
use sources::{Meters, SharedMeter, Source};
use table::{LiveTable, Row};

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
    #[arg(required_unless_present = "all", value_parser = crate::input::topic_name, add = ArgValueCandidates::new(candidates::topics))]
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
    /// Whether the values need the publisher's clock.
    const NEEDS_CLOCK: bool;
    /// The values over the window, one for each title.
    fn cells(meter: &Meter, now: Instant) -> Vec<String>;
    /// The value of the last second, for the sparkline.
    fn trend(meter: &Meter, now: Instant) -> f64;
    /// The values over the window as JSON.
    fn to_json(meter: &Meter, now: Instant) -> Json;
    /// The values over all messages as one line.
    fn summary(meter: &Meter) -> String;
    /// The values over all messages as JSON.
    fn summary_json(meter: &Meter) -> Json;
}

/// State of each source beside its meter.
#[derive(Debug, Default)]
struct View {
    /// The trend value of each of the last periods.
    histories: BTreeMap<Source, Vec<f64>>,
    /// The sources that the daemon listed last; `None` before its first answer.
    registered: Option<HashSet<Source>>,
}

impl MeasureArgs {
    /// Measures until Ctrl-C, `--duration` or `--timeout`.
    pub(crate) fn run<M: Measurement>(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let meters = Meters::new(usize::try_from(self.window).unwrap_or(usize::MAX));
        for name in &self.topics {
            subscribe(session, &session.topic(name)?.publishers, &meters)?;
        }
        let mut client = session.client()?;
        if self.all && client.list()?.is_empty() {
            print_stderr("cortex: no topic is registered yet");
        }
        let lookups = lookup::start(client, self.topics.clone())?;
        let mut view = View::default();
        let mut table = LiveTable::new(Paint::stdout());
        let start = Instant::now();
        let end = self.duration.and_then(|duration| start.checked_add(duration));
        let mut next = start + PERIOD;
        let mut is_timed_out = false;
        while !interrupt.is_set() && end.is_none_or(|end| Instant::now() < end) && !is_timed_out {
            let left = end.map_or(next, |end| end.min(next));
            interrupt.wait(left.saturating_duration_since(Instant::now()).min(POLL_INTERVAL));
            // If the daemon does not answer, the known topics are still measured.
            while let Ok(topics) = lookups.try_recv() {
                for publishers in by_name(&topics).filter(|_| self.all) {
                    subscribe(session, publishers, &meters)?;
                }
                view.registered = Some(topics.iter().map(source_of).collect());
            }
            let last_received = meters.last_received().unwrap_or(start);
            is_timed_out =
                session.timeout.is_some_and(|timeout| last_received.elapsed() >= timeout);
            if next <= Instant::now() {
                show::<M>(session, &mut table, &meters, &mut view)?;
                // Missed updates are skipped.
                next = (next + PERIOD).max(Instant::now());
            } else if table.is_resized() {
                draw::<M>(&mut table, &meters, &view)?;
            }
        }
        table.end();
        let sources = meters.all();
        summarize::<M>(session, &meters, &view)?;
        if sources.is_empty() {
            return Err(Failure::Failed("no topic is registered".to_owned()));
        }
        let is_silent = sources.iter().any(|(_, meter)| meter.lock().received() == 0);
        let is_lossy = sources.iter().any(|(_, meter)| meter.lock().lost() > 0);
        // With --all some topics may be silent.
        Ok(Outcome::found_if((self.all || !is_silent) && !is_lossy))
    }
}

/// Subscribes to a topic, unless this has been done.
fn subscribe(session: &Session, publishers: &[Topic], meters: &Meters) -> Result<()> {
    let Some(Topic { name, .. }) = publishers.first() else { return Ok(()) };
    if meters.has_topic(name) {
        return Ok(());
    }
    for publisher in publishers {
        meters.meter(&source_of(publisher));
    }
    let name: Arc<str> = name.as_str().into();
    let meters = meters.clone();
    subscription::receive(publishers, &session.discovery, move |received| {
        let sample = Sample {
            at: received.at,
            wall_ns: received.wall_ns,
            header: received.header(),
            len: received.message.len(),
        };
        meters.record(&(Arc::clone(&name), received.node), sample);
    })
}

fn source_of(topic: &Topic) -> Source {
    (topic.name.as_str().into(), topic.publisher_node.as_str().into())
}

impl View {
    fn is_registered(&self, source: &Source) -> bool {
        self.registered.as_ref().is_none_or(|registered| registered.contains(source))
    }
}

/// The label of a source: its topic, and its node if the topic has several.
fn label((topic, node): &Source, sources: &[(Source, SharedMeter)]) -> String {
    match sources.iter().filter(|((other, _), _)| other == topic).count() {
        0 | 1 => escaped(topic),
        _ => format!("{} of {}", escaped(topic), escaped(node)),
    }
}

fn show<M: Measurement>(
    session: &Session,
    table: &mut LiveTable,
    meters: &Meters,
    view: &mut View,
) -> Result<()> {
    let now = Instant::now();
    for (source, meter) in meters.all() {
        let trend = M::trend(&meter.lock(), now);
        let history = view.histories.entry(source.clone()).or_default();
        if history.len() == HISTORY_LEN {
            history.remove(0);
        }
        history.push(trend);
        if session.json {
            // The meter is free again when the output waits.
            let object = {
                let meter = meter.lock();
                let values = M::to_json(&meter, now);
                with_source(&source, &meter, view.is_registered(&source), false, values, now)
            };
            print_json(&object)?;
        }
    }
    if session.json { Ok(()) } else { draw::<M>(table, meters, view) }
}

fn draw<M: Measurement>(table: &mut LiveTable, meters: &Meters, view: &View) -> Result<()> {
    let now = Instant::now();
    let sources = meters.all();
    let row = |(source, meter): &(Source, SharedMeter)| {
        let meter = meter.lock();
        let silence = meter.silence(now);
        // A publisher that has ended leaves no row behind, only its line in the summary.
        if !view.is_registered(source) && silence.is_some() {
            return None;
        }
        let cells = match (silence, meter.received()) {
            (None, _) => Ok(M::cells(&meter, now)),
            (Some(_), 0) => Err("no message yet".to_owned()),
            (Some(time), _) => Err(format!("silent for {} s", time.as_secs())),
        };
        let age_note = meter.clock().age_note().filter(|_| M::NEEDS_CLOCK);
        let note = meter.recent_step_note(now).or(age_note);
        let history = view.histories.get(source).cloned().unwrap_or_default();
        Some(Row { name: label(source, &sources), cells, note, history })
    };
    let rows: Vec<_> = sources.iter().filter_map(row).collect();
    table.show(M::TITLES, &rows)
}

fn summarize<M: Measurement>(session: &Session, meters: &Meters, view: &View) -> Result<()> {
    let paint = Paint::stdout();
    let now = Instant::now();
    let sources = meters.all();
    for (source, meter) in &sources {
        let meter = meter.lock();
        if session.json {
            let values = M::summary_json(&meter);
            let is_registered = view.is_registered(source);
            print_json(&with_source(source, &meter, is_registered, true, values, now))?;
            continue;
        }
        let name = paint.name(&label(source, &sources));
        if meter.received() == 0 {
            print(&format!("{name}: no message"))?;
            continue;
        }
        let lost = match meter.lost() {
            0 => paint.good("lost none"),
            lost => paint.bad(&format!("lost {lost} ({})", percent(meter.loss()))),
        };
        let restarts = match meter.restarts() {
            0 => String::new(),
            restarts => format!(", {restarts} restarts"),
        };
        let (received, seconds) = (meter.received(), meter.seconds());
        let values = M::summary(&meter);
        let age_note = meter.clock().age_note().filter(|_| M::NEEDS_CLOCK);
        let notes = [meter.clock().steps_note(), age_note];
        let notes: String = notes.iter().flatten().map(|note| format!(", {note}")).collect();
        let text = format!(
            "{name}: {received} messages in {seconds:.1} s, {lost}{restarts}, {values}{}",
            paint.warning(&notes)
        );
        print_wrapped(&text, 2)?;
        if meter.malformed() > 0 {
            print_stderr(&format!("cortex: {} messages had no valid header", meter.malformed()));
        }
    }
    Ok(())
}

/// The JSON object of a source: the entries of all three commands, and the command's own `values`.
fn with_source(
    (topic, node): &Source,
    meter: &Meter,
    is_registered: bool,
    is_summary: bool,
    values: Json,
    now: Instant,
) -> Json {
    let clock = meter.clock();
    let silence = meter.silence(now).unwrap_or_default();
    let seconds = |ns: i128| ns as f64 / 1e9;
    let step = |steps: clock::Steps| (steps.count > 0).then(|| seconds(steps.last_ns));
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
        "silent_s": silence.as_secs_f64(),
        "registered": is_registered,
        "clock": clock.state(),
        "clock_steps": clock.publisher_steps().count,
        "clock_step_s": step(clock.publisher_steps()),
        "local_clock_steps": clock.local_steps().count,
        "local_clock_step_s": step(clock.local_steps()),
    });
    if let (Some(object), Json::Object(values)) = (object.as_object_mut(), values) {
        object.extend(values);
    }
    object
}

/// A part as a percentage; one that is not zero does not become zero.
pub(crate) fn percent(part: f64) -> String {
    match part * 100.0 {
        percent if percent > 0.0 && percent < 0.005 => "<0.01 %".to_owned(),
        percent => format!("{percent:.2} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_loss_is_not_shown_as_none() {
        for (part, text) in [
            (0.0, "0.00 %"),
            (1e-6, "<0.01 %"),
            (1e-4, "0.01 %"),
            (0.5, "50.00 %"),
            (1.0, "100.00 %"),
        ] {
            assert_eq!(percent(part), text);
        }
    }

    #[test]
    fn only_registered_publishers_are_marked_so() {
        let source = |node: &str| -> Source { ("/t".into(), node.into()) };
        let mut view = View::default();
        assert!(view.is_registered(&source("pub_1")));
        view.registered = Some(HashSet::from([source("pub_2")]));
        let marks = ["pub_1", "pub_2"].map(|node| view.is_registered(&source(node)));
        assert_eq!(marks, [false, true]);
    }
}
