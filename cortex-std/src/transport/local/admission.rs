//! How many connections may be in their handshake, and for how long: a peer may never complete it.

use std::time::{Duration, Instant};

use super::peer::Peer;

/// How long a handshake may take.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most peers whose handshake is not complete.
const MAX_HANDSHAKES: usize = 128;
/// How long such a peer is left alone when others wait to be accepted.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(500);

/// Makes room for one more handshake, at the cost of the oldest one; false while that has its time.
pub(super) fn make_room(peers: &mut Vec<Peer>, now: Instant) -> bool {
    let greeting = peers.iter().filter(|peer| peer.deadline.is_some());
    if greeting.count() < MAX_HANDSHAKES {
        return true;
    }
    let latest = now + HANDSHAKE_TIMEOUT.saturating_sub(HANDSHAKE_GRACE);
    let is_old = |peer: &Peer| peer.deadline.is_some_and(|deadline| deadline <= latest);
    let Some(oldest) = peers.iter().position(is_old) else { return false };
    // It has no subscription.
    peers.remove(oldest);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::local::simulation::{Behaviour, Pipe};
    use crate::transport::local::stream::Stream;

    #[test]
    fn the_oldest_handshake_makes_room_once_it_had_its_time() {
        let now = Instant::now();
        let peer = |key| {
            let stream = Stream::Simulated(Pipe::pair(Behaviour::PERFECT).0);
            Peer::new(key, stream, None, 10, 100, now + HANDSHAKE_TIMEOUT)
        };
        let mut peers: Vec<_> = (1..MAX_HANDSHAKES as u64).map(peer).collect();
        assert!(make_room(&mut peers, now));
        peers.push(peer(1000));
        // A complete one does not count.
        peers.push(peer(1001));
        peers[0].deadline = None;
        assert!(!make_room(&mut peers, now));
        assert!(make_room(&mut peers, now + HANDSHAKE_GRACE));
        assert_eq!((peers.len(), peers[0].key, peers[1].key), (MAX_HANDSHAKES, 1, 3));
    }
}
