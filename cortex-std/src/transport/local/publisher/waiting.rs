//! A publisher that waits: for room in the queues of its subscribers, or for memory that they return.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use crate::transport::error::SocketError;
use crate::transport::event::{EventSource, wait_any};
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::local::peer::Peer;
use crate::transport::local::stream::{Stream, wait_for_writes};

impl Shared {
    pub(super) fn wait_for_room(
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
}
