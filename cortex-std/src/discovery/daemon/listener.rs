//! One address of a daemon: serves requests and keeps the address bound.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::discovery::registry::{Origin, Registry, Verdict};
use crate::endpoint::{Claim, Endpoint, Probe, claim, probe};
use crate::error::CreateError;
use crate::log::{ErrorChain, LogLimit, nonzero};
use crate::mutex::Mutex;
use crate::stop::StopToken;
use crate::transport::{Context, Multipart, RepSocket, WaitResult};

/// Interval at which the socket file is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// An address that is bound.
#[derive(Debug)]
pub(super) struct Listener {
    // Dropped in this order: the socket is closed before its file is removed.
    /// `None` while another daemon listens at the path.
    socket: Option<RepSocket>,
    claim: Option<(PathBuf, Claim)>,
    context: Context,
    address: String,
    origin: Origin,
    check_at: Instant,
    log: LogLimit,
}

impl Listener {
    /// Binds to an ipc or tcp address.
    ///
    /// # Errors
    /// When the address is invalid or in use, or the socket fails.
    pub(super) fn bind(context: &Context, address: &str) -> Result<Self, CreateError> {
        let endpoint: Endpoint = address.parse()?;
        let claimed = endpoint.file_path().map(|path| Ok((path.to_owned(), claim(path)?)));
        let mut claimed = claimed.transpose().map_err(CreateError::Endpoint)?;
        let mut socket = RepSocket::new(context)?;
        socket.bind(&endpoint.bind_address()?)?;
        if let Some((_, claim)) = &mut claimed {
            claim.bound()?;
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
            check_at: Instant::now() + CHECK_INTERVAL,
            log: LogLimit::default(),
        })
    }

    /// The address it is bound to.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The socket file.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.claim.as_ref().map(|(path, _)| path)
    }

    /// Serves requests until stopped, by the token or by a SHUTDOWN request; wakes the maintenance when
    /// the registry changed.
    ///
    /// # Errors
    /// When the socket fails, or another daemon has claimed the path.
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
            if self.claim.is_some() && Instant::now() >= self.check_at {
                self.check_at = Instant::now() + CHECK_INTERVAL;
                self.check_file()?;
            }
            let Some(socket) = &mut self.socket else {
                let _ = stop.wait_timeout(CHECK_INTERVAL);
                continue;
            };
            let until = self.claim.is_some().then_some(self.check_at);
            match socket.recv(&mut request, until, Some(&stop.interrupt))? {
                WaitResult::Ready => {}
                WaitResult::TimedOut | WaitResult::Interrupted => continue,
            }
            let body = request.frame(0).unwrap_or_default();
            let (verdict, is_urgent, now) = {
                let mut registry = registry.lock();
                let verdict = registry.answer(Instant::now(), self.origin, body, &mut answer);
                (verdict, registry.is_urgent(), registry.version())
            };
            if let Err(error) = socket.send(&answer) {
                tracing::warn!(error = %ErrorChain(&error), "cannot send a response");
            }
            if is_urgent || now != version {
                version = now;
                // A full channel means that the maintenance is awake.
                let _ = wake.try_send(());
            }
            if verdict == Verdict::Shutdown {
                tracing::info!("a client sent SHUTDOWN");
                break;
            }
        }
        Ok(())
    }

    /// Checks whether the file at the path is still this socket's. A deleted file is bound again. While a
    /// daemon without a lock listens at the path, this one closes its socket: two daemons that answer
    /// would have two different registries.
    ///
    /// # Errors
    /// When another daemon has claimed the path: this one ends.
    fn check_file(&mut self) -> Result<(), CreateError> {
        let Some((path, claim)) = &mut self.claim else { return Ok(()) };
        let is_ours = self.socket.is_some() && claim.is_ours();
        if !claim.is_locked()
            && let Err(error) = claim.lock_again()
        {
            // The process that holds the lock now finds that this socket listens.
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
                    tracing::warn!(
                        address = self.address,
                        error = %ErrorChain(&error),
                        suppressed = nonzero(suppressed),
                        "cannot bind again"
                    );
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

    /// Binds one more file; connected clients stay connected.
    fn bind_again(&mut self) -> Result<(), CreateError> {
        let Some((_, claim)) = &mut self.claim else { return Ok(()) };
        let socket = match &mut self.socket {
            Some(socket) => socket,
            empty => empty.insert(RepSocket::new(&self.context)?),
        };
        socket.bind(&self.address)?;
        claim.bound()?;
        tracing::warn!(address = self.address, "the socket file was deleted; bound again");
        Ok(())
    }

    /// Closes the socket; its file stays until the listener is dropped.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }
}
