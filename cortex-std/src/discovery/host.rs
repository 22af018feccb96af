//! A node's readiness to be the daemon itself.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::daemon::{Daemon, DaemonHandle};
use crate::endpoint::{Endpoint, EndpointError, Probe, probe};
use crate::error::CreateError;
use crate::stop::StopToken;

/// How often it looks whether somebody listens.
const LOOK: Duration = Duration::from_millis(250);

/// Hosts the daemon whenever nobody listens at its address; ends with its node.
///
/// Of many who try at the same time the lock decides for one. Whoever holds the lock is never
/// replaced, be it stopped or stuck.
#[derive(Debug)]
pub(crate) struct Host {
    stop: StopToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Host {
    /// Starts to look; `None` where no process could tell whether somebody listens: only a file has
    /// a lock.
    pub(crate) fn start(endpoint: &Endpoint, node: &str) -> Result<Option<Self>, CreateError> {
        let Some(path) = endpoint.file_path().map(Path::to_owned) else { return Ok(None) };
        let stop = StopToken::new()?;
        let token = stop.clone();
        let address = endpoint.to_string();
        let name = node.to_owned();
        let thread = thread::Builder::new()
            .name(format!("{node}-host"))
            .spawn(move || run(&path, &address, &name, &token))
            .map_err(CreateError::Thread)?;
        Ok(Some(Self { stop, thread: Mutex::new(Some(thread)) }))
    }

    /// Ends the daemon if this node hosts it, and returns when its socket file is gone.
    pub(crate) fn shut_down(&self) {
        self.stop.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the hosting thread panicked");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn run(path: &Path, address: &str, node: &str, stop: &StopToken) {
    let mut hosted: Option<DaemonHandle> = None;
    let mut has_told = false;
    loop {
        if hosted.as_ref().is_none_or(DaemonHandle::is_finished)
            && matches!(probe(path), Probe::Absent | Probe::Refused)
        {
            // The last one has ended, and its claim with it, before there is a next one.
            hosted = None;
            match Daemon::bind(address).and_then(Daemon::spawn) {
                Ok(daemon) => {
                    tracing::info!(node, address, "no discovery daemon ran; hosting it");
                    hosted = Some(daemon);
                    has_told = false;
                }
                // Somebody was faster, or is stopped and keeps the lock.
                Err(CreateError::Endpoint(EndpointError::AddressInUse { .. })) => {}
                Err(error) => {
                    // It may be somebody else's folder, and stay so.
                    if !std::mem::replace(&mut has_told, true) {
                        tracing::warn!(node, address, %error, "cannot host discovery");
                    }
                }
            }
        }
        if stop.wait_timeout(LOOK) {
            break;
        }
    }
    drop(hosted);
}
