//! The daemon: a registry behind sockets.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use super::keeper::Keeper;
use super::listener::Listener;
use super::registry::Registry;
use super::state::StateFile;
use crate::endpoint::EndpointError;
use crate::error::CreateError;
use crate::socket::context::Context;
use crate::stop::StopToken;

/// A daemon that listens and is to be [`run`](Self::run) or [`spawn`](Self::spawn)ed.
///
/// At an ipc address there is never a second one: a lock beside the socket names who has it. If the
/// socket file is deleted, the daemon binds again; if a daemon that knows no lock takes it, Python's
/// for one, this one waits until that one has ended.
///
/// A publisher whose socket file was registered over ipc, was alive and now refuses connections is
/// forgotten within a second. What is left when the daemon ends, however it ends, the next one at
/// the same path goes on with: it is kept in a file beside the socket.
#[derive(Debug)]
pub struct Daemon {
    listeners: Vec<Listener>,
    address: String,
    registry: Registry,
    keeper: Keeper,
    stop: StopToken,
}

impl Daemon {
    /// A daemon at an ipc or tcp address.
    ///
    /// # Errors
    ///
    /// When the address is none or in use, by whom where that can be found out, or libzmq refuses.
    pub fn bind(address: &str) -> Result<Self, CreateError> {
        Self::bind_all([address])
    }

    /// A daemon at several addresses, ipc and tcp, which knows one graph.
    ///
    /// SHUTDOWN is obeyed over ipc, where the mode of the socket file says who may, and refused over
    /// tcp. What it knows is kept beside the first ipc socket.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), and when there is no address.
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
        let keeper = Keeper::new(file, &mut registry);
        Ok(Self { listeners, address, registry, keeper, stop: StopToken::new()? })
    }

    /// Where it listens, with the port that the system chose for `tcp://host:*`; the first of
    /// several.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Everywhere it listens.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(Listener::address)
    }

    /// Ends [`run`](Self::run) from another thread.
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    /// Serves until stopped, by the token or by a SHUTDOWN request.
    ///
    /// # Errors
    ///
    /// When libzmq refuses to receive, the system has no thread, or another daemon has taken the
    /// address after somebody deleted the lock.
    pub fn run(self) -> Result<(), CreateError> {
        let Self { listeners, registry, mut keeper, stop, .. } = self;
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
                    // Nobody is served any more when what is known is kept for the last time.
                    listener.close();
                    (listener, result)
                });
                match spawned {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        result = Err(CreateError::Thread(error));
                        stop.stop();
                    }
                }
            }
            drop(wake);
            keeper.run(&registry, &woken);
            let ended = threads.into_iter().filter_map(|thread| match thread.join() {
                Ok((listener, served)) => {
                    if let Err(error) = served {
                        result = Err(error);
                    }
                    Some(listener)
                }
                Err(_) => {
                    result = Err(CreateError::Thread(io::Error::other("a listener panicked")));
                    None
                }
            });
            ended.collect()
        });
        // Somebody else has it by now, and keeps what it knows there.
        if !matches!(result, Err(CreateError::Endpoint(EndpointError::AddressInUse { .. }))) {
            keeper.finish(&registry);
        }
        listeners.clear();
        tracing::info!("discovery daemon ends");
        result
    }

    /// Serves on a thread of its own.
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
                    tracing::error!(%error, "discovery daemon failed");
                }
            })
            .map_err(CreateError::Thread)?;
        Ok(DaemonHandle { address, stop, thread: Some(thread) })
    }
}

/// Ends all listeners with the first that ends, by a panic even.
struct StopAll(StopToken);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A daemon on a thread of its own; stops when dropped.
#[derive(Debug)]
pub struct DaemonHandle {
    address: String,
    stop: StopToken,
    thread: Option<JoinHandle<()>>,
}

impl DaemonHandle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it has ended, by a SHUTDOWN request for example.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it, and returns when its socket file is gone.
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

/// A number that no other start of a daemon has.
fn new_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    // Two daemons may start in the same nanosecond of a coarse clock, not in the same process.
    nanos.rotate_left(20) ^ u64::from(std::process::id())
}
