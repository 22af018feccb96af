//! `cortex bag play`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use clap::Args;
use cortex_bag::{ChannelInfo, Message};
use cortex_std::raw::{RawOptions, RawPublisher};
use cortex_std::wire::{Frames as _, Header};
use cortex_std::{ErrorChain, Node, Published, Registration};
use hdrhistogram::Histogram;
use serde_json::{Value as Json, json};

use super::arguments::{Patterns, counted, open};
use super::status_line::StatusLine;
use crate::failure::{Failure, Outcome, Result};
use crate::input::topic_name;
use crate::interrupt::Interrupt;
use crate::output::{escaped, print, print_json, print_stderr};
use crate::session::{Session, seconds};
use crate::time::{duration, wall_ns};

/// Messages that are read ahead.
const READ_AHEAD: usize = 32;
/// Messages that wait for a slow subscriber.
const QUEUE: u32 = 1000;
/// Time between two reports.
const PERIOD: Duration = Duration::from_secs(1);
/// Interval of polls for registrations and subscribers.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Timeout of the registrations at a daemon that responds.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time to stay until all messages are sent, and after an interrupt.
const LINGER: Duration = Duration::from_secs(10);
const INTERRUPTED_LINGER: Duration = Duration::from_secs(1);

/// Publish the messages of a recording at the times at which they arrived.
///
/// Each message has the bytes that were recorded; with --now its timestamp becomes the time of playing. The
/// times lie on a grid from the start, so that no delay adds up. A topic of several recorded publishers has
/// as many publishers again.
///
/// At the end the command says how much later than on the grid messages were published. Exit code 1 if the
/// file is damaged, or a subscriber was too slow for a message.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex bag play drive.mcap\n  \
    cortex bag play drive.mcap --rate 0.5 --start 12 --duration 3\n  \
    cortex bag play drive.mcap --topics /cam/frame /imu --loop --wait 1\n  \
    cortex bag play drive.mcap --remap /cam/frame:=/replayed/frame --now")]
pub(crate) struct Play {
    /// The file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Topics to play; all without this or --regex.
    #[arg(long, value_name = "TOPIC", num_args = 1.., value_parser = topic_name)]
    topics: Vec<String>,
    #[command(flatten)]
    patterns: Patterns,
    /// Speed: 2 is twice as fast.
    #[arg(short, long, value_name = "FACTOR", default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// Start again at the end, until Ctrl-C.
    #[arg(short, long = "loop")]
    is_loop: bool,
    /// Begin so many seconds after the start of the recording.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    start: Duration,
    /// Play so many seconds of the recording.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Wait until each topic has COUNT subscriptions, as long as --timeout says.
    #[arg(short, long, value_name = "COUNT", default_value_t = 0)]
    wait: usize,
    /// Publish a topic under another name.
    #[arg(long, value_name = "TOPIC:=NAME", value_parser = remapping)]
    remap: Vec<(String, String)>,
    /// Set timestamps to the time of playing.
    #[arg(long)]
    now: bool,
    /// Name of the publishing node [default: cortex_bag_ and the process id].
    #[arg(short, long, value_name = "NAME")]
    node: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (1e-3..=1e3).contains(rate));
    rate.ok_or_else(|| "not a factor from 0.001 to 1000".to_owned())
}

fn remapping(text: &str) -> Result<(String, String), String> {
    let (from, to) = text.split_once(":=").ok_or_else(|| "not TOPIC:=NAME".to_owned())?;
    Ok((topic_name(from)?, topic_name(to)?))
}

/// A publisher of one channel.
struct Channel {
    topic: String,
    publisher: RawPublisher,
}

/// What was played.
struct Played {
    messages: u64,
    congested: u64,
    /// Microseconds after the grid.
    lateness: Histogram<u64>,
    /// Seconds of the recording.
    position: f64,
    is_damaged: bool,
}

