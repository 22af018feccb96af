//! One registration of a node, kept up with the daemon.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::schedule::Schedule;
use crate::discovery::client::Client;
use crate::discovery::diagnosis::{Diagnosis, Fault};
use crate::discovery::error::DiscoveryError;
use crate::discovery::topic::Topic;
use crate::endpoint::AdvertisedAddress;
use crate::log::{ErrorChain, print_unless_logged};
use crate::mutex::Mutex;
use crate::wire::discovery::RequestExt;

/// How long the daemon keeps a registration without renewal. The lease matters for publishers that the
/// daemon cannot probe: those behind tcp, whose machine may disappear without closing its connections. It
/// is long enough for a process that is stopped or swapped out for a moment.
const LEASE: Duration = Duration::from_secs(10);
/// Interval of the renewals: three may fail before the lease ends.
const RENEWAL_INTERVAL: Duration = Duration::from_millis(2500);

/// Whether the daemon knows a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// Not registered; the node keeps trying.
    Pending,
    /// Registered.
    Registered,
    /// Refused for this reason; the node asks again.
    Refused(String),
}

/// A registration that the agent keeps up.
pub(super) struct RegistrationEntry {
    pub(super) topic: Topic,
    ext: RequestExt,
    /// Where the address follows that of this machine.
    advertised: Option<AdvertisedAddress>,
    state: Arc<Mutex<Registration>>,
    /// True from the first REGISTER request until the daemon refuses.
    pub(super) may_be_known: bool,
    /// When the registration is to be renewed.
    renew_at: Instant,
    pub(super) schedule: Schedule,
}

impl RegistrationEntry {
    pub(super) fn new(
        topic: Topic,
        ext: RequestExt,
        advertised: Option<AdvertisedAddress>,
        state: Arc<Mutex<Registration>>,
        interval: Duration,
    ) -> Self {
        let lease_ms = u32::try_from(LEASE.as_millis()).ok();
        Self {
            topic,
            ext: RequestExt { lease_ms, ..ext },
            advertised,
            state,
            may_be_known: false,
            renew_at: Instant::now(),
            schedule: Schedule::new(interval),
        }
    }

    /// Makes the registration pending and due at once, if it was registered.
    pub(super) fn reset_if_registered(&mut self) {
        let mut state = self.state.lock();
        if *state == Registration::Registered {
            *state = Registration::Pending;
            self.schedule.set_due_now();
        }
    }

    /// Makes the registration pending and due at once.
    pub(super) fn reset(&mut self) {
        *self.state.lock() = Registration::Pending;
        self.schedule.set_due_now();
    }

    /// Registers, or checks whether the daemon still knows the registration.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer or its answer is malformed; a refusal is a state.
    pub(super) fn update(&mut self, client: &mut Client) -> Result<(), DiscoveryError> {
        self.follow_address(client.address())?;
        let topic = &self.topic;
        if *self.state.lock() != Registration::Pending {
            let publishers = client.look_up(&topic.name)?.map(|found| found.publishers);
            let ours = publishers.as_ref().and_then(|publishers| {
                publishers.iter().find(|other| other.publisher_node == topic.publisher_node)
            });
            match ours {
                Some(found) if found == topic && Instant::now() < self.renew_at => {
                    self.settle(Registration::Registered);
                    return Ok(());
                }
                // Registering again would make the two nodes alternate; the last registration wins.
                Some(found) if found.address != topic.address => {
                    self.may_be_known = false;
                    self.settle(Registration::Refused(format!(
                        "another node of this name publishes it at {}",
                        found.address
                    )));
                    return Ok(());
                }
                // Overwritten, forgotten or due for renewal.
                _ => {}
            }
        }
        self.may_be_known = true;
        match client.register(&self.topic, self.ext) {
            Ok(()) => {
                self.renew_at = Instant::now() + RENEWAL_INTERVAL;
                self.settle(Registration::Registered);
            }
            Err(
                error @ (DiscoveryError::AlreadyExists { .. } | DiscoveryError::Refused { .. }),
            ) => {
                self.may_be_known = false;
                self.settle(Registration::Refused(ErrorChain(&error).to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Updates the address under which other machines reach this one.
    fn follow_address(&mut self, daemon: &str) -> Result<(), DiscoveryError> {
        let Some(advertised) = &mut self.advertised else { return Ok(()) };
        let address = advertised.address().map_err(|error| {
            let diagnosis = Diagnosis::of(daemon);
            match diagnosis.fault() {
                Fault::UnknownHost { .. } => DiscoveryError::Unreachable {
                    address: daemon.to_owned(),
                    diagnosis: Box::new(diagnosis),
                },
                _ => DiscoveryError::NoRoute(error),
            }
        })?;
        if address != self.topic.address {
            tracing::info!(topic = self.topic.name, address, "this machine has another address");
            self.topic.address = address;
            // Registers anew whatever the daemon knows: only this node can tell its address.
            *self.state.lock() = Registration::Pending;
        }
        Ok(())
    }

    /// Records the state; it is checked again after the interval, since another owner may leave.
    fn settle(&mut self, next: Registration) {
        self.schedule.succeed();
        let mut state = self.state.lock();
        if *state == next {
            return;
        }
        let topic = &self.topic.name;
        match &next {
            Registration::Refused(reason) => {
                tracing::error!(topic, reason, "not registered");
                print_unless_logged(format_args!(
                    "the topic {topic:?} is not registered: {reason}"
                ));
            }
            _ => tracing::debug!(topic, address = self.topic.address, "registered"),
        }
        *state = next;
    }
}
