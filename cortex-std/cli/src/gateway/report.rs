//! Reports of the gateway: events and message counts, as text or as JSON.

use std::time::{Duration, Instant};

use cortex_std::wire::link::{Direction, Hello, Stats};
use serde_json::{Value as Json, json};

use super::board::Republished;
use super::liveness::State;
use super::port::PortAddress;
use crate::failure::Result;
use crate::output::{Paint, escaped, print, print_json};

/// Counts messages, and prints events and counts.
#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    interval: Duration,
    /// The device or address of the board.
    place: String,
    is_serial: bool,
    last: Instant,
    state: State,
    counts: Counts,
}

/// Messages since the start.
#[derive(Debug, Default)]
struct Counts {
    published: u64,
    congested: u64,
    unknown_topic: u64,
    failed: u64,
    sent: u64,
}

impl Report {
    pub(super) fn new(is_json: bool, interval: Duration, address: &PortAddress) -> Self {
        let (place, is_serial) =
            (address.to_string(), matches!(address, PortAddress::Serial { .. }));
        let (last, counts) = (Instant::now(), Counts::default());
        Self { is_json, interval, place, is_serial, last, state: State::Closed, counts }
    }

    /// Counts a message from the board.
    pub(super) fn received(&mut self, result: Republished) {
        *match result {
            Republished::Published => &mut self.counts.published,
            Republished::Congested => &mut self.counts.congested,
            Republished::UnknownTopic => &mut self.counts.unknown_topic,
            Republished::Failed => &mut self.counts.failed,
        } += 1;
    }

    /// Counts a message to the board.
    pub(super) fn sent(&mut self) {
        self.counts.sent += 1;
    }

    /// The port was opened.
    pub(super) fn opened(&mut self) -> Result<()> {
        self.state = State::Receiving;
        let place = &self.place;
        self.write(format!("{place}: open"), json!({ "event": "open", "place": place }))
    }

    /// The open port failed.
    pub(super) fn closed(&mut self, reason: &str) -> Result<()> {
        self.unavailable("closed", reason)
    }

    /// The port cannot be opened.
    pub(super) fn absent(&mut self, reason: &str) -> Result<()> {
        self.unavailable("absent", reason)
    }

    fn unavailable(&mut self, event: &str, reason: &str) -> Result<()> {
        self.state = State::Closed;
        let place = &self.place;
        let text = format!("{place}: {reason}; retrying until it opens");
        self.write(text, json!({ "event": event, "place": place, "reason": reason }))
    }

    /// Reports that the board fell silent, that its bytes are garbled, or that it sends again.
    pub(super) fn state(&mut self, state: State) -> Result<()> {
        if std::mem::discriminant(&state) == std::mem::discriminant(&self.state) {
            return Ok(());
        }
        self.state = state;
        let (place, is_serial) = (&self.place, self.is_serial);
        let hint = match state {
            State::Closed => return Ok(()),
            State::Receiving => format!("{place}: the board sends"),
            State::Silent(time) => {
                let seconds = time.as_secs();
                let check = match is_serial {
                    true => "is the board powered, its program running, and its TX connected?",
                    false => "does the program of the board run?",
                };
                format!("{place}: no valid data for {seconds} s: {check}")
            }
            State::Garbled(bytes) => {
                let check = match is_serial {
                    true => "does the board use another rate (--baud), or is it no Cortex link?",
                    false => {
                        "is it a Cortex link, and the rate of the serial line behind it right?"
                    }
                };
                format!("{place}: {bytes} bytes without a valid frame: {check}")
            }
        };
        let mut object = json!({ "event": state.name(), "place": place, "text": hint });
        match state {
            State::Silent(time) => object["silent_s"] = json!(time.as_secs_f64()),
            State::Garbled(bytes) => object["bytes"] = json!(bytes),
            State::Closed | State::Receiving => {}
        }
        self.write(hint, object)
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
    pub(super) fn counts(
        &mut self,
        node: Option<&str>,
        state: State,
        link: Stats,
        dropped: u64,
    ) -> Result<()> {
        self.last = Instant::now();
        let text = self.counts.text(Paint::stdout(), node, state, link, dropped);
        let counts = &self.counts;
        let silent_s = match state {
            State::Silent(time) => time.as_secs_f64(),
            _ => 0.0,
        };
        let object = json!({
            "event": "stats",
            "node": node,
            "state": state.name(),
            "silent_s": silent_s,
            "republished": counts.published + counts.congested,
            "congested": counts.congested,
            "unknown_topic": counts.unknown_topic,
            "failed": counts.failed,
            "sent": counts.sent,
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

impl Counts {
    fn text(
        &self,
        paint: Paint,
        node: Option<&str>,
        state: State,
        link: Stats,
        dropped: u64,
    ) -> String {
        let name =
            node.map_or_else(|| "no board yet".to_owned(), |node| paint.name(&escaped(node)));
        let received = self.published + self.congested;
        let mut text = format!("{name}: {received} messages received, {} sent", self.sent);
        let failures = [
            ("lost", link.lost),
            ("damaged", link.damaged),
            ("refused", link.refused + self.unknown_topic + self.failed),
            ("dropped before sending", dropped),
            ("dropped for a slow subscriber", self.congested),
        ];
        for (what, count) in failures.iter().filter(|(_, count)| *count > 0) {
            text += &paint.bad(&format!(", {count} {what}"));
        }
        for (what, count) in [("duplicates", link.duplicated), ("restarts", link.restarted)] {
            if count > 0 {
                text += &paint.warning(&format!(", {count} {what}"));
            }
        }
        let state = match state {
            State::Receiving => String::new(),
            State::Closed => ", not connected now".to_owned(),
            State::Silent(time) => format!(", silent for {} s", time.as_secs()),
            State::Garbled(bytes) => format!(", {bytes} bytes without a valid frame"),
        };
        text + &paint.bad(&state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_name_the_state_of_the_board_and_slow_subscribers() {
        let counts = Counts { published: 7, congested: 2, ..Counts::default() };
        let text = |node, state| counts.text(Paint::none(), node, state, Stats::default(), 0);
        let start = "board: 9 messages received, 0 sent, 2 dropped for a slow subscriber";
        for (state, end) in [
            (State::Receiving, ""),
            (State::Closed, ", not connected now"),
            (State::Silent(Duration::from_millis(21_500)), ", silent for 21 s"),
            (State::Garbled(4000), ", 4000 bytes without a valid frame"),
        ] {
            assert_eq!(text(Some("board"), state), format!("{start}{end}"));
        }
        assert!(text(None, State::Closed).starts_with("no board yet: 9 messages"));
    }
}
