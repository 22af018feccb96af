//! Reports of the gateway: events and message counts, as text or as JSON.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use cortex_std::wire::link::{Direction, Hello, Stats};
use serde_json::{Value as Json, json};

use super::board::Republished;
use super::port::PortAddress;
use crate::failure::Result;
use crate::output::{Paint, escaped, print, print_json};

/// Counts messages, and prints events and counts.
#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    interval: Duration,
    last: Instant,
    published: u64,
    unknown_topic: u64,
    failed: u64,
    sent: u64,
}

impl Report {
    pub(super) fn new(is_json: bool, interval: Duration) -> Self {
        let last = Instant::now();
        Self { is_json, interval, last, published: 0, unknown_topic: 0, failed: 0, sent: 0 }
    }

    /// Counts a message from the board.
    pub(super) fn received(&mut self, result: Republished) {
        *match result {
            Republished::Published => &mut self.published,
            Republished::UnknownTopic => &mut self.unknown_topic,
            Republished::Failed => &mut self.failed,
        } += 1;
    }

    /// Counts a message to the board.
    pub(super) fn sent(&mut self) {
        self.sent += 1;
    }

    /// The port was opened.
    pub(super) fn opened(&self, address: &PortAddress) -> Result<()> {
        let place = address.to_string();
        self.write(format!("{place}: open"), json!({ "event": "open", "place": place }))
    }

    /// The open port failed.
    pub(super) fn closed(&self, address: &PortAddress, reason: &str) -> Result<()> {
        self.unavailable("closed", address, reason)
    }

    /// The port cannot be opened.
    pub(super) fn absent(&self, address: &PortAddress, reason: &io::Error) -> Result<()> {
        self.unavailable("absent", address, reason)
    }

    fn unavailable(&self, event: &str, address: &PortAddress, reason: impl Display) -> Result<()> {
        let (place, reason) = (address.to_string(), reason.to_string());
        let text = format!("{place}: {reason}; retrying until it opens");
        self.write(text, json!({ "event": event, "place": place, "reason": reason }))
    }

    /// The board has started or connected.
    pub(super) fn hello(&self, hello: &Hello<'_>) {
        let names = |direction| -> Vec<&str> {
            let topics = hello.topics.into_iter();
            topics.filter(|topic| topic.direction == direction).map(|topic| topic.name).collect()
        };
        let (publishes, subscribes) = (names(Direction::Published), names(Direction::Subscribed));
        let text = format!(
            "{:?} connected: publishes {publishes:?}, subscribes to {subscribes:?}",
            hello.node
        );
        let object = json!({
            "event": "hello",
            "node": hello.node,
            "publishes": publishes,
            "subscribes": subscribes,
        });
        // If stdout is closed, the next report of counts fails.
        let _ = self.write(text, object);
    }

    /// Whether the counts are due.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    /// Prints the counts since the start. `dropped` is the number of messages for the board that the
    /// full queue dropped.
    pub(super) fn counts(&mut self, node: Option<&str>, link: Stats, dropped: u64) -> Result<()> {
        self.last = Instant::now();
        let paint = Paint::stdout();
        let name =
            node.map_or_else(|| "no board yet".to_owned(), |node| paint.name(&escaped(node)));
        let (published, sent) = (self.published, self.sent);
        let mut text = format!("{name}: {published} messages received, {sent} sent");
        let refused = link.refused + self.unknown_topic + self.failed;
        let failures = [
            ("lost", link.lost),
            ("damaged", link.damaged),
            ("refused", refused),
            ("dropped before sending", dropped),
        ];
        for (what, count) in failures.iter().filter(|(_, count)| *count > 0) {
            text += &paint.bad(&format!(", {count} {what}"));
        }
        for (what, count) in [("duplicates", link.duplicated), ("restarts", link.restarted)] {
            if count > 0 {
                text += &paint.warning(&format!(", {count} {what}"));
            }
        }
        let object = json!({
            "event": "stats",
            "node": node,
            "republished": self.published,
            "unknown_topic": self.unknown_topic,
            "failed": self.failed,
            "sent": self.sent,
            "too_late": dropped,
            "bytes": link.bytes,
            "frames": link.frames,
            "lost": link.lost,
            "damaged": link.damaged,
            "duplicated": link.duplicated,
            "refused": link.refused,
            "restarted": link.restarted,
        });
        self.write(text, object)
    }

    fn write(&self, text: String, object: Json) -> Result<()> {
        if self.is_json { print_json(&object) } else { print(&text) }
    }
}
