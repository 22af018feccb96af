//! `cortex bag record`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cortex_bag::{ChannelInfo, Limits, Recorder, RecorderStats, Source, WriterOptions};
use cortex_std::discovery::Topic;
use serde_json::{Value as Json, json};

use super::arguments::{Compress, Patterns, counted, with_suffix};
use super::status_line::StatusLine;
use crate::candidates;
use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::listing::by_name;
use crate::lookup;
use crate::output::{byte_count, escaped, print, print_json, print_stderr};
use crate::session::{Session, seconds};
use crate::subscription::{self, ReceivedMessage};

/// Time between two reports.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest time between the end of a recording and the end of the command.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Record topics into an MCAP file.
///
/// Messages are recorded as they travelled, of any type, from Rust and Python nodes; topics that are
/// registered later are added. A publisher that restarts or moves goes on in the same channel. Receiving
/// never waits for the disk: up to --queue bytes wait, and messages that do not fit are dropped and counted
/// in the file, like those that were lost on the way.
///
/// On a terminal a line shows the recording; with --json there is an object each second, and one with
/// "summary": true at the end. Ctrl-C completes the file. A file whose recorder was killed is readable up to
/// its last second; `cortex bag repair` completes it. On a full disk the recording ends with a complete
/// file.
///
/// Exit code 1 if messages were lost, none arrived, or the file cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex bag record /cam/frame /imu\n  \
    cortex bag record -a -x '^/debug' -o drive.mcap --compress lz4\n  \
    cortex bag record -e '^/arm/' --max-size 1e9 --split -o arm.mcap\n  \
    cortex bag record --count 100 --json /imu | tail -1 | jq .messages")]
pub(crate) struct Record {
    /// Names of the topics.
    #[arg(required_unless_present_any = ["all", "regex"], value_parser = crate::input::topic_name, add = ArgValueCandidates::new(candidates::topics))]
    topics: Vec<String>,
    /// Record all topics.
    #[arg(short, long, conflicts_with_all = ["topics", "regex"])]
    all: bool,
    #[command(flatten)]
    patterns: Patterns,
    /// File to create [default: bag_ and the time in UTC, in the current folder].
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// End after so many seconds; by default on Ctrl-C.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// End after so many messages.
    #[arg(short, long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End a file after so many bytes, such as 500000000 or 5e8.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_size: Option<u64>,
    /// End a file after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_duration: Option<Duration>,
    /// Begin another file, PATH_1 and so on, where --max-size or --max-duration ends one.
    #[arg(long)]
    split: bool,
    /// Compression of the file.
    #[arg(long, value_enum, default_value_t = Compress::None)]
    compress: Compress,
    /// Bytes of messages that wait for the disk.
    #[arg(long, value_name = "BYTES", default_value = "268435456", value_parser = bytes)]
    queue: u64,
}

/// A number of bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=1e18).contains(number));
    number.map(|number| number as u64).ok_or_else(|| "not a number of bytes".to_owned())
}

/// What the receiving threads share.
#[derive(Debug)]
struct Recording {
    recorder: Recorder,
    sources: Mutex<BTreeMap<SourceKey, Arc<Source>>>,
    /// Messages that may still be accepted.
    left: AtomicU64,
}

/// Topic, node and fingerprint.
type SourceKey = (Arc<str>, Arc<str>, u64);

