//! Where a publisher listens, and what others call that place.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::endpoint::{
    Claim, Endpoint, EndpointError, Far, Reach, SOCKET_MODE, claim, topic_address, topic_ports,
};
use crate::error::CreateError;
use crate::node::Shared;
use crate::socket::error::SocketErrorKind;
use crate::socket::xpub::{XpubOptions, XpubSocket};

/// A publisher's socket, bound.
pub(crate) struct Place {
    pub(crate) socket: XpubSocket,
    pub(crate) hold: Hold,
    /// What others connect to, as far as it is known by now.
    pub(crate) address: String,
    /// How to find out what others connect to, where that may change.
    pub(crate) reach: Option<Reach>,
}

/// Keeps others from the place as long as it is there.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    _claim: Option<Claim>,
    _name: Option<Name>,
    _port: Option<Port>,
}

impl From<Option<Claim>> for Hold {
    fn from(claim: Option<Claim>) -> Self {
        Self { _claim: claim, ..Self::default() }
    }
}

impl Place {
    /// Binds where it was said; otherwise where the address of the daemon suggests: beside its socket,
    /// to a port, or inside this process.
    pub(crate) fn bind(
        shared: &Shared,
        topic: &str,
        bind: Option<String>,
        advertise: Option<&str>,
        options: &XpubOptions,
    ) -> Result<Self, CreateError> {
        match (bind, &shared.endpoint) {
            (Some(address), _) => Self::bind_at(shared, &address, advertise, options),
            (None, Endpoint::Ipc(_)) => {
                let address = topic_address(&shared.folder, &shared.name, topic);
                Self::bind_at(shared, &address, advertise, options)
            }
            (None, Endpoint::Tcp(place)) => {
                let far = Far::new(place);
                let name = shared.names.take(topic)?;
                let (socket, port) = bind_port(shared, topic, &far, options)?;
                let hold = Hold { _name: Some(name), _port: Some(port), ..Hold::default() };
                let place = Self::reachable(shared, socket, hold, advertise)?;
                tracing::info!(topic, address = place.address, "publishes over tcp");
                Ok(place)
            }
            (None, Endpoint::Inproc(_)) => {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let hold = Hold { _name: Some(shared.names.take(topic)?), ..Hold::default() };
                // Never the same twice: nobody connects by itself to one that comes back.
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let address = format!("inproc://cortex-publisher-{number}");
                let socket = XpubSocket::bind(&shared.context, &address, options)?;
                Ok(Self { socket, hold, address, reach: None })
            }
        }
    }

    fn bind_at(
        shared: &Shared,
        address: &str,
        advertise: Option<&str>,
        options: &XpubOptions,
    ) -> Result<Self, CreateError> {
        let endpoint: Endpoint = address.parse()?;
        if let Endpoint::Inproc(_) = endpoint {
            // Nobody else could connect to what the daemon hands out.
            return Err(EndpointError::Invalid { address: address.to_owned() }.into());
        }
        let mut claimed = endpoint.file_path().map(claim).transpose()?;
        let socket = XpubSocket::bind(&shared.context, address, options)?;
        if let Some(claim) = &mut claimed {
            claim.bound(SOCKET_MODE)?;
        }
        Self::reachable(shared, socket, Hold::from(claimed), advertise)
    }

    /// Finds out what others connect to.
    fn reachable(
        shared: &Shared,
        mut socket: XpubSocket,
        hold: Hold,
        advertise: Option<&str>,
    ) -> Result<Self, CreateError> {
        let bound = socket.last_endpoint()?;
        let Some((host, port)) = bound.strip_prefix("tcp://").and_then(|tcp| tcp.rsplit_once(':'))
        else {
            return Ok(Self { socket, hold, address: bound, reach: None });
        };
        if let Some(host) = advertise {
            let address = format!("tcp://{host}:{port}");
            return Ok(Self { socket, hold, address, reach: None });
        }
        if !matches!(host, "0.0.0.0" | "[::]") {
            return Ok(Self { socket, hold, address: bound, reach: None });
        }
        match (&shared.endpoint, port.parse()) {
            (Endpoint::Tcp(place), Ok(port)) => {
                let reach = Reach { far: Far::new(place), port };
                let address = reach.known_address().unwrap_or(bound);
                Ok(Self { socket, hold, address, reach: Some(reach) })
            }
            _ => Err(CreateError::Advertise { address: bound }),
        }
    }
}

/// Binds to the port of node and topic, or to one after it.
fn bind_port(
    shared: &Shared,
    topic: &str,
    far: &Far,
    options: &XpubOptions,
) -> Result<(XpubSocket, Port), CreateError> {
    let mut taken = None;
    for port in topic_ports(&shared.name, topic) {
        let address = far.bind_address(port);
        let released = Port::released_until(port);
        loop {
            match XpubSocket::bind(&shared.context, &address, options) {
                Ok(socket) => return Ok((socket, Port(port))),
                Err(error) if error.kind() == SocketErrorKind::AddressInUse => taken = Some(error),
                Err(error) => return Err(error.into()),
            }
            if released.is_none_or(|until| Instant::now() >= until) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        tracing::debug!(topic, port, "the port is taken");
    }
    Err(taken.map_or(CreateError::ShutDown, CreateError::Socket))
}

/// A port that a publisher has, until it is dropped; after its socket.
#[derive(Debug)]
struct Port(u16);

/// The ports that publishers of this process had, and when they let go.
static RELEASED: Mutex<BTreeMap<u16, Instant>> = Mutex::new(BTreeMap::new());

impl Port {
    /// libzmq closes a listener a moment after its socket. Somebody who publishes anew is to have the
    /// same port; nobody else waits.
    const CLOSING: Duration = Duration::from_millis(200);

    fn released_until(port: u16) -> Option<Instant> {
        let released = RELEASED.lock().unwrap_or_else(PoisonError::into_inner);
        released.get(&port).map(|at| *at + Self::CLOSING)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut released = RELEASED.lock().unwrap_or_else(PoisonError::into_inner);
        released.insert(self.0, Instant::now());
    }
}

/// The topics that a node publishes where no file tells that it does.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<HashSet<String>>);

impl Names {
    fn take(self: &Arc<Self>, topic: &str) -> Result<Name, CreateError> {
        if self.lock().insert(topic.to_owned()) {
            Ok(Name { names: Arc::clone(self), topic: topic.to_owned() })
        } else {
            Err(CreateError::AlreadyPublished { topic: topic.to_owned() })
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct Name {
    names: Arc<Names>,
    topic: String,
}

impl Drop for Name {
    fn drop(&mut self) {
        self.names.lock().remove(&self.topic);
    }
}
