//! The table of registered topics and their publishers.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indexmap::{Equivalent, IndexMap};

use super::origin::Origin;
use crate::endpoint::{Endpoint, Probe};
use crate::wire::discovery::{RequestExt, TopicInfo};

/// Bytes of the longest name, address or type.
pub(in crate::discovery) const MAX_TEXT_LEN: usize = 1024;
/// Publishers that are kept.
const MAX_PUBLISHERS: usize = 20_000;
/// Publishers of one topic.
const MAX_SHARING: usize = 256;
/// Bytes of all names and addresses together: a list of all topics must fit into one answer.
const MAX_BYTES: usize = 8 << 20;
/// Urgent checks that may wait; a dropped one is made in rotation.
const MAX_URGENT: usize = 1024;

/// One publisher of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::discovery) struct Entry {
    pub(in crate::discovery) address: String,
    pub(in crate::discovery) message_type: String,
    pub(in crate::discovery) fingerprint: u64,
    pub(in crate::discovery) publisher_node: String,
    pub(in crate::discovery) layout: Option<u64>,
    pub(in crate::discovery) is_shared: bool,
    /// How long the registration lasts without renewal; `None` for no limit.
    pub(in crate::discovery) lease: Option<Duration>,
    pub(in crate::discovery) origin: Origin,
    /// Whether a probe has found a listener at its address.
    pub(in crate::discovery) was_alive: bool,
}

impl Entry {
    pub(in crate::discovery) fn new(info: &TopicInfo<'_>, ext: RequestExt, origin: Origin) -> Self {
        Self {
            address: info.address.to_owned(),
            message_type: info.message_type.to_owned(),
            fingerprint: info.fingerprint,
            publisher_node: info.publisher_node.to_owned(),
            layout: ext.layout,
            is_shared: ext.shared,
            lease: ext.lease_ms.map(|lease| Duration::from_millis(lease.into())),
            origin,
            was_alive: false,
        }
    }

    pub(in crate::discovery) fn info<'a>(&'a self, name: &'a str) -> TopicInfo<'a> {
        TopicInfo {
            name,
            address: &self.address,
            message_type: &self.message_type,
            fingerprint: self.fingerprint,
            publisher_node: &self.publisher_node,
        }
    }

    /// The socket file whose probe tells whether the publisher lives; only a local registration names a
    /// file of this machine.
    fn path(&self) -> Option<PathBuf> {
        match (self.origin, self.address.parse::<Endpoint>()) {
            (Origin::Local, Ok(endpoint)) => endpoint.file_path().map(PathBuf::from),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        self.address.len() + self.message_type.len() + self.publisher_node.len()
    }
}

/// A registered publisher and what identifies exactly this registration.
#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// Different from that of every earlier registration.
    serial: u64,
    ends: Option<Instant>,
}

/// An address to probe, of one registration.
#[derive(Debug)]
pub(in crate::discovery) struct Check {
    pub(in crate::discovery) path: PathBuf,
    name: String,
    serial: u64,
}

/// Why a publisher was not registered.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::discovery) enum Refused {
    /// This node has the topic.
    Taken(String),
    /// A limit is reached.
    Full,
}

/// The publishers of all topics.
#[derive(Debug, Default)]
pub(in crate::discovery) struct Table {
    topics: IndexMap<Name, Vec<Slot>>,
    publishers: usize,
    bytes: usize,
    serial: u64,
    /// Grows with every change that the next daemon needs.
    version: u64,
    /// No lease ends before.
    soonest: Option<Instant>,
    urgent: Vec<Check>,
}

impl Table {
    pub(in crate::discovery) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(in crate::discovery) fn version(&self) -> u64 {
        self.version
    }

    /// The publishers of a topic, the oldest registration first; none for an unknown topic.
    pub(in crate::discovery) fn publishers(
        &self,
        name: &str,
    ) -> impl ExactSizeIterator<Item = &Entry> {
        let slots = self.topics.get(&Wanted(name)).map_or(&[][..], Vec::as_slice);
        slots.iter().map(|slot| &slot.entry)
    }

    /// Every topic with its first publisher.
    pub(in crate::discovery) fn first_publishers(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.topics.iter().filter_map(|(name, slots)| Some((&*name.0, &slots.first()?.entry)))
    }

