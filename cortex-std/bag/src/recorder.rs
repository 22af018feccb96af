//! A writer on a thread of its own behind a bounded queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cortex_std::raw::RawMessage;
use cortex_std::wire::{Header, SequenceTracker, Step};

use crate::channel::ChannelInfo;
use crate::error::WriteError;
use crate::losses::Losses;
use crate::output::Output;
use crate::writer::{Writer, WriterOptions};

/// Time between two ends of chunks: what a recorder that is killed loses at most.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes that a queued message takes beside its frames.
const MESSAGE_COST: usize = 256;

/// Limits of a [`Recorder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Limits {
    queue_len: usize,
    file_len: Option<u64>,
    file_duration: Option<Duration>,
    is_split: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue_len: 256 << 20, file_len: None, file_duration: None, is_split: false }
    }
}

impl Limits {
    /// Sets the bytes of messages that wait for the disk, 256 MiB by default. One message is accepted even
    /// if it is longer.
    pub fn queue_len(mut self, bytes: usize) -> Self {
        self.queue_len = bytes;
        self
    }

    /// Sets the bytes after which a file ends; it exceeds them by a message and its summary.
    pub fn file_len(mut self, bytes: Option<u64>) -> Self {
        self.file_len = bytes;
        self
    }

    /// Sets the time after which a file ends.
    pub fn file_duration(mut self, duration: Option<Duration>) -> Self {
        self.file_duration = duration;
        self
    }

    /// Sets whether the next file follows one that ends; otherwise the recording ends with it.
    pub fn split(mut self, is_split: bool) -> Self {
        self.is_split = is_split;
        self
    }
}

/// Counters of a [`Recorder`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Messages written.
    pub messages: u64,
    /// Bytes of the frames of messages written.
    pub message_bytes: u64,
    /// Bytes of finished files and of the current one.
    pub file_bytes: u64,
    /// Files begun.
    pub files: u32,
    /// Losses of all channels.
    pub losses: Losses,
    /// Bytes of messages that wait for the disk.
    pub waiting: usize,
}

/// Records messages without waiting for the disk.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use cortex_bag::{ChannelInfo, Limits, Recorder, WriterOptions};
/// # use cortex_std::raw::RawMessage;
///
/// # fn example(message: RawMessage, arrival_ns: u64) -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = Recorder::start(&WriterOptions::default(), Limits::default(), |number| {
///     File::create(format!("bag_{number}.mcap"))
/// })?;
/// let camera = recorder.source(ChannelInfo::new("/cam", "camera", "ImageMessage", 7));
/// recorder.record(&camera, arrival_ns, message);
/// println!("{} messages", recorder.finish()?.messages);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    /// `None` once it is finished.
    thread: Mutex<Option<JoinHandle<Result<(), WriteError>>>>,
}

/// A publisher whose messages are recorded.
#[derive(Debug)]
pub struct Source {
    info: ChannelInfo,
    tracker: Mutex<SequenceTracker>,
    /// Not yet in the file.
    losses: Mutex<Losses>,
    received: AtomicU64,
}

impl Source {
    /// What its channel says.
    #[must_use]
    pub fn info(&self) -> &ChannelInfo {
        &self.info
    }

    /// Messages received, also those that were dropped.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    queue_len: usize,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    sources: Vec<Arc<Source>>,
    stats: RecorderStats,
    /// No further message is accepted.
    is_closed: bool,
    /// The thread writes no further message.
    has_ended: bool,
}

#[derive(Debug)]
struct Item {
    source: Arc<Source>,
    arrival_ns: u64,
    message: RawMessage,
    cost: usize,
}

