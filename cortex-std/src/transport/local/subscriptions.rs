//! The subscriptions of one peer.

use std::collections::HashMap;

/// The most different prefixes of one peer.
const MAX_PREFIXES: usize = 10_000;
/// The most bytes of all prefixes of one peer.
const MAX_BYTES: usize = 1 << 20;

/// The prefixes that a peer is subscribed to, each with the number of its subscriptions.
#[derive(Debug, Default, Clone)]
pub(super) struct Subscriptions {
    prefixes: HashMap<Box<[u8]>, u32>,
    bytes: usize,
}

impl Subscriptions {
    /// Adds one subscription; false beyond the limits.
    #[must_use]
    pub(super) fn add(&mut self, prefix: &[u8]) -> bool {
        if let Some(count) = self.prefixes.get_mut(prefix) {
            *count = count.saturating_add(1);
            return true;
        }
        let bytes = self.bytes.saturating_add(prefix.len());
        if self.prefixes.len() >= MAX_PREFIXES || bytes > MAX_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.prefixes.insert(prefix.into(), 1);
        true
    }

    /// Removes one subscription; false if there is none.
    pub(super) fn remove(&mut self, prefix: &[u8]) -> bool {
        let Some(count) = self.prefixes.get_mut(prefix) else { return false };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.prefixes.remove(prefix);
            self.bytes = self.bytes.saturating_sub(prefix.len());
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Whether a prefix matches the topic.
    pub(super) fn matches(&self, topic: &[u8]) -> bool {
        if self.prefixes.len() <= topic.len() {
            self.prefixes.keys().any(|prefix| topic.starts_with(prefix))
        } else {
            (0..=topic.len())
                .any(|len| self.prefixes.contains_key(topic.get(..len).unwrap_or(topic)))
        }
    }

    /// Removes every prefix and returns it, once however often it was subscribed.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.bytes = 0;
        self.prefixes.drain().map(|(prefix, _)| prefix.into_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_match_and_are_counted() {
        let mut subscriptions = Subscriptions::default();
        assert!(!subscriptions.matches(b"/t"));
        assert!(subscriptions.add(b"/t") && subscriptions.add(b"/t") && subscriptions.add(b"/x"));
        for (topic, matches) in [(&b"/t"[..], true), (b"/table", true), (b"/", false), (b"", false)]
        {
            assert_eq!(subscriptions.matches(topic), matches);
        }
        assert!(subscriptions.remove(b"/t") && subscriptions.matches(b"/t"));
        assert!(subscriptions.remove(b"/t") && !subscriptions.matches(b"/t"));
        assert!(!subscriptions.remove(b"/t"));
        assert!(subscriptions.add(b"") && subscriptions.matches(b""));
        let mut left: Vec<_> = subscriptions.drain().collect();
        left.sort();
        assert_eq!(left, [b"".to_vec(), b"/x".to_vec()]);
        assert!(!subscriptions.matches(b"/x"));
    }

    #[test]
    fn a_hundred_thousand_subscriptions_are_bounded() {
        let mut subscriptions = Subscriptions::default();
        let accepted = (0..100_000).filter(|i| subscriptions.add(format!("/t{i}").as_bytes()));
        assert_eq!(accepted.count(), MAX_PREFIXES);
        assert!(subscriptions.matches(b"/t1/more"));
        assert!(!subscriptions.matches(b"/u"));
        let mut long = Subscriptions::default();
        let accepted = (0..100_u8).filter(|i| long.add(&vec![*i; 65_536])).count();
        assert_eq!(accepted, MAX_BYTES / 65_536);
    }
}
