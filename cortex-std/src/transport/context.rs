//! What the sockets of a process share: libzmq's context and the event thread of the local transport.

use std::sync::{Arc, Weak};

use super::choice::Transport;
use super::error::SocketError;
use super::local::hub::Hub;
use super::shared::shares_memory_by_default;
use super::zmq;
use crate::mutex::Mutex;

/// A handle to the shared parts; clones are the same context, which ends with its last handle. The end waits
/// for what the sockets' linger times still let them send.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    inner: Arc<Inner>,
    /// The transport of ipc addresses.
    ipc: Transport,
    /// Whether local sockets share memory.
    shares_memory: bool,
}

#[derive(Debug)]
struct Inner {
    zmq: zmq::context::Context,
    /// Started with the first local socket.
    hub: Mutex<Option<Hub>>,
}

/// The context that all nodes of this process share, as long as one of them exists.
static SHARED: Mutex<Weak<Inner>> = Mutex::new(Weak::new());

impl Context {
    /// The context of this process, which ends with its last user.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn shared() -> Result<Self, SocketError> {
        let mut shared = SHARED.lock();
        if let Some(inner) = shared.upgrade() {
            return Ok(Self::of(inner));
        }
        let context = Self::new()?;
        *shared = Arc::downgrade(&context.inner);
        Ok(context)
    }

    /// A new context.
    ///
    /// # Errors
    /// When memory or file descriptors are exhausted.
    pub(crate) fn new() -> Result<Self, SocketError> {
        let zmq = zmq::context::Context::new()?;
        let inner = Arc::new(Inner { zmq, hub: Mutex::new(None) });
        Ok(Self::of(inner))
    }

    /// A handle with the choices of the environment.
    fn of(inner: Arc<Inner>) -> Self {
        let (ipc, shares_memory) = (Transport::from_environment(), shares_memory_by_default());
        Self { inner, ipc, shares_memory }
    }

    /// A handle to the same context, whose sockets use `transport` at ipc addresses; `None`: as this one.
    pub(crate) fn with_transport(&self, transport: Option<Transport>) -> Self {
        Self { ipc: transport.unwrap_or(self.ipc), ..self.clone() }
    }

    /// A handle to the same context, whose local sockets share memory or not; `None`: as this one.
    pub(crate) fn with_shared_memory(&self, shares: Option<bool>) -> Self {
        Self { shares_memory: shares.unwrap_or(self.shares_memory), ..self.clone() }
    }

    /// Whether local sockets share memory.
    pub(crate) fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// The transport that carries messages to and from `address`.
    pub(crate) fn transport(&self, address: &str) -> Transport {
        Transport::for_address(address, self.ipc)
    }

    pub(super) fn zmq(&self) -> &zmq::context::Context {
        &self.inner.zmq
    }

    /// The event thread of local sockets.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn hub(&self) -> Result<Hub, SocketError> {
        let mut hub = self.inner.hub.lock();
        match &*hub {
            Some(hub) => Ok(hub.clone()),
            None => Ok(hub.insert(Hub::start()?).clone()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.lock().take() {
            hub.shut_down();
        }
    }
}
