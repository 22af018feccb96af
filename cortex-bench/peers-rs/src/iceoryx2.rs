//! iceoryx2: shared memory, and an event that wakes the receiver, as in its examples.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};

use crate::inbox::Inbox;
use crate::protocol::Setup;
use crate::publisher;

type Topic = publish_subscribe::PortFactory<ipc::Service, [u8], ()>;
type WakeEvent = event::PortFactory<ipc::Service>;

fn services(setup: &Setup) -> Result<(Node<ipc::Service>, Topic, WakeEvent), Box<dyn Error>> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    // Unique for this pair.
    let name = ServiceName::new(&setup.path())?;
    let topic = node
        .service_builder(&name)
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(!setup.waits)
        .subscriber_max_buffer_size(setup.queue as usize)
        .max_publishers(1)
        .max_subscribers(setup.subscribers)
        .open_or_create()?;
    let event = node.service_builder(&name).event().open_or_create()?;
    Ok((node, topic, event))
}

/// Copies every payload into shared memory.
pub(super) struct Sender {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Notifier<ipc::Service>,
    payload: Vec<u8>,
    _node: Node<ipc::Service>,
}

impl Sender {
    pub(super) fn new(
        setup: &Setup,
        bound: impl Fn() -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let (node, topic, event) = services(setup)?;
        let strategy = if setup.waits {
            BackpressureStrategy::RetryUntilDelivered
        } else {
            BackpressureStrategy::DiscardData
        };
        let publisher = topic
            .publisher_builder()
            .initial_max_slice_len(setup.len)
            .backpressure_strategy(strategy)
            .create()?;
        let notifier = event.notifier_builder().create()?;
        bound()?;
        let is_ready = || {
            topic.dynamic_config().number_of_subscribers() == setup.subscribers
                && event.dynamic_config().number_of_listeners() == setup.subscribers
        };
        while !is_ready() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { publisher, notifier, payload: vec![0; setup.len], _node: node })
    }
}

impl publisher::Send for Sender {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        self.payload[..8].copy_from_slice(&stamp.to_le_bytes());
        let sample = self.publisher.loan_slice_uninit(self.payload.len())?;
        sample.write_from_slice(&self.payload).send()?;
        // Fails if the previous event is still pending, which wakes the receiver as well.
        let _ = self.notifier.notify();
        Ok(())
    }
}

/// Threads that receive until this is dropped.
pub(super) struct Receiver {
    is_stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Receiver {
    pub(super) fn new(setup: &Setup, inbox: &Inbox) -> Result<Self, Box<dyn Error>> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let threads = (0..setup.subscribers)
            .map(|_| {
                let (setup, inbox, is_stopping) =
                    (setup.clone(), inbox.clone(), Arc::clone(&is_stopping));
                std::thread::spawn(move || {
                    // The message of a panic goes to stderr, which cortex-bench shows.
                    receive(&setup, &inbox, &is_stopping).expect("it receives");
                })
            })
            .collect();
        Ok(Self { is_stopping, threads })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn receive(setup: &Setup, inbox: &Inbox, is_stopping: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let (_node, topic, event) = services(setup)?;
    let subscriber = topic.subscriber_builder().buffer_size(setup.queue as usize).create()?;
    let listener = event.listener_builder().create()?;
    while !is_stopping.load(Ordering::Relaxed) {
        listener.timed_wait_all(|_| {}, Duration::from_millis(100))?;
        while let Some(sample) = subscriber.receive()? {
            inbox.record(sample.payload());
        }
    }
    Ok(())
}
