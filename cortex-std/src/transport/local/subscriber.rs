//! The subscriber's socket: the receiving thread reads from every publisher itself.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use smallvec::SmallVec;

use super::connector::{Connectors, Handed};
use super::hub::{EventFlags, failed};
use super::incoming::{Incoming, ReadResult};
use super::leases::Leases;
use super::reader::Reader;
use super::stream::Stream;
use crate::log::{LogLimit, nonzero};
use crate::transport::context::Context;
use crate::transport::error::SocketError;
use crate::transport::event::EventSource;
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::loan::LoanPool;
use crate::transport::multipart::Multipart;
use crate::transport::socket::{SubscriberOptions, SubscriberSocket};

/// Unused bytes of large bodies that a subscriber keeps mapped.
const POOL_LIMIT: usize = 64 << 20;

/// A subscriber's socket.
pub(crate) struct LocalSubscriber {
    connectors: Arc<Connectors>,
    /// Keeps the event thread.
    _context: Context,
    active: Vec<Active>,
    /// Index of the connection to read first.
    next: usize,
    pool: LoanPool,
    /// Messages that the publisher may keep here, 0 for no limit.
    window: u32,
    max_part_len: u64,
    /// The descriptors of all connections as one, once it is waited for.
    epoll: Arc<OwnedFd>,
    is_watched: AtomicBool,
    log: LogLimit,
}

/// A connection that is read.
struct Active {
    key: u64,
    descriptor: Arc<OwnedFd>,
    incoming: Incoming,
}

impl LocalSubscriber {
    /// A socket without a connection and without a subscription.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn new(context: &Context, options: &SubscriberOptions) -> Result<Self, SocketError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|errno| failed("create a socket", errno))?;
        Ok(Self {
            connectors: Connectors::new(&context.hub()?, options, context.shares_memory())?,
            _context: context.clone(),
            active: Vec::new(),
            next: 0,
            pool: LoanPool::new(POOL_LIMIT),
            window: options.window.unwrap_or(0),
            max_part_len: u64::try_from(options.max_frame_len).unwrap_or(u64::MAX),
            epoll: Arc::new(epoll),
            is_watched: AtomicBool::new(false),
            log: LogLimit::default(),
        })
    }

    /// Takes over connections whose handshake is complete.
    fn take_handed(&mut self) {
        for Handed { key, descriptor, received, shares } in self.connectors.take_handed() {
            if self.is_watched.load(Ordering::Relaxed) {
                watch(&self.epoll, &descriptor);
            }
            let reader = Reader::new(&received, self.max_part_len, self.pool.clone());
            let stream = Stream::Socket(Arc::clone(&descriptor));
            let leases = shares.then(|| {
                let connectors = Arc::downgrade(&self.connectors);
                let connection = Arc::clone(&descriptor);
                Leases::new(Arc::new(move |lease| {
                    // A subscriber that is dropped has closed the connection, which returns everything.
                    if let Some(connectors) = connectors.upgrade() {
                        connectors.give_back(key, &connection, lease);
                    }
                }))
            });
            let incoming = Incoming::new(stream, reader, self.window, leases);
            self.active.push(Active { key, descriptor, incoming });
        }
    }

    /// Receives a message without blocking. `skips_drained` leaves out connections whose last read
    /// emptied them, for a caller that polls next.
    fn receive(&mut self, message: &mut Multipart, skips_drained: bool) -> bool {
        self.take_handed();
        let mut left = self.active.len();
        while left > 0 {
            left = left.saturating_sub(1);
            if self.next >= self.active.len() {
                self.next = 0;
            }
            let index = self.next;
            let Some(key) = self.active.get(index).map(|active| active.key) else { return false };
            let earlier = self.active.get(..index).unwrap_or_default();
            if earlier.iter().any(|other| other.key == key) {
                // The publisher's previous connection is read to its end first.
                self.next = index.saturating_add(1);
                continue;
            }
            match self.read(index, skips_drained) {
                ReadResult::Message => {
                    if self.active.len() > 1 {
                        self.next = index.saturating_add(1);
                    }
                    let Some(active) = self.active.get_mut(index) else { return false };
                    message.set_local(active.incoming.take_message());
                    return true;
                }
                ReadResult::Nothing => self.next = index.saturating_add(1),
                ReadResult::Ended | ReadResult::Ping(_) | ReadResult::Failed(_) => {
                    self.remove(index);
                    left = self.active.len();
                }
            }
        }
        false
    }

    fn read(&mut self, index: usize, skips_drained: bool) -> ReadResult {
        let Some(active) = self.active.get_mut(index) else { return ReadResult::Nothing };
        loop {
            match active.incoming.read(skips_drained) {
                ReadResult::Ping(context) => {
                    self.connectors.pong(active.key, &active.descriptor, &context);
                }
                ReadResult::Failed(error) => {
                    if let Some(suppressed) = self.log.pass(Instant::now()) {
                        tracing::warn!(%error, suppressed = nonzero(suppressed), "a connection to a publisher is closed");
                    }
                    return ReadResult::Ended;
                }
                result => return result,
            }
        }
    }

    /// Ends a connection; the event thread makes it again.
    fn remove(&mut self, index: usize) {
        let active = self.active.remove(index);
        // Fails where it is not watched.
        let _ = epoll::delete(&self.epoll, &active.descriptor);
        // The connector sees the end where the publisher has not closed the connection.
        let _ = shutdown(&active.descriptor, Shutdown::Both);
    }
}

