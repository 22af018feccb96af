//! The synchronous core of a subscriber: sockets that follow the publishers, and every check that
//! needs no decoding.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::agent::{WatchCell, WatchGuard};
use crate::census::{Counted, NodeStats};
use crate::discovery::Found;
use crate::error::{CreateError, ReceiveError};
use crate::links::{Links, MAX_LINKS};
use crate::node::Shared;
use crate::sequence::Step;
use crate::socket::interrupt::Wait;
use crate::socket::multipart::Multipart;
use crate::socket::sub::SubOptions;
use crate::stats::{LogLimit, SubscriberCounters};
use crate::wire::{DecodeError, DecodeErrorKind, Header, TypeInfo};

/// What a subscriber noticed that its publisher sent and it will never see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// What happened.
    pub kind: LossKind,
    /// Of the first message after it.
    pub header: Header,
}

/// How messages were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossKind {
    /// So many numbers are missing.
    Lost(u64),
    /// The publisher started anew, or another one took over: how many it sent before is not known.
    Restarted,
}

/// Told of every loss.
pub(crate) type LossCallback = Box<dyn FnMut(Loss) + Send>;
/// Told how long no message came.
pub(crate) type SilenceCallback = Box<dyn FnMut(Duration) + Send>;

/// What a [`Receiver`] is made from.
pub(crate) struct Settings {
    pub(crate) topic: Arc<str>,
    pub(crate) info: TypeInfo,
    /// Messages that libzmq may hold; 0 is no limit.
    pub(crate) high_water_mark: u32,
    pub(crate) is_lax: bool,
    pub(crate) spin: Duration,
    pub(crate) on_loss: Option<LossCallback>,
    pub(crate) deadline: Option<(Duration, SilenceCallback)>,
    /// Samples of each stage that are kept.
    pub(crate) trace: usize,
}

/// A message that passed every check but that of its fields.
pub(crate) struct Received {
    pub(crate) multipart: Multipart,
    pub(crate) header: Header,
}

/// What those who hold parts of a subscriber on other threads have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) topic: Arc<str>,
    pub(crate) counters: Arc<SubscriberCounters>,
    publishers: Mutex<Vec<String>>,
    is_stopped: AtomicBool,
    cell: Arc<WatchCell>,
}

impl Common {
    /// Where the publishers were found.
    pub(crate) fn publishers(&self) -> Vec<String> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the receiver, and whoever waits for it on another thread, return `Closed`.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.cell.interrupt().wake();
    }
}

/// Counts and logs what is not delivered.
#[derive(Debug)]
pub(crate) struct Rejections {
    common: Arc<Common>,
    log: LogLimit,
}

impl Rejections {
    pub(crate) fn new(common: &Arc<Common>) -> Self {
        Self { common: Arc::clone(common), log: LogLimit::default() }
    }

    pub(crate) fn reject(&mut self, error: DecodeError) {
        self.common.counters.reject(error.kind);
        if let Some(suppressed) = self.log.pass(Instant::now()) {
            tracing::warn!(topic = %self.common.topic, %error, suppressed, "message rejected");
        }
    }
}

/// Receives the messages of one topic on one thread at a time.
pub(crate) struct Receiver {
    links: Links,
    _watch: WatchGuard,
    common: Arc<Common>,
    /// Whether what the agent found was looked at; a later change sets the interrupt.
    is_fresh: bool,
    info: TypeInfo,
    is_lax: bool,
    spin: Duration,
    rejections: Rejections,
    on_loss: Option<LossCallback>,
    silence: Option<Silence>,
}

