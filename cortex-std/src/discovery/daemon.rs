//! The daemon: a registry behind a socket.

use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use super::registry::{Registry, Verdict};
use crate::endpoint::{Claim, Endpoint, SOCKET_MODE, claim};
use crate::error::CreateError;
use crate::socket::context::Context;
use crate::socket::error::SocketError;
use crate::socket::interrupt::Wait;
use crate::socket::multipart::Multipart;
use crate::socket::reqrep::RepSocket;
use crate::stop::StopToken;

/// A daemon that listens and is to be [`run`](Self::run) or [`spawn`](Self::spawn)ed.
#[derive(Debug)]
pub struct Daemon {
    // Dropped in this order: the socket is closed before its file is removed.
    socket: RepSocket,
    _claim: Option<Claim>,
    address: String,
    registry: Registry,
    stop: StopToken,
}

impl Daemon {
    /// A daemon at an ipc or tcp address.
    ///
    /// # Errors
    ///
    /// When the address is none or in use, by whom where that can be found out, or libzmq refuses.
    pub fn bind(address: &str) -> Result<Self, CreateError> {
        let endpoint: Endpoint = address.parse()?;
        let context = Context::shared()?;
        let mut claimed = endpoint.file_path().map(claim).transpose()?;
        let mut socket = RepSocket::new(&context)?;
        socket.bind(address)?;
        if let Some(claim) = &mut claimed {
            claim.bound(SOCKET_MODE)?;
        }
        let address = socket.last_endpoint()?;
        let registry = Registry::new(new_epoch());
        Ok(Self { socket, _claim: claimed, address, registry, stop: StopToken::new()? })
    }

    /// Where it listens, with the port that the system chose for `tcp://host:*`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
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
    /// When libzmq refuses to receive.
    pub fn run(mut self) -> Result<(), SocketError> {
        tracing::info!(address = self.address, "discovery daemon listens");
        let mut request = Multipart::default();
        let mut answer = Vec::new();
        loop {
            match self.socket.recv(&mut request, None, Some(&self.stop.interrupt))? {
                Wait::Ready => {}
                Wait::TimedOut => continue,
                Wait::Interrupted => break,
            }
            let verdict = self.registry.answer(request.frame(0).unwrap_or_default(), &mut answer);
            if let Err(error) = self.socket.send(&answer) {
                tracing::warn!(%error, "an answer was not sent");
            }
            if verdict == Verdict::Shutdown {
                break;
            }
        }
        tracing::info!(address = self.address, "discovery daemon ends");
        Ok(())
    }

    /// Serves on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn spawn(self) -> Result<DaemonHandle, CreateError> {
        let stop = self.stop_token();
        let address = self.address.clone();
        let thread = std::thread::Builder::new()
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