    /// Every publisher.
    pub(in crate::discovery) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.topics
            .iter()
            .flat_map(|(name, slots)| slots.iter().map(move |slot| (&*name.0, &slot.entry)))
    }

    /// Adds a publisher, or renews the registration of its node.
    pub(in crate::discovery) fn insert(
        &mut self,
        name: &str,
        entry: Entry,
        now: Instant,
    ) -> Result<(), Refused> {
        self.serial += 1;
        let mut slot =
            Slot { ends: entry.lease.map(|lease| now + lease), serial: self.serial, entry };
        let check = slot.check(name);
        let len = slot.entry.len();
        self.soonest = [self.soonest, slot.ends].into_iter().flatten().min();
        let Some(slots) = self.topics.get_mut(&Wanted(name)) else {
            self.has_room(name.len() + len)?;
            self.bytes += name.len() + len;
            self.publishers += 1;
            self.topics.insert(Name(name.into()), vec![slot]);
            self.record_new(check);
            return Ok(());
        };
        let node = &slot.entry.publisher_node;
        let others = slots.iter().filter(|other| other.entry.publisher_node != *node);
        if let Some(other) = others.clone().find(|o| !(o.entry.is_shared && slot.entry.is_shared)) {
            let owner = other.entry.publisher_node.clone();
            // The owner may be dead.
            let checks: Vec<_> = others.filter_map(|other| other.check(name)).collect();
            self.add_urgent(checks);
            return Err(Refused::Taken(owner));
        }
        let sharing = others.count();
        match slots.iter_mut().find(|own| own.entry.publisher_node == *node) {
            Some(own) => {
                // A renewal without a change needs no probe and no new snapshot.
                let mut before = own.entry.clone();
                let was_alive = std::mem::take(&mut before.was_alive);
                let is_same = before == slot.entry;
                slot.entry.was_alive = is_same && was_alive;
                self.bytes = self.bytes - own.entry.len() + len;
                *own = slot;
                if !is_same {
                    self.record_new(check);
                }
            }
            None => {
                if sharing >= MAX_SHARING {
                    return Err(Refused::Full);
                }
                self.has_room(len)?;
                self.bytes += len;
                self.publishers += 1;
                // Borrowed again: `has_room` borrows the whole table.
                if let Some(slots) = self.topics.get_mut(&Wanted(name)) {
                    slots.push(slot);
                }
                self.record_new(check);
            }
        }
        Ok(())
    }

    fn has_room(&self, len: usize) -> Result<(), Refused> {
        match self.publishers < MAX_PUBLISHERS && self.bytes + len <= MAX_BYTES {
            true => Ok(()),
            false => Err(Refused::Full),
        }
    }

    fn record_new(&mut self, check: Option<Check>) {
        self.version += 1;
        self.add_urgent(check);
    }

    fn add_urgent(&mut self, checks: impl IntoIterator<Item = Check>) {
        let room = MAX_URGENT - self.urgent.len();
        self.urgent.extend(checks.into_iter().take(room));
    }

    /// Removes the publishers of a topic that `is_meant`; returns how many.
    pub(in crate::discovery) fn remove(
        &mut self,
        name: &str,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> usize {
        self.remove_slots(name, |slot| is_meant(&slot.entry))
    }

    fn remove_slots(&mut self, name: &str, is_meant: impl Fn(&Slot) -> bool) -> usize {
        let Some(slots) = self.topics.get_mut(&Wanted(name)) else { return 0 };
        let before = slots.len();
        let bytes = &mut self.bytes;
        slots.retain(|slot| {
            let is_meant = is_meant(slot);
            *bytes -= if is_meant { slot.entry.len() } else { 0 };
            !is_meant
        });
        let removed = before - slots.len();
        if slots.is_empty() {
            self.topics.swap_remove(&Wanted(name));
            self.bytes -= name.len();
        }
        self.publishers -= removed;
        self.version += u64::from(removed > 0);
        removed
    }

    /// Removes the registrations whose lease has ended; returns topic and node of each.
    pub(in crate::discovery) fn expire(&mut self, now: Instant) -> Vec<(String, String)> {
        if self.soonest.is_none_or(|soonest| now < soonest) {
            return Vec::new();
        }
        let is_over = |slot: &Slot| slot.ends.is_some_and(|ends| ends <= now);
        let over: Vec<_> = self
            .topics
            .iter()
            .flat_map(|(name, slots)| slots.iter().map(move |slot| (name, slot)))
            .filter(|(_, slot)| is_over(slot))
            .map(|(name, slot)| (name.0.to_string(), slot.entry.publisher_node.clone()))
            .collect();
        for (name, _) in &over {
            self.remove_slots(name, is_over);
        }
        self.soonest = self.topics.values().flatten().filter_map(|slot| slot.ends).min();
        over
    }

    /// Extends every lease.
    pub(in crate::discovery) fn extend_leases(&mut self, by: Duration) {
        for ends in self.topics.values_mut().flatten().filter_map(|slot| slot.ends.as_mut()) {
            *ends += by;
        }
        self.soonest = self.soonest.map(|soonest| soonest + by);
    }

    /// Whether there are addresses to probe now.
    pub(in crate::discovery) fn is_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// Addresses to probe now: new ones, and those that keep another node from registering.
    pub(in crate::discovery) fn take_urgent(&mut self) -> Vec<Check> {
        std::mem::take(&mut self.urgent)
    }

    /// Addresses to probe in rotation: those of at most `count` topics from index `from` on.
    pub(in crate::discovery) fn checks(&self, from: usize, count: usize) -> Vec<Check> {
        let turn = self.topics.iter().skip(from).take(count);
        turn.flat_map(|(name, slots)| slots.iter().filter_map(|slot| slot.check(&name.0))).collect()
    }

    /// Records the result of a probe; returns topic and node of a publisher that this removes.
    pub(in crate::discovery) fn record_probe(
        &mut self,
        check: &Check,
        found: Probe,
    ) -> Option<(String, String)> {
        let slots = self.topics.get_mut(&Wanted(&check.name))?;
        let slot = slots.iter_mut().find(|slot| slot.serial == check.serial)?;
        match found {
            Probe::Alive { .. } if !slot.entry.was_alive => {
                slot.entry.was_alive = true;
                self.version += 1;
                None
            }
            // A publisher never seen alive may live where this process cannot see it.
            Probe::Refused | Probe::Absent if slot.entry.was_alive => {
                let node = slot.entry.publisher_node.clone();
                self.remove_slots(&check.name, |slot| slot.serial == check.serial);
                Some((check.name.clone(), node))
            }
            _ => None,
        }
    }
}

