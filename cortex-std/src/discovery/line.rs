//! What a client asks through: a socket to the daemon, or the registry of this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::question::DiscoveryError;
use super::registry::{Origin, Registry, Verdict};
use crate::endpoint::Endpoint;
use crate::socket::context::Context;
use crate::socket::error::SocketError;
use crate::socket::frame::Frame;
use crate::socket::reqrep::ReqSocket;

/// A way to ask.
#[derive(Debug)]
pub(super) enum Line {
    /// A daemon, behind ipc or tcp.
    Daemon(ReqSocket),
    /// The registry of this process: for nodes whose daemon has an inproc address, which is its name.
    Process(Arc<Mutex<Registry>>),
}

/// The registries of this process by their names. They stay: a later node of the same graph knows the
/// same epoch.
static REGISTRIES: Mutex<BTreeMap<String, Arc<Mutex<Registry>>>> = Mutex::new(BTreeMap::new());

impl Line {
    pub(super) fn open(context: &Context, endpoint: &Endpoint) -> Result<Self, SocketError> {
        Ok(match endpoint {
            Endpoint::Inproc(name) => {
                let mut registries = REGISTRIES.lock().unwrap_or_else(PoisonError::into_inner);
                let registry = registries.entry(name.clone()).or_insert_with(|| {
                    // Everybody who asks it ends with it.
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

/// The answer of this process's registry.
pub(super) fn answer(registry: &Mutex<Registry>, body: &[u8]) -> Result<Frame, DiscoveryError> {
    let now = Instant::now();
    let mut out = Vec::new();
    let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
    registry.expire(now);
    match registry.answer(now, Origin::Local, body, &mut out) {
        Verdict::Continue => Ok(Frame::from_copy(&out)?),
        Verdict::Shutdown => Err(DiscoveryError::Refused {
            message: "the registry of a process ends with it".to_owned(),
        }),
    }
}
