//! The state machines of a publisher and of a subscriber on a simulated connection, without sockets and
//! threads: for tests, and for the fuzz targets of tests/fuzz, which feed a peer's bytes to either side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::handshake::{Handshake, Introduction, push_subscription};
use super::incoming::{Incoming, ReadResult};
use super::leases::Leases;
use super::peer::{Change, Peer};
use super::peers::{Outcome, Peers, Policy};
use super::reader::Reader;
use super::simulation::{Behaviour, Pipe};
use super::stream::Stream;
use crate::transport::loan::LoanPool;
use crate::transport::socket::{Part, PublisherOptions};
use crate::wire::zmtp::pong_head;

/// Bytes of the longest part that the subscriber accepts.
const MAX_PART_LEN: u64 = 64 << 20;

/// A publisher without its listener and its event thread.
struct Publishing {
    peers: Peers,
    next_key: u64,
    /// Current subscriptions, as the publisher counts them.
    subscriptions: i64,
    byte_limit: u64,
}

impl Publishing {
    fn new() -> Self {
        let (peers, byte_limit) = (Peers::default(), u64::MAX);
        Self { peers, next_key: 1, subscriptions: 0, byte_limit }
    }

    /// Accepts a connection.
    fn accept(&mut self, pipe: Pipe, high_water_mark: i32) {
        let key = self.next_key;
        self.next_key += 1;
        let deadline = Instant::now() + Duration::from_secs(1000);
        let stream = Stream::Simulated(pipe);
        let options =
            PublisherOptions { high_water_mark, max_subscription_len: 1000, ..Default::default() };
        self.peers.list.push(Peer::new(key, stream, None, &options, true, deadline));
    }

    /// Does what the event thread does when every connection has an event.
    fn serve(&mut self) {
        self.peers.begin_change();
        let (mut subscribed, mut reporting) = (0, Vec::new());
        for peer in &mut self.peers.list {
            peer.receive(|change| match change {
                Change::Subscribed(_) => subscribed += 1,
                Change::Unsubscribed(_) => subscribed -= 1,
            });
            peer.flush();
            if std::mem::take(&mut peer.wants_report) {
                reporting.push(peer.key);
            }
        }
        for key in reporting {
            self.peers.report_to(key);
        }
        self.peers.list.retain_mut(|peer| {
            if peer.is_dead {
                subscribed -= i64::try_from(peer.subscriptions.drain().count()).unwrap_or(0);
            }
            !peer.is_dead
        });
        self.subscriptions += subscribed;
    }

    fn send(&mut self, parts: &[&[u8]]) -> Outcome {
        let mut parts: Vec<_> = parts.iter().map(|part| Part::Copy(part)).collect();
        match self.peers.send(&mut parts, Policy::Drop, self.byte_limit) {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Lost,
        }
    }
}

