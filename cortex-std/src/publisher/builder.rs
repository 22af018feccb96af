//! Building a publisher.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::{Inner, Publisher};
use crate::discovery::Topic;
use crate::error::CreateError;
use crate::name::check_name;
use crate::raw::outlet::{Outlet, OutletOptions};
use crate::raw::{BoundSocket, LINGER};
use crate::runtime::Runtime;
use crate::transport::{DEFAULT_QUEUE, DEFAULT_QUEUE_BYTES, LoanPool, PublisherOptions, Transport};
use crate::wire::discovery::RequestExt;
use crate::wire::{Message, TypeInfo};

/// Bytes of unused loans that one publisher keeps.
const LOAN_LIMIT: usize = 256 << 20;

/// Builder for [`Publisher`].
#[derive(Debug)]
#[must_use]
pub struct PublisherBuilder<'n, M> {
    runtime: &'n Runtime,
    topic: String,
    queue: u32,
    queue_bytes: usize,
    linger: Duration,
    block: Duration,
    is_latched: bool,
    is_shared: bool,
    bind: Option<String>,
    advertise: Option<String>,
    message: PhantomData<fn() -> M>,
}

impl<'n, M: Message + 'static> PublisherBuilder<'n, M> {
    pub(crate) fn new(runtime: &'n Runtime, topic: &str) -> Self {
        Self {
            runtime,
            topic: topic.to_owned(),
            queue: u32::try_from(DEFAULT_QUEUE).unwrap_or(0),
            queue_bytes: DEFAULT_QUEUE_BYTES,
            linger: LINGER,
            block: Duration::ZERO,
            is_latched: false,
            is_shared: false,
            bind: None,
            advertise: None,
            message: PhantomData,
        }
    }

    /// The number of messages that may wait for one subscriber; 10 by default, 0 is no limit.
    pub fn queue(mut self, messages: u32) -> Self {
        self.queue = messages;
        self
    }

    /// The number of bytes that may wait for one subscriber; 256 MiB by default, 0 is no limit.
    ///
    /// It makes the queue shorter for long messages: with 256 MiB and messages of 60 MiB, four wait. It
    /// follows the longest message so far, and two messages may wait, however long they are.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long closing the node waits until the messages of this publisher are sent; a second by default.
    /// Messages that are not sent by then are lost, and their number is logged.
    ///
    /// After a signal closing takes no longer than [`Node::run`](crate::Node::run) says. A publisher that is
    /// dropped before its node does not wait: its messages are sent in the background as long.
    pub fn linger(mut self, timeout: Duration) -> Self {
        self.linger = timeout;
        self
    }

    /// How long a publish blocks for a subscriber whose queue is full; not at all by default. After that
    /// the message is sent to the other subscribers only. Over ipc the next publish blocks again; over libzmq
    /// publishes do not block for that subscriber again before it has read half of its queue.
    pub fn block_for(mut self, timeout: Duration) -> Self {
        self.block = timeout;
        self
    }

    /// Keeps the last message for late subscribers (ROS 2: transient local): it is sent again, unchanged,
    /// whenever a peer subscribes. Over ipc the new subscriber alone receives it. Over libzmq all subscribers
    /// receive the copy; Rust subscribers drop it, Python subscribers see the value again.
    ///
    /// The owner or loan that the last message borrows is kept until the next message.
    pub fn latched(mut self) -> Self {
        self.is_latched = true;
        self
    }

    /// Allows other nodes to publish on the topic, if all of them are shared; otherwise a topic belongs to
    /// the node that registered it first.
    ///
    /// A Rust subscriber receives from all publishers, with a queue for each, and counts the losses of
    /// each by its own sequence numbers. A Python subscriber receives from the first publisher only, and a
    /// Python daemon accepts only the first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cortex_std::{Node, wire::StringMessage};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// // In each of several programs, which are nodes of different names.
    /// let node = Node::builder("arm-left").discovery(&address).create()?;
    /// let log = node.publisher::<StringMessage>("/log").shared().create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// The address to bind: `tcp://HOST:PORT` or `ipc://PATH`. By default it follows from the daemon's
    /// address:
    ///
    /// | daemon | publisher |
    /// |---|---|
    /// | `ipc://` | a path derived from node and topic, beside the daemon's socket |
    /// | `tcp://` | a port derived from node and topic, on all interfaces; on the loopback interface if the daemon is there |
    /// | `inproc://` | inside this process |
    ///
    /// The port is between 20,000 and 29,999: the derived one, or the next free one where it is in use. A
    /// Python subscriber looks a topic up once, so set a port here where that matters. With `*` the
    /// system chooses another port each time.
    ///
    /// A port has no owner as a file has: any peer that reaches the machine may subscribe.
    pub fn bind(mut self, address: &str) -> Self {
        self.bind = Some(address.to_owned());
        self
    }

    /// The host under which subscribers reach this machine, where the publisher is bound to all
    /// interfaces.
    ///
    /// With a daemon behind tcp the default is the address of the interface that leads to the daemon; it
    /// is registered again when it changes.
    pub fn advertise(mut self, host: &str) -> Self {
        self.advertise = Some(host.to_owned());
        self
    }

    /// Binds the publisher and registers it in the background, without waiting for the daemon.
    ///
    /// # Errors
    ///
    /// When the topic's name or the address is invalid, this node publishes the topic already, or the
    /// socket fails. An absent daemon is no error: see [`Publisher::registration`].
    pub fn create(self) -> Result<Publisher<M>, CreateError> {
        check_name("topic", &self.topic)?;
        let runtime = self.runtime;
        let options = PublisherOptions {
            high_water_mark: i32::try_from(self.queue).unwrap_or(i32::MAX),
            max_queue_bytes: self.queue_bytes,
            linger: self.linger,
            ..PublisherOptions::default()
        };
        let (bind, advertise) = (self.bind.as_deref(), self.advertise.as_deref());
        let bound = BoundSocket::bind(runtime, &self.topic, bind, advertise, &options)?;
        let outlet_options = OutletOptions {
            topic: Some(self.topic.clone()),
            block: self.block,
            is_latched: self.is_latched,
            linger: self.linger,
        };
        let (outlet, advertised) = Outlet::open(bound, outlet_options)?;
        let message_type = TypeInfo::of::<M>().name();
        let topic = Topic {
            name: self.topic.clone(),
            address: outlet.address().to_owned(),
            message_type: message_type.to_owned(),
            fingerprint: M::FINGERPRINT,
            publisher_node: runtime.name.clone(),
        };
        let ext =
            RequestExt { layout: Some(M::LAYOUT), shared: self.is_shared, ..RequestExt::default() };
        outlet.register(&runtime.agent, topic, ext, advertised);
        runtime.parts.add(&outlet)?;
        let lends = runtime.context.shares_memory() && outlet.transport() == Transport::Local;
        let loans = if lends { LoanPool::shared(LOAN_LIMIT) } else { LoanPool::new(LOAN_LIMIT) };
        let inner = Arc::new(Inner { topic: self.topic, message_type, outlet, loans });
        runtime.stats.add(&inner);
        Ok(Publisher { inner, message: PhantomData })
    }
}
