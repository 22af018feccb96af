//! Lookups of the publishers, on a thread of their own: the daemon may not answer for seconds.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use cortex_std::discovery::{Client, DiscoveryError, Topic};

use crate::interrupt::Interrupt;
use crate::listing;

/// Time between two lookups.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);
/// The same after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Looks up these topics, or all of them if there are none, until the command is interrupted. The
/// receiver gets the publishers, sorted by topic, each time that the daemon answers.
///
/// # Errors
/// If the thread cannot be started.
pub(crate) fn start(mut client: Client, topics: Vec<String>) -> io::Result<Receiver<Vec<Topic>>> {
    let (sender, receiver) = sync_channel(1);
    let look_up = move || {
        let interrupt = Interrupt::get();
        while !interrupt.is_set() {
            let found = publishers(&mut client, &topics);
            let wait = if found.is_ok() { LOOKUP_INTERVAL } else { RETRY_INTERVAL };
            // Waits while the command is busy, and fails when it has ended.
            if found.is_ok_and(|found| sender.send(found).is_err()) {
                return;
            }
            interrupt.wait(wait);
        }
    };
    std::thread::Builder::new().name("cortex-lookup".to_owned()).spawn(look_up)?;
    Ok(receiver)
}

fn publishers(client: &mut Client, topics: &[String]) -> Result<Vec<Topic>, DiscoveryError> {
    if topics.is_empty() {
        return listing::topics(client);
    }
    let mut publishers = Vec::new();
    for name in topics {
        publishers.extend(client.look_up(name)?.into_iter().flat_map(|found| found.publishers));
    }
    Ok(publishers)
}
