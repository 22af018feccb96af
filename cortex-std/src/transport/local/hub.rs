//! The event thread of a process: waits for the descriptors and the times of all sockets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use crate::mutex::{Condvar, Mutex};
use crate::transport::error::SocketError;

pub(super) use rustix::event::epoll::EventFlags;

/// Events of one wait.
const EVENTS: usize = 64;
/// The token of the descriptor that wakes the thread.
const WAKE: u64 = 0;

/// A socket whose events the hub handles.
pub(super) trait Handler: Send + Sync {
    /// Something happened at the descriptor that was added with `key`.
    fn ready(&self, key: u64, flags: EventFlags);

    /// A time of [`Hub::wake_at`] has come.
    fn due(&self, now: Instant);
}

/// A handle to the event thread, which ends with its last handle outside of the thread.
#[derive(Clone)]
pub(crate) struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    epoll: OwnedFd,
    wake: OwnedFd,
    next_token: AtomicU64,
    sources: Mutex<HashMap<u64, Source>>,
    times: Mutex<Times>,
    /// Sockets that were dropped and still send.
    lingering: AtomicUsize,
    lingered: Condvar,
    lingered_lock: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What handles the events of a descriptor.
#[derive(Clone)]
struct Source {
    handler: Arc<dyn Handler>,
    key: u64,
}

#[derive(Default)]
struct Times {
    is_stopping: bool,
    heap: BinaryHeap<Reverse<Due>>,
    next_id: u64,
}

/// A time at which a handler is to be called.
struct Due {
    at: Instant,
    /// Makes equal times different.
    id: u64,
    handler: Weak<dyn Handler>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.id) == (other.at, other.id)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.id).cmp(&(other.at, other.id))
    }
}

/// A descriptor that is watched, until this is dropped.
pub(super) struct Registration {
    hub: Weak<Inner>,
    token: u64,
    descriptor: Arc<OwnedFd>,
}

impl Registration {
    /// Changes the events to wait for.
    pub(super) fn set(&self, flags: EventFlags) {
        if let Some(hub) = self.hub.upgrade() {
            let data = epoll::EventData::new_u64(self.token);
            // Fails only for a descriptor that is not watched any more.
            let _ = epoll::modify(&hub.epoll, &*self.descriptor, data, flags);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            // The descriptor may be open elsewhere.
            let _ = epoll::delete(&hub.epoll, &*self.descriptor);
            let source = hub.sources.lock().remove(&self.token);
            // Outside of the lock: it may be the last handle to a socket.
            drop(source);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("token", &self.token).finish_non_exhaustive()
    }
}

pub(super) fn failed(operation: &'static str, errno: Errno) -> SocketError {
    SocketError::from_errno(errno.raw_os_error(), operation, None)
}

impl Hub {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no descriptor or thread is left.
    pub(crate) fn start() -> Result<Self, SocketError> {
        let create = |errno| failed("create an event loop", errno);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(create)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(create)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), EventFlags::IN)
            .map_err(create)?;
        let inner = Arc::new(Inner {
            epoll,
            wake,
            next_token: AtomicU64::new(WAKE + 1),
            sources: Mutex::default(),
            times: Mutex::default(),
            lingering: AtomicUsize::new(0),
            lingered: Condvar::new(),
            lingered_lock: Mutex::new(()),
            thread: Mutex::default(),
        });
        let weak = Arc::downgrade(&inner);
        let thread = std::thread::Builder::new()
            .name("cortex-io".to_owned())
            .spawn(move || run(&weak))
            .map_err(|error| {
                let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
                SocketError::from_errno(errno, "start the I/O thread", None)
            })?;
        *inner.thread.lock() = Some(thread);
        Ok(Self { inner })
    }

    /// Calls `handler` with `key` when one of the events happens at the descriptor.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn watch(
        &self,
        descriptor: &Arc<OwnedFd>,
        flags: EventFlags,
        handler: Arc<dyn Handler>,
        key: u64,
    ) -> Result<Registration, SocketError> {
        let token = self.inner.next_token.fetch_add(1, Ordering::Relaxed);
        self.inner.sources.lock().insert(token, Source { handler, key });
        let registration = Registration {
            hub: Arc::downgrade(&self.inner),
            token,
            descriptor: Arc::clone(descriptor),
        };
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.inner.epoll, descriptor.as_fd(), data, flags)
            .map_err(|errno| failed("watch a socket", errno))?;
        Ok(registration)
    }

    /// Calls `handler` at a time, on the thread.
    pub(super) fn wake_at(&self, handler: Weak<dyn Handler>, at: Instant) {
        let is_first = {
            let mut times = self.inner.times.lock();
            let id = times.next_id;
            times.next_id = id.wrapping_add(1);
            let is_first = times.heap.peek().is_none_or(|Reverse(first)| at < first.at);
            times.heap.push(Reverse(Due { at, id, handler }));
            is_first
        };
        if is_first {
            self.inner.wake();
        }
    }

    /// A socket that was dropped still sends; [`lingering_ended`](Self::lingering_ended) ends that.
    pub(super) fn lingering_begun(&self) {
        self.inner.lingering.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn lingering_ended(&self) {
        let _guard = self.inner.lingered_lock.lock();
        self.inner.lingering.fetch_sub(1, Ordering::SeqCst);
        self.inner.lingered.notify_all();
    }

    /// Waits until no dropped socket sends any more, then ends the thread. Each such socket ends by its
    /// linger time.
    pub(crate) fn shut_down(&self) {
        let thread = self.inner.thread.lock().take();
        let Some(thread) = thread else { return };
        if thread.thread().id() == std::thread::current().id() {
            // The owner of a sent frame holds the last handle: this thread cannot wait for itself.
            self.inner.stop();
            return;
        }
        let mut guard = self.inner.lingered_lock.lock();
        while self.inner.lingering.load(Ordering::SeqCst) > 0 {
            guard = match self.inner.lingered.wait_until(guard, None) {
                Ok(guard) | Err(guard) => guard,
            };
        }
        drop(guard);
        self.inner.stop();
        if thread.join().is_err() {
            tracing::error!("the I/O thread panicked");
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Inner {
    fn wake(&self) {
        // Fails only when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn stop(&self) {
        self.times.lock().is_stopping = true;
        self.wake();
    }

    /// Calls every handler whose time has come; returns how long to wait, `None` to stop.
    fn run_due(&self) -> Option<Option<Duration>> {
        loop {
            let now = Instant::now();
            let due = {
                let mut times = self.times.lock();
                if times.is_stopping {
                    return None;
                }
                match times.heap.peek() {
                    None => return Some(None),
                    Some(Reverse(first)) if first.at > now => return Some(Some(first.at - now)),
                    Some(_) => times.heap.pop(),
                }
            };
            if let Some(Reverse(due)) = due
                && let Some(handler) = due.handler.upgrade()
            {
                handler.due(now);
            }
        }
    }
}

fn run(hub: &Weak<Inner>) {
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        let Some(hub) = hub.upgrade() else { return };
        let Some(timeout) = hub.run_due() else { return };
        let timeout = timeout.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        events.clear();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&hub.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                tracing::error!(%errno, "the I/O thread cannot wait for events and ends");
                return;
            }
        }
        for event in &events {
            let token = event.data.u64();
            if token == WAKE {
                // Fails only when there is nothing to read.
                let _ = rustix::io::read(&hub.wake, &mut [0_u8; 8]);
                continue;
            }
            let source = hub.sources.lock().get(&token).cloned();
            if let Some(Source { handler, key }) = source {
                handler.ready(key, event.flags);
            }
        }
    }
}
