//! Building a subscriber, in the forms in which it delivers.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::deadline::SilenceCallback;
use super::delivery::Delivery;
#[cfg(feature = "tokio")]
use super::handle::SubscriberHandle;
use super::handle::ThreadSubscriber;
use super::loss::{Loss, LossCallback};
use super::queue::{Queue, QueuedReceiver};
use super::receiver::{Receiver, Settings};
#[cfg(feature = "tokio")]
use super::sample::Sample;
use super::thread::SubscriberThread;
use super::{Source, Subscriber};
use crate::error::{CreateError, ReceiveError};
use crate::log::ErrorChain;
use crate::name::check_name;
use crate::runtime::Runtime;
use crate::runtime::callback::CallbackResult;
use crate::runtime::tasks::Tasks;
use crate::runtime::thread_options::ThreadOptions;
use crate::wire::{Header, Message, TypeInfo};

/// Builder for [`Subscriber`].
#[must_use]
pub struct SubscriberBuilder<'n, M> {
    runtime: &'n Runtime,
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only run drives tasks"))]
    tasks: &'n Tasks,
    topic: String,
    queue: Option<Queue>,
    ignores_fingerprint: bool,
    spin: Duration,
    on_loss: Option<LossCallback>,
    deadline: Option<(Duration, SilenceCallback)>,
    thread: ThreadOptions,
    trace: usize,
    message: PhantomData<fn() -> M>,
}

