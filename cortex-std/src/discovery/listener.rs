//! One address of a daemon: serves it, and sees to it that it stays the daemon's.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::registry::{Origin, Registry, Verdict};
use crate::endpoint::{Claim, Endpoint, Probe, SOCKET_MODE, claim, probe};
use crate::error::CreateError;
use crate::socket::context::Context;
use crate::socket::interrupt::Wait;
use crate::socket::multipart::Multipart;
use crate::socket::reqrep::RepSocket;
use crate::stats::LogLimit;
use crate::stop::StopToken;

/// How often a socket file is looked at.
const WATCH: Duration = Duration::from_millis(250);

/// An address that is bound.
#[derive(Debug)]
pub(super) struct Listener {
    // Dropped in this order: the socket is closed before its file is removed.
    /// None while somebody else listens at the path.
    socket: Option<RepSocket>,
    claim: Option<(PathBuf, Claim)>,
    context: Context,
    address: String,
    origin: Origin,
    look_at: Instant,
    log: LogLimit,
}

impl Listener {
    /// Binds to an ipc or tcp address.
    ///
    /// # Errors
    /// When the address is none or in use, or libzmq refuses.
    pub(super) fn bind(context: &Context, address: &str) -> Result<Self, CreateError> {
        let endpoint: Endpoint = address.parse()?;
        let claimed = endpoint.file_path().map(|path| Ok((path.to_owned(), claim(path)?)));
        let mut claimed = claimed.transpose().map_err(CreateError::Endpoint)?;
        let mut socket = RepSocket::new(context)?;
        socket.bind(address)?;
        if let Some((_, claim)) = &mut claimed {
            claim.bound(SOCKET_MODE)?;
        }
        Ok(Self {
            address: socket.last_endpoint()?,
            socket: Some(socket),
            claim: claimed,
            context: context.clone(),
            origin: match endpoint {
                Endpoint::Tcp(_) => Origin::Remote,
                Endpoint::Ipc(_) | Endpoint::Inproc(_) => Origin::Local,
            },
            look_at: Instant::now() + WATCH,
            log: LogLimit::default(),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The socket file.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.claim.as_ref().map(|(path, _)| path)
    }

    /// Answers until stopped, by the token or by a SHUTDOWN request; wakes who looks after the
    /// registry when there is something to be looked at.
    ///
    /// # Errors
    /// When libzmq refuses, or another daemon has claimed the path.
    pub(super) fn serve(
        &mut self,
        registry: &Mutex<Registry>,
        stop: &StopToken,
        wake: &SyncSender<()>,
    ) -> Result<(), CreateError> {
        let mut request = Multipart::default();
        let mut answer = Vec::new();
        let mut version = 0;
        while !stop.is_stopped() {
            if self.claim.is_some() && Instant::now() >= self.look_at {
                self.look_at = Instant::now() + WATCH;
                self.watch()?;
            }
            let Some(socket) = &mut self.socket else {
                let _ = stop.wait_timeout(WATCH);
                continue;
            };
            let until = self.claim.is_some().then_some(self.look_at);
            match socket.recv(&mut request, until, Some(&stop.interrupt))? {
                Wait::Ready => {}
                Wait::TimedOut | Wait::Interrupted => continue,
            }
            let body = request.frame(0).unwrap_or_default();
            let (verdict, is_urgent, now) = {
                let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
                let verdict = registry.answer(Instant::now(), self.origin, body, &mut answer);
                (verdict, registry.is_urgent(), registry.version())
            };
            if let Err(error) = socket.send(&answer) {
                tracing::warn!(%error, "an answer was not sent");
            }
            if is_urgent || now != version {
                version = now;
                // Full: it is awake.
                let _ = wake.try_send(());
            }
            if verdict == Verdict::Shutdown {
                tracing::info!("somebody sent SHUTDOWN");
                break;
            }
        }
        Ok(())
    }

    /// Looks whether the file at the path is still this socket's. One that was deleted is bound
    /// again; where somebody else listens by now, who knows no lock, this one steps aside until
    /// that one has ended: two that answer would know two different graphs.
    ///
    /// # Errors
    /// When another daemon has claimed the path: this one is not needed any more.
    fn watch(&mut self) -> Result<(), CreateError> {
        let Some((path, claim)) = &mut self.claim else { return Ok(()) };
        let is_ours = self.socket.is_some() && claim.is_ours();
        if !claim.is_locked()
            && let Err(error) = claim.lock_again()
        {
            // Whoever holds the lock now finds out that somebody listens here.
            return if is_ours { Ok(()) } else { Err(error.into()) };
        }
        if is_ours {
            return Ok(());
        }
        match probe(path) {
            Probe::Absent | Probe::Refused => {
                if let Err(error) = self.bind_again()
                    && let Some(suppressed) = self.log.pass(Instant::now())
                {
                    tracing::warn!(address = self.address, %error, suppressed, "cannot bind again");
                }
            }
            Probe::Alive { pid } => {
                if self.socket.take().is_some() {
                    tracing::warn!(
                        address = self.address,
                        pid,
                        "another daemon took the socket; waiting until it ends"
                    );
                }
            }
            Probe::Unknown => {}
        }
        Ok(())
    }

    /// Who is connected stays connected: the socket gets one more file.
    fn bind_again(&mut self) -> Result<(), CreateError> {
        let Some((_, claim)) = &mut self.claim else { return Ok(()) };
        let socket = match &mut self.socket {
            Some(socket) => socket,
            empty => empty.insert(RepSocket::new(&self.context)?),
        };
        socket.bind(&self.address)?;
        claim.bound(SOCKET_MODE)?;
        tracing::warn!(address = self.address, "the socket file was gone; bound again");
        Ok(())
    }

    /// Closes the socket; its file stays until this is dropped.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }
}
