//! The socket of a publisher, bound where the daemon's address suggests or the builder says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::endpoint::{
    AdvertisedAddress, Claim, Endpoint, EndpointError, Probe, RemoteHost, claim, probe,
    topic_address, topic_ports,
};
use crate::error::CreateError;
use crate::mutex::Mutex;
use crate::runtime::{PublishedTopic, Runtime};
use crate::transport::{Context, PublisherOptions, PublisherSocket, SocketError, SocketErrorKind};

/// A publisher's socket that is bound.
pub(crate) struct BoundSocket {
    pub(crate) socket: Box<dyn PublisherSocket>,
    pub(crate) reservation: Reservation,
    /// The address that subscribers connect to, as known so far.
    pub(crate) address: String,
    /// Tells the address that subscribers connect to, where it may change.
    pub(crate) advertised: Option<AdvertisedAddress>,
}

/// Keeps other publishers from the address until dropped; after the socket.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    claim: Option<Claim>,
    _topic: Option<PublishedTopic>,
    _port: Option<Port>,
}

/// The state of a publisher's socket file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SocketFile {
    /// It is there, or the address has none.
    Present,
    /// It was deleted and is bound again.
    BoundAgain,
    /// Another process took the address after the files were deleted.
    Taken {
        /// The process, where the system tells it.
        pid: Option<u32>,
    },
}

impl Reservation {
    /// Checks whether the socket file and its lock still exist, and makes them again where they do not:
    /// programs that clean temporary folders delete both, and a folder may be replaced.
    ///
    /// # Errors
    ///
    /// When the file system or the socket refuses.
    pub(crate) fn keep_bound(
        &mut self,
        socket: &mut dyn PublisherSocket,
    ) -> Result<SocketFile, CreateError> {
        let Some(claim) = &mut self.claim else { return Ok(SocketFile::Present) };
        if !claim.is_locked() {
            match claim.lock_again() {
                Err(EndpointError::AddressInUse { pid, .. }) => {
                    return Ok(SocketFile::Taken { pid });
                }
                locked => locked?,
            }
        }
        if claim.is_ours() {
            return Ok(SocketFile::Present);
        }
        match probe(claim.path()) {
            Probe::Absent | Probe::Refused => {
                socket.bind_again()?;
                claim.bound()?;
                Ok(SocketFile::BoundAgain)
            }
            Probe::Alive { pid } => Ok(SocketFile::Taken { pid }),
            Probe::Unknown => Ok(SocketFile::Taken { pid: None }),
        }
    }
}

impl BoundSocket {
    /// Binds for `topic`: to `bind` where given; otherwise, by the daemon's address, to a file beside its
    /// socket, to a port, or inside this process.
    ///
    /// # Errors
    ///
    /// When the address is invalid or in use, or no socket is left.
    pub(crate) fn bind(
        runtime: &Runtime,
        topic: &str,
        bind: Option<&str>,
        advertise: Option<&str>,
        options: &PublisherOptions,
    ) -> Result<Self, CreateError> {
        match (bind, &runtime.endpoint) {
            (Some(address), daemon) => {
                let endpoint: Endpoint = address.parse()?;
                if let Endpoint::Inproc(_) = endpoint {
                    // No subscriber could connect to what the daemon hands out.
                    return Err(EndpointError::Invalid { address: address.to_owned() }.into());
                }
                let bound = Self::bind_address(&runtime.context, address, options)?;
                bound.advertise(daemon, advertise)
            }
            (None, daemon @ Endpoint::Ipc(_)) => {
                let address = topic_address(&runtime.folder, &runtime.name, topic);
                let bound = Self::bind_address(&runtime.context, &address, options)?;
                bound.advertise(daemon, advertise)
            }
            (None, daemon @ Endpoint::Tcp(place)) => {
                let topic_name = runtime.published.reserve(topic)?;
                let (socket, port) = bind_port(runtime, topic, &RemoteHost::new(place), options)?;
                let reservation = Reservation {
                    _topic: Some(topic_name),
                    _port: Some(port),
                    ..Reservation::default()
                };
                let bound = Self::new(socket, reservation)?.advertise(daemon, advertise)?;
                tracing::info!(topic, address = bound.address, "publishes over tcp");
                Ok(bound)
            }
            (None, Endpoint::Inproc(_)) => {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let topic_name = runtime.published.reserve(topic)?;
                let reservation =
                    Reservation { _topic: Some(topic_name), ..Reservation::default() };
                // A new address each time: a subscriber does not reconnect by itself to an old one.
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let address = format!("inproc://cortex-publisher-{number}");
                let socket = runtime.context.transport(&address).bind(
                    &runtime.context,
                    &address,
                    options,
                )?;
                Ok(Self { socket, reservation, address, advertised: None })
            }
        }
    }

