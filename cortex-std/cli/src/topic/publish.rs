//! `cortex topic pub`.

use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cortex_cli::typed_json::ValueError;
use cortex_std::discovery::Diagnosis;
use cortex_std::raw::{RawOptions, RawPublisher};
use cortex_std::wire::{Header, fingerprint};
use cortex_std::{Node, Published, Registration};
use serde_json::json;

use crate::candidates;
use crate::failure::{Failure, Outcome, Result};
use crate::field_values::{self, Fields};
use crate::interrupt::Interrupt;
use crate::message::with_frames;
use crate::output::{print_json, print_stderr};
use crate::pace::Pace;
use crate::session::{Session, seconds};
use crate::time::wall_ns;
use crate::types;

/// Interval of polls for the registration and for subscribers.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Longest time to stay after an interrupt until all messages are sent.
const INTERRUPTED_LINGER: Duration = Duration::from_secs(1);
/// Timeout of the registration at a daemon that responds.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(2);

/// Publish messages on a topic.
///
/// TYPE is the name of a standard message. VALUE is a JSON object with the values of its fields,
/// without those that keep their default; if all but the first field keep their default, VALUE may
/// be the value of the first field.
///
/// An array is {"dtype": "<f4", "shape": [2, 2], "data": [[1, 2], [3, 4]]}, where data may also be
/// hex; or a list of numbers, which becomes float64; or @FILE.npy or @FILE.png, which become
/// little-endian. Bytes are {"bytes": HEX}, a list of numbers or @FILE.bin. Text may be @FILE.txt; a
/// text that begins with @ is written with two, @@TEXT. VALUE may be @FILE.json, @- for stdin, or
/// another file. A float may be "NaN", "Infinity" or "-Infinity", where any type is possible
/// {"float": "NaN"}.
///
/// Numbers that their field or array cannot hold are refused. The encoding of an image follows from
/// dtype and channels: mono8, mono16, rgb8, rgba8, 32FC1; name it if the data is something else.
///
/// With --class any class can be published. --fields lists its fields and their types in order,
/// separated by commas; a type is bool, int, float, str, bytes, list, map, array, tensor or any,
/// followed by ? if the field may be null. Without --fields the fields are those of VALUE.
///
/// By default the command waits for a subscriber and publishes once a second until Ctrl-C. It ends
/// when all messages are sent. Exit code 1 if no subscriber connects in time, messages are lost, or
/// another node publishes the topic.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex topic pub /chatter StringMessage '\"hello\"'\n  \
    cortex topic pub --once /goal PoseMessage '{\"position\": [1, 2, 0], \"orientation\": [0, 0, 0, 1], \"frame_id\": \"map\"}'\n  \
    cortex topic pub --rate 30 --times 300 /cam/frame ImageMessage @picture.png\n  \
    cortex topic pub --class robot.msgs.Cmd --fields left:float,right:float /cmd '{\"left\": 1, \"right\": 1}'\n  \
    cortex topic pub -w 0 --once /chatter StringMessage hello")]
pub(crate) struct Pub {
    /// Name of the topic.
    #[arg(value_parser = crate::input::topic_name, add = ArgValueCandidates::new(candidates::topics))]
    topic: String,
    /// Type and field values; with --class only the values.
    #[arg(value_name = "TYPE VALUE", required = true, num_args = 1..=3, allow_negative_numbers = true, add = ArgValueCandidates::new(candidates::types))]
    message: Vec<String>,
    /// Full Python name of a class that is not a standard message.
    #[arg(long, value_name = "MODULE.CLASS")]
    class: Option<String>,
    /// Fields of that class and their types.
    #[arg(long, value_name = "NAME:TYPE,..", requires = "class")]
    fields: Option<String>,
    /// Messages per second; those that are missed by far are skipped and counted.
    #[arg(short, long, value_name = "HZ", default_value_t = 1.0, value_parser = rate, allow_negative_numbers = true)]
    rate: f64,
    /// Publish once and end.
    #[arg(short = '1', long, conflicts_with = "times")]
    once: bool,
    /// Publish COUNT times and end.
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    times: Option<u64>,
    /// Wait for COUNT subscriptions before publishing; 0 does not wait.
    #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
    wait_matching_subscriptions: usize,
    /// Shortest time to stay after the last message.
    #[arg(long, value_name = "SECONDS", default_value = "0.1", value_parser = seconds, allow_negative_numbers = true)]
    keep_alive: Duration,
    /// Longest time to stay until all messages are sent; with --once or --times also the longest wait
    /// for room in a full queue. Messages that are not sent by then are lost and counted, as are those
    /// that follow until the queue has room.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, allow_negative_numbers = true)]
    linger: Duration,
    /// Name of the publishing node [default: cortex_pub_ and the process id].
    #[arg(short, long, value_name = "NAME")]
    node: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (1e-3..=1e6).contains(rate));
    rate.ok_or_else(|| "not a rate from 0.001 to 1000000".to_owned())
}

