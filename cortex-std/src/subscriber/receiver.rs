//! The core of a subscriber: connections that follow the publishers, and every check that needs no
//! decoding.

use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use super::comparison::FieldList;
use super::connections::{Connections, MAX_CONNECTIONS};
use super::deadline::{Deadline, SilenceCallback};
use super::delivery::Rejections;
use super::loss::{Loss, LossCallback, LossKind};
use super::sample::Received;
use super::subscription::Subscription;
#[cfg(feature = "tokio")]
use super::wakeups::{Wakeups, poll_yield};
use crate::discovery::Found;
use crate::discovery::agent::{Agent, WatchGuard};
use crate::error::{CreateError, ReceiveError};
use crate::runtime::callback::call_guarded;
use crate::stats::node::StatsRegistry;
use crate::transport::{Context, Multipart, SubscriberOptions, WaitResult};
use crate::wire::{DecodeError, DecodeErrorKind, Header, Step, TypeInfo, find_type, standard};

/// Settings of a [`Receiver`].
pub(super) struct Settings {
    pub(super) topic: Arc<str>,
    pub(super) info: TypeInfo,
    /// The name of the node.
    pub(super) node: Arc<str>,
    /// Messages that the transport may hold; 0 is no limit.
    pub(super) high_water_mark: u32,
    /// The length of the queue, where the user set one.
    pub(super) window: Option<u32>,
    pub(super) ignores_fingerprint: bool,
    pub(super) spin: Duration,
    pub(super) on_loss: Option<LossCallback>,
    pub(super) deadline: Option<(Duration, SilenceCallback)>,
    /// Samples of each stage to keep.
    pub(super) trace: usize,
}

/// Receives the messages of one topic on one thread at a time.
pub(super) struct Receiver {
    connections: Connections,
    _watch: WatchGuard,
    subscription: Arc<Subscription>,
    /// Whether what the agent found was processed; a later change sets the interrupt.
    is_current: bool,
    info: TypeInfo,
    ignores_fingerprint: bool,
    spin: Duration,
    rejections: Rejections,
    on_loss: Option<LossCallback>,
    deadline: Option<Deadline>,
    #[cfg(feature = "tokio")]
    wakeups: Wakeups,
}

impl Receiver {
    /// # Errors
    ///
    /// When no socket or file descriptor is left.
    pub(super) fn new(
        context: &Context,
        agent: &Arc<Agent>,
        stats: &StatsRegistry,
        settings: Settings,
    ) -> Result<Self, CreateError> {
        let watch = agent.watch(&settings.topic)?;
        let cell = Arc::clone(&watch.cell);
        let topic = Arc::clone(&settings.topic);
        let subscription =
            Arc::new(Subscription::new(settings.topic, settings.info.name(), cell, settings.trace));
        let options = SubscriberOptions {
            high_water_mark: i32::try_from(settings.high_water_mark).unwrap_or(i32::MAX),
            window: settings.window,
            node: Some(settings.node),
            reconnected: Arc::clone(&subscription.counters.reconnected),
            ..SubscriberOptions::default()
        };
        let connections = Connections::new(context, options, topic)?;
        stats.add(&subscription);
        Ok(Self {
            connections,
            _watch: watch,
            is_current: false,
            info: settings.info,
            ignores_fingerprint: settings.ignores_fingerprint,
            spin: settings.spin,
            rejections: Rejections::new(&subscription),
            on_loss: settings.on_loss,
            deadline: settings.deadline.map(|(limit, callback)| Deadline::new(limit, callback)),
            subscription,
            #[cfg(feature = "tokio")]
            wakeups: Wakeups::default(),
        })
    }

    pub(super) fn subscription(&self) -> &Arc<Subscription> {
        &self.subscription
    }

    /// Blocks until the next message; `None` at the deadline.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down or the subscription is stopped; `Socket` when a socket fails.
    pub(super) fn recv_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>, ReceiveError> {
        let mut multipart = Multipart::default();
        loop {
            self.refresh()?;
            let due = self.deadline.as_ref().and_then(Deadline::due);
            let until = [deadline, due].into_iter().flatten().min();
            match self.wait(&mut multipart, until)? {
                WaitResult::Interrupted => {
                    self.is_current = false;
                    continue;
                }
                WaitResult::Ready => {
                    if let Some(header) = self.accept(&multipart) {
                        return Ok(Some(Received { multipart, header }));
                    }
                }
                WaitResult::TimedOut => self.check_silence(),
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(None);
            }
        }
    }

    /// Receives a message without waiting.
    ///
    /// # Errors
    ///
    /// As [`recv_until`](Self::recv_until).
    pub(super) fn try_recv(&mut self) -> Result<Option<Received>, ReceiveError> {
        let mut multipart = Multipart::default();
        self.refresh()?;
        while self.connections.try_recv(&mut multipart)? {
            if let Some(header) = self.accept(&multipart) {
                return Ok(Some(Received { multipart, header }));
            }
        }
        self.check_silence();
        Ok(None)
    }

    /// The next message; otherwise the task is woken when there may be one.
    ///
    /// # Errors
    ///
    /// As [`recv_until`](Self::recv_until).
    #[cfg(feature = "tokio")]
    pub(super) fn poll_recv(
        &mut self,
        context: &mut TaskContext<'_>,
    ) -> Poll<Result<Received, ReceiveError>> {
        let mut multipart = Multipart::default();
        loop {
            self.refresh()?;
            if self.connections.try_recv(&mut multipart)? {
                match self.accept(&multipart) {
                    Some(header) => return Poll::Ready(Ok(Received { multipart, header })),
                    // Rejected messages must not keep the thread.
                    None => ready!(poll_yield(context)),
                }
                continue;
            }
            let has_changed = self.connections.poll_changed(context)?.is_ready();
            let has_found = self.wakeups.poll_found(&self.subscription.cell, context).is_ready();
            let due = self.deadline.as_ref().and_then(Deadline::due);
            let is_due = self.wakeups.poll_due(due, context).is_ready();
            if is_due {
                self.check_silence();
            }
            if !(has_changed || has_found || is_due) {
                return Poll::Pending;
            }
        }
    }

