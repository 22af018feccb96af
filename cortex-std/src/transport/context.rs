//! What the sockets of a process share: libzmq's context and the event thread of the local transport.

use std::sync::{Arc, Weak};

use super::choice::Transport;
use super::error::SocketError;
use super::local::hub::Hub;
use super::zmq;
use crate::mutex::Mutex;

/// A handle to the shared parts; clones are the same context, which ends with its last handle. The end waits
/// for what the sockets' linger times still let them send.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    inner: Arc<Inner>,
    /// The transport of ipc addresses.
    ipc: Transport,
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
            return Ok(Self { inner, ipc: Transport::from_environment() });
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
        Ok(Self { inner, ipc: Transport::from_environment() })
    }

    /// A handle to the same context, whose sockets use `transport` at ipc addresses; `None`: as this one.
    pub(crate) fn with_transport(&self, transport: Option<Transport>) -> Self {
        Self { inner: Arc::clone(&self.inner), ipc: transport.unwrap_or(self.ipc) }
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