impl Slot {
    fn check(&self, name: &str) -> Option<Check> {
        let path = self.entry.path()?;
        Some(Check { path, name: name.to_owned(), serial: self.serial })
    }
}

/// The name of a topic in the table.
#[derive(Debug, PartialEq, Eq)]
struct Name(Box<str>);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The name of a topic to look up.
#[derive(Hash)]
struct Wanted<'a>(&'a str);

impl Equivalent<Name> for Wanted<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        #[cfg(test)]
        tests::COMPARED.set(tests::COMPARED.get() + 1);
        *self.0 == *name.0
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Names that were compared.
        pub(in crate::discovery) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    fn entry(node: &str, address: &str) -> Entry {
        let info = TopicInfo {
            name: "",
            address,
            message_type: "M",
            fingerprint: 1,
            publisher_node: node,
        };
        Entry::new(&info, RequestExt::default(), Origin::Local)
    }

    const ALIVE: Probe = Probe::Alive { pid: None };

    #[test]
    fn the_work_for_a_lookup_does_not_grow_with_the_table_and_a_list_is_one_walk() {
        let compared = |topics: usize| {
            let mut table = Table::default();
            for topic in 0..topics {
                let name = format!("/robot/topic_{topic}");
                table.insert(&name, entry("n", "ipc:///tmp/x"), Instant::now()).unwrap();
            }
            COMPARED.set(0);
            for topic in 0..1000 {
                let name = format!("/robot/topic_{}", topic % topics);
                assert_eq!(table.publishers(&name).len(), 1);
                assert_eq!(table.publishers(&format!("/absent/{topic}")).len(), 0);
            }
            let compared = COMPARED.get();
            // Listing looks for no name at all.
            assert_eq!(table.first_publishers().count(), topics);
            assert_eq!(COMPARED.get(), compared);
            compared
        };
        let (few, many) = (compared(10), compared(10_000));
        // One for each that is there, and by chance some more, where seven bits of the hash agree: one
        // pair of the ten does so a hundred times. Walking the tables would be 15,000 and more.
        assert!((1000..5000).contains(&few), "{few} names were compared in a table of 10");
        assert!((1000..5000).contains(&many), "{many} names were compared in a table of 10,000");
    }

    #[test]
    fn an_address_that_was_alive_and_refuses_is_removed() {
        let mut table = Table::default();
        let now = Instant::now();
        table.insert("/t", entry("a", "ipc:///tmp/a"), now).unwrap();
        let checks = table.take_urgent();
        assert_eq!(checks.len(), 1);
        // Never seen: the daemon may not be able to.
        for found in [Probe::Refused, Probe::Absent, Probe::Unknown] {
            assert_eq!(table.record_probe(&checks[0], found), None);
        }
        let version = table.version();
        assert_eq!(table.record_probe(&checks[0], ALIVE), None);
        assert_eq!(table.record_probe(&checks[0], ALIVE), None);
        assert_eq!(table.version(), version + 1);
        assert_eq!(table.record_probe(&checks[0], Probe::Unknown), None);
        assert_eq!(table.len(), 1);
        let gone = table.record_probe(&checks[0], Probe::Refused);
        assert_eq!(gone, Some(("/t".into(), "a".into())));
        assert_eq!((table.len(), table.publishers, table.bytes), (0, 0, 0));
    }

    #[test]
    fn what_was_found_out_counts_for_one_registration_only() {
        let mut table = Table::default();
        let now = Instant::now();
        table.insert("/t", entry("a", "ipc:///tmp/a"), now).unwrap();
        let first = table.take_urgent();
        table.record_probe(&first[0], ALIVE);
        table.remove("/t", |_| true);
        table.insert("/t", entry("a", "ipc:///tmp/a"), now).unwrap();
        // Looked at before, told after.
        assert_eq!(table.record_probe(&first[0], Probe::Refused), None);
        let second = table.take_urgent();
        assert_eq!(table.record_probe(&second[0], Probe::Refused), None);
        // Said once more without a change: it stays known to be alive, and nothing is to be kept.
        table.record_probe(&second[0], ALIVE);
        let version = table.version();
        table.insert("/t", entry("a", "ipc:///tmp/a"), now).unwrap();
        assert_eq!((table.version(), table.is_urgent()), (version, false));
        let third = table.checks(0, 10);
        assert!(table.record_probe(&third[0], Probe::Absent).is_some());
    }

    #[test]
    fn only_local_files_are_looked_at() {
        let mut table = Table::default();
        let now = Instant::now();
        let remote = Entry { origin: Origin::Remote, ..entry("a", "ipc:///tmp/a") };
        table.insert("/remote", remote, now).unwrap();
        table.insert("/tcp", entry("a", "tcp://127.0.0.1:1"), now).unwrap();
        table.insert("/abstract", entry("a", "ipc://@a"), now).unwrap();
        table.insert("/none", entry("a", "no address"), now).unwrap();
        assert!(!table.is_urgent());
        assert!(table.checks(0, 10).is_empty());
    }

    #[test]
    fn who_stands_in_the_way_is_looked_at() {
        let mut table = Table::default();
        let now = Instant::now();
        table.insert("/t", entry("a", "ipc:///tmp/a"), now).unwrap();
        table.take_urgent();
        let refused = table.insert("/t", entry("b", "ipc:///tmp/b"), now);
        assert_eq!(refused, Err(Refused::Taken("a".into())));
        let checks = table.take_urgent();
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].path, PathBuf::from("/tmp/a"));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Table::default();
        let now = Instant::now();
        let long = "x".repeat(MAX_TEXT_LEN);
        let mut taken = 0;
        while table.insert(&format!("/{taken}"), entry(&long, &long), now).is_ok() {
            taken += 1;
        }
        assert!(table.bytes <= MAX_BYTES && taken > 1000);
        // What is there may be renewed, and leave.
        assert_eq!(table.insert("/0", entry(&long, &long), now), Ok(()));
        assert_eq!(table.remove("/0", |_| true), 1);
        assert_eq!(table.insert("/new", entry(&long, &long), now), Ok(()));
        let shared = |node: usize| Entry { is_shared: true, ..entry(&node.to_string(), "x") };
        let mut table = Table::default();
        for node in 0..=MAX_SHARING {
            let _ = table.insert("/t", shared(node), now);
        }
        assert_eq!(table.publishers("/t").len(), MAX_SHARING);
    }
}
