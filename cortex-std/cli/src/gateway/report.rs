//! What is told of the link: lines for people, or objects for programs.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use cortex_std::wire::link::{Direction, Hello, Stats};
use serde_json::{Value as Json, json};

use super::board::Fate;
use super::port::Place;
use crate::failure::Result;
use crate::output::{Paint, safe, say, say_json};

/// Counts, and writes them every now and then.
#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    every: Duration,
    said: Instant,
    published: u64,
    unknown: u64,
    failed: u64,
    sent: u64,
}

impl Report {
    pub(super) fn new(is_json: bool, every: Duration) -> Self {
        let said = Instant::now();
        Self { is_json, every, said, published: 0, unknown: 0, failed: 0, sent: 0 }
    }

    pub(super) fn received(&mut self, fate: Fate) {
        *match fate {
            Fate::Published => &mut self.published,
            Fate::Unknown => &mut self.unknown,
            Fate::Failed => &mut self.failed,
        } += 1;
    }

    pub(super) fn sent(&mut self) {
        self.sent += 1;
    }

    pub(super) fn opened(&self, place: &Place) -> Result<()> {
        let place = place.to_string();
        self.write(format!("{place}: open"), json!({ "event": "open", "place": place }))
    }

    pub(super) fn closed(&self, place: &Place, reason: &str) -> Result<()> {
        self.gone("closed", place, reason)
    }

    pub(super) fn absent(&self, place: &Place, reason: &io::Error) -> Result<()> {
        self.gone("absent", place, reason)
    }

    fn gone(&self, event: &str, place: &Place, reason: impl Display) -> Result<()> {
        let (place, reason) = (place.to_string(), reason.to_string());
        let text = format!("{place}: {reason}; trying again until it is there");
        self.write(text, json!({ "event": event, "place": place, "reason": reason }))
    }

    /// The board has started.
    pub(super) fn hello(&self, hello: &Hello<'_>) {
        let names = |direction| -> Vec<&str> {
            let topics = hello.topics.into_iter();
            topics.filter(|topic| topic.direction == direction).map(|topic| topic.name).collect()
        };
        let (publishes, subscribes) = (names(Direction::Published), names(Direction::Subscribed));
        let text = format!(
            "{:?} is there: publishes {publishes:?}, subscribes to {subscribes:?}",
            hello.node
        );
        let object = json!({
            "event": "hello",
            "node": hello.node,
            "publishes": publishes,
            "subscribes": subscribes,
        });
        // Who does not read reports notices when the counts are due.
        let _ = self.write(text, object);
    }

    /// Whether it is time for the counts.
    pub(super) fn is_due(&self) -> bool {
        self.said.elapsed() >= self.every
    }

    /// Writes the counts since the start.
    pub(super) fn say(&mut self, node: Option<&str>, link: Stats, late: u64) -> Result<()> {
        self.said = Instant::now();
        let paint = Paint::stdout();
        let name = node.map_or_else(|| "no board yet".to_owned(), |node| paint.name(&safe(node)));
        let (published, sent) = (self.published, self.sent);
        let mut text = format!("{name}: {published} messages from it, {sent} to it");
        let refused = link.refused + self.unknown + self.failed;
        let wrong = [
            ("lost", link.lost),
            ("damaged", link.damaged),
            ("refused", refused),
            ("too late for it", late),
        ];
        for (what, count) in wrong.iter().filter(|(_, count)| *count > 0) {
            text += &paint.bad(&format!(", {count} {what}"));
        }
        for (what, count) in [("doubled", link.duplicated), ("restarts", link.restarted)] {
            if count > 0 {
                text += &paint.warning(&format!(", {count} {what}"));
            }
        }
        let object = json!({
            "event": "stats",
            "node": node,
            "republished": self.published,
            "unknown_topic": self.unknown,
            "failed": self.failed,
            "sent": self.sent,
            "too_late": late,
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
        if self.is_json { say_json(&object) } else { say(&text) }
    }
}
