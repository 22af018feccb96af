//! Sending frames.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::agent::RegistrationGuard;
use crate::discovery::Topic;
use crate::endpoint::{Endpoint, SOCKET_MODE, claim};
use crate::error::{CreateError, PublishError};
use crate::node::{Closable, Shared, check_name};
use crate::place::{Hold, Place};
use crate::publisher::{Parts, Published, Registration};
use crate::socket::context::Context;
use crate::socket::owner::{Held, ViewFamily};
use crate::socket::xpub::{Part, Sent, XpubOptions, XpubSocket};
use crate::wire::discovery::RequestExt;

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(1);
/// How long what was sent last may still travel after the publisher is gone.
const LINGER: Duration = Duration::from_millis(200);

/// Sends frames to everybody who subscribed to a prefix of the first.
///
/// Clones share the socket and may be used from any thread. Up to 1000 messages wait for each
/// subscriber. One whose queue is full loses what is sent meanwhile; the others do not.
#[derive(Clone)]
pub struct RawPublisher {
    inner: Arc<Inner>,
}

struct Inner {
    address: String,
    state: Mutex<State>,
}

struct State {
    open: Option<Open>,
    subscribers: usize,
}

/// Dropped in this order.
struct Open {
    registration: Option<RegistrationGuard>,
    socket: XpubSocket,
    _hold: Hold,
}

struct Slice;

impl ViewFamily for Slice {
    type View<'a> = &'a [u8];
}

impl RawPublisher {
    /// Listens at `address`: `ipc://PATH` or `tcp://HOST:PORT`, where `*` lets the system choose a
    /// port. No daemon hears of it.
    ///
    /// # Errors
    ///
    /// When the address will not do, somebody listens there, or libzmq refuses.
    pub fn bind(address: &str) -> Result<Self, CreateError> {
        open(&Context::shared()?, address)
    }

    /// The address to connect to, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Sends a message without waiting; its frames are copied. No frames: nothing happens.
    ///
    /// # Errors
    ///
    /// When libzmq refuses, or the node was shut down.
    pub fn send(&self, frames: &[&[u8]]) -> Result<Published, PublishError> {
        self.transmit(&mut frames.iter().map(|frame| Part::Copy(frame)).collect::<Parts<'_>>())
    }

    /// Sends a message whose last frame is not copied: it keeps the owner until libzmq has sent it.
    ///
    /// What [`Publisher::publish_from`](crate::Publisher::publish_from) says of owners holds here.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use cortex_std::raw::RawPublisher;
    /// # fn example(publisher: &RawPublisher) -> Result<(), Box<dyn std::error::Error>> {
    /// let pixels = Arc::new(vec![0_u8; 240 * 320]);
    /// let number = 7_u32.to_le_bytes();
    /// let _ = publisher.send_from(&[b"cam/raw", &number], pixels, |pixels| pixels)?;
    /// # Ok(()) }
    /// ```
    pub fn send_from<O: Send + Sync + 'static>(
        &self,
        first: &[&[u8]],
        owner: Arc<O>,
        last: impl for<'a> FnOnce(&'a O) -> &'a [u8],
    ) -> Result<Published, PublishError> {
        let held = Held::<Slice, O>::new(owner, last);
        let last = held.with(|view, keeper| keeper.frame(view))?;
        let mut parts: Parts<'_> = first.iter().map(|frame| Part::Copy(frame)).collect();
        parts.push(Part::Frame(last));
        self.transmit(&mut parts)
    }

    /// How many subscriptions there are at this moment, to whatever prefix.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        let mut state = self.inner.lock();
        if let Err(error) = state.count_subscribers() {
            tracing::debug!(%error, "subscribers not counted");
        }
        state.subscribers
    }

    /// Waits until there are at least `count` subscriptions; false: there were not in time.
    #[must_use = "it tells whether they came"]
    pub fn wait_for_subscribers_blocking(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        while self.subscriber_count() < count {
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_late || self.inner.lock().open.is_none() {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// Whether the daemon knows of it; `None` for one that no node registers.
    #[must_use]
    pub fn registration(&self) -> Option<Registration> {
        let state = self.inner.lock();
        state.open.as_ref()?.registration.as_ref().map(RegistrationGuard::state)
    }

    fn transmit(&self, parts: &mut [Part<'_>]) -> Result<Published, PublishError> {
        let mut state = self.inner.lock();
        state.count_subscribers()?;
        let nobody = state.subscribers == 0;
        let open = state.open.as_mut().ok_or(PublishError::Closed)?;
        match open.socket.send(parts)? {
            _ if nobody => Ok(Published::NoSubscribers),
            Sent::Delivered => Ok(Published::Sent),
            Sent::Congested => Ok(Published::Congested),
        }
    }
}

/// A publisher of `topic` that this node registers and closes.
pub(crate) fn bind_in_node(
    shared: &Shared,
    topic: &str,
    message_type: &str,
    fingerprint: u64,
) -> Result<RawPublisher, CreateError> {
    check_name("topic", topic)?;
    let Place { socket, hold, address, reach } =
        Place::bind(shared, topic, None, None, &options())?;
    let publisher = wrap(socket, hold, address.clone());
    let topic = Topic {
        name: topic.to_owned(),
        address,
        message_type: message_type.to_owned(),
        fingerprint,
        publisher_node: shared.name.clone(),
    };
    let registration = shared.agent.register(topic, RequestExt::default(), reach);
    if let Some(open) = &mut publisher.inner.lock().open {
        open.registration = Some(registration);
    }
    let closable: Arc<dyn Closable> = publisher.inner.clone();
    shared.add(&closable)?;
    Ok(publisher)
}

fn open(context: &Context, address: &str) -> Result<RawPublisher, CreateError> {
    let endpoint: Endpoint = address.parse()?;
    let mut claimed = endpoint.file_path().map(claim).transpose()?;
    let mut socket = XpubSocket::bind(context, address, &options())?;
    if let Some(claim) = &mut claimed {
        claim.bound(SOCKET_MODE)?;
    }
    let address = socket.last_endpoint()?;
    Ok(wrap(socket, Hold::from(claimed), address))
}

fn options() -> XpubOptions {
    XpubOptions { linger: LINGER, ..XpubOptions::default() }
}

fn wrap(socket: XpubSocket, hold: Hold, address: String) -> RawPublisher {
    let open = Open { registration: None, socket, _hold: hold };
    let state = Mutex::new(State { open: Some(open), subscribers: 0 });
    RawPublisher { inner: Arc::new(Inner { address, state }) }
}

impl State {
    /// Follows who came and left.
    fn count_subscribers(&mut self) -> Result<(), PublishError> {
        let open = self.open.as_mut().ok_or(PublishError::Closed)?;
        while let Some(subscription) = open.socket.next_subscription()? {
            self.subscribers = match subscription.subscribe {
                true => self.subscribers.saturating_add(1),
                false => self.subscribers.saturating_sub(1),
            };
        }
        Ok(())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Closable for Inner {
    fn close(&self) {
        let open = {
            let mut state = self.lock();
            state.subscribers = 0;
            state.open.take()
        };
        drop(open);
    }

    fn tend(&self) {
        // Who has the lock works with the socket, which does as well.
        if let Ok(mut state) = self.state.try_lock() {
            let _ = state.count_subscribers();
        }
    }
}

impl fmt::Debug for RawPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPublisher").field("address", &self.address()).finish_non_exhaustive()
    }
}