impl Play {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let failed =
            |error: &dyn std::error::Error| Failure::with_context(self.path.display(), error);
        let channels = cortex_bag::channels(&self.path).map_err(|error| failed(&error))?;
        session.client()?.ping()?;
        let (_nodes, channels) = self.publishers(session, &channels)?;
        if channels.is_empty() {
            let path = self.path.display();
            return Err(Failure::Failed(format!("{path} has no such topic")));
        }
        self.wait_until_ready(session, &channels, &interrupt)?;
        let lateness = Histogram::new_with_bounds(1, 3_600_000_000, 3);
        let mut played = Played {
            messages: 0,
            congested: 0,
            lateness: lateness.map_err(|error| failed(&error))?,
            position: 0.0,
            is_damaged: false,
        };
        let mut report = Report::new(session.json);
        let start = Instant::now();
        loop {
            self.play(&channels, &interrupt, &mut played, &mut report)?;
            if !self.is_loop || interrupt.is_set() || played.messages == 0 {
                break;
            }
        }
        report.line.erase()?;
        let linger = if interrupt.is_set() { INTERRUPTED_LINGER } else { LINGER };
        let end = Instant::now() + linger;
        let unsent = channels.values().map(|channel| {
            channel.publisher.flush(end.saturating_duration_since(Instant::now())) as u64
        });
        let unsent: u64 = unsent.sum();
        report.summarize(&played, unsent, channels.len(), start.elapsed())?;
        let is_whole = played.congested == 0 && unsent == 0 && !played.is_damaged;
        Ok(Outcome::found_if(is_whole && played.messages > 0))
    }

    /// The publishers of the chosen channels. The second publisher of a topic needs a second node.
    fn publishers(
        &self,
        session: &Session,
        channels: &BTreeMap<u16, std::sync::Arc<ChannelInfo>>,
    ) -> Result<(Vec<Node>, BTreeMap<u16, Channel>)> {
        let name = self.node.clone();
        let name = name.unwrap_or_else(|| format!("cortex_bag_{}", std::process::id()));
        let mut nodes = Vec::<Node>::new();
        let mut topics = BTreeMap::<String, usize>::new();
        let mut publishers = BTreeMap::new();
        let options = RawOptions::default().queue(QUEUE).linger(Duration::ZERO);
        for (id, info) in channels {
            if !self.patterns.choose(&self.topics, &info.topic) {
                continue;
            }
            let remapped = self.remap.iter().find(|(from, _)| *from == info.topic);
            let topic = remapped.map_or(&info.topic, |(_, to)| to).clone();
            let place = topics.entry(topic.clone()).or_default();
            if nodes.len() <= *place {
                let name = match nodes.len() {
                    0 => name.clone(),
                    more => format!("{name}_{more}"),
                };
                // These nodes may live only for a moment, too short to host the daemon.
                let node = Node::builder(&name).discovery(&session.discovery);
                nodes.push(node.host_discovery(false).create()?);
            }
            let Some(node) = nodes.get(*place) else { continue };
            *place = place.saturating_add(1);
            let class = info.class_name();
            let publisher = node.raw_publisher_with(&topic, class, info.fingerprint, &options)?;
            publishers.insert(*id, Channel { topic, publisher });
        }
        Ok((nodes, publishers))
    }

    fn wait_until_ready(
        &self,
        session: &Session,
        channels: &BTreeMap<u16, Channel>,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let wait = |timeout: Option<Duration>, is_ready: &dyn Fn(&Channel) -> bool| {
            let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            loop {
                let channel = channels.values().find(|channel| !is_ready(channel))?;
                if interrupt.is_set() || end.is_some_and(|end| Instant::now() >= end) {
                    return Some(channel);
                }
                interrupt.wait(POLL_INTERVAL);
            }
        };
        let is_registered =
            |channel: &Channel| channel.publisher.registration() == Some(Registration::Registered);
        if let Some(channel) = wait(Some(REGISTRATION_TIMEOUT), &is_registered) {
            let topic = escaped(&channel.topic);
            let state = channel.publisher.registration();
            return Err(Failure::Failed(format!("{topic} is not registered: {state:?}")));
        }
        let is_watched = |channel: &Channel| channel.publisher.subscriber_count() >= self.wait;
        if let Some(channel) = wait(session.timeout, &is_watched) {
            let (topic, count) = (escaped(&channel.topic), channel.publisher.subscriber_count());
            return Err(Failure::Failed(format!(
                "timeout: {count} of {} subscriptions to {topic}",
                self.wait
            )));
        }
        Ok(())
    }

    /// Plays the file once.
    fn play(
        &self,
        channels: &BTreeMap<u16, Channel>,
        interrupt: &Interrupt,
        played: &mut Played,
        report: &mut Report,
    ) -> Result<()> {
        let messages = read_ahead(&self.path)?;
        let offset = u64::try_from(self.start.as_nanos()).unwrap_or(u64::MAX);
        // The start of the grid, and the time of the recording there.
        let mut grid: Option<(Instant, u64)> = None;
        for next in messages {
            let message = match next {
                Ok(message) => message,
                Err(reason) => {
                    if !played.is_damaged {
                        print_stderr(&format!("cortex: {}: {reason}", self.path.display()));
                    }
                    played.is_damaged = true;
                    continue;
                }
            };
            let (begun, begin_ns) = *grid
                .get_or_insert_with(|| (Instant::now(), message.arrival_ns.saturating_add(offset)));
            let Some(after) = message.arrival_ns.checked_sub(begin_ns) else {
                if offset > 0 {
                    continue;
                }
                // Another topic's thread was a moment faster.
                self.publish(channels, &message, begun, played)?;
                continue;
            };
            let after = Duration::from_nanos(after);
            if self.duration.is_some_and(|duration| after >= duration) {
                return Ok(());
            }
            let due = Duration::try_from_secs_f64(after.as_secs_f64() / self.rate);
            let due = due.ok().and_then(|due| begun.checked_add(due)).unwrap_or(begun);
            loop {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() || interrupt.is_set() {
                    break;
                }
                interrupt.wait(left.min(PERIOD));
                report.show(played)?;
            }
            if interrupt.is_set() {
                return Ok(());
            }
            played.position = self.start.saturating_add(after).as_secs_f64();
            self.publish(channels, &message, due, played)?;
            report.show(played)?;
        }
        Ok(())
    }

    fn publish(
        &self,
        channels: &BTreeMap<u16, Channel>,
        message: &Message,
        due: Instant,
        played: &mut Played,
    ) -> Result<()> {
        let Some(channel) = channels.get(&message.channel_id) else { return Ok(()) };
        let stamped = match message.header() {
            Ok(header) if self.now => Some(Header { timestamp_ns: wall_ns(), ..header }.encode()),
            _ => None,
        };
        let mut frames = vec![channel.topic.as_bytes()];
        frames.extend(message.frames());
        if let (Some(head), Some(stamped)) = (frames.get_mut(1), &stamped)
            && message.frame(0).is_some()
        {
            *head = stamped;
        }
        let late = Instant::now().saturating_duration_since(due);
        let sent = channel.publisher.send(&frames)?;
        played.messages = played.messages.saturating_add(1);
        played.congested = played.congested.saturating_add(u64::from(sent == Published::Congested));
        played.lateness.saturating_record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// Reads a file on a thread; an error is a text for people.
fn read_ahead(path: &Path) -> Result<Receiver<Result<Message, String>>> {
    let reader = open(path)?;
    let (sender, receiver) = sync_channel(READ_AHEAD);
    let read = move || {
        for next in reader {
            let next = next.map_err(|error| ErrorChain(&error).to_string());
            // The command has ended.
            if sender.send(next).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("cortex-read".to_owned()).spawn(read)?;
    Ok(receiver)
}

/// What the user sees meanwhile, and at the end.
struct Report {
    is_json: bool,
    is_terminal: bool,
    next: Instant,
    line: StatusLine,
}

impl Report {
    fn new(is_json: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && !is_json;
        Self { is_json, is_terminal, next: Instant::now() + PERIOD, line: StatusLine::default() }
    }

    /// Shows the state once a second.
    fn show(&mut self, played: &Played) -> Result<()> {
        if !(self.is_json || self.is_terminal) || Instant::now() < self.next {
            return Ok(());
        }
        self.next = Instant::now() + PERIOD;
        if self.is_json {
            return print_json(&json(played, 0, false));
        }
        let line = format!("at {:.1} s, {}", played.position, counted(played.messages, "message"));
        self.line.show(&line)
    }

    fn summarize(
        &self,
        played: &Played,
        unsent: u64,
        publishers: usize,
        time: Duration,
    ) -> Result<()> {
        if self.is_json {
            return print_json(&json(played, unsent, true));
        }
        let late =
            |quantile: f64| duration(played.lateness.value_at_quantile(quantile) as f64 / 1e6);
        let lost = match played.congested.saturating_add(unsent) {
            0 => String::new(),
            lost => format!(", {lost} lost for slow subscribers"),
        };
        print(&format!(
            "{} of {} in {:.1} s, late p50 {} p99 {} max {}{lost}",
            counted(played.messages, "message"),
            counted(publishers, "publisher"),
            time.as_secs_f64(),
            late(0.5),
            late(0.99),
            late(1.0),
        ))
    }
}

fn json(played: &Played, unsent: u64, is_summary: bool) -> Json {
    let late = |quantile: f64| played.lateness.value_at_quantile(quantile) as f64 / 1e6;
    json!({
        "summary": is_summary,
        "position_s": played.position,
        "messages": played.messages,
        "congested": played.congested,
        "unsent": unsent,
        "late_p50_s": late(0.5),
        "late_p99_s": late(0.99),
        "late_max_s": late(1.0),
        "damaged": played.is_damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remapping_has_two_names() {
        assert_eq!(remapping("/a:=/b"), Ok(("/a".to_owned(), "/b".to_owned())));
        assert!(["/a", "/a:=", ":=/b", ""].iter().all(|text| remapping(text).is_err()));
    }
}
