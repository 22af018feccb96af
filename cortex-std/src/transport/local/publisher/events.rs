//! What the event thread does for a publisher: accepting, removing, and whatever its peers send.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::{LISTENER, Shared, State};
use crate::log::{ErrorChain, nonzero};
use crate::transport::error::SocketError;
use crate::transport::local::admission::{HANDSHAKE_TIMEOUT, make_room};
use crate::transport::local::hub::{EventFlags, Handler};
use crate::transport::local::peer::Peer;
use crate::transport::local::stream::Stream;
use crate::transport::peer::{peer_process, process_name};
use crate::transport::socket::SubscriptionEvent;

/// Connections that are accepted before the peers of earlier ones are served.
const MAX_ACCEPTS: usize = 16;
/// Pause before accepting again while too many handshakes are not complete.
const HANDSHAKE_PAUSE: Duration = Duration::from_millis(20);
/// Pause before accepting again after the descriptors were exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Shared {
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
    pub(super) fn remove_dead(&self, state: &mut State, now: Instant) {
        let State { peers, changes, returned, .. } = state;
        peers.list.retain_mut(|peer| {
            let is_late = peer.deadline.is_some_and(|deadline| now >= deadline);
            if !peer.is_dead && !is_late {
                return true;
            }
            if let Some(returned) = returned {
                returned.wake();
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::transport::context::Context;
    use crate::transport::local::publisher::LocalPublisher;
    use crate::transport::socket::PublisherOptions;
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