impl<'n, M: Message + 'static> SubscriberBuilder<'n, M> {
    pub(crate) fn new(runtime: &'n Runtime, tasks: &'n Tasks, topic: &str) -> Self {
        Self {
            runtime,
            tasks,
            topic: topic.to_owned(),
            queue: None,
            ignores_fingerprint: false,
            spin: Duration::ZERO,
            on_loss: None,
            deadline: None,
            thread: ThreadOptions::default(),
            trace: runtime.trace_latency,
            message: PhantomData,
        }
    }

    /// Which messages are kept for a reader that is slower than the publisher; the oldest 10 by default. A
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
        self.queue = Some(queue.into());
        self
    }

    /// Accepts messages of any fingerprint: only their fields are checked.
    ///
    /// For a class that was renamed or moved. Another class with fields of the same types is accepted, too.
    pub fn ignore_fingerprint(mut self) -> Self {
        self.ignores_fingerprint = true;
        self
    }

    /// How long a thread polls before it sleeps until a message arrives; not at all by default.
    ///
    /// Waking a sleeping core takes longer than every other step; polling saves that time and keeps a core
    /// busy. It applies to the blocking forms and to [`on_thread`](Self::on_thread); with a queue that
    /// keeps the newest, the queue's thread polls. The async forms wait in their runtime.
    pub fn spin(mut self, duration: Duration) -> Self {
        self.spin = duration;
        self
    }

    /// Sets a callback for every gap in the publisher's sequence numbers, and for its restarts.
    ///
    /// It is called where messages are received: on the reader's thread or, with a queue that keeps the
    /// newest, on the queue's thread. A message that such a queue overwrites is no loss: it is counted
    /// separately.
    pub fn on_loss(mut self, callback: impl FnMut(Loss) + Send + 'static) -> Self {
        self.on_loss = Some(Box::new(callback));
        self
    }

    /// Sets a callback for every silence: no message for `limit`, counted from the creation of the
    /// subscriber and from every message. It is called once for each silence, with its length so far.
    ///
    /// It is called where messages are received, as [`on_loss`](Self::on_loss): a reader that does not
    /// wait for messages detects no silence.
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
    /// callback. The node's number by default, 0 for none; a million at most.
    ///
    /// Their memory is allocated once, 24 bytes for each.
    pub fn trace_latency(mut self, samples: usize) -> Self {
        self.trace = samples;
        self
    }

    /// Name, affinity and priority of the thread of [`on_thread`](Self::on_thread).
    pub fn thread(mut self, options: ThreadOptions) -> Self {
        self.thread = options;
        self
    }

    /// Creates a subscriber to receive from. The publisher may be absent: the subscriber connects as soon as
    /// it is registered, and again when it returns, also at another address.
    ///
    /// It connects while the program receives from it, that is within `recv` and its like: messages published
    /// before the first receive are not queued for it. With [`Queue::KeepNewest`] and [`Queue::Latest`] it
    /// connects by itself, on the queue's thread.
    ///
    /// # Errors
    ///
    /// When the topic's name is invalid, or the system has no socket or thread left.
    pub fn create(self) -> Result<Subscriber<M>, CreateError> {
        check_name("topic", &self.topic)?;
        let queue = self.queue.unwrap_or_default();
        let settings = Settings {
            topic: self.topic.into(),
            info: TypeInfo::of::<M>(),
            node: self.runtime.name.as_str().into(),
            high_water_mark: queue.high_water_mark(),
            window: self.queue.map(Queue::high_water_mark),
            ignores_fingerprint: self.ignores_fingerprint,
            spin: self.spin,
            on_loss: self.on_loss,
            deadline: self.deadline,
            trace: self.trace,
        };
        let Runtime { context, agent, stats, threads, .. } = self.runtime;
        let receiver = Receiver::new(context, agent, stats, settings)?;
        let subscription = Arc::clone(receiver.subscription());
        let source = match queue.ring() {
            None => Source::Direct(Box::new(receiver)),
            Some(limit) => Source::Queued(QueuedReceiver::start(threads, receiver, limit)?),
        };
        Ok(Subscriber {
            source,
            delivery: Delivery::new(subscription),
            #[cfg(feature = "tokio")]
            has_ended: false,
            message: PhantomData,
        })
    }

    /// Calls the callback for every message, from within [`Node::run`](crate::Node::run).
    ///
    /// The message borrows from its frames: it can be copied, but not kept beyond the callback. An error or
    /// a panic of the callback is logged and counted, and the next message is delivered.
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
    ///
    /// The message borrows from the received frames, so keeping it, sending it through a channel or moving
    /// it into a task is the error E0521, "borrowed data escapes outside of closure". Copy what is to be
    /// kept, or receive samples with [`on_sample`](Self::on_sample):
    ///
    /// ```compile_fail,E0521
    /// # use cortex_std::{Node, wire::ImageMessage};
    /// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut last = None;
    /// node.subscriber::<ImageMessage>("/cam/frame").on_message(async move |image, _| {
    ///     last = Some(image); // error: `image` escapes the closure body here
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// ```no_run
    /// # use cortex_std::{Node, wire::ImageMessage};
    /// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut last = None;
    /// node.subscriber::<ImageMessage>("/cam/frame").on_sample(async move |sample| {
    ///     last = Some(sample);
    /// })?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn on_message<F, R>(self, callback: F) -> Result<SubscriberHandle, CreateError>
    where
        F: AsyncFnMut(M::View<'_>, Header) -> R + 'static,
        R: CallbackResult + 'static,
    {
        self.drive(async |subscriber| subscriber.for_each(callback).await)
    }

    /// Calls the callback with every sample, from within [`Node::run`](crate::Node::run). A sample may be
    /// kept and sent to other threads.
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
    ///     cortex_std::ok()
    /// });
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn on_sample<F, R>(self, callback: F) -> Result<SubscriberHandle, CreateError>
    where
        F: AsyncFnMut(Sample<M>) -> R + 'static,
        R: CallbackResult + 'static,
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
        let topic = Arc::clone(&subscriber.delivery.subscription.topic);
        tasks.add(async move {
            if let Err(error) = deliver(subscriber).await
                && !matches!(error, ReceiveError::Closed)
            {
                tracing::error!(%topic, error = %ErrorChain(&error), "subscriber ended");
            }
        });
        Ok(handle)
    }

    /// Calls the callback for every message on a dedicated thread, with or without
    /// [`Node::run`](crate::Node::run), until the returned value is dropped, also by `let _ =`, or the
    /// node is shut down.
    ///
    /// An error or a panic of the callback is logged and counted, and the next message is delivered.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and when the system refuses the options of [`thread`](Self::thread).
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
        R: CallbackResult,
    {
        let threads = &self.runtime.threads;
        let options = self.thread.clone();
        let mut subscriber = self.create()?;
        let handle = subscriber.handle();
        let subscription = Arc::clone(&subscriber.delivery.subscription);
        let deliver = move || {
            loop {
                match subscriber.receive_until(None) {
                    Ok(Some(received)) => subscriber.call(received, &mut callback),
                    Ok(None) => {}
                    Err(ReceiveError::Closed) => return,
                    Err(error) => {
                        let (topic, error) = (subscriber.topic(), ErrorChain(&error));
                        tracing::error!(topic, %error, "subscriber ended");
                        return;
                    }
                }
            }
        };
        let options = options.or_named("cortex-sub");
        let thread = SubscriberThread::start(threads, &subscription, options, deliver)?;
        Ok(ThreadSubscriber { thread, handle })
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
