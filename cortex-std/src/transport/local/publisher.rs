//! The publisher's socket: the publishing thread writes to every subscriber itself.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, MutexGuard, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use smallvec::SmallVec;

use super::admission::{HANDSHAKE_TIMEOUT, make_room};
use super::hub::{EventFlags, Handler, Hub, Registration};
use super::lending::{FIRST_PART, LENT_LEN};
use super::listener::open_listener;
use super::peer::{Change, Peer};
use super::peers::{Outcome, Peers, Policy};
use super::stream::{Stream, wait_for_writes};
use crate::log::{ErrorChain, LogLimit, nonzero};
use crate::mutex::Mutex;
use crate::stats::{PeerStats, SharedStats};
use crate::transport::choice::Transport;
use crate::transport::context::Context;
use crate::transport::error::SocketError;
use crate::transport::event::{EventSource, wait_any};
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::peer::{peer_process, process_name};
use crate::transport::socket::{
    Part, PeerList, PublisherOptions, PublisherSocket, Sent, SubscriptionEvent, TrySent,
    limit_of_len,
};
use crate::transport::zmq::frame::Frame;

/// The key of the listening socket among those of its peers.
const LISTENER: u64 = 0;
/// Connections that are accepted before the peers of earlier ones are served.
const MAX_ACCEPTS: usize = 16;
/// Pause before accepting again while too many handshakes are not complete.
const HANDSHAKE_PAUSE: Duration = Duration::from_millis(20);
/// Pause before accepting again after the descriptors were exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most events that wait to be read; a peer that causes more is disconnected.
const MAX_EVENTS: usize = 100_000;

/// A publisher's socket.
pub(crate) struct LocalPublisher {
    shared: Arc<Shared>,
    /// Keeps the event thread.
    _context: Context,
    address: String,
    linger: Duration,
}

/// What the publishing threads and the event thread share.
struct Shared {
    hub: Hub,
    /// The same publisher, for the event thread.
    this: Weak<Shared>,
    options: PublisherOptions,
    shares_memory: bool,
    /// Bytes that may wait for one subscriber.
    byte_limit: u64,
    state: Mutex<State>,
    /// Readable while subscription events wait.
    events: Interrupt,
}

struct State {
    listener: Option<Arc<OwnedFd>>,
    accepting: Option<Registration>,
    next_key: u64,
    peers: Peers,
    changes: VecDeque<SubscriptionEvent>,
    /// When the event thread looks for handshakes that take too long: one time for all of them.
    handshake_due: Option<Instant>,
    /// Set when a subscriber returns memory that a publisher waits for; made when one waits first.
    returned: Option<Interrupt>,
    /// Set once the socket is dropped: when what waits is discarded.
    linger_until: Option<Instant>,
    log: LogLimit,
}

impl LocalPublisher {
    /// A socket that listens at an ipc address. A file that is there is replaced.
    ///
    /// # Errors
    /// When the address is in use or invalid, or no descriptor is left.
    pub(crate) fn bind(
        context: &Context,
        address: &str,
        options: &PublisherOptions,
    ) -> Result<Self, SocketError> {
        let listener = Arc::new(open_listener(address)?);
        let events = Interrupt::new()?;
        let hub = context.hub()?;
        let shared = Arc::new_cyclic(|this| Shared {
            hub: hub.clone(),
            this: this.clone(),
            options: options.clone(),
            shares_memory: context.shares_memory(),
            byte_limit: match options.max_queue_bytes {
                0 => u64::MAX,
                bytes => bytes as u64,
            },
            state: Mutex::new(State {
                listener: Some(Arc::clone(&listener)),
                accepting: None,
                next_key: LISTENER + 1,
                peers: Peers::default(),
                changes: VecDeque::new(),
                handshake_due: None,
                returned: None,
                linger_until: None,
                log: LogLimit::default(),
            }),
            events,
        });
        let handler: Arc<dyn Handler> = shared.clone();
        let accepting = hub.watch(&listener, EventFlags::IN, handler, LISTENER)?;
        shared.state.lock().accepting = Some(accepting);
        let (address, linger) = (address.to_owned(), options.linger);
        Ok(Self { shared, _context: context.clone(), address, linger })
    }
}

impl PublisherSocket for LocalPublisher {
    fn transport(&self) -> Transport {
        Transport::Local
    }

    fn peers(&self) -> Option<Weak<dyn PeerList>> {
        let peers: Weak<dyn PeerList> = self.shared.this.clone();
        Some(peers)
    }

