//! The counts of losses in the file.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// The name of the metadata record; the last one of a file counts.
pub(crate) const RECORD: &str = "cortex.losses";

/// Messages of a channel that are not in the bag.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Lost before they arrived at the recorder, as gaps in the sequence numbers say.
    pub lost: u64,
    /// Arrived, but did not fit into the recorder's queue or the bag.
    pub dropped: u64,
    /// Restarts of the publisher; how many messages were lost then is unknown.
    pub restarts: u64,
}

impl Losses {
    /// Both counts of messages.
    #[must_use]
    pub fn messages(self) -> u64 {
        self.lost.saturating_add(self.dropped)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.lost = self.lost.saturating_add(other.lost);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.restarts = self.restarts.saturating_add(other.restarts);
    }

    pub(crate) fn to_json(self) -> Json {
        json!({ "lost": self.lost, "dropped": self.dropped, "restarts": self.restarts })
    }

    fn parse(text: &str) -> Self {
        let json: Json = serde_json::from_str(text).unwrap_or_default();
        let count = |name: &str| json.get(name).and_then(Json::as_u64).unwrap_or_default();
        Self { lost: count("lost"), dropped: count("dropped"), restarts: count("restarts") }
    }
}

/// The losses of channels by their number in the file, from a metadata record.
pub(crate) fn parse(metadata: &BTreeMap<String, String>) -> BTreeMap<u16, Losses> {
    let entry = |(id, text): (&String, &String)| Some((id.parse().ok()?, Losses::parse(text)));
    metadata.iter().filter_map(entry).collect()
}

/// The metadata record of the losses.
pub(crate) fn record(losses: &BTreeMap<u16, Losses>) -> BTreeMap<String, String> {
    losses.iter().map(|(id, losses)| (id.to_string(), losses.to_json().to_string())).collect()
}