impl Pub {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let (message, is_once) = self.message();
        let (class, fields, value) = self.parse_message(message)?;
        let values = field_values::parse(value, &fields)
            .map_err(|error: ValueError| Failure::Usage(error.to_string()))?;
        let interrupt = Interrupt::get();

        let mut client = session.client()?;
        client.ping()?;
        let name =
            self.node.clone().unwrap_or_else(|| format!("cortex_pub_{}", std::process::id()));
        // This node may live only for a moment, too short to host the daemon.
        let node =
            Node::builder(&name).discovery(&session.discovery).host_discovery(false).create()?;
        let fingerprint = fingerprint::wire(&class);
        let times = if is_once { Some(1) } else { self.times };
        // A stream goes on without a slow subscriber; a given number of messages is delivered.
        let block = if times.is_some() { self.linger } else { Duration::ZERO };
        let options = RawOptions::default().block_for(block).linger(Duration::ZERO);
        let class_name = types::bare_name(&class);
        let publisher = node.raw_publisher_with(&self.topic, class_name, fingerprint, &options)?;
        self.wait_for_registration(session, &publisher, &interrupt)?;
        if !self.wait_for_subscribers(session, &publisher, &interrupt) {
            if interrupt.is_set() {
                return Ok(Outcome::Missed);
            }
            let wanted = self.wait_matching_subscriptions;
            return Err(Failure::Failed(format!(
                "timeout: {} of {wanted} subscriptions to {}",
                publisher.subscriber_count(),
                self.topic
            )));
        }

