//! What carries requests: a socket to the daemon, or the registry of this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::discovery::error::DiscoveryError;
use crate::discovery::registry::{Origin, Registry, Verdict};
use crate::endpoint::Endpoint;
use crate::mutex::Mutex;
use crate::transport::{Context, Frame, ReqSocket, SocketError};

/// Carries requests to a registry.
#[derive(Debug)]
pub(super) enum Connection {
    /// To a daemon, over ipc or tcp.
    Daemon(ReqSocket),
    /// To the registry of this process, named by an inproc address.
    Process(Arc<Mutex<Registry>>),
}

/// The registries of this process by name. They live as long as the process, so a later node of the same
/// graph sees the same epoch.
static REGISTRIES: Mutex<BTreeMap<String, Arc<Mutex<Registry>>>> = Mutex::new(BTreeMap::new());

impl Connection {
    /// # Errors
    ///
    /// When no socket is left.
    pub(super) fn open(context: &Context, endpoint: &Endpoint) -> Result<Self, SocketError> {
        Ok(match endpoint {
            Endpoint::Inproc(name) => {
                let mut registries = REGISTRIES.lock();
                let registry = registries.entry(name.clone()).or_insert_with(|| {
                    // One epoch is enough: the registry ends with all of its clients.
                    Arc::new(Mutex::new(Registry::new(1)))
                });
                Self::Process(Arc::clone(registry))
            }
            Endpoint::Ipc(_) | Endpoint::Tcp(_) => {
                Self::Daemon(ReqSocket::connect(context, &endpoint.to_string())?)
            }
        })
    }
}

/// The response of a registry of this process.
///
/// # Errors
///
/// `Refused` for SHUTDOWN; when memory is exhausted.
pub(super) fn respond(registry: &Mutex<Registry>, body: &[u8]) -> Result<Frame, DiscoveryError> {
    let now = Instant::now();
    let mut out = Vec::new();
    let mut registry = registry.lock();
    registry.expire(now);
    match registry.answer(now, Origin::Local, body, &mut out) {
        Verdict::Continue => Ok(Frame::from_copy(&out)?),
        Verdict::Shutdown => Err(DiscoveryError::Refused {
            message: "the registry of a process ends with it".to_owned(),
        }),
    }
}