/// The publisher's side of a connection whose other end is a peer that sends `data`, in pieces: it neither
/// panics nor, whatever happens, sends a frame that is malformed or counts a subscription that is not there.
pub(crate) fn fuzz_publisher(data: &[u8]) {
    let Some((&[step, capacity], data)) = data.split_first_chunk::<2>() else { return };
    let behaviour = Behaviour {
        capacity: usize::from(capacity) * 16 + 1,
        step: usize::from(step) + 1,
        refuses: step % 2 == 1,
        breaks_after: None,
    };
    let (near, far) = Pipe::pair(behaviour);
    let mut publishing = Publishing::new();
    publishing.accept(near, 4);
    let mut sent = Vec::new();
    let mut rest = data;
    // The peer has closed the connection, and everything that was under way is read.
    let mut rounds = 0;
    while !publishing.peers.list.is_empty() {
        if rest.is_empty() {
            far.close();
        } else if let Ok(count) = far.send(&[std::io::IoSlice::new(rest)]) {
            rest = rest.get(count..).unwrap_or_default();
        }
        publishing.serve();
        publishing.send(&[b"/t", &[7; 300], b""]);
        publishing.serve();
        let mut bytes = [0; 4096];
        // A peer whose capacity is even never reads once it is subscribed.
        if (capacity % 2 == 1 || publishing.subscriptions == 0)
            && let Ok(count) = far.recv(&mut bytes)
        {
            sent.extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
        assert!(publishing.subscriptions >= 0);
        let waiting = publishing.peers.list.iter().map(|peer| peer.backlog.bytes()).sum::<u64>();
        assert!(waiting < 1 << 20, "{waiting} bytes wait");
        rounds += 1;
        assert!(rounds < 100_000, "the connection does not end");
    }
    // Of a prefix that is subscribed twice, the end of the connection ends one.
    assert!(publishing.subscriptions >= 0);
    check_frames(&sent);
}

/// Bytes of a greeting.
const GREETING_LEN: usize = 64;

/// Whole frames behind a greeting, but for the last one.
fn check_frames(sent: &[u8]) {
    use crate::wire::zmtp::FrameHeader;
    let mut rest = sent.get(GREETING_LEN..).unwrap_or_default();
    while let Some((header, start)) = FrameHeader::decode(rest).expect("a frame of ours") {
        let len = usize::try_from(header.len()).expect("a short frame");
        assert!(len <= 4096, "{len}");
        let Some(behind) = rest.get(start + len..) else { return };
        rest = behind;
    }
}

/// The subscriber's side of a connection whose other end is a publisher that sends `data`, in pieces: the same
/// messages arrive whatever the pieces are, and memory is bounded by what was sent.
pub(crate) fn fuzz_subscriber(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else { return };
    let whole = received(data, Behaviour::PERFECT);
    let (step, refuses) = (usize::from(step) + 1, step % 2 == 1);
    let pieces = received(data, Behaviour { step, refuses, ..Behaviour::PERFECT });
    assert_eq!(whole, pieces);
    let len: usize = whole.iter().flatten().map(Vec::len).sum();
    assert!(len <= data.len());
}

/// The messages that a subscriber receives from a publisher that sends `data` and then leaves.
fn received(data: &[u8], behaviour: Behaviour) -> Vec<Vec<Vec<u8>>> {
    let (near, far) = Pipe::pair(behaviour);
    let mut subscribing = Subscribing::connect(near, None, &[b"/t".to_vec()]);
    let mut rest = data;
    while !subscribing.has_ended {
        if rest.is_empty() {
            far.close();
        } else if let Ok(count) = far.send(&[std::io::IoSlice::new(rest)]) {
            rest = rest.get(count..).unwrap_or_default();
        }
        subscribing.serve();
        // The publisher reads nothing: what the subscriber has to say waits.
    }
    subscribing.messages
}

/// A subscriber without its event thread, on one connection.
struct Subscribing {
    stream: Stream,
    output: Backlog,
    prefixes: Vec<Vec<u8>>,
    window: Option<u32>,
    /// `None` once the handshake is complete.
    handshake: Option<Handshake>,
    minor: u8,
    incoming: Option<Incoming>,
    has_ended: bool,
    messages: Vec<Vec<Vec<u8>>>,
}

impl Subscribing {
    fn connect(pipe: Pipe, window: Option<u32>, prefixes: &[Vec<u8>]) -> Self {
        let mut output = Backlog::default();
        let handshake = Some(Handshake::begin(&mut output));
        Self {
            stream: Stream::Simulated(pipe),
            output,
            prefixes: prefixes.to_vec(),
            window,
            handshake,
            minor: 0,
            incoming: None,
            has_ended: false,
            messages: Vec::new(),
        }
    }

    /// Adds or removes a prefix on a live connection.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test uses it"))]
    fn subscribe(&mut self, prefix: &[u8], subscribe: bool) {
        push_subscription(&mut self.output, self.minor, prefix, subscribe);
    }

    /// Does what the event thread and a receiving thread do when there is an event.
    fn serve(&mut self) {
        if let Some(handshake) = &mut self.handshake {
            let (window, prefixes) = (self.window, &*self.prefixes);
            let introduction = Introduction { window, node: Some("node"), shares: true, prefixes };
            match handshake.advance(&self.stream, &mut self.output, introduction) {
                Ok(Some(received)) => {
                    self.minor = handshake.minor;
                    self.handshake = None;
                    let reader = Reader::new(&received, MAX_PART_LEN, LoanPool::new(1 << 20));
                    let window = window.unwrap_or(0);
                    // No descriptor arrives here, so every lease is refused.
                    let leases = Some(Leases::new(Arc::new(|_| {})));
                    self.incoming =
                        Some(Incoming::new(self.stream.clone(), reader, window, leases));
                }
                Ok(None) => {}
                Err(_) => self.has_ended = true,
            }
        }
        while let Some(incoming) = &mut self.incoming
            && !self.has_ended
        {
            match incoming.read(false) {
                ReadResult::Message => {
                    let message = incoming.take_message();
                    let parts = (0..message.len()).filter_map(|index| message.part(index));
                    self.messages.push(parts.map(<[u8]>::to_vec).collect());
                }
                ReadResult::Ping(context) => {
                    self.output.push_bytes(&pong_head(context.len()));
                    self.output.push_bytes(&context);
                }
                ReadResult::Nothing => break,
                ReadResult::Ended | ReadResult::Failed(_) => self.has_ended = true,
            }
        }
        // What is under way is read to its end although nothing can be written any more.
        let _ = self.output.write(|slices| self.stream.send(slices));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::zmtp::{Greeting, subscription_head, write_ready};

    type Message = Vec<Vec<u8>>;

    /// Messages of every kind: empty and long parts, alone and beside others.
    fn messages() -> Vec<Message> {
        let part = |len: usize, number: usize| -> Vec<u8> {
            (0..len).map(|index| (index * 7 + number) as u8).collect()
        };
        let lens: [&[usize]; 7] =
            [&[0], &[24, 5], &[255, 256, 0], &[1025], &[24, 3, 70_000, 1], &[2000, 66_000], &[1]];
        let numbered = lens.iter().enumerate();
        numbered
            .map(|(number, lens)| {
                let parts = lens.iter().map(|len| part(*len, number));
                [b"/t".to_vec()].into_iter().chain(parts).collect()
            })
            .collect()
    }

    fn borrow(message: &Message) -> Vec<&[u8]> {
        message.iter().map(Vec::as_slice).collect()
    }

    /// Serves both sides until `is_done`.
    fn run(
        publishing: &mut Publishing,
        subscribing: &mut Subscribing,
        mut is_done: impl FnMut(&Publishing, &Subscribing) -> bool,
    ) {
        for _ in 0..2_000_000 {
            if is_done(publishing, subscribing) {
                return;
            }
            publishing.serve();
            subscribing.serve();
        }
        panic!("no progress: {} messages", subscribing.messages.len());
    }

    fn connected(behaviour: Behaviour, window: Option<u32>) -> (Publishing, Subscribing) {
        let (near, far) = Pipe::pair(behaviour);
        let mut publishing = Publishing::new();
        publishing.accept(near, 0);
        let mut subscribing = Subscribing::connect(far, window, &[b"/t".to_vec()]);
        run(&mut publishing, &mut subscribing, |publishing, subscribing| {
            publishing.subscriptions == 1 && subscribing.incoming.is_some()
        });
        (publishing, subscribing)
    }

    #[test]
    fn messages_arrive_whole_and_in_order_however_little_the_connection_accepts() {
        let expected = messages();
        for refuses in [false, true] {
            for (step, capacity) in
                [(1, 1), (2, 3), (3, 1000), (7, 7), (64, 50), (1000, 100_000), (usize::MAX, 4096)]
            {
                let behaviour = Behaviour { capacity, step, refuses, breaks_after: None };
                let (mut publishing, mut subscribing) = connected(behaviour, None);
                for message in &expected {
                    assert!(matches!(publishing.send(&borrow(message)), Outcome::Queued));
                }
                publishing.send(&[b"/other", b"not subscribed"]);
                run(&mut publishing, &mut subscribing, |_, subscribing| {
                    subscribing.messages.len() == expected.len()
                });
                assert!(subscribing.messages == expected, "{behaviour:?}");
                // The end of a subscription, and a subscription later on.
                subscribing.subscribe(b"/t", false);
                subscribing.subscribe(b"/u", true);
                run(&mut publishing, &mut subscribing, |publishing, _| {
                    let mut prefixes = publishing.peers.list.iter().map(|peer| &peer.subscriptions);
                    prefixes.all(|all| all.clone().matches(b"/u") && !all.clone().matches(b"/t"))
                });
                publishing.send(&borrow(&expected[0]));
                publishing.send(&[b"/u", b"later"]);
                run(&mut publishing, &mut subscribing, |_, subscribing| {
                    subscribing.messages.len() > expected.len()
                });
                assert_eq!(
                    subscribing.messages.last(),
                    Some(&vec![b"/u".to_vec(), b"later".to_vec()])
                );
            }
        }
    }

    #[test]
    fn a_connection_that_breaks_after_any_byte_costs_what_was_under_way_and_nothing_else() {
        let expected: Vec<Message> =
            (0..4_u8).map(|number| vec![b"/t".to_vec(), vec![number; 60], vec![number]]).collect();
        let mut points = 0;
        for breaks_after in 0.. {
            let behaviour = Behaviour { breaks_after: Some(breaks_after), ..Behaviour::PERFECT };
            let (near, far) = Pipe::pair(behaviour);
            let mut publishing = Publishing::new();
            publishing.accept(near, 0);
            let mut first = Subscribing::connect(far, Some(3), &[b"/t".to_vec()]);
            let mut unsent = expected.iter();
            for _ in 0..100 {
                publishing.serve();
                first.serve();
                if publishing.subscriptions == 1
                    && let Some(message) = unsent.next()
                {
                    publishing.send(&borrow(message));
                }
            }
            // What arrived is what was sent first, whole.
            assert!(expected.starts_with(&first.messages), "{breaks_after}");
            let was_broken = first.has_ended;
            if was_broken {
                assert!(publishing.peers.list.is_empty(), "{breaks_after}");
                assert_eq!(publishing.subscriptions, 0, "{breaks_after}");
                // It connects again and receives what is sent from then on.
                let (near, far) = Pipe::pair(Behaviour::PERFECT);
                publishing.accept(near, 0);
                let mut second = Subscribing::connect(far, Some(3), &[b"/t".to_vec()]);
                run(&mut publishing, &mut second, |publishing, second| {
                    publishing.subscriptions == 1 && second.incoming.is_some()
                });
                publishing.send(&borrow(&expected[0]));
                run(&mut publishing, &mut second, |_, second| second.messages.len() == 1);
                assert_eq!(second.messages[0], expected[0]);
                points += 1;
            } else {
                assert_eq!(first.messages, expected);
                break;
            }
        }
        // Two greetings, two READY, a subscription and four messages.
        assert!(points > 2 * Greeting::LEN + 400, "{points}");
    }

    #[test]
    fn a_subscriber_that_does_not_read_loses_what_exceeds_its_queue_and_is_told_exactly_how_much() {
        for window in [1, 3, 10] {
            let behaviour = Behaviour { capacity: 500, ..Behaviour::PERFECT };
            let (mut publishing, mut subscribing) = connected(behaviour, Some(window));
            let mut lost = 0;
            for number in 0..50_u8 {
                match publishing.send(&[b"/t", &[number; 100]]) {
                    Outcome::Queued => {}
                    Outcome::Lost | Outcome::Full => lost += 1,
                }
                publishing.serve();
            }
            let [peer] = &publishing.peers.stats()[..] else { panic!("one subscriber") };
            assert_eq!((peer.lost, peer.node.as_deref()), (Some(lost), Some("node")));
            // The one that is being written waits as well.
            let window = window as usize;
            assert!((window..=window + 1).contains(&peer.waiting.unwrap()), "{peer:?}");
            assert!(peer.waiting_bytes.unwrap() <= (window as u64 + 1) * 110, "{peer:?}");
            let arrived = 50 - lost as usize;
            run(&mut publishing, &mut subscribing, |publishing, subscribing| {
                subscribing.messages.len() == arrived && publishing.peers.list[0].backlog.is_empty()
            });
            // The oldest ones, in order.
            let numbers: Vec<u8> = subscribing.messages.iter().map(|parts| parts[1][0]).collect();
            assert!(numbers.iter().copied().eq(0..arrived as u8), "{numbers:?}");
        }
    }

    #[test]
    fn a_queue_limited_in_bytes_takes_two_messages_however_long_they_are() {
        let behaviour = Behaviour { capacity: 1, ..Behaviour::PERFECT };
        let (mut publishing, _subscribing) = connected(behaviour, None);
        publishing.byte_limit = 1000;
        let mut queued = 0;
        while matches!(publishing.send(&[b"/t", &[1; 5000]]), Outcome::Queued) {
            queued += 1;
        }
        // One more is being written.
        assert_eq!(queued, 3);
    }

    #[test]
    fn a_message_for_one_peer_alone_reaches_no_other_and_keeps_its_place() {
        let (mut publishing, mut first) = connected(Behaviour::PERFECT, None);
        let (near, far) = Pipe::pair(Behaviour { step: 3, ..Behaviour::PERFECT });
        publishing.accept(near, 0);
        let mut second = Subscribing::connect(far, None, &[b"/t".to_vec()]);
        run(&mut publishing, &mut second, |publishing, _| publishing.subscriptions == 2);
        publishing.send(&[b"/t", b"one"]);
        let mut kept = [Part::Copy(b"/t"), Part::Copy(b"kept")];
        assert!(matches!(publishing.peers.send_to(2, &mut kept, u64::MAX), Ok(Outcome::Queued)));
        publishing.send(&[b"/t", b"two"]);
        let mut other = [Part::Copy(b"/u"), Part::Copy(b"another topic")];
        assert!(publishing.peers.send_to(2, &mut other, u64::MAX).is_ok());
        assert!(publishing.peers.send_to(9, &mut kept, u64::MAX).is_ok());
        run(&mut publishing, &mut second, |_, second| second.messages.len() == 3);
        run(&mut publishing, &mut first, |_, first| first.messages.len() == 2);
        let bodies = |side: &Subscribing| -> Vec<Vec<u8>> {
            side.messages.iter().map(|parts| parts[1].clone()).collect()
        };
        assert_eq!(bodies(&second), [&b"one"[..], b"kept", b"two"]);
        assert_eq!(bodies(&first), [&b"one"[..], b"two"]);
    }

    /// What a peer of that socket type sends in its handshake, and then `rest`.
    fn peer(minor: u8, socket_type: &[u8], rest: &[u8]) -> Vec<u8> {
        let mut bytes = Greeting::BYTES.to_vec();
        bytes[11] = minor;
        write_ready(&[("Socket-Type", socket_type)], |part| bytes.extend_from_slice(part));
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn both_sides_survive_a_peer_that_sends_anything_and_leaves_at_any_byte() {
        let subscribe = [&subscription_head(1, 2, true)[..], b"/t"].concat();
        let subscriber = peer(1, b"SUB", &[&subscribe[..], b"\x04\x09\x04PING\0\x01ab"].concat());
        let old = peer(0, b"XSUB", b"\0\x03\x01/t\0\x03\x00/t");
        let again = peer(1, b"SUB", &peer(1, b"SUB", b"")[Greeting::LEN..]);
        let claims = peer(1, b"SUB", b"\x06\x80\0\0\0\0\0\0\0");
        let report = peer(1, b"SUB", b"\x04\x10\x0fX-CORTEX-REPORT");
        let garbage = b"GET / HTTP/1.1\r\nHost: robot\r\n\r\n".to_vec();
        for bytes in [subscriber, old, again, claims, report, garbage.clone()] {
            for len in (0..=bytes.len()).rev().step_by(3) {
                for behaviour in [[255, 255], [0, 255], [2, 8], [33, 1]] {
                    fuzz_publisher(&[&behaviour[..], &bytes[..len]].concat());
                }
            }
        }
        let long = [b"\x02\0\0\0\0\0\0\x40\0", &[1; 16384][..]].concat();
        let message = [b"\x01\x02/t\x01\x03abc\0\0", &long[..]].concat();
        let publisher = peer(1, b"XPUB", &[b"\x04\x09\x04PING\0\x01ab", &message[..]].concat());
        let claims = peer(0, b"PUB", b"\x02\x80\0\0\0\0\0\0\0");
        let large = peer(1, b"PUB", b"\x01\x02/t\x02\0\0\0\0\x03\0\0\0xyz");
        for bytes in [publisher, claims, large, garbage] {
            for len in (0..=bytes.len()).rev().step_by(37) {
                for behaviour in [0, 1, 16, 255] {
                    fuzz_subscriber(&[&[behaviour][..], &bytes[..len]].concat());
                }
            }
        }
    }
}