    /// Binds to an ipc or tcp address, which is claimed until the reservation is dropped.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub(crate) fn bind_address(
        context: &Context,
        address: &str,
        options: &PublisherOptions,
    ) -> Result<Self, CreateError> {
        let endpoint: Endpoint = address.parse()?;
        let mut claimed = endpoint.file_path().map(claim).transpose()?;
        let address = &endpoint.bind_address()?;
        let socket = context.transport(address).bind(context, address, options)?;
        if let Some(claim) = &mut claimed {
            claim.bound()?;
        }
        Ok(Self::new(socket, Reservation { claim: claimed, ..Reservation::default() })?)
    }

    fn new(
        mut socket: Box<dyn PublisherSocket>,
        reservation: Reservation,
    ) -> Result<Self, SocketError> {
        let address = socket.address()?;
        Ok(Self { socket, reservation, address, advertised: None })
    }

    /// Replaces the bound address by the one that subscribers connect to: a socket that is bound to all
    /// interfaces has no such address by itself.
    fn advertise(
        mut self,
        daemon: &Endpoint,
        advertise: Option<&str>,
    ) -> Result<Self, CreateError> {
        let tcp = self.address.strip_prefix("tcp://").and_then(|tcp| tcp.rsplit_once(':'));
        let Some((host, port)) = tcp else { return Ok(self) };
        if let Some(host) = advertise {
            self.address = format!("tcp://{host}:{port}");
            return Ok(self);
        }
        if !matches!(host, "0.0.0.0" | "[::]") {
            return Ok(self);
        }
        match (daemon, port.parse()) {
            (Endpoint::Tcp(place), Ok(port)) => {
                let advertised = AdvertisedAddress { remote: RemoteHost::new(place), port };
                if let Some(address) = advertised.known_address() {
                    self.address = address;
                }
                self.advertised = Some(advertised);
                Ok(self)
            }
            _ => Err(CreateError::Advertise { address: self.address }),
        }
    }
}

/// Binds to the port of node and topic, or to the next one that is free.
fn bind_port(
    runtime: &Runtime,
    topic: &str,
    daemon: &RemoteHost,
    options: &PublisherOptions,
) -> Result<(Box<dyn PublisherSocket>, Port), CreateError> {
    let mut in_use = None;
    for port in topic_ports(&runtime.name, topic) {
        let address = daemon.bind_address(port);
        let released = Port::released_until(port);
        loop {
            let transport = runtime.context.transport(&address);
            match transport.bind(&runtime.context, &address, options) {
                Ok(socket) => return Ok((socket, Port(port))),
                Err(error) if error.kind() == SocketErrorKind::AddressInUse => in_use = Some(error),
                Err(error) => return Err(error.into()),
            }
            if released.is_none_or(|until| Instant::now() >= until) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        tracing::debug!(topic, port, "the port is in use");
    }
    Err(in_use.map_or(CreateError::ShutDown, CreateError::Socket))
}

/// A port of a publisher, until dropped; after its socket.
#[derive(Debug)]
struct Port(u16);

/// The ports that publishers of this process released, and when.
static RELEASED: Mutex<BTreeMap<u16, Instant>> = Mutex::new(BTreeMap::new());

impl Port {
    /// libzmq closes a listener a moment after its socket. A publisher that is created again waits this
    /// long for its port; other publishers do not wait.
    const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

    fn released_until(port: u16) -> Option<Instant> {
        RELEASED.lock().get(&port).map(|at| *at + Self::CLOSE_TIMEOUT)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        RELEASED.lock().insert(self.0, Instant::now());
    }
}
