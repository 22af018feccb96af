//! What `hz`, `bw` and `delay` share: topics are received side by side, only headers are read, and
//! once a second the numbers are shown.

mod meter;
mod screen;

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::output::{Paint, note, safe, say, say_json};
use crate::session::{Session, seconds};
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
    /// The number whose past is drawn.
    fn trend(meter: &Meter) -> f64;
    /// The numbers over the window for programs.
    fn to_json(meter: &Meter) -> Json;
    /// The numbers over everything, in a line.
    fn summary(meter: &Meter) -> String;
    /// The numbers over everything for programs.
    fn summary_json(meter: &Meter) -> Json;
}

struct Watched {
    meter: Meter,
    past: Vec<f64>,
}

impl Measuring {
    /// Measures until it is told to end.
    pub(crate) fn run<G: Gauge>(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let (sender, samples) = channel();
        let mut watched = BTreeMap::new();
        for name in &self.topics {
            let topic = session.topic(name)?;
            self.watch(session, &topic, &sender, &mut watched)?;
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
                for topic in client.list().unwrap_or_default() {
                    if !watched.contains_key(&topic.name) {
                        self.watch(session, &topic, &sender, &mut watched)?;
                    }
                }
            }
            next += PERIOD;
            let until = end.map_or(next, |end| end.min(next));
            while !interrupt.is_set()
                && let Some(left) = until.checked_duration_since(Instant::now())
            {
                match samples.recv_timeout(left.min(LOOK)) {
                    Ok((name, sample)) => {
                        heard = Instant::now();
                        if let Some(watched) = watched.get_mut::<String>(&name) {
                            watched.meter.take(sample);
                        }
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
        topic: &Topic,
        sender: &Sender<(String, Sample)>,
        watched: &mut BTreeMap<String, Watched>,
    ) -> Result<()> {
        let name = topic.name.clone();
        if watched.contains_key(&name) {
            return Ok(());
        }
        let window = usize::try_from(self.window).unwrap_or(usize::MAX);
        watched.insert(name.clone(), Watched { meter: Meter::new(window), past: Vec::new() });
        let sender = sender.clone();
        tap::open(topic, &session.discovery, move |arrival| {
            let sample = Sample {
                at: arrival.at,
                wall_ns: arrival.wall_ns,
                header: arrival.header(),
                len: arrival.message.len(),
            };
            // Nobody takes it where the command is ending.
            let _ = sender.send((name.clone(), sample));
        })
    }
}

fn show<G: Gauge>(
    session: &Session,
    screen: &mut Screen,
    watched: &mut BTreeMap<String, Watched>,
) -> Result<()> {
    for (name, Watched { meter, past }) in &mut *watched {
        if past.len() == PAST {
            past.remove(0);
        }
        past.push(if meter.silence().is_some() { 0.0 } else { G::trend(meter) });
        if session.json {
            say_json(&with_topic(name, meter, false, G::to_json(meter)))?;
        }
    }
    if session.json {
        return Ok(());
    }
    let rows = watched.iter().map(|(name, Watched { meter, past })| {
        let cells = match meter.silence() {
            None => Ok(G::cells(meter)),
            Some(None) => Err("no message yet".to_owned()),
            Some(Some(time)) => Err(format!("silent for {} s", time.as_secs())),
        };
        (safe(name), cells, past.as_slice())
    });
    screen.show(G::TITLES, rows)
}

fn summarize<G: Gauge>(session: &Session, watched: &BTreeMap<String, Watched>) -> Result<()> {
    let paint = Paint::stdout();
    for (name, Watched { meter, .. }) in watched {
        if session.json {
            say_json(&with_topic(name, meter, true, G::summary_json(meter)))?;
            continue;
        }
        let name = paint.name(&safe(name));
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
        say(&format!(
            "{name}: {received} messages in {seconds:.1} s, {lost}{restarts}, {}",
            G::summary(meter)
        ))?;
        if meter.malformed() > 0 {
            note(&format!("cortex: {} messages had no header", meter.malformed()));
        }
    }
    Ok(())
}

/// What all three tell programs, and what is the command's own.
fn with_topic(name: &str, meter: &Meter, is_summary: bool, own: Json) -> Json {
    let mut object = serde_json::json!({
        "topic": name,
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
