//! `cortex topic pub`.

use std::time::{Duration, Instant};

use clap::Args;
use cortex_cli::notation::NotationError;
use cortex_std::raw::RawPublisher;
use cortex_std::wire::{Header, fingerprint};
use cortex_std::{Node, Published, Registration};
use serde_json::json;

use crate::compose::{self, Fields};
use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::message::with_frames;
use crate::output::{note, say_json};
use crate::session::{Session, seconds};
use crate::tap::wall_ns;
use crate::types;

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(5);
/// How long registering may take where the daemon answers.
const REGISTRATION: Duration = Duration::from_secs(2);

/// Publish messages on a topic.
///
/// TYPE is the name of a standard message. VALUE is a JSON object with the values of its fields;
/// those that have a default may be left out. Of a message whose first field is enough, the value
/// of that field will do.
///
/// An array is {"dtype": "<f4", "shape": [2, 2], "data": [[1, 2], [3, 4]]}, where data may also be
/// hex; or a list of numbers, which are float64; or @FILE.npy, or @FILE.png. Bytes are
/// {"bytes": HEX} or a list of numbers. VALUE may be @FILE.json, @- for stdin, or one of those
/// array files.
///
/// With --class any class is published: --fields names its fields and their types in order, with
/// commas between: bool, int, float, str, bytes, list, map, array, tensor or any, and ? behind
/// those that may be null. Without --fields they are as VALUE has them.
///
/// By default it waits until somebody subscribes, and publishes once a second until Ctrl-C. Exit
/// code 1 where nobody subscribed in time, or the topic is another node's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex topic pub /chatter StringMessage '\"hello\"'\n  \
    cortex topic pub --once /goal PoseMessage '{\"position\": [1, 2, 0], \"orientation\": [0, 0, 0, 1], \"frame_id\": \"map\"}'\n  \
    cortex topic pub --rate 30 --times 300 /cam/frame ImageMessage @picture.png\n  \
    cortex topic pub --class robot.msgs.Cmd --fields left:float,right:float /cmd '{\"left\": 1, \"right\": 1}'\n  \
    cortex topic pub -w 0 --once /chatter StringMessage hello")]
pub(crate) struct Pub {
    /// The topic.
    topic: String,
    /// The type, and the values of its fields; with --class the values alone.
    #[arg(value_name = "TYPE VALUE", required = true, num_args = 1..=3, allow_negative_numbers = true)]
    message: Vec<String>,
    /// The full name of another class than the standard ones, as Python knows it.
    #[arg(long, value_name = "MODULE.CLASS")]
    class: Option<String>,
    /// The fields of that class and their types.
    #[arg(long, value_name = "NAME:TYPE,..", requires = "class")]
    fields: Option<String>,
    /// Publish so many times a second.
    #[arg(short, long, value_name = "HZ", default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// Publish once and end.
    #[arg(short = '1', long, conflicts_with = "times")]
    once: bool,
    /// Publish so many times and end.
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    times: Option<u64>,
    /// Wait until there are so many subscriptions; 0 does not wait.
    #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
    wait_matching_subscriptions: usize,
    /// How long to stay after the last message, for what is still on its way.
    #[arg(long, value_name = "SECONDS", default_value = "0.1", value_parser = seconds)]
    keep_alive: Duration,
    /// The name of the publishing node [default: cortex_pub_ and the process id].
    #[arg(short, long, value_name = "NAME")]
    node: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (1e-3..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate from 0.001 to 1000000 is needed".to_owned())
}

impl Pub {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let (message, is_once) = self.message();
        let (class, fields, value) = self.what(message)?;
        let values = compose::values(value, &fields, class == compose::IMAGE)
            .map_err(|error: NotationError| Failure::Usage(error.to_string()))?;
        let interrupt = Interrupt::get();

        let mut client = session.client()?;
        client.ping()?;
        let name =
            self.node.clone().unwrap_or_else(|| format!("cortex_pub_{}", std::process::id()));
        // Who publishes for a moment is no place for a daemon.
        let node =
            Node::builder(&name).discovery(&session.discovery).host_discovery(false).build()?;
        let fingerprint = fingerprint::wire(&class);
        let publisher = node.raw_publisher(&self.topic, types::bare_name(&class), fingerprint)?;
        self.register(&publisher, &interrupt)?;
        if !self.wait(session, &publisher, &interrupt) {
            if interrupt.is_set() {
                return Ok(Outcome::Missed);
            }
            let wanted = self.wait_matching_subscriptions;
            return Err(Failure::Failed(format!(
                "{} of {wanted} subscriptions to {} in time",
                publisher.subscriber_count(),
                self.topic
            )));
        }

