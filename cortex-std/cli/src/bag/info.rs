//! `cortex bag info`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use cortex_bag::{ChannelInfo, Losses, Message};
use cortex_std::ErrorChain;
use serde_json::{Value as Json, json};

use super::arguments::open;
use crate::failure::{Outcome, Result};
use crate::message::fingerprint_text;
use crate::output::{Paint, byte_count, columns, escaped, print, print_json};
use crate::session::Session;
use crate::time::utc;

/// Show what a recording contains: topics, types, counts, rates, losses, damage.
///
/// The whole file is read and each chunk is checked against its checksum. Exit code 1 if it is damaged or
/// its recording was not finished.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex bag info drive.mcap\n  \
    cortex bag info --json drive.mcap | jq '.channels[].topic'")]
pub(crate) struct Info {
    /// The file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

/// What is known of a channel.
#[derive(Debug, Default)]
struct Contents {
    messages: u64,
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Contents {
    fn add(&mut self, message: &Message) {
        if self.messages == 0 {
            self.first_ns = message.arrival_ns;
        }
        self.first_ns = self.first_ns.min(message.arrival_ns);
        self.last_ns = self.last_ns.max(message.arrival_ns);
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(message.len() as u64);
    }

    fn seconds(&self) -> f64 {
        self.last_ns.saturating_sub(self.first_ns) as f64 / 1e9
    }

    /// The mean rate between the first and the last message.
    fn rate(&self) -> Option<f64> {
        let seconds = self.seconds();
        (seconds > 0.0).then(|| self.messages.saturating_sub(1) as f64 / seconds)
    }
}

/// A channel, its contents, and what is missing.
type Row = (Arc<ChannelInfo>, Contents, Losses);

impl Info {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let mut reader = open(&self.path)?;
        let mut contents = BTreeMap::<u16, Contents>::new();
        let mut all = Contents::default();
        let mut damage = Vec::new();
        for next in reader.by_ref() {
            match next {
                Ok(message) => {
                    contents.entry(message.channel_id).or_default().add(&message);
                    all.add(&message);
                }
                Err(error) => damage.push(ErrorChain(&error).to_string()),
            }
        }
        let row = |(id, info): (&u16, &Arc<ChannelInfo>)| -> Row {
            let losses = reader.losses().get(id).copied().unwrap_or_default();
            (Arc::clone(info), contents.remove(id).unwrap_or_default(), losses)
        };
        let mut rows: Vec<Row> = reader.channels().iter().map(row).collect();
        rows.sort_by(|(a, ..), (b, ..)| (&a.topic, &a.node).cmp(&(&b.topic, &b.node)));
        let outcome = Outcome::found_if(damage.is_empty() && reader.is_complete());
        let compression = match reader.compression() {
            "" => "none",
            compression => compression,
        };
        if session.json {
            print_json(&json!({
                "path": self.path.display().to_string(),
                "bytes": reader.len(),
                "compression": compression,
                "start_ns": (all.messages > 0).then(|| all.first_ns.to_string()),
                "end_ns": (all.messages > 0).then(|| all.last_ns.to_string()),
                "seconds": all.seconds(),
                "messages": all.messages,
                "foreign": reader.foreign(),
                "complete": reader.is_complete(),
                "damage": damage,
                "channels": rows.iter().map(channel_json).collect::<Json>(),
            }))?;
            return Ok(outcome);
        }
        let paint = Paint::stdout();
        let state = match (damage.is_empty(), reader.is_complete()) {
            (true, true) => paint.good("complete"),
            _ => paint.bad("damaged: `cortex bag repair` completes it"),
        };
        let entry = |name: &str, value: String| [paint.key(name), value];
        let mut head = vec![
            entry("file", escaped(&self.path.display().to_string())),
            entry(
                "size",
                format!("{}, compression {compression}", byte_count(reader.len() as f64)),
            ),
            entry("state", state),
            entry("messages", all.messages.to_string()),
        ];
        if all.messages > 0 {
            head.push(entry("start", utc(all.first_ns)));
            head.push(entry("duration", format!("{:.3} s", all.seconds())));
        }
        if reader.foreign() > 0 {
            head.push(entry("others", format!("{} messages of other encodings", reader.foreign())));
        }
        columns(&head).iter().try_for_each(|line| print(line))?;
        for reason in damage {
            print(&paint.bad(&escaped(&reason)))?;
        }
        if rows.is_empty() {
            return Ok(outcome);
        }
        let title = |title: &str| paint.faint(title);
        let mut table =
            vec![["TOPIC", "CLASS", "NODE", "MESSAGES", "RATE", "BYTES", "MISSING"].map(title)];
        table.extend(rows.iter().map(|(info, contents, losses)| {
            let missing = match losses.messages() {
                0 => "none".to_owned(),
                _ => paint.bad(&format!("lost {}, dropped {}", losses.lost, losses.dropped)),
            };
            [
                paint.name(&escaped(&info.topic)),
                escaped(info.class_name()),
                escaped(&info.node),
                contents.messages.to_string(),
                contents.rate().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2} Hz")),
                byte_count(contents.bytes as f64),
                missing,
            ]
        }));
        print("")?;
        columns(&table).iter().try_for_each(|line| print(line))?;
        Ok(outcome)
    }
}

fn channel_json((info, contents, losses): &Row) -> Json {
    let fields = info
        .fields
        .iter()
        .map(|field| json!({ "name": field.name, "type": field.kind, "optional": field.optional }));
    json!({
        "topic": info.topic,
        "node": info.node,
        "class": info.class,
        "fingerprint": fingerprint_text(info.fingerprint),
        "layout": info.layout.map(fingerprint_text),
        "fields": fields.collect::<Json>(),
        "messages": contents.messages,
        "bytes": contents.bytes,
        "rate_hz": contents.rate(),
        "lost": losses.lost,
        "dropped": losses.dropped,
        "restarts": losses.restarts,
    })
}