    fn send_to(&mut self, peer: u64, parts: &mut [Part<'_>]) -> Result<Sent, SocketError> {
        let sent = self.shared.state.lock().peers.send_to(peer, parts, self.shared.byte_limit);
        release(parts);
        match sent? {
            Outcome::Queued => Ok(Sent::Delivered),
            Outcome::Lost | Outcome::Full => Ok(Sent::Congested),
        }
    }

    fn address(&mut self) -> Result<String, SocketError> {
        Ok(self.address.clone())
    }

    fn send(&mut self, parts: &mut [Part<'_>]) -> Result<Sent, SocketError> {
        let sent = self.shared.send(parts, Policy::Drop);
        release(parts);
        match sent? {
            Outcome::Queued => Ok(Sent::Delivered),
            Outcome::Lost | Outcome::Full => Ok(Sent::Congested),
        }
    }

    fn try_send(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        match self.shared.send(parts, Policy::Keep)? {
            Outcome::Full => Ok(TrySent::WouldBlock),
            Outcome::Queued | Outcome::Lost => {
                release(parts);
                Ok(TrySent::Delivered)
            }
        }
    }

    fn wait_for_room(
        &mut self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        self.shared.wait_for_room(deadline, interrupt)
    }

    fn next_subscription(&mut self) -> Result<Option<SubscriptionEvent>, SocketError> {
        let mut state = self.shared.state.lock();
        let change = state.changes.pop_front();
        if state.changes.is_empty() && self.shared.events.is_woken() {
            self.shared.events.clear();
        }
        Ok(change)
    }

    fn unsent(&self) -> usize {
        let mut state = self.shared.state.lock();
        state.peers.flush();
        let unsent = |peer: &Peer| if peer.is_dead { 0 } else { peer.backlog.unsent() };
        state.peers.list.iter().map(unsent).max().unwrap_or(0)
    }

    fn release(&mut self) -> Result<(), SocketError> {
        let mut state = self.shared.state.lock();
        self.shared.remove_dead(&mut state, Instant::now());
        Ok(())
    }

    fn queue_limit(&self) -> usize {
        let PublisherOptions { high_water_mark, max_queue_bytes, .. } = self.shared.options;
        let longest = self.shared.state.lock().peers.longest();
        let limit = match longest {
            0 => high_water_mark,
            len => limit_of_len(high_water_mark, max_queue_bytes, len),
        };
        usize::try_from(limit).unwrap_or(0)
    }

    fn discard_unsent(&mut self) -> Result<(), SocketError> {
        self.linger = Duration::ZERO;
        Ok(())
    }

    fn bind_again(&mut self) -> Result<(), SocketError> {
        let listener = Arc::new(open_listener(&self.address)?);
        let handler: Arc<dyn Handler> = self.shared.clone();
        let accepting = self.shared.hub.watch(&listener, EventFlags::IN, handler, LISTENER)?;
        let mut state = self.shared.state.lock();
        state.listener = Some(listener);
        let old = state.accepting.replace(accepting);
        drop(state);
        drop(old);
        Ok(())
    }

    fn events(&self) -> EventSource {
        EventSource::new(Arc::new(self.shared.events.clone()))
    }
}

impl Drop for LocalPublisher {
    fn drop(&mut self) {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        state.peers.flush();
        state.accepting = None;
        state.listener = None;
        let waiting = |peer: &Peer| !peer.backlog.is_empty() && !peer.is_dead;
        let (waiting, done): (Vec<_>, Vec<_>) = state.peers.take().into_iter().partition(waiting);
        if self.linger.is_zero() || waiting.is_empty() {
            drop(state);
            drop((waiting, done));
            return;
        }
        // What waits is sent by the event thread, within the linger time.
        let until = Instant::now() + self.linger;
        state.peers.list = waiting;
        state.linger_until = Some(until);
        shared.hub.lingering_begun();
        drop(state);
        drop(done);
        shared.wake_at(until);
    }
}

impl fmt::Debug for LocalPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPublisher").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn send(&self, parts: &mut [Part<'_>], policy: Policy) -> Result<Outcome, SocketError> {
        let mut state = self.state.lock();
        if parts.iter().skip(FIRST_PART).any(|part| part.len() >= LENT_LEN) {
            self.collect(&mut state);
        }
        let outcome = state.peers.send(parts, policy, self.byte_limit);
        if let Some(due) = state.peers.take_tail_due() {
            self.wake_at(due);
        }
        outcome
    }