        let times = if is_once { Some(1) } else { self.times };
        let period = Duration::from_secs_f64(1.0 / self.rate);
        let mut next = Instant::now();
        let mut sequence = 0;
        let mut congested = 0_u64;
        while !interrupt.is_set() && times.is_none_or(|times| sequence < times) {
            let header = Header { fingerprint, timestamp_ns: wall_ns(), sequence };
            let head = header.encode();
            let sent = with_frames(&values, |metadata, buffers| {
                let mut frames = vec![self.topic.as_bytes(), &head, metadata];
                frames.extend_from_slice(buffers);
                publisher.send(&frames)
            })??;
            congested += u64::from(sent == Published::Congested);
            sequence += 1;
            self.report(session, &header, sent)?;
            if times.is_none_or(|times| sequence < times) {
                next += period;
                interrupt.wait(next.saturating_duration_since(Instant::now()));
            }
        }
        interrupt.wait(self.keep_alive);
        if congested > 0 {
            note(&format!(
                "cortex: {congested} messages were lost by a subscriber that was too slow"
            ));
        }
        Ok(Outcome::found_if(congested == 0))
    }

    /// Type and value, and whether it is published once. A -1 behind them is the flag: where numbers
    /// may be negative it looks like a value.
    fn message(&self) -> (&[String], bool) {
        let count = if self.class.is_some() { 1 } else { 2 };
        match self.message.split_last() {
            Some((last, message)) if message.len() == count && last == "-1" => (message, true),
            _ => (&self.message, self.once),
        }
    }

    /// The class, its fields and the text of the value.
    fn what<'m>(&self, message: &'m [String]) -> Result<(String, Fields, &'m str)> {
        match (&self.class, message) {
            (None, [name, value]) => {
                let info = types::by_class(name).or_else(|| types::by_name(name));
                let info = info.ok_or_else(|| {
                    let known = types::alike(name).join(", ");
                    Failure::Usage(format!(
                        "no standard message is called {name}: there is {known}; --class publishes any other",
                    ))
                })?;
                Ok((info.class.to_owned(), Fields::of(info), value))
            }
            (None, [_]) => Err(Failure::Usage("VALUE is missing".to_owned())),
            (None, _) => Err(Failure::Usage("one TYPE and one VALUE are needed".to_owned())),
            (Some(class), [value]) if class.contains('.') => {
                let fields = self.fields.as_deref().map(Fields::parse).transpose();
                let fields = fields.map_err(|error| Failure::Usage(error.to_string()))?;
                Ok((class.clone(), fields.unwrap_or_default(), value))
            }
            (Some(class), [_]) => {
                Err(Failure::Usage(format!("{class} has no module: give MODULE.CLASS")))
            }
            (Some(_), _) => Err(Failure::Usage("with --class VALUE alone is needed".to_owned())),
        }
    }

    fn register(&self, publisher: &RawPublisher, interrupt: &Interrupt) -> Result<()> {
        let end = Instant::now() + REGISTRATION;
        loop {
            match publisher.registration() {
                Some(Registration::Registered) => return Ok(()),
                Some(Registration::Pending) if Instant::now() < end && !interrupt.is_set() => {
                    interrupt.wait(LOOK);
                }
                Some(Registration::Pending) | None => {
                    let reason =
                        format!("{} is not registered: the daemon does not answer", self.topic);
                    return Err(Failure::Failed(reason));
                }
                Some(Registration::Refused(reason)) => return Err(Failure::Failed(reason)),
                Some(_) => interrupt.wait(LOOK),
            }
        }
    }

    /// Waits for subscribers; false: they did not come.
    fn wait(&self, session: &Session, publisher: &RawPublisher, interrupt: &Interrupt) -> bool {
        let wanted = self.wait_matching_subscriptions;
        let end = session.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut is_told = false;
        while publisher.subscriber_count() < wanted {
            if interrupt.is_set() || end.is_some_and(|end| Instant::now() >= end) {
                return false;
            }
            if !std::mem::replace(&mut is_told, true) {
                note(&format!(
                    "cortex: waiting for {wanted} subscription(s) to {} (-w 0 does not)",
                    self.topic
                ));
            }
            interrupt.wait(LOOK);
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
            return say_json(&json!({
                "topic": self.topic,
                "sequence": header.sequence,
                "timestamp_ns": header.timestamp_ns.to_string(),
                "result": what,
            }));
        }
        crate::output::say(&format!("#{} {what}", header.sequence))
    }
}
