//! What `hz`, `bw` and `delay` share: topics are received side by side, only headers are read, and
//! once a second the numbers are shown.

mod meter;
mod screen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::output::{Paint, note, safe, say, say_json, say_long};
use crate::session::{Session, by_name, seconds, topics};
use crate::tap;

use meter::Sample;
pub(crate) use meter::{Meter, Spread};
use screen::Screen;

/// How often numbers are shown.
const PERIOD: Duration = Duration::from_secs(1);
/// How soon an interrupt is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// Numbers of the past that a sparkline shows.
const PAST: usize = 30;

/// What the three commands are asked alike.
#[derive(Debug, Args)]
pub(crate) struct Measuring {
    /// The topics.
    #[arg(required_unless_present = "all")]
    topics: Vec<String>,
    /// All topics, those that come later too.
    #[arg(short, long, conflicts_with = "topics")]
    all: bool,
    /// Show numbers over so many last messages.
    #[arg(short, long, value_name = "MESSAGES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    window: u32,
    /// End after so many seconds; else with Ctrl-C.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
}

/// One of the three commands: what it shows of a topic.
pub(crate) trait Gauge {
    /// Titles of the columns, behind the topic.
    const TITLES: &'static [&'static str];
    /// The numbers over the window, a text for each title.
    fn cells(meter: &Meter) -> Vec<String>;
    /// The number of the last second, whose past is drawn.
    fn trend(meter: &Meter) -> f64;
    /// The numbers over the window for programs.
    fn to_json(meter: &Meter) -> Json;
    /// The numbers over everything, in a line.
    fn summary(meter: &Meter) -> String;
    /// The numbers over everything for programs.
    fn summary_json(meter: &Meter) -> Json;
}

/// A topic and the node that publishes it: numbers count for each.
type Source = (Arc<str>, Arc<str>);
type Watched = BTreeMap<Source, Track>;

/// What is known of a source.
struct Track {
    meter: Meter,
    past: Vec<f64>,
}

impl Measuring {
    /// Measures until it is told to end.
    pub(crate) fn run<G: Gauge>(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let (sender, samples) = channel();
        let mut watched = Watched::new();
        for name in &self.topics {
            let publishers = session.topic(name)?.publishers;
            self.watch(session, &publishers, &sender, &mut watched)?;
        }
        let mut client = session.client()?;
        if self.all && client.list()?.is_empty() {
            note("cortex: there is no topic yet");
        }
        let mut screen = Screen::new(Paint::stdout());
        let start = Instant::now();
        let end = self.duration.and_then(|duration| start.checked_add(duration));
        let mut next = start;
        let mut heard = start;
        let mut is_late = false;
        while !interrupt.is_set() && end.is_none_or(|end| Instant::now() < end) && !is_late {
            if self.all && next <= Instant::now() {
                // A daemon that is gone for a while changes nothing for those who are known.
                for publishers in by_name(&topics(&mut client).unwrap_or_default()) {
                    self.watch(session, publishers, &sender, &mut watched)?;
                }
            }
            next += PERIOD;
            let until = end.map_or(next, |end| end.min(next));
            while !interrupt.is_set()
                && let Some(left) = until.checked_duration_since(Instant::now())
            {
                match samples.recv_timeout(left.min(LOOK)) {
                    Ok((source, sample)) => {
                        heard = Instant::now();
                        self.track(&mut watched, source).meter.take(sample);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            is_late = session.timeout.is_some_and(|timeout| heard.elapsed() >= timeout);
            if next <= Instant::now() {
                show::<G>(session, &mut screen, &mut watched)?;
                // What was missed is not made up for.
                next = next.max(Instant::now());
            }
        }
        screen.leave();
        summarize::<G>(session, &watched)?;
        // Of all topics some may rest.
        let is_silent = watched.values().any(|watched| watched.meter.received() == 0);
        let is_lossy = watched.values().any(|watched| watched.meter.lost() > 0);
        if watched.is_empty() {
            return Err(Failure::Failed("there is no topic".to_owned()));
        }
        Ok(Outcome::found_if((self.all || !is_silent) && !is_lossy))
    }

    fn watch(
        &self,
        session: &Session,
        publishers: &[Topic],
        sender: &Sender<(Source, Sample)>,
        watched: &mut Watched,
    ) -> Result<()> {
        let Some(Topic { name, .. }) = publishers.first() else { return Ok(()) };
        if watched.keys().any(|(topic, _)| **topic == **name) {
            return Ok(());
        }
        let name: Arc<str> = name.as_str().into();
        for publisher in publishers {
            self.track(watched, (Arc::clone(&name), publisher.publisher_node.as_str().into()));
        }
        let sender = sender.clone();
        tap::open(publishers, &session.discovery, move |arrival| {
            let sample = Sample {
                at: arrival.at,
                wall_ns: arrival.wall_ns,
                header: arrival.header(),
                len: arrival.message.len(),
            };
            // Nobody takes it where the command is ending.
            let _ = sender.send(((Arc::clone(&name), arrival.node), sample));
        })
    }

    fn track<'w>(&self, watched: &'w mut Watched, source: Source) -> &'w mut Track {
        let window = usize::try_from(self.window).unwrap_or(usize::MAX);
        let new = || Track { meter: Meter::new(window), past: Vec::new() };
        watched.entry(source).or_insert_with(new)
    }
}

/// What a source is called: its topic, and its node where the topic has several.
fn label((topic, node): &Source, watched: &Watched) -> String {
    match watched.keys().filter(|(other, _)| other == topic).count() {
        0 | 1 => safe(topic),
        _ => format!("{} of {}", safe(topic), safe(node)),
    }
}

fn show<G: Gauge>(session: &Session, screen: &mut Screen, watched: &mut Watched) -> Result<()> {
    for (source, Track { meter, past }) in &mut *watched {
        if past.len() == PAST {
            past.remove(0);
        }
        past.push(G::trend(meter));
        if session.json {
            say_json(&with_source(source, meter, false, G::to_json(meter)))?;
        }
    }
    if session.json {
        return Ok(());
    }
    let rows = watched.iter().map(|(source, Track { meter, past })| {
        let cells = match meter.silence() {
            None => Ok(G::cells(meter)),
            Some(None) => Err("no message yet".to_owned()),
            Some(Some(time)) => Err(format!("silent for {} s", time.as_secs())),
        };
        (label(source, watched), cells, past.as_slice())
    });
    screen.show(G::TITLES, rows)
}

fn summarize<G: Gauge>(session: &Session, watched: &Watched) -> Result<()> {
    let paint = Paint::stdout();
    for (source, Track { meter, .. }) in watched {
        if session.json {
            say_json(&with_source(source, meter, true, G::summary_json(meter)))?;
            continue;
        }
        let name = paint.name(&label(source, watched));
        if meter.received() == 0 {
            say(&format!("{name}: no message"))?;
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
        let own = G::summary(meter);
        let text =
            format!("{name}: {received} messages in {seconds:.1} s, {lost}{restarts}, {own}");
        say_long(&text, 2)?;
        if meter.malformed() > 0 {
            note(&format!("cortex: {} messages had no header", meter.malformed()));
        }
    }
    Ok(())
}

/// What all three tell programs, and what is the command's own.
fn with_source((topic, node): &Source, meter: &Meter, is_summary: bool, own: Json) -> Json {
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
    if let (Some(object), Json::Object(own)) = (object.as_object_mut(), own) {
        object.extend(own);
    }
    object
}
