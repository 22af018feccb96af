//! Waiting until the messages of a publisher that closes are sent.

use std::time::{Duration, Instant};

use crate::log::ErrorChain;
use crate::runtime::signal;
use crate::transport::PublisherSocket;

/// Interval at which a thread that waits for empty queues counts what is unsent.
pub(super) const DRAIN_INTERVAL: Duration = Duration::from_millis(1);

/// Waits until the queues are empty, as long as `linger` and a signal allow since `begun`; logs what is lost
/// then.
pub(super) fn drain(
    socket: &mut dyn PublisherSocket,
    address: &str,
    linger: Duration,
    begun: Instant,
) {
    let mut until = begun.checked_add(linger);
    if let Some(end) = signal::close_deadline() {
        until = Some(until.map_or(end, |until| until.min(end)));
    }
    loop {
        let lost = unsent(socket);
        if lost == 0 {
            return;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            let waited = begun.elapsed();
            tracing::warn!(
                address,
                lost,
                ?waited,
                "messages were not sent before the publisher closed: a subscriber or its link is too slow; set a longer linger"
            );
            if let Err(error) = socket.discard_unsent() {
                tracing::debug!(address, error = %ErrorChain(&error), "cannot discard messages");
            }
            return;
        }
        std::thread::sleep(DRAIN_INTERVAL);
    }
}

/// The number of messages that are not sent, once those of subscribers that disappeared are released.
pub(super) fn unsent(socket: &mut dyn PublisherSocket) -> usize {
    match socket.unsent() {
        0 => 0,
        _ => {
            // Any call to the socket releases them; subscriptions are counted on another occasion.
            let _ = socket.release();
            socket.unsent()
        }
    }
}