impl SubscriberSocket for LocalSubscriber {
    fn connect(&mut self, address: &str) -> Result<(), SocketError> {
        self.connectors.connect(address)
    }

    fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        let key = self.connectors.disconnect(address)?;
        while let Some(index) = self.active.iter().position(|active| active.key == key) {
            self.remove(index);
        }
        Ok(())
    }

    fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.connectors.subscribe(prefix, true);
        Ok(())
    }

    fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.connectors.subscribe(prefix, false);
        Ok(())
    }

    fn try_recv(&mut self, message: &mut Multipart) -> Result<bool, SocketError> {
        message.clear();
        Ok(self.receive(message, false))
    }

    fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        message.clear();
        let mut skips_drained = true;
        loop {
            // First, so that a flood does not hide an interrupt.
            if interrupt.is_some_and(Interrupt::is_woken) {
                return Ok(WaitResult::Interrupted);
            }
            if self.receive(message, skips_drained) {
                return Ok(WaitResult::Ready);
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                if skips_drained {
                    skips_drained = false;
                    continue;
                }
                return Ok(WaitResult::TimedOut);
            }
            skips_drained = false;
            let interrupt = interrupt.map(Interrupt::fd);
            let fds = interrupt.into_iter().chain([self.connectors.wake.fd()]);
            let fds = fds.chain(self.active.iter().map(|active| active.descriptor.as_fd()));
            let mut fds: SmallVec<[PollFd<'_>; 8]> =
                fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(SocketError::from_errno(errno.raw_os_error(), "wait", None));
                }
            }
        }
    }

    fn events(&self) -> EventSource {
        if !self.is_watched.swap(true, Ordering::Relaxed) {
            let data = epoll::EventData::new_u64(0);
            if let Err(error) =
                epoll::add(&self.epoll, self.connectors.wake.fd(), data, EventFlags::IN)
            {
                tracing::error!(%error, "cannot watch for connections to publishers");
            }
            for active in &self.active {
                watch(&self.epoll, &active.descriptor);
            }
        }
        EventSource::new(Arc::clone(&self.epoll) as _)
    }
}

fn watch(epoll: &Arc<OwnedFd>, descriptor: &Arc<OwnedFd>) {
    let data = epoll::EventData::new_u64(0);
    if let Err(error) = epoll::add(epoll, descriptor, data, EventFlags::IN) {
        tracing::error!(%error, "cannot watch a connection to a publisher");
    }
}

impl Drop for LocalSubscriber {
    fn drop(&mut self) {
        self.connectors.close();
    }
}

impl fmt::Debug for LocalSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSubscriber")
            .field("connections", &self.active.len())
            .finish_non_exhaustive()
    }
}