impl Receiver {
    pub(crate) fn new(shared: &Shared, settings: Settings) -> Result<Self, CreateError> {
        let options = SubOptions {
            high_water_mark: i32::try_from(settings.high_water_mark).unwrap_or(i32::MAX),
            ..SubOptions::default()
        };
        let links = Links::new(&shared.context, options, Arc::clone(&settings.topic))?;
        let watch = shared.agent.watch(&settings.topic)?;
        let common = Arc::new(Common {
            topic: settings.topic,
            counters: Arc::new(SubscriberCounters::tracing(settings.trace)),
            publishers: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            cell: Arc::clone(&watch.cell),
        });
        shared.census.add(&common);
        Ok(Self {
            links,
            _watch: watch,
            is_fresh: false,
            info: settings.info,
            is_lax: settings.is_lax,
            spin: settings.spin,
            rejections: Rejections::new(&common),
            on_loss: settings.on_loss,
            silence: settings.deadline.map(|(limit, callback)| Silence::new(limit, callback)),
            common,
        })
    }

    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// Waits for the next message on this thread; `None`: none came before `deadline`.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down or this was stopped; `Socket` when libzmq refuses.
    pub(crate) fn recv_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>, ReceiveError> {
        let mut multipart = Multipart::default();
        loop {
            self.refresh()?;
            let due = self.silence.as_ref().and_then(Silence::due);
            let until = [deadline, due].into_iter().flatten().min();
            match self.wait(&mut multipart, until)? {
                Wait::Interrupted => {
                    self.is_fresh = false;
                    continue;
                }
                Wait::Ready => {
                    if let Some(received) = self.accept(std::mem::take(&mut multipart)) {
                        return Ok(Some(received));
                    }
                }
                Wait::TimedOut => self.note_silence(),
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(None);
            }
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// As [`recv_until`](Self::recv_until).
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    #[cfg(feature = "tokio")]
    pub(crate) async fn recv(&mut self) -> Result<Received, ReceiveError> {
        let mut multipart = Multipart::default();
        loop {
            self.refresh()?;
            if self.links.try_recv(&mut multipart)? {
                match self.accept(std::mem::take(&mut multipart)) {
                    Some(received) => return Ok(received),
                    // Rejected ones must not keep the thread either.
                    None => tokio::task::yield_now().await,
                }
                continue;
            }
            let due = self.silence.as_ref().and_then(Silence::due);
            let silence = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.links.changed() => changed?,
                () = self.common.cell.changed() => {}
                () = silence => self.note_silence(),
            }
        }
    }

    /// Receives, first by asking again and again if that is wanted.
    fn wait(
        &mut self,
        multipart: &mut Multipart,
        until: Option<Instant>,
    ) -> Result<Wait, ReceiveError> {
        let interrupt = self.common.cell.interrupt();
        if !self.spin.is_zero() {
            let end = Instant::now().checked_add(self.spin);
            let end = [end, until].into_iter().flatten().min();
            while !interrupt.is_woken() && end.is_none_or(|end| Instant::now() < end) {
                if self.links.try_recv(multipart)? {
                    return Ok(Wait::Ready);
                }
                std::hint::spin_loop();
            }
        }
        Ok(self.links.recv_until(multipart, until, interrupt)?)
    }

    /// Looks at what the agent found, if that may have changed.
    fn refresh(&mut self) -> Result<(), ReceiveError> {
        let interrupt = self.common.cell.interrupt();
        if self.is_fresh && !interrupt.is_woken() {
            return Ok(());
        }
        self.is_fresh = false;
        // Before looking: a change after that sets it again.
        interrupt.clear();
        self.follow()?;
        self.is_fresh = true;
        Ok(())
    }

    /// Connects to where the publishers are now.
    fn follow(&mut self) -> Result<(), ReceiveError> {
        if self.common.is_stopped.load(Ordering::SeqCst) || self.common.cell.is_closed() {
            return Err(ReceiveError::Closed);
        }
        let Some(found) = self.common.cell.found() else { return Ok(()) };
        let publishers = found.publishers.iter().take(MAX_LINKS);
        let addresses: Vec<&str> = publishers.map(|topic| topic.address.as_str()).collect();
        if !self.links.are_at(&addresses) {
            self.compare_types(&found);
            self.links.follow(&addresses)?;
        }
        let mut shown = self.common.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = addresses.into_iter().map(str::to_owned).collect();
        Ok(())
    }

    /// Tells early what would otherwise be seen message by message.
    fn compare_types(&self, found: &Found) {
        let topic = &*self.common.topic;
        for published in &found.publishers {
            if !self.is_lax && !self.info.accepts(published.fingerprint) {
                tracing::error!(
                    topic,
                    published = published.message_type,
                    subscribed = self.info.class,
                    "the topic is of another type"
                );
                return;
            }
        }
        if found.layout.is_some_and(|layout| layout != self.info.layout) {
            tracing::error!(
                topic,
                class = self.info.class,
                fields = ?self.info.fields,
                "the publisher's fields are not these"
            );
        }
    }

    /// Checks what needs no decoding: topic, header, fingerprint, number.
    fn accept(&mut self, multipart: Multipart) -> Option<Received> {
        if multipart.frame(0) != Some(self.common.topic.as_bytes()) {
            self.common.counters.reject_topic();
            return None;
        }
        let header = match read_header(&multipart) {
            Ok(header) => header,
            Err(error) => {
                self.rejections.reject(error);
                return None;
            }
        };
        if !self.is_lax && !self.info.accepts(header.fingerprint) {
            let kind = DecodeErrorKind::Fingerprint {
                expected: self.info.fingerprint,
                found: header.fingerprint,
            };
            self.links.pass_over(&header);
            self.rejections.reject(DecodeError::new(kind, 0));
            return None;
        }
        match self.links.step(&header) {
            Step::Next => {}
            Step::Lost(count) => {
                self.common.counters.lost.add(count);
                tracing::debug!(topic = %self.common.topic, count, "messages were lost");
                self.tell_loss(Loss { kind: LossKind::Lost(count), header });
            }
            Step::Restarted => {
                self.common.counters.restarted.add(1);
                tracing::info!(topic = %self.common.topic, "the publisher started anew");
                self.tell_loss(Loss { kind: LossKind::Restarted, header });
            }
            Step::Repeated => {
                self.common.counters.repeated.add(1);
                return None;
            }
        }
        if let Some(silence) = &mut self.silence {
            silence.break_off();
        }
        if let Some(trace) = &self.common.counters.trace {
            trace.received(header.timestamp_ns);
        }
        Some(Received { multipart, header })
    }

    fn tell_loss(&mut self, loss: Loss) {
        let Some(callback) = &mut self.on_loss else { return };
        let failure = crate::callback::guarded_call(|| callback(loss));
        self.common.note_failure(failure);
    }

    fn note_silence(&mut self) {
        let Some(silence) = &mut self.silence else { return };
        let Some(since) = silence.begin(Instant::now()) else { return };
        self.common.counters.silences.add(1);
        tracing::warn!(topic = %self.common.topic, ?since, "no message came");
        let failure = crate::callback::guarded_call(|| (silence.callback)(since));
        self.common.note_failure(failure);
    }
}

impl Common {
    /// Reports a callback that failed.
    pub(crate) fn note_failure(&self, failure: Option<String>) {
        if let Some(error) = failure {
            self.counters.failed.add(1);
            tracing::error!(topic = %self.topic, error, "callback failed");
        }
    }
}

impl Counted for Common {
    fn count(&self, stats: &mut NodeStats) {
        stats.subscribers.push((self.topic.to_string(), self.counters.snapshot()));
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("common", &self.common).finish_non_exhaustive()
    }
}

/// Watches for the time when no message comes.
struct Silence {
    limit: Duration,
    last: Instant,
    is_told: bool,
    callback: SilenceCallback,
}

impl Silence {
    fn new(limit: Duration, callback: SilenceCallback) -> Self {
        Self { limit, last: Instant::now(), is_told: false, callback }
    }