        let mut pace = Pace::new(self.rate, Instant::now());
        let mut sequence = 0;
        let mut congested = 0_u64;
        // After a subscriber took nothing for the whole linger time, the others do not wait for it.
        let mut is_stuck = false;
        while !interrupt.is_set() && times.is_none_or(|times| sequence < times) {
            let header = Header { fingerprint, timestamp_ns: wall_ns(), sequence };
            let head = header.encode();
            let sent = with_frames(&values, |metadata, buffers| {
                let mut frames = vec![self.topic.as_bytes(), &head, metadata];
                frames.extend_from_slice(buffers);
                if is_stuck { publisher.send_at_once(&frames) } else { publisher.send(&frames) }
            })??;
            is_stuck = sent == Published::Congested;
            congested += u64::from(sent == Published::Congested);
            sequence += 1;
            self.report(session, &header, sent)?;
            if times.is_none_or(|times| sequence < times) {
                let next = pace.advance(Instant::now());
                interrupt.wait(next.saturating_duration_since(Instant::now()));
            }
        }
        if pace.skipped() > 0 {
            let skipped = pace.skipped();
            print_stderr(&format!(
                "cortex: {skipped} messages skipped: the process was stopped or too slow for the rate"
            ));
        }
        interrupt.wait(self.keep_alive);
        let lost = self.flush(&publisher, &interrupt);
        if congested > 0 {
            print_stderr(&format!(
                "cortex: {congested} messages were not delivered to a slow subscriber"
            ));
        }
        if lost > 0 {
            print_stderr(&format!(
                "cortex: {lost} messages were not sent in time and are lost: a subscriber or its link is too slow (--linger SECONDS waits longer)"
            ));
        }
        Ok(Outcome::found_if(congested == 0 && lost == 0))
    }

    /// Waits until all messages are sent, for the linger time or until the next interrupt; returns how many
    /// are not.
    fn flush(&self, publisher: &RawPublisher, interrupt: &Interrupt) -> usize {
        // An interrupt that ended the publishing leaves time to send what waits.
        let was_interrupted = interrupt.is_set();
        let limit = if was_interrupted { self.linger.min(INTERRUPTED_LINGER) } else { self.linger };
        let end = Instant::now().checked_add(limit);
        loop {
            let left =
                end.map_or(POLL_INTERVAL, |end| end.saturating_duration_since(Instant::now()));
            let waiting = publisher.flush(left.min(POLL_INTERVAL));
            let is_interrupted = interrupt.is_set() && !was_interrupted;
            if waiting == 0 || left.is_zero() || is_interrupted {
                return waiting;
            }
        }
    }

    /// Type and value, and whether to publish once. A -1 after them is the flag, which clap takes for
    /// a value, since these may be negative numbers.
    fn message(&self) -> (&[String], bool) {
        let count = if self.class.is_some() { 1 } else { 2 };
        match self.message.split_last() {
            Some((last, message)) if message.len() == count && last == "-1" => (message, true),
            _ => (&self.message, self.once),
        }
    }

    /// The class, its fields and the text of the value.
    fn parse_message<'m>(&self, message: &'m [String]) -> Result<(String, Fields, &'m str)> {
        match (&self.class, message) {
            (None, [name, value]) => {
                let info = types::by_class(name).or_else(|| types::by_name(name));
                let info = info.ok_or_else(|| {
                    let similar = types::similar_names(name).join(", ");
                    Failure::Usage(format!(
                        "{name} is not a standard message such as {similar}; for other classes use --class",
                    ))
                })?;
                Ok((info.class.to_owned(), Fields::of(info), value))
            }
            (None, [_]) => Err(Failure::Usage("VALUE is missing".to_owned())),
            (None, _) => Err(Failure::Usage("give one TYPE and one VALUE".to_owned())),
            (Some(class), [value]) if class.contains('.') => {
                let fields = self.fields.as_deref().map(Fields::parse).transpose();
                let fields = fields.map_err(|error| Failure::Usage(error.to_string()))?;
                let known = || types::by_class(class).map(Fields::of).unwrap_or_default();
                Ok((class.clone(), fields.unwrap_or_else(known), value))
            }
            (Some(class), [_]) => {
                Err(Failure::Usage(format!("{class} has no module: give MODULE.CLASS")))
            }
            (Some(_), _) => Err(Failure::Usage("with --class give only VALUE".to_owned())),
        }
    }

    fn wait_for_registration(
        &self,
        session: &Session,
        publisher: &RawPublisher,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let end = Instant::now() + REGISTRATION_TIMEOUT;
        loop {
            match publisher.registration() {
                Some(Registration::Registered) => return Ok(()),
                Some(Registration::Pending) if Instant::now() < end && !interrupt.is_set() => {
                    interrupt.wait(POLL_INTERVAL);
                }
                Some(Registration::Pending) | None => {
                    let diagnosis = Diagnosis::of(&session.discovery);
                    let reason = format!("{} is not registered: {diagnosis}", self.topic);
                    return Err(Failure::Failed(reason));
                }
                Some(Registration::Refused(reason)) => return Err(Failure::Failed(reason)),
                Some(_) => interrupt.wait(POLL_INTERVAL),
            }
        }
    }

    /// Waits for subscribers; returns false on a timeout or an interrupt.
    fn wait_for_subscribers(
        &self,
        session: &Session,
        publisher: &RawPublisher,
        interrupt: &Interrupt,
    ) -> bool {
        let wanted = self.wait_matching_subscriptions;
        let end = session.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut is_reported = false;
        while publisher.subscriber_count() < wanted {
            if interrupt.is_set() || end.is_some_and(|end| Instant::now() >= end) {
                return false;
            }
            if !std::mem::replace(&mut is_reported, true) {
                print_stderr(&format!(
                    "cortex: waiting for {wanted} subscription(s) to {} (-w 0 does not wait)",
                    self.topic
                ));
            }
            interrupt.wait(POLL_INTERVAL);
        }
        true
    }

    fn report(&self, session: &Session, header: &Header, sent: Published) -> Result<()> {
        let what = match sent {
            Published::Sent => "sent",
            Published::Congested => "congested",
            _ => "no subscribers",
        };
        if session.json {
            return print_json(&json!({
                "topic": self.topic,
                "sequence": header.sequence.to_string(),
                "timestamp_ns": header.timestamp_ns.to_string(),
                "result": what,
            }));
        }
        crate::output::print(&format!("#{} {what}", header.sequence))
    }
}
