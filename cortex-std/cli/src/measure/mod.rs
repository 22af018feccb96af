//! The common part of `hz`, `bw` and `delay`: receives topics concurrently, reads only headers, and
//! shows a table or lines once a second.

mod clock;
mod distribution;
mod meter;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cortex_std::discovery::{Client, DiscoveryError, Topic};
use serde_json::Value as Json;

use crate::candidates;
use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::listing::{self, by_name};
use crate::output::{Paint, escaped, print, print_json, print_stderr, print_wrapped};
use crate::session::{Session, seconds};
use crate::subscription;

pub(crate) use distribution::Distribution;
use meter::Sample;
pub(crate) use meter::{Meter, Sizes};
use table::{LiveTable, Row};

/// Time between two updates of the table.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest time between an interrupt and the end of the command.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two lookups of the publishers after one that failed: it may have waited long.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
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

/// A topic and a node that publishes it: each publisher has its own sequence numbers.
type Source = (Arc<str>, Arc<str>);
type Sources = BTreeMap<Source, SourceStats>;

/// The statistics of a source.
struct SourceStats {
    meter: Meter,
    /// The trend value of each of the last periods.
    history: Vec<f64>,
    /// Whether the daemon lists the publisher.
    is_registered: bool,
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
        let mut next_lookup = start;
        let mut last_received = start;
        let mut is_timed_out = false;
        while !interrupt.is_set() && end.is_none_or(|end| Instant::now() < end) && !is_timed_out {
            if next_lookup <= Instant::now() {
                // If the daemon does not answer, the known topics are still measured.
                let found = self.publishers(&mut client);
                let wait = if found.is_ok() { PERIOD } else { RETRY_INTERVAL };
                next_lookup = Instant::now() + wait;
                if let Ok(topics) = found {
                    for publishers in by_name(&topics).filter(|_| self.all) {
                        self.subscribe(session, publishers, &sender, &mut sources)?;
                    }
                    mark_registered(&mut sources, &topics);
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
                if table.is_resized() {
                    draw::<M>(&mut table, &sources, Instant::now())?;
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
        let new = || SourceStats {
            meter: Meter::new(window, Instant::now()),
            history: Vec::new(),
            is_registered: true,
        };
        sources.entry(source).or_insert_with(new)
    }

    /// The registered publishers of the measured topics, sorted by topic.
    fn publishers(&self, client: &mut Client) -> Result<Vec<Topic>, DiscoveryError> {
        if self.all {
            return listing::topics(client);
        }
        let mut topics = Vec::new();
        for name in &self.topics {
            topics.extend(client.look_up(name)?.into_iter().flat_map(|found| found.publishers));
        }
        Ok(topics)
    }
}

/// Notes which sources are still registered.
fn mark_registered(sources: &mut Sources, topics: &[Topic]) {
    let registered: HashSet<(&str, &str)> =
        topics.iter().map(|topic| (topic.name.as_str(), topic.publisher_node.as_str())).collect();
    for ((topic, node), stats) in sources {
        stats.is_registered = registered.contains(&(&**topic, &**node));
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
    let now = Instant::now();
    for (source, stats) in &mut *sources {
        if stats.history.len() == HISTORY_LEN {
            stats.history.remove(0);
        }
        stats.history.push(M::trend(&stats.meter, now));
        if session.json {
            print_json(&with_source(source, stats, false, M::to_json(&stats.meter, now), now))?;
        }
    }
    if session.json { Ok(()) } else { draw::<M>(table, sources, now) }
}

fn draw<M: Measurement>(table: &mut LiveTable, sources: &Sources, now: Instant) -> Result<()> {
    // A publisher that has ended leaves no row behind, only its line in the summary.
    let is_shown = |stats: &SourceStats| stats.is_registered || stats.meter.silence(now).is_none();
    let row = |(source, stats): (&Source, &SourceStats)| {
        let SourceStats { meter, history, .. } = stats;
        let cells = match (meter.silence(now), meter.received()) {
            (None, _) => Ok(M::cells(meter, now)),
            (Some(_), 0) => Err("no message yet".to_owned()),
            (Some(time), _) => Err(format!("silent for {} s", time.as_secs())),
        };
        let age_note = meter.clock().age_note().filter(|_| M::NEEDS_CLOCK);
        let note = meter.recent_step_note(now).or(age_note);
        Row { name: label(source, sources), cells, note, history: history.clone() }
    };
    let rows: Vec<_> = sources.iter().filter(|(_, stats)| is_shown(stats)).map(row).collect();
    table.show(M::TITLES, &rows)
}

fn summarize<M: Measurement>(session: &Session, sources: &Sources) -> Result<()> {
    let paint = Paint::stdout();
    let now = Instant::now();
    for (source, stats) in sources {
        let meter = &stats.meter;
        if session.json {
            print_json(&with_source(source, stats, true, M::summary_json(meter), now))?;
            continue;
        }
        let name = paint.name(&label(source, sources));
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
        let values = M::summary(meter);
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
    stats: &SourceStats,
    is_summary: bool,
    values: Json,
    now: Instant,
) -> Json {
    let meter = &stats.meter;
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
        "registered": stats.is_registered,
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
        let stats = || SourceStats {
            meter: Meter::new(2, Instant::now()),
            history: Vec::new(),
            is_registered: true,
        };
        let source = |node: &str| -> Source { ("/t".into(), node.into()) };
        let mut sources = Sources::from([(source("pub_1"), stats()), (source("pub_2"), stats())]);
        let topic = |node: &str| Topic {
            name: "/t".to_owned(),
            address: "ipc:///t".to_owned(),
            message_type: "T".to_owned(),
            fingerprint: 1,
            publisher_node: node.to_owned(),
        };
        mark_registered(&mut sources, &[topic("pub_2")]);
        let marks: Vec<_> = sources.values().map(|stats| stats.is_registered).collect();
        assert_eq!(marks, [false, true]);
    }
}
