//! Making a publisher.

use std::marker::PhantomData;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::latch::Latch;
use super::{Inner, Open, Publisher, Room, State};
use crate::discovery::Topic;
use crate::error::CreateError;
use crate::node::{Closable, Shared, check_name};
use crate::place::Place;
use crate::socket::interrupt::Interrupt;
use crate::socket::loan::LoanPool;
use crate::socket::xpub::XpubOptions;
use crate::stats::PublisherCounters;
use crate::wire::discovery::RequestExt;
use crate::wire::{Message, TypeInfo};

/// Messages that may wait for one subscriber unless said otherwise, as in Python.
const QUEUE: u32 = 10;
/// How long what was published last may still be sent after the publisher is gone.
const LINGER: Duration = Duration::from_millis(200);
/// Bytes that loans of one publisher may hold.
const LOAN_LIMIT: usize = 256 << 20;

/// Settings of a publisher that is to be made.
#[derive(Debug)]
#[must_use]
pub struct PublisherBuilder<'n, M> {
    shared: &'n Arc<Shared>,
    topic: String,
    queue: u32,
    block: Duration,
    is_latched: bool,
    is_shared: bool,
    bind: Option<String>,
    advertise: Option<String>,
    message: PhantomData<fn() -> M>,
}

impl<'n, M: Message + 'static> PublisherBuilder<'n, M> {
    pub(crate) fn new(shared: &'n Arc<Shared>, topic: &str) -> Self {
        Self {
            shared,
            topic: topic.to_owned(),
            queue: QUEUE,
            block: Duration::ZERO,
            is_latched: false,
            is_shared: false,
            bind: None,
            advertise: None,
            message: PhantomData,
        }
    }

    /// How many messages may wait for one subscriber; 10 unless set, 0 is no limit.
    pub fn queue(mut self, messages: u32) -> Self {
        self.queue = messages;
        self
    }

    /// How long publishing waits, on its thread, for a subscriber whose queue is full; not at all
    /// unless set. Only then is the message sent to the others alone; the one that lost it is not
    /// waited for again before it has read half of its queue.
    pub fn block_for(mut self, timeout: Duration) -> Self {
        self.block = timeout;
        self
    }

    /// Keeps the last message for who comes late: it is sent again, unchanged, whenever somebody
    /// subscribes. Everybody gets the copy; our subscribers drop it, Python's see the value again.
    ///
    /// What the last message borrows, an owner or a loan, is kept until the next one.
    pub fn latched(mut self) -> Self {
        self.is_latched = true;
        self
    }

    /// Lets other nodes publish on the topic as well, if all of them say so; otherwise a topic is
    /// the node's that had it first.
    ///
    /// Our subscribers receive from all of them, each with its own queue, and count what each lost
    /// by its own numbers. A Python subscriber receives from the first alone, and under a Python
    /// daemon there is only the first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cortex_std::{Node, wire::StringMessage};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// // In each of several programs, which are nodes of different names.
    /// let node = Node::builder("arm-left").discovery(&address).build()?;
    /// let log = node.publisher::<StringMessage>("/log").shared().create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Where to listen: `tcp://HOST:PORT` or `ipc://PATH`. Unless set, it is what the daemon's
    /// address suggests:
    ///
    /// | daemon | publisher |
    /// |---|---|
    /// | `ipc://` | a path made from node and topic, beside the daemon's socket |
    /// | `tcp://` | a port made from node and topic, of all interfaces; of the loopback alone if the daemon is there |
    /// | `inproc://` | inside this process |
    ///
    /// The port is one from 20,000 to 29,999, and the next free one where that is taken. A Python
    /// subscriber looks a topic up once, so where that happens, and matters, set a port here. With
    /// `*` the system chooses one, each time another.
    ///
    /// A port has no owner as a file has: whoever reaches the machine may subscribe.
    pub fn bind(mut self, address: &str) -> Self {
        self.bind = Some(address.to_owned());
        self
    }

    /// The host under which others reach this machine, where the publisher listens on all of its
    /// interfaces.
    ///
    /// With a daemon behind tcp it is, unless set, the address of the interface that leads to the
    /// daemon, and registered anew when that changes.
    pub fn advertise(mut self, host: &str) -> Self {
        self.advertise = Some(host.to_owned());
        self
    }

    /// Binds, and registers in the background: neither waits for the daemon.
    ///
    /// # Errors
    ///
    /// When the topic's name or address will not do, this node publishes it already, or libzmq
    /// refuses. That no daemon runs is no error: see [`Publisher::registration`].
    pub fn create(self) -> Result<Publisher<M>, CreateError> {
        check_name("topic", &self.topic)?;
        let shared = self.shared;
        let options = XpubOptions {
            high_water_mark: i32::try_from(self.queue).unwrap_or(i32::MAX),
            linger: LINGER,
            ..XpubOptions::default()
        };
        let advertise = self.advertise.as_deref();
        let place = Place::bind(shared, &self.topic, self.bind, advertise, &options)?;
        let Place { socket, hold, address, reach } = place;
        let topic = Topic {
            name: self.topic.clone(),
            address: address.clone(),
            message_type: TypeInfo::of::<M>().name().to_owned(),
            fingerprint: M::FINGERPRINT,
            publisher_node: shared.name.clone(),
        };
        let ext =
            RequestExt { layout: Some(M::LAYOUT), shared: self.is_shared, ..RequestExt::default() };
        let registration = shared.agent.register(topic, ext, reach);
        let watch = self.is_latched.then(|| socket.watch());
        let state = State {
            open: Some(Open { latch: None, socket, _hold: hold }),
            metadata: Vec::new(),
            has_seen: false,
            looked_at_ns: 0,
            kept: Vec::new(),
        };
        let inner = Arc::new(Inner {
            topic: self.topic,
            address,
            is_latched: self.is_latched,
            counters: PublisherCounters::default(),
            room: Room {
                block: self.block,
                stop: Interrupt::new()?,
                is_awaited: AtomicBool::new(false),
            },
            registration: Mutex::new(Some(registration)),
            state: Mutex::new(state),
            loans: LoanPool::new(LOAN_LIMIT),
        });
        if let Some(watch) = watch {
            let latch = Latch::start(Arc::downgrade(&inner), watch)?;
            if let Some(open) = &mut inner.lock().open {
                open.latch = Some(latch);
            }
        }
        let closable: Arc<dyn Closable> = inner.clone();
        shared.add(&closable)?;
        shared.census.add(&inner);
        Ok(Publisher { inner, message: PhantomData })
    }
}