impl Recording {
    fn source(&self, key: SourceKey, describe: impl FnOnce() -> ChannelInfo) -> Arc<Source> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let source = sources.entry(key).or_insert_with(|| self.recorder.source(describe()));
        Arc::clone(source)
    }

    /// Subscribes to a topic of these publishers.
    fn subscribe(
        self: &Arc<Self>,
        session: &Session,
        publishers: &[Topic],
        layout: Option<u64>,
    ) -> Result<()> {
        let Some(first) = publishers.first().cloned() else { return Ok(()) };
        let name: Arc<str> = first.name.as_str().into();
        for publisher in publishers {
            let node = publisher.publisher_node.as_str().into();
            let key = (Arc::clone(&name), node, publisher.fingerprint);
            self.source(key, || ChannelInfo::of(publisher).with_layout(layout));
        }
        let recording = Arc::clone(self);
        subscription::receive(publishers, &session.discovery, move |received| {
            recording.record(&name, &first, received);
        })
    }

    fn record(&self, name: &Arc<str>, registered: &Topic, received: ReceivedMessage) {
        // One that is not valid is recorded as well.
        let header = received.header();
        let fingerprint = header.map_or(registered.fingerprint, |header| header.fingerprint);
        let key = (Arc::clone(name), Arc::clone(&received.node), fingerprint);
        let describe =
            || ChannelInfo::new(name, &received.node, &registered.message_type, fingerprint);
        let source = self.source(key, describe);
        let take = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
            && !self.recorder.record(&source, received.wall_ns, received.message)
        {
            self.left.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Publishers that a message came from, and their topics.
    fn sources(&self) -> (usize, usize) {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let active = sources.iter().filter(|(_, source)| source.received() > 0);
        let mut topics: Vec<_> = active.map(|((topic, ..), _)| topic).collect();
        let publishers = topics.len();
        topics.dedup();
        (topics.len(), publishers)
    }
}

impl Record {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let mut client = session.client()?;
        client.ping()?;
        let path = self.output.clone().unwrap_or_else(default_path);
        let recording = Arc::new(Recording {
            recorder: self.start(&path)?,
            sources: Mutex::default(),
            left: AtomicU64::new(self.count.unwrap_or(u64::MAX)),
        });
        let is_by_name = self.patterns.regex.is_none() && !self.all;
        let names = if is_by_name { self.topics.clone() } else { Vec::new() };
        let lookups = lookup::start(session.client()?, names)?;
        let mut report = Report::new(session.json, &path);
        let mut subscribed = Vec::<String>::new();
        let start = Instant::now();
        let end = self.duration.and_then(|duration| start.checked_add(duration));
        let mut next = start + PERIOD;
        let mut last_message = (0, start);
        while !interrupt.is_set()
            && !recording.recorder.has_ended()
            && recording.left.load(Ordering::Relaxed) > 0
            && end.is_none_or(|end| Instant::now() < end)
        {
            let left = end.map_or(next, |end| end.min(next));
            interrupt.wait(left.saturating_duration_since(Instant::now()).min(POLL_INTERVAL));
            while let Ok(topics) = lookups.try_recv() {
                for publishers in by_name(&topics) {
                    let Some(Topic { name, .. }) = publishers.first() else { continue };
                    if subscribed.contains(name) || !self.patterns.choose(&self.topics, name) {
                        continue;
                    }
                    // A daemon that no longer answers costs the layout only.
                    let layout = client.look_up(name).ok().flatten().and_then(|found| found.layout);
                    recording.subscribe(session, publishers, layout)?;
                    subscribed.push(name.clone());
                }
            }
            let stats = recording.recorder.stats();
            if stats.messages != last_message.0 {
                last_message = (stats.messages, Instant::now());
            }
            if session.timeout.is_some_and(|timeout| last_message.1.elapsed() >= timeout) {
                break;
            }
            if next <= Instant::now() {
                report.show(&stats, recording.sources())?;
                next = (next + PERIOD).max(Instant::now());
            }
        }
        report.line.erase()?;
        let finished = recording.recorder.finish();
        let stats = recording.recorder.stats();
        report.summarize(&stats, recording.sources())?;
        if let Err(error) = finished {
            let context = format!("{}, which is complete up to there", path.display());
            return Err(Failure::with_context(context, &error));
        }
        Ok(Outcome::found_if(stats.messages > 0 && stats.losses.messages() == 0))
    }

    fn start(&self, path: &Path) -> Result<Recorder> {
        let limits = Limits::default()
            .queue_len(usize::try_from(self.queue).unwrap_or(usize::MAX))
            .file_len(self.max_size)
            .file_duration(self.max_duration)
            .split(self.split);
        let options = WriterOptions::default().compression(self.compress.into());
        let files = path.to_owned();
        let open = move |number: u32| {
            let path = match number {
                0 => files.clone(),
                number => with_suffix(&files, &format!("_{number}")),
            };
            OpenOptions::new().write(true).create_new(true).open(path)
        };
        Recorder::start(&options, limits, open).map_err(|error| match error {
            error @ cortex_bag::WriteError::NoCompression(_) => Failure::Usage(error.to_string()),
            error => Failure::with_context(path.display(), &error),
        })
    }
}

