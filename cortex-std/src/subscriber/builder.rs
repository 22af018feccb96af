//! Settings of a subscriber, and the forms in which it delivers.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tokio")]
use super::SubscriberHandle;
use super::{Outcome, Source, Subscriber, ThreadSubscriber};
#[cfg(feature = "tokio")]
use crate::Sample;
use crate::error::{CreateError, ReceiveError};
use crate::node::{Shared, check_name};
use crate::queue::{Queue, Queued};
use crate::receiver::{Loss, LossCallback, Receiver, Rejections, Settings, SilenceCallback};
use crate::thread::ThreadOptions;
use crate::wire::{Header, Message, TypeInfo};
use crate::worker::Worker;

/// Settings of a subscriber that is to be made.
#[must_use]
pub struct SubscriberBuilder<'n, M> {
    shared: &'n Arc<Shared>,
    #[cfg(feature = "tokio")]
    tasks: &'n crate::node::Tasks,
    topic: String,
    queue: Queue,
    is_lax: bool,
    spin: Duration,
    on_loss: Option<LossCallback>,
    deadline: Option<(Duration, SilenceCallback)>,
    thread: ThreadOptions,
    trace: usize,
    message: PhantomData<fn() -> M>,
}

impl<'n, M: Message + 'static> SubscriberBuilder<'n, M> {
    pub(crate) fn new(
        shared: &'n Arc<Shared>,
        #[cfg(feature = "tokio")] tasks: &'n crate::node::Tasks,
        topic: &str,
    ) -> Self {
        Self {
            shared,
            #[cfg(feature = "tokio")]
            tasks,
            topic: topic.to_owned(),
            queue: Queue::default(),
            is_lax: false,
            spin: Duration::ZERO,
            on_loss: None,
            deadline: None,
            thread: ThreadOptions::default(),
            trace: shared.trace_latency,
            message: PhantomData,
        }
    }

    /// What is kept for a reader that is slower than the publisher; the oldest 10 unless set. A
    /// number alone means the oldest.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, Queue, wire::ImageMessage};
    /// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let frames = node.subscriber::<ImageMessage>("/cam/frame").queue(Queue::Latest).create()?;
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, queue: impl Into<Queue>) -> Self {
        self.queue = queue.into();
        self
    }

    /// Takes messages whatever type their header names: only their fields are checked.
    ///
    /// For a class that was renamed or moved. Fields of the same types pass for each other.
    pub fn lax(mut self) -> Self {
        self.is_lax = true;
        self
    }

    /// For how long a thread asks again and again before it sleeps until a message comes; not at
    /// all unless set.
    ///
    /// Waking a sleeping core takes longer than everything else here; this buys that time with a
    /// busy core. It is for the blocking forms and [`on_thread`](Self::on_thread); with a queue that
    /// keeps the newest, its thread does it. The async forms wait in their runtime.
    pub fn spin(mut self, duration: Duration) -> Self {
        self.spin = duration;
        self
    }

    /// Tells of every gap in the publisher's numbers, and when it started anew.
    ///
    /// It is called where messages are received: on the reader's thread, or on the queue's thread
    /// with a queue that keeps the newest. What such a queue overwrites is no loss: it is counted
    /// alone.
    pub fn on_loss(mut self, callback: impl FnMut(Loss) + Send + 'static) -> Self {
        self.on_loss = Some(Box::new(callback));
        self
    }

    /// Tells, once each time, when no message came for `limit`, and for how long; from when this
    /// subscriber is made, and from every message on.
    ///
    /// It is called where messages are received, as [`on_loss`](Self::on_loss): a reader that does
    /// not wait for messages notices nothing.
    ///
    /// # Panics
    ///
    /// The async forms, outside of a tokio runtime with time enabled.
    pub fn deadline(
        mut self,
        limit: Duration,
        callback: impl FnMut(Duration) + Send + 'static,
    ) -> Self {
        self.deadline = Some((limit, Box::new(callback)));
        self
    }

    /// Keeps the last `samples` times of each stage, for
    /// [`SubscriberStats::latency`](crate::SubscriberStats::latency): receiving, decoding, the
    /// callback. As many as the node keeps unless set, 0 for none; a million at most.
    ///
    /// Their memory is allocated here and now, 24 bytes for each, and none per message.
    pub fn trace_latency(mut self, samples: usize) -> Self {
        self.trace = samples;
        self
    }

    /// How the thread of [`on_thread`](Self::on_thread) is to run.
    pub fn thread(mut self, options: ThreadOptions) -> Self {
        self.thread = options;
        self
    }

    /// A subscriber to receive from. The publisher need not be there: it is waited for, and found
    /// again when it comes back, elsewhere too.
    ///
    /// # Errors
    ///
    /// When the topic's name will not do, or the system has no socket or thread left.
    pub fn create(self) -> Result<Subscriber<M>, CreateError> {
        check_name("topic", &self.topic)?;
        let settings = Settings {
            topic: self.topic.into(),
            info: TypeInfo::of::<M>(),
            high_water_mark: self.queue.high_water_mark(),
            is_lax: self.is_lax,
            spin: self.spin,
            on_loss: self.on_loss,
            deadline: self.deadline,
            trace: self.trace,
        };
        let receiver = Receiver::new(self.shared, settings)?;
        let common = Arc::clone(receiver.common());
        let source = match self.queue.ring() {
            None => Source::Direct(Box::new(receiver)),
            Some(limit) => Source::Queued(Queued::start(self.shared, receiver, limit)?),
        };
        Ok(Subscriber {
            source,
            rejections: Rejections::new(&common),
            common,
            message: PhantomData,
        })
    }

    /// Calls back for every message, from within [`Node::run`](crate::Node::run).
    ///
    /// The message borrows from the frames it came in: it cannot be kept beyond the callback, but
    /// copied. A callback that returns an error or panics is reported and counted, and the next
    /// message comes.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, wire::ImageMessage};
    /// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// node.subscriber::<ImageMessage>("/cam/frame").on_message(async |image, header| {
    ///     println!("[{}] {:?}", header.sequence, image.data.shape());
    /// })?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn on_message<F, R>(self, callback: F) -> Result<SubscriberHandle, CreateError>
    where
        F: AsyncFnMut(M::View<'_>, Header) -> R + 'static,
        R: Outcome + 'static,
    {
        self.drive(async |subscriber| subscriber.for_each(callback).await)
    }

    /// Calls back with every sample, from within [`Node::run`](crate::Node::run): with frames that
    /// may be kept and sent to other threads.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, wire::ImageMessage};
    /// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// node.subscriber::<ImageMessage>("/cam/frame").on_sample(async move |sample| {
    ///     sender.send(sample)
    /// })?;
    /// std::thread::spawn(move || {
    ///     for sample in receiver {
    ///         let image = sample.message()?;
    ///         println!("{:?}", image.data.shape());
    ///     }
    ///     Ok::<(), cortex_std::wire::DecodeError>(())
    /// });
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn on_sample<F, R>(self, callback: F) -> Result<SubscriberHandle, CreateError>
    where
        F: AsyncFnMut(Sample<M>) -> R + 'static,
        R: Outcome + 'static,
    {
        self.drive(async |subscriber| subscriber.for_each_sample(callback).await)
    }

    #[cfg(feature = "tokio")]
    fn drive(
        self,
        deliver: impl AsyncFnOnce(Subscriber<M>) -> Result<(), ReceiveError> + 'static,
    ) -> Result<SubscriberHandle, CreateError> {
        let tasks = self.tasks;
        let subscriber = self.create()?;
        let handle = subscriber.handle();
        let topic = Arc::clone(&subscriber.common.topic);
        tasks.add(async move {
            if let Err(error) = deliver(subscriber).await
                && !matches!(error, ReceiveError::Closed)
            {
                tracing::error!(%topic, %error, "subscriber ended");
            }
        });
        Ok(handle)
    }

    /// Calls back for every message on a thread of its own, with or without
    /// [`Node::run`](crate::Node::run), until what it returns is dropped or the node ends.
    ///
    /// A callback that returns an error or panics is reported and counted, and the next message
    /// comes.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and when the thread cannot run as
    /// [`thread`](Self::thread) asked.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, Queue, ThreadOptions, wire::TransformMessage};
    /// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let control = node
    ///     .subscriber::<TransformMessage>("/pose")
    ///     .queue(Queue::Latest)
    ///     .thread(ThreadOptions { cores: vec![1], ..ThreadOptions::named("control") })
    ///     .on_thread(|_transform, header| println!("{}", header.sequence))?;
    /// # drop(control);
    /// # Ok(()) }
    /// ```
    pub fn on_thread<F, R>(self, mut callback: F) -> Result<ThreadSubscriber, CreateError>
    where
        F: FnMut(M::View<'_>, Header) -> R + Send + 'static,
        R: Outcome,
    {
        let shared = self.shared;
        let options = self.thread.clone();
        let mut subscriber = self.create()?;
        let handle = subscriber.handle();
        let common = Arc::clone(&subscriber.common);
        let deliver = move || {
            loop {
                match subscriber.receive_until(None) {
                    Ok(Some(received)) => subscriber.call(received, &mut callback),
                    Ok(None) => {}
                    Err(ReceiveError::Closed) => return,
                    Err(error) => {
                        tracing::error!(topic = subscriber.topic(), %error, "subscriber ended");
                        return;
                    }
                }
            }
        };
        let worker = Worker::start(shared, &common, options.or_named("cortex-sub"), deliver)?;
        Ok(ThreadSubscriber { worker, handle })
    }
}

impl<M> fmt::Debug for SubscriberBuilder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberBuilder")
            .field("topic", &self.topic)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
