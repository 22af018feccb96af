//! From a received message to the callback: decoding, counting, timing.

use std::sync::Arc;
use std::time::Instant;

use super::sample::Sample;
use super::subscription::Subscription;
use crate::clock::wall_clock_ns;
use crate::log::LogLimit;
use crate::wire::{DecodeError, Message};

/// Counts and logs messages that are not delivered.
#[derive(Debug)]
pub(super) struct Rejections {
    subscription: Arc<Subscription>,
    log: LogLimit,
}

impl Rejections {
    pub(super) fn new(subscription: &Arc<Subscription>) -> Self {
        Self { subscription: Arc::clone(subscription), log: LogLimit::default() }
    }

    pub(super) fn reject(&mut self, error: DecodeError) {
        self.subscription.counters.reject(error.kind);
        if let Some(suppressed) = self.log.pass(Instant::now()) {
            tracing::warn!(topic = %self.subscription.topic, %error, suppressed, "message rejected");
        }
    }
}

/// Decodes messages and accounts for them, in every form of delivery.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) subscription: Arc<Subscription>,
    rejections: Rejections,
}

/// A callback that is running.
pub(super) struct Call {
    begun: Option<Instant>,
}

impl Delivery {
    pub(super) fn new(subscription: Arc<Subscription>) -> Self {
        Self { rejections: Rejections::new(&subscription), subscription }
    }

    /// Decodes a sample and counts it; `None` for a message that is rejected.
    pub(super) fn decode<'s, M: Message + 'static>(
        &mut self,
        sample: &'s Sample<M>,
    ) -> Option<M::View<'s>> {
        let counters = &self.subscription.counters;
        let begun = counters.begin();
        match sample.message() {
            Ok(message) => {
                counters.decoded(begun);
                counters.last_receive_ns.set(wall_clock_ns());
                counters.received.add(1);
                counters.received_bytes.add(sample.len() as u64);
                Some(message)
            }
            Err(error) => {
                self.rejections.reject(error);
                None
            }
        }
    }

    /// Before a callback is called.
    pub(super) fn begin_call(&self) -> Call {
        Call { begun: self.subscription.counters.begin() }
    }

    /// After a callback has returned, with its error.
    pub(super) fn end_call(&self, call: Call, failure: Option<String>) {
        self.subscription.counters.called(call.begun);
        self.subscription.record_failure(failure);
    }
}