/// A name with the time in UTC.
fn default_path() -> PathBuf {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("bag_{}.mcap", now.replace([':', '-'], "").trim_end_matches('Z')).into()
}

/// What the user sees of a recording.
#[derive(Debug)]
struct Report<'p> {
    is_json: bool,
    is_terminal: bool,
    path: &'p Path,
    last: RecorderStats,
    line: StatusLine,
}

impl<'p> Report<'p> {
    fn new(is_json: bool, path: &'p Path) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && !is_json;
        if is_terminal {
            print_stderr(&format!("cortex: recording to {}; Ctrl-C ends it", path.display()));
        }
        Self {
            is_json,
            is_terminal,
            path,
            last: RecorderStats::default(),
            line: StatusLine::default(),
        }
    }

    /// Shows the last second.
    fn show(&mut self, stats: &RecorderStats, sources: (usize, usize)) -> Result<()> {
        let messages = stats.messages.saturating_sub(self.last.messages);
        let bytes = stats.message_bytes.saturating_sub(self.last.message_bytes);
        self.last = stats.clone();
        if self.is_json {
            let mut object = self.json(stats, sources, false);
            if let Some(object) = object.as_object_mut() {
                object.insert("rate_hz".to_owned(), json!(messages));
                object.insert("bytes_per_s".to_owned(), json!(bytes));
            }
            return print_json(&object);
        }
        if !self.is_terminal {
            return Ok(());
        }
        let free = free_bytes(self.path)
            .map_or_else(String::new, |free| format!(", {} free", byte_count(free as f64)));
        let (topics, _) = sources;
        let line = format!(
            "{}, {messages} messages/s, {}/s, file {}, lost {}, dropped {}{free}",
            counted(topics, "topic"),
            byte_count(bytes as f64),
            byte_count(stats.file_bytes as f64),
            stats.losses.lost,
            stats.losses.dropped,
        );
        self.line.show(&line)
    }

    fn summarize(&self, stats: &RecorderStats, sources: (usize, usize)) -> Result<()> {
        if self.is_json {
            return print_json(&self.json(stats, sources, true));
        }
        let (topics, publishers) = sources;
        let files = match stats.files {
            0 | 1 => String::new(),
            files => format!(" and {} more", files.saturating_sub(1)),
        };
        let restarts = match stats.losses.restarts {
            0 => String::new(),
            restarts => format!(", {}", counted(restarts, "restart")),
        };
        print(&format!(
            "{}{files}: {} of {} and {}, {}, lost {}, dropped {}{restarts}",
            escaped(&self.path.display().to_string()),
            counted(stats.messages, "message"),
            counted(topics, "topic"),
            counted(publishers, "publisher"),
            byte_count(stats.file_bytes as f64),
            stats.losses.lost,
            stats.losses.dropped,
        ))
    }

    fn json(
        &self,
        stats: &RecorderStats,
        (topics, publishers): (usize, usize),
        is_summary: bool,
    ) -> Json {
        json!({
            "summary": is_summary,
            "path": self.path.display().to_string(),
            "topics": topics,
            "publishers": publishers,
            "messages": stats.messages,
            "message_bytes": stats.message_bytes,
            "file_bytes": stats.file_bytes,
            "files": stats.files,
            "lost": stats.losses.lost,
            "dropped": stats.losses.dropped,
            "restarts": stats.losses.restarts,
            "waiting_bytes": stats.waiting,
            "free_bytes": free_bytes(self.path),
        })
    }
}

/// Bytes that the disk of a file has left for this user.
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_with_or_without_an_exponent() {
        assert_eq!(["5e8", "17", "1.5e3"].map(bytes), [Ok(500_000_000), Ok(17), Ok(1500)]);
        assert!(["", "-1", "0", "NaN", "1e300", "5MB"].iter().all(|text| bytes(text).is_err()));
    }
}