    /// Receives, first by polling where the settings ask for it.
    fn wait(
        &mut self,
        multipart: &mut Multipart,
        until: Option<Instant>,
    ) -> Result<WaitResult, ReceiveError> {
        let interrupt = self.subscription.cell.interrupt();
        if !self.spin.is_zero() {
            let end = Instant::now().checked_add(self.spin);
            let end = [end, until].into_iter().flatten().min();
            while !interrupt.is_woken() && end.is_none_or(|end| Instant::now() < end) {
                if self.connections.try_recv(multipart)? {
                    return Ok(WaitResult::Ready);
                }
                std::hint::spin_loop();
            }
        }
        Ok(self.connections.recv_until(multipart, until, interrupt)?)
    }

    /// Processes what the agent found, if it may have changed.
    fn refresh(&mut self) -> Result<(), ReceiveError> {
        let interrupt = self.subscription.cell.interrupt();
        if self.is_current && !interrupt.is_woken() {
            return Ok(());
        }
        self.is_current = false;
        // Cleared first: a change after that sets it again.
        interrupt.clear();
        self.follow()?;
        self.is_current = true;
        Ok(())
    }

    /// Connects to the current addresses of the publishers.
    fn follow(&mut self) -> Result<(), ReceiveError> {
        if self.subscription.is_closed() {
            return Err(ReceiveError::Closed);
        }
        let Some(found) = self.subscription.cell.found() else { return Ok(()) };
        let publishers = found.publishers.iter().take(MAX_CONNECTIONS);
        let addresses: Vec<&str> = publishers.map(|topic| topic.address.as_str()).collect();
        if !self.connections.connected_to_all(&addresses) {
            self.compare_types(&found);
            self.connections.follow(&addresses)?;
        }
        self.subscription.set_publishers(&addresses);
        Ok(())
    }

    /// Logs a type mismatch once, before messages are rejected one by one.
    fn compare_types(&self, found: &Found) {
        let topic = &*self.subscription.topic;
        for published in &found.publishers {
            if !self.ignores_fingerprint && !self.info.accepts(published.fingerprint) {
                // Discovery has the name without its module.
                let known = find_type(standard::TYPES, published.fingerprint);
                tracing::error!(
                    topic,
                    published = known.map_or(&*published.message_type, |known| known.class),
                    subscribed = self.info.class,
                    "the topic has another type"
                );
                return;
            }
        }
        if found.layout.is_some_and(|layout| layout != self.info.layout) {
            tracing::error!(
                topic,
                class = self.info.class,
                fields = %FieldList(self.info.fields),
                "the publisher's fields are different from these"
            );
        }
    }

    /// Checks what needs no decoding: topic, header, fingerprint, sequence number. Returns the header of a
    /// message to deliver.
    fn accept(&mut self, multipart: &Multipart) -> Option<Header> {
        if multipart.frame(0) != Some(self.subscription.topic.as_bytes()) {
            self.subscription.counters.reject_topic();
            return None;
        }
        let header = match read_header(multipart) {
            Ok(header) => header,
            Err(error) => {
                self.rejections.reject(error);
                return None;
            }
        };
        if !self.ignores_fingerprint && !self.info.accepts(header.fingerprint) {
            let kind = DecodeErrorKind::Fingerprint {
                expected: self.info.fingerprint,
                found: header.fingerprint,
            };
            self.connections.record_rejected(&header);
            self.rejections.reject(DecodeError::new(kind, 0));
            return None;
        }
        match self.connections.step(&header) {
            Step::Lost(count) => {
                self.subscription.counters.lost.add(count);
                tracing::debug!(topic = %self.subscription.topic, count, "messages were lost");
                self.report_loss(Loss { kind: LossKind::Lost(count), header });
            }
            Step::Restarted => {
                self.subscription.counters.restarted.add(1);
                tracing::info!(topic = %self.subscription.topic, "the publisher restarted");
                self.report_loss(Loss { kind: LossKind::Restarted, header });
            }
            Step::Repeated => {
                self.subscription.counters.repeated.add(1);
                return None;
            }
            // The next message.
            _ => {}
        }
        if let Some(deadline) = &mut self.deadline {
            deadline.record_message();
        }
        if let Some(trace) = &self.subscription.counters.trace {
            trace.received(header.timestamp_ns);
        }
        Some(header)
    }

    fn report_loss(&mut self, loss: Loss) {
        let Some(callback) = &mut self.on_loss else { return };
        let failure = call_guarded(|| callback(loss));
        self.subscription.record_failure(failure);
    }

    fn check_silence(&mut self) {
        let Some(deadline) = &mut self.deadline else { return };
        let Some(since) = deadline.check(Instant::now()) else { return };
        self.subscription.counters.silences.add(1);
        tracing::warn!(topic = %self.subscription.topic, ?since, "no message arrived");
        let failure = call_guarded(|| (deadline.callback)(since));
        self.subscription.record_failure(failure);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.subscription.stop();
    }
}

fn read_header(multipart: &Multipart) -> Result<Header, DecodeError> {
    let no_frames = DecodeError::new(DecodeErrorKind::NoFrames, 0);
    let first = multipart.frame(1).ok_or(no_frames)?;
    // Two frames are a topic and a blob that begins with the header.
    let header = match multipart.len() {
        2 => first.get(..Header::LEN).unwrap_or(first),
        _ => first,
    };
    Header::decode(header)
}
