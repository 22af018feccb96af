//! The publishers that are measured. The receiving threads record messages, so that a slow output or a
//! daemon that does not answer delays no measurement and queues nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::meter::{Meter, Sample};

/// A topic and a node that publishes it: each publisher has its own sequence numbers.
pub(super) type Source = (Arc<str>, Arc<str>);

/// A meter that a receiving thread and the command share.
#[derive(Debug, Clone)]
pub(super) struct SharedMeter(Arc<Mutex<Meter>>);

impl SharedMeter {
    /// The meter. Hold it only as long as a value is computed: the receiving thread waits meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The meters of all sources.
#[derive(Debug, Clone)]
pub(super) struct Meters {
    window_len: usize,
    meters: Arc<Mutex<BTreeMap<Source, SharedMeter>>>,
}

impl Meters {
    /// Meters whose windows hold `window_len` messages.
    pub(super) fn new(window_len: usize) -> Self {
        Self { window_len, meters: Arc::default() }
    }

    /// Records a message, of a source that may be new.
    pub(super) fn record(&self, source: &Source, sample: Sample) {
        self.meter(source).lock().record(sample);
    }

    /// The meter of a source that may be new.
    pub(super) fn meter(&self, source: &Source) -> SharedMeter {
        let mut meters = self.lock();
        if let Some(meter) = meters.get(source) {
            return meter.clone();
        }
        let meter = Meter::new(self.window_len, Instant::now());
        let meter = SharedMeter(Arc::new(Mutex::new(meter)));
        meters.insert(source.clone(), meter.clone());
        meter
    }

    /// Whether a topic has a source.
    pub(super) fn has_topic(&self, name: &str) -> bool {
        self.lock().keys().any(|(topic, _)| **topic == *name)
    }

    /// All sources and their meters.
    pub(super) fn all(&self) -> Vec<(Source, SharedMeter)> {
        self.lock().iter().map(|(source, meter)| (source.clone(), meter.clone())).collect()
    }

    /// When the last message arrived.
    pub(super) fn last_received(&self) -> Option<Instant> {
        self.all().iter().filter_map(|(_, meter)| meter.lock().last_received()).max()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Source, SharedMeter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