    fn wake_at(&self, at: Instant) {
        let handler: Weak<dyn Handler> = self.this.clone();
        self.hub.wake_at(handler, at);
    }

    fn wait_for_room(
        &self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        let (keys, full): (Vec<u64>, Vec<Stream>) = {
            let state = self.state.lock();
            let is_full = |peer: &&Peer| peer.is_wanted() && peer.is_full(0, self.byte_limit);
            let full = state.peers.list.iter().filter(is_full);
            full.map(|peer| (peer.key, peer.stream.clone())).unzip()
        };
        // Subscriptions may have changed, or the event thread has made room.
        if full.is_empty() {
            return self.wait_for_return(deadline, interrupt);
        }
        let wait = wait_for_writes(&full, deadline, interrupt.map(Interrupt::fd))?;
        if wait == WaitResult::Ready {
            let mut state = self.state.lock();
            for peer in &mut state.peers.list {
                if keys.contains(&peer.key) {
                    peer.flush();
                }
            }
        }
        Ok(wait)
    }

    /// Blocks until a subscriber returns memory that it holds, if a publisher waits for one.
    fn wait_for_return(
        &self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        let returned = {
            let mut state = self.state.lock();
            if !state.peers.list.iter().any(Peer::is_awaited) {
                return Ok(WaitResult::Ready);
            }
            let returned = match &state.returned {
                Some(returned) => returned,
                None => state.returned.insert(Interrupt::new()?),
            };
            returned.clear();
            returned.clone()
        };
        wait_any(std::iter::once(&EventSource::new(Arc::new(returned))), deadline, interrupt)
    }

    /// Processes what a peer sent.
    fn receive(&self, state: &mut State, key: u64) {
        let State { peers, changes, returned, .. } = state;
        peers.begin_change();
        let Some(peer) = peers.list.iter_mut().find(|peer| peer.key == key) else { return };
        let changed = Some(key);
        let was_awaited = peer.is_awaited();
        peer.receive(|change| {
            let (subscribe, topic) = match change {
                Change::Subscribed(topic) => (true, topic),
                Change::Unsubscribed(topic) => (false, topic),
            };
            changes.push_back(SubscriptionEvent { subscribe, topic, peer: changed });
        });
        if changes.len() > MAX_EVENTS {
            peer.is_dead = true;
        }
        if was_awaited
            && !peer.is_awaited()
            && let Some(returned) = returned
        {
            returned.wake();
        }
        if std::mem::take(&mut peer.wants_report) {
            peers.report_to(key);
        }
        if !changes.is_empty() {
            self.events.wake();
        }
    }

    /// Takes back the shared memory that subscribers have returned, before more is made: the event thread
    /// may not have seen it yet.
    fn collect(&self, state: &mut State) {
        let holds =
            |peer: &&Peer| peer.lending.as_ref().is_some_and(|lending| lending.held().0 > 0);
        let keys: SmallVec<[u64; 8]> =
            state.peers.list.iter().filter(holds).map(|peer| peer.key).collect();
        for key in keys {
            self.receive(state, key);
        }
    }