    /// When it is to be told, unless it was.
    fn due(&self) -> Option<Instant> {
        if self.is_told { None } else { self.last.checked_add(self.limit) }
    }

    /// A message came.
    fn break_off(&mut self) {
        self.last = Instant::now();
        self.is_told = false;
    }

    /// How long no message came, once that is too long; once.
    fn begin(&mut self, now: Instant) -> Option<Duration> {
        self.due().filter(|&due| due <= now)?;
        self.is_told = true;
        Some(now.saturating_duration_since(self.last))
    }
}

fn read_header(multipart: &Multipart) -> Result<Header, DecodeError> {
    let no_frames = DecodeError::new(DecodeErrorKind::NoFrames, 0);
    let first = multipart.frame(1).ok_or(no_frames)?;
    // Two frames are a topic and a blob, which begins with the header.
    let header = match multipart.len() {
        2 => first.get(..Header::LEN).unwrap_or(first),
        _ => first,
    };
    Header::decode(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_once_until_a_message_breaks_it() {
        let limit = Duration::from_millis(10);
        let mut silence = Silence::new(limit, Box::new(|_| {}));
        let start = silence.last;
        assert_eq!(silence.begin(start + limit / 2), None);
        assert_eq!(silence.begin(start + limit), Some(limit));
        assert_eq!(silence.begin(start + limit * 3), None);
        assert_eq!(silence.due(), None);
        silence.break_off();
        assert_eq!(silence.due(), Some(silence.last + limit));
        // A limit that no clock can show is no limit.
        assert_eq!(Silence::new(Duration::MAX, Box::new(|_| {})).due(), None);
    }
}