impl Recorder {
    /// Starts to record into the output that `open` returns for file 0; for later files if it is split.
    ///
    /// # Errors
    ///
    /// When the first output cannot be opened or written, or no thread is left.
    pub fn start<W: Output + 'static>(
        options: &WriterOptions,
        limits: Limits,
        mut open: impl FnMut(u32) -> std::io::Result<W> + Send + 'static,
    ) -> Result<Self, WriteError> {
        let writer = Writer::new(open(0)?, options)?;
        let shared = Arc::new(Shared { queue_len: limits.queue_len, ..Shared::default() });
        shared.lock().stats.files = 1;
        let recording = Recording {
            shared: Arc::clone(&shared),
            options: options.clone(),
            limits,
            open: Box::new(open),
            writer,
            finished_bytes: 0,
            begun: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("cortex-bag".to_owned())
            .spawn(move || recording.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// A publisher to record. A publisher that restarts or moves keeps its source.
    #[must_use]
    pub fn source(&self, info: ChannelInfo) -> Arc<Source> {
        let source = Arc::new(Source {
            info,
            tracker: Mutex::default(),
            losses: Mutex::default(),
            received: AtomicU64::new(0),
        });
        self.shared.lock().sources.push(Arc::clone(&source));
        source
    }

    /// Queues a message, whose first frame is its topic; false where it does not fit into the queue and is
    /// counted as dropped, or the recording has ended. Never waits for the disk.
    pub fn record(&self, source: &Arc<Source>, arrival_ns: u64, message: RawMessage) -> bool {
        let header = message.frame(1).and_then(|frame| Header::decode(frame).ok());
        let step = header.map_or(Step::Next, |header| lock(&source.tracker).step(&header));
        let losses = match step {
            Step::Lost(lost) => Losses { lost, ..Losses::default() },
            Step::Restarted => Losses { restarts: 1, ..Losses::default() },
            _ => Losses::default(),
        };
        let cost = message.len().saturating_add(MESSAGE_COST);
        let mut queue = self.shared.lock();
        if queue.is_closed {
            return false;
        }
        source.received.fetch_add(1, Ordering::Relaxed);
        let is_full = queue.stats.waiting > 0
            && queue.stats.waiting.saturating_add(cost) > self.shared.queue_len;
        let losses = Losses { dropped: u64::from(is_full), ..losses };
        if losses != Losses::default() {
            queue.stats.losses.add(losses);
            lock(&source.losses).add(losses);
        }
        if is_full {
            return false;
        }
        queue.stats.waiting = queue.stats.waiting.saturating_add(cost);
        queue.items.push_back(Item { source: Arc::clone(source), arrival_ns, message, cost });
        drop(queue);
        self.shared.changed.notify_one();
        true
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        self.shared.lock().stats.clone()
    }

    /// Whether a limit or an error has ended the recording.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.lock().has_ended
    }

    /// Writes what is queued and completes the file; messages that arrive later are ignored. Once finished,
    /// it only returns the counters.
    ///
    /// # Errors
    ///
    /// The error that ended the recording: the file is valid up to there.
    pub fn finish(&self) -> Result<RecorderStats, WriteError> {
        self.close();
        if let Some(thread) = lock(&self.thread).take() {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => return Err(WriteError::Format("the recorder's thread panicked".into())),
            }
        }
        Ok(self.shared.lock().stats.clone())
    }

    fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for Recorder {
    /// Completes the file; [`finish`](Self::finish) also returns an error.
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread does next.
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one")]
enum Next {
    Write(Item),
    Wait,
    Finish,
}

/// The thread of a recorder.
struct Recording<W: Output> {
    shared: Arc<Shared>,
    options: WriterOptions,
    limits: Limits,
    open: Box<dyn FnMut(u32) -> std::io::Result<W> + Send>,
    writer: Writer<W>,
    /// Bytes of the files before the current one.
    finished_bytes: u64,
    /// When the current file was begun.
    begun: Instant,
}

impl<W: Output> Recording<W> {
    fn run(mut self) -> Result<(), WriteError> {
        let shared = Arc::clone(&self.shared);
        let result = match self.write_all() {
            Ok(()) => self.complete(),
            Err(error) => Err(error),
        };
        let mut queue = shared.lock();
        queue.is_closed = true;
        queue.has_ended = true;
        if result.is_err() {
            // What is queued still is lost, and the file cannot say so.
            let left = queue.items.len() as u64;
            queue.stats.losses.add(Losses { dropped: left, ..Losses::default() });
        }
        queue.items.clear();
        queue.stats.waiting = 0;
        result
    }

    /// Writes until the recording is closed or a limit ends it.
    fn write_all(&mut self) -> Result<(), WriteError> {
        let mut flush_at = Instant::now() + FLUSH_INTERVAL;
        loop {
            match self.next(flush_at) {
                Next::Write(item) => self.write(&item)?,
                Next::Wait => {}
                Next::Finish => return Ok(()),
            }
            if Instant::now() >= flush_at {
                self.flush()?;
                flush_at = Instant::now() + FLUSH_INTERVAL;
            }
            let is_long = self.limits.file_len.is_some_and(|len| self.writer.len() >= len);
            let is_old = self.limits.file_duration.is_some_and(|age| self.begun.elapsed() >= age);
            if is_long || is_old {
                if !self.limits.is_split {
                    return Ok(());
                }
                self.split()?;
            }
        }
    }

    fn next(&self, until: Instant) -> Next {
        let mut until = until;
        if let Some(end) = self.limits.file_duration.and_then(|age| self.begun.checked_add(age)) {
            until = until.min(end);
        }
        let mut queue = self.shared.lock();
        loop {
            if let Some(item) = queue.items.pop_front() {
                return Next::Write(item);
            }
            if queue.is_closed {
                return Next::Finish;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Wait;
            }
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn write(&mut self, item: &Item) -> Result<(), WriteError> {
        let frames: Vec<&[u8]> = item.message.frames().skip(1).collect();
        let channel = self.writer.channel(&item.source.info)?;
        let written = self.writer.write(channel, item.arrival_ns, frames);
        let mut queue = self.shared.lock();
        // Only now: a message that is being written still takes its memory.
        queue.stats.waiting = queue.stats.waiting.saturating_sub(item.cost);
        queue.stats.file_bytes = self.finished_bytes.saturating_add(self.writer.written());
        match written {
            Ok(()) => {
                queue.stats.messages = queue.stats.messages.saturating_add(1);
                let len = item.message.len() as u64;
                queue.stats.message_bytes = queue.stats.message_bytes.saturating_add(len);
                Ok(())
            }
            Err(WriteError::TooLong { .. }) => {
                let losses = Losses { dropped: 1, ..Losses::default() };
                queue.stats.losses.add(losses);
                lock(&item.source.losses).add(losses);
                Ok(())
            }
            Err(error) => {
                queue.stats.losses.add(Losses { dropped: 1, ..Losses::default() });
                Err(error)
            }
        }
    }

    /// Ends the chunk, and writes new losses.
    fn flush(&mut self) -> Result<(), WriteError> {
        let sources = self.shared.lock().sources.clone();
        for source in sources {
            let losses = std::mem::take(&mut *lock(&source.losses));
            if losses != Losses::default() {
                let channel = self.writer.channel(&source.info)?;
                self.writer.add_losses(channel, losses);
            }
        }
        self.writer.flush()?;
        self.count_bytes();
        Ok(())
    }

    fn count_bytes(&self) {
        let bytes = self.finished_bytes.saturating_add(self.writer.written());
        self.shared.lock().stats.file_bytes = bytes;
    }

    /// Completes the file and begins the next one.
    fn split(&mut self) -> Result<(), WriteError> {
        let number = self.shared.lock().stats.files;
        let next = Writer::new((self.open)(number)?, &self.options)?;
        self.flush()?;
        let finished = std::mem::replace(&mut self.writer, next);
        self.finished_bytes = self.finished_bytes.saturating_add(finished.finish()?.1);
        self.begun = Instant::now();
        self.shared.lock().stats.files = number.saturating_add(1);
        Ok(())
    }

    fn complete(mut self) -> Result<(), WriteError> {
        self.flush()?;
        let (_, len) = self.writer.finish()?;
        self.shared.lock().stats.file_bytes = self.finished_bytes.saturating_add(len);
        Ok(())
    }
}