    /// Accepts the connections that wait.
    fn accept(&self) {
        for _ in 0..MAX_ACCEPTS {
            let mut state = self.state.lock();
            let Some(listener) = state.listener.clone() else { return };
            if !make_room(&mut state.peers.list, Instant::now()) {
                self.pause_accepting(state, HANDSHAKE_PAUSE);
                return;
            }
            match accept_with(&listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(descriptor) => {
                    if let Err(error) = self.add_peer(&mut state, descriptor) {
                        let error = ErrorChain(&error);
                        tracing::warn!(%error, "cannot serve a new subscriber");
                    }
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::WOULDBLOCK) => return,
                Err(errno) => {
                    if let Some(suppressed) = state.log.pass(Instant::now()) {
                        let error = std::io::Error::from(errno);
                        tracing::error!(%error, suppressed = nonzero(suppressed), "cannot accept a subscriber");
                    }
                    self.pause_accepting(state, ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// The listener stays readable: watches it again later.
    fn pause_accepting(&self, state: MutexGuard<'_, State>, pause: Duration) {
        if let Some(accepting) = &state.accepting {
            accepting.set(EventFlags::empty());
        }
        drop(state);
        self.wake_at(Instant::now() + pause);
    }

    fn add_peer(&self, state: &mut State, descriptor: OwnedFd) -> Result<(), SocketError> {
        let key = state.next_key;
        state.next_key = key.wrapping_add(1).max(LISTENER + 1);
        let descriptor = Arc::new(descriptor);
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let pid = peer_process(descriptor.as_fd());
        let mut peer = Peer::new(
            key,
            Stream::Socket(Arc::clone(&descriptor)),
            pid.map(|pid| (pid, process_name(pid))),
            &self.options,
            self.shares_memory,
            deadline,
        );
        let Some(this) = self.this.upgrade() else { return Ok(()) };
        let flags = EventFlags::IN | EventFlags::RDHUP;
        peer.set_registration(self.hub.watch(&descriptor, flags, this, key)?);
        state.peers.list.push(peer);
        self.await_handshakes(state);
        Ok(())
    }

    /// Wakes the event thread when the oldest handshake takes too long.
    fn await_handshakes(&self, state: &mut State) {
        if state.handshake_due.is_none() {
            let deadlines = state.peers.list.iter().filter_map(|peer| peer.deadline);
            state.handshake_due = deadlines.min().inspect(|due| self.wake_at(*due));
        }
    }

    /// Removes dead peers, and those whose handshake takes too long.
    fn remove_dead(&self, state: &mut State, now: Instant) {
        let State { peers, changes, .. } = state;
        peers.list.retain_mut(|peer| {
            let is_late = peer.deadline.is_some_and(|deadline| now >= deadline);
            if !peer.is_dead && !is_late {
                return true;
            }
            let peer_key = Some(peer.key);
            for topic in peer.subscriptions.drain() {
                changes.push_back(SubscriptionEvent { subscribe: false, topic, peer: peer_key });
            }
            false
        });
        if !state.changes.is_empty() {
            self.events.wake();
        }
        if state.linger_until.is_some()
            && state.peers.list.iter().all(|peer| peer.backlog.is_empty())
        {
            self.end_lingering(state);
        }
    }

    fn end_lingering(&self, state: &mut State) {
        if state.linger_until.take().is_some() {
            drop(state.peers.take());
            self.hub.lingering_ended();
        }
    }
}

impl PeerList for Shared {
    fn peers(&self) -> Vec<PeerStats> {
        self.state.lock().peers.stats()
    }

    fn shared(&self) -> SharedStats {
        self.state.lock().peers.shared()
    }

    fn collect_returns(&self) {
        self.collect(&mut self.state.lock());
    }
}

impl Handler for Shared {
    fn ready(&self, key: u64, flags: EventFlags) {
        if key == LISTENER {
            return self.accept();
        }
        let mut state = self.state.lock();
        let now = Instant::now();
        let may_change = flags
            .intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if may_change {
            self.receive(&mut state, key);
        } else if let Some(peer) = state.peers.list.iter_mut().find(|peer| peer.key == key) {
            peer.flush();
        }
        self.remove_dead(&mut state, now);
    }

    fn due(&self, now: Instant) {
        let mut state = self.state.lock();
        if let Some(due) = state.peers.flush_tail(now) {
            self.wake_at(due);
        }
        if let Some(accepting) = &state.accepting {
            accepting.set(EventFlags::IN);
        }
        self.remove_dead(&mut state, now);
        state.handshake_due = state.handshake_due.filter(|due| *due > now);
        self.await_handshakes(&mut state);
        if state.linger_until.is_some_and(|until| now >= until) {
            self.end_lingering(&mut state);
        }
    }
}

/// Drops the owners of frames that are sent.
fn release(parts: &mut [Part<'_>]) {
    for part in parts {
        if let Part::Frame(frame) | Part::Counted(frame) = part {
            *frame = Frame::empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::wire::zmtp::Greeting;

    #[test]
    fn half_a_greeting_is_bounded_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let address = format!("ipc://{}", path.display());
        let context = Context::new().unwrap();
        let options = PublisherOptions::default();
        let publisher = LocalPublisher::bind(&context, &address, &options).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&Greeting::BYTES[..40]).unwrap();
        let mut bytes = [0; Greeting::LEN];
        stream.read_exact(&mut bytes).unwrap();
        let peers = || publisher.shared.state.lock().peers.list.len();
        publisher.shared.due(Instant::now());
        assert_eq!(peers(), 1);
        publisher.shared.due(Instant::now() + HANDSHAKE_TIMEOUT);
        assert_eq!(peers(), 0);
        // Reset where the event thread has not read the half.
        assert!(matches!(stream.read(&mut bytes), Ok(0) | Err(_)), "closed");
    }
}
