//! The daemon: a registry behind sockets.

pub(super) mod host;
mod listener;
mod maintenance;
mod state_file;

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use super::diagnosis::is_loopback;
use super::registry::Registry;
use crate::endpoint::EndpointError;
use crate::error::CreateError;
use crate::log::ErrorChain;
use crate::mutex::Mutex;
use crate::stop::StopToken;
use crate::transport::Context;

use listener::Listener;
use maintenance::Maintenance;
use state_file::StateFile;

/// A discovery daemon that is bound; [`run`](Self::run) or [`spawn`](Self::spawn) serves it.
///
/// At most one Rust daemon serves an ipc address: it holds a lock file beside the socket, which names its
/// process. If the socket file is deleted, the daemon binds again; if a daemon without that lock binds
/// over it, as Python's does, this daemon waits until the other has ended.
///
/// A publisher that registered a socket file over ipc, was alive and now refuses connections is removed
/// within a second. The registrations that exist when the daemon ends, however it ends, are restored by
/// the next daemon at the same path from a file beside the socket.
#[derive(Debug)]
pub struct Daemon {
    listeners: Vec<Listener>,
    address: String,
    registry: Registry,
    maintenance: Maintenance,
    stop: StopToken,
}

impl Daemon {
    /// A daemon at an ipc or tcp address.
    ///
    /// # Errors
    ///
    /// When the address is invalid or in use (with the process, where the system tells it), or the socket
    /// fails.
    pub fn bind(address: &str) -> Result<Self, CreateError> {
        Self::bind_all([address])
    }

    /// A daemon at several addresses, ipc and tcp, with one registry.
    ///
    /// SHUTDOWN is accepted over ipc, where the mode of the socket file restricts the peers, and refused
    /// over tcp. The registry is saved beside the first ipc socket.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), and without an address.
    pub fn bind_all<A: AsRef<str>>(
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, CreateError> {
        let context = Context::shared()?;
        let bind = |address: A| Listener::bind(&context, address.as_ref());
        let listeners: Vec<_> = addresses.into_iter().map(bind).collect::<Result<_, _>>()?;
        let Some(first) = listeners.first() else {
            return Err(EndpointError::Invalid { address: String::new() }.into());
        };
        let address = first.address().to_owned();
        let file = listeners.iter().find_map(Listener::path).map(|path| StateFile::beside(path));
        let mut registry = Registry::new(new_epoch());
        let is_network = |address: &str| address.starts_with("tcp://") && !is_loopback(address);
        if listeners.iter().map(Listener::address).any(is_network) {
            registry.serve_network();
        }
        let maintenance = Maintenance::new(file, &mut registry);
        Ok(Self { listeners, address, registry, maintenance, stop: StopToken::new()? })
    }

    /// The address it is bound to, with the port that the system chose for `tcp://host:*`; the first of
    /// several.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All addresses it is bound to.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(Listener::address)
    }

    /// A token that ends [`run`](Self::run) from any thread.
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    /// Serves until stopped, by the token or by a SHUTDOWN request.
    ///
    /// # Errors
    ///
    /// When receiving fails, no thread can be started, or another daemon took the address after the lock
    /// file was deleted.
    pub fn run(self) -> Result<(), CreateError> {
        let Self { listeners, registry, mut maintenance, stop, .. } = self;
        let registry = Mutex::new(registry);
        let (wake, woken) = sync_channel(1);
        let mut result = Ok(());
        let mut listeners: Vec<_> = thread::scope(|scope| {
            let mut threads = Vec::new();
            for mut listener in listeners {
                tracing::info!(address = listener.address(), "discovery daemon listens");
                let (wake, registry) = (wake.clone(), &registry);
                let all = StopAll(stop.clone());
                let thread = thread::Builder::new().name("cortex-listener".into());
                let spawned = thread.spawn_scoped(scope, move || {
                    let result = listener.serve(registry, &all.0, &wake);
                    // No request is served any more when the last snapshot is saved.
                    listener.close();
                    (listener, result)
                });
                match spawned {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        result = Err(CreateError::thread(error));
                        stop.stop();
                    }
                }
            }
            drop(wake);
            maintenance.run(&registry, &woken);
            let ended = threads.into_iter().filter_map(|thread| match thread.join() {
                Ok((listener, served)) => {
                    if let Err(error) = served {
                        result = Err(error);
                    }
                    Some(listener)
                }
                Err(_) => {
                    result = Err(CreateError::thread(io::Error::other("a listener panicked")));
                    None
                }
            });
            ended.collect()
        });
        // Otherwise another daemon has the address and saves its own registry there.
        if !matches!(result, Err(CreateError::Endpoint(EndpointError::AddressInUse { .. }))) {
            maintenance.finish(&registry);
        }
        listeners.clear();
        tracing::info!("discovery daemon ends");
        result
    }

    /// Serves on a dedicated thread.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn spawn(self) -> Result<DaemonHandle, CreateError> {
        let stop = self.stop_token();
        let address = self.address.clone();
        let thread = thread::Builder::new()
            .name("cortex-discovery".into())
            .spawn(move || {
                if let Err(error) = self.run() {
                    tracing::error!(error = %ErrorChain(&error), "discovery daemon failed");
                }
            })
            .map_err(CreateError::thread)?;
        Ok(DaemonHandle { address, stop, thread: Some(thread) })
    }
}

/// Ends all listeners with the first that ends, even by a panic.
struct StopAll(StopToken);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A daemon on a dedicated thread; stops when dropped.
#[derive(Debug)]
pub struct DaemonHandle {
    address: String,
    stop: StopToken,
    thread: Option<JoinHandle<()>>,
}

impl DaemonHandle {
    /// The address it is bound to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the daemon has ended, by a SHUTDOWN request for example.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops the daemon and returns when its socket file is removed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for DaemonHandle {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the discovery thread panicked");
        }
    }
}

/// A number that differs for every start of a daemon.
fn new_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    // Two daemons may start in the same nanosecond of a coarse clock, not in the same process.
    nanos.rotate_left(20) ^ u64::from(std::process::id())
}
