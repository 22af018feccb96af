//! Sending and receiving with cortex-std.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cortex_std::wire::{ArrayMessage, ArrayView};
use cortex_std::{Node, Publisher, Queue, ThreadOptions};

use super::inbox::Inbox;
use super::publisher::Send;
use super::{FRAME_ID, Receiving, Sending, Setup, TOPIC};

/// Limit of the wait for subscribers, and for space in a full queue.
const TIMEOUT: Duration = Duration::from_secs(20);

type Messages = Publisher<ArrayMessage<'static>>;

fn node(setup: &Setup, name: &str) -> Result<Node, Box<dyn Error>> {
    Ok(Node::builder(name).discovery(&setup.discovery()).create()?)
}

fn topic(index: usize) -> String {
    format!("{TOPIC}/{index}")
}

fn message(payload: &[u8]) -> ArrayMessage<'_> {
    let data = ArrayView::from_slice(payload, &[payload.len()]).expect("the shape matches");
    ArrayMessage { data, name: "", frame_id: FRAME_ID }
}

/// A sender with publishers that all subscribers have connected to.
pub(super) fn sender(
    setup: &Setup,
    bound: impl Fn() -> Result<(), Box<dyn Error>>,
) -> Result<Box<dyn Send>, Box<dyn Error>> {
    let node = node(setup, "sender")?;
    let publishers = (0..setup.topics)
        .map(|index| {
            let publisher = node.publisher(&topic(index)).queue(setup.queue);
            let timeout = if setup.waits { TIMEOUT } else { Duration::ZERO };
            publisher.block_for(timeout).create()
        })
        .collect::<Result<Vec<Messages>, _>>()?;
    bound()?;
    for publisher in &publishers {
        publisher
            .blocking_wait_for_subscribers(setup.subscribers, TIMEOUT)
            .map_err(|error| format!("{} lacks subscribers: {error}", publisher.topic()))?;
    }
    let payload = vec![0; setup.len];
    let next = (0..publishers.len()).cycle();
    let turns = Turns { publishers, next, _node: node };
    Ok(match setup.sending {
        Sending::Copy => Box::new(Copying { turns, payload }),
        Sending::Owner => Box::new(Owning { turns, payload: Arc::new(payload) }),
        Sending::Loan => Box::new(Loaning { turns, len: setup.len }),
    })
}

/// Publishers that are used in turn.
struct Turns {
    publishers: Vec<Messages>,
    next: std::iter::Cycle<std::ops::Range<usize>>,
    _node: Node,
}

impl Turns {
    fn next(&mut self) -> &Messages {
        &self.publishers[self.next.next().unwrap_or_default()]
    }
}

struct Copying {
    turns: Turns,
    payload: Vec<u8>,
}

impl Send for Copying {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        self.payload[..8].copy_from_slice(&stamp.to_le_bytes());
        self.turns.next().publish(&message(&self.payload))?;
        Ok(())
    }
}

struct Owning {
    turns: Turns,
    payload: Arc<Vec<u8>>,
}

impl Send for Owning {
    fn send(&mut self, _stamp: u64) -> Result<(), Box<dyn Error>> {
        let payload = Arc::clone(&self.payload);
        self.turns.next().publish_from(payload, |payload| message(payload))?;
        Ok(())
    }
}

struct Loaning {
    turns: Turns,
    len: usize,
}

impl Send for Loaning {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        let mut loan = self.turns.next().loan::<u8>(&[self.len])?;
        loan[..8].copy_from_slice(&stamp.to_le_bytes());
        loan.publish(|data| ArrayMessage { data, name: "", frame_id: FRAME_ID })?;
        Ok(())
    }
}

/// Starts threads that receive until the process ends.
pub(super) fn receive(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
    let setup = setup.clone();
    let inbox = inbox.clone();
    if setup.receiving == Receiving::Async {
        std::thread::spawn(move || {
            // The message of a panic goes to stderr, which the controlling process shows.
            receive_async(&setup, &inbox).expect("it receives");
        });
        return Ok(());
    }
    let node = node(&setup, "receiver")?;
    for index in 0..setup.topics * setup.subscribers {
        let subscriber = node
            .subscriber::<ArrayMessage>(&topic(index % setup.topics))
            .queue(Queue::KeepOldest(setup.queue));
        let inbox = inbox.clone();
        if setup.receiving == Receiving::Blocking {
            let mut subscriber = subscriber.create()?;
            std::thread::spawn(move || {
                loop {
                    let sample = subscriber.blocking_recv().expect("it receives");
                    inbox.record(sample.message().expect("it was checked").data.data());
                }
            });
        } else {
            let options = ThreadOptions::named("receiver");
            // Runs until the process ends.
            std::mem::forget(
                subscriber
                    .thread(options)
                    .on_thread(move |message, _| inbox.record(message.data.data()))?,
            );
        }
    }
    std::mem::forget(node);
    Ok(())
}

fn receive_async(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
    let node = node(setup, "receiver")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for index in 0..setup.topics * setup.subscribers {
        let inbox = inbox.clone();
        node.subscriber::<ArrayMessage>(&topic(index % setup.topics))
            .queue(Queue::KeepOldest(setup.queue))
            .on_message(async move |message, _| inbox.record(message.data.data()))?;
    }
    runtime.block_on(node.run())?;
    Ok(())
}
