//! Hosting the daemon inside a node.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Daemon, DaemonHandle};
use crate::discovery::diagnosis::Diagnosis;
use crate::endpoint::{Endpoint, EndpointError, Probe, probe};
use crate::error::CreateError;
use crate::log::ErrorChain;
use crate::mutex::Mutex;
use crate::stop::StopToken;

/// Interval at which the address is probed.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// Hosts the daemon whenever no process listens at its address; ends with its node.
///
/// Among nodes that try at the same time the lock decides. The holder of the lock is never replaced, even
/// if it is stopped or hangs.
#[derive(Debug)]
pub(crate) struct Host {
    stop: StopToken,
    may_begin: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Host {
    /// Starts probing; `None` for an address without a socket file, since only a file has a lock.
    pub(crate) fn start(endpoint: &Endpoint, node: &str) -> Result<Option<Self>, CreateError> {
        let Some(path) = endpoint.file_path().map(Path::to_owned) else { return Ok(None) };
        let stop = StopToken::new()?;
        let token = stop.clone();
        let may_begin = Arc::new(AtomicBool::new(true));
        let permission = Arc::clone(&may_begin);
        let address = endpoint.to_string();
        let name = node.to_owned();
        let thread = thread::Builder::new()
            .name(format!("{node}-host"))
            .spawn(move || run(&path, &address, &name, &permission, &token))
            .map_err(CreateError::thread)?;
        Ok(Some(Self { stop, may_begin, thread: Mutex::new(Some(thread)) }))
    }

    /// Begins no further daemon, since the process ends; one that runs goes on until
    /// [`shut_down`](Self::shut_down).
    pub(crate) fn withdraw(&self) {
        self.may_begin.store(false, Ordering::SeqCst);
    }

    /// Ends the daemon if this node hosts it; returns when its socket file is removed.
    pub(crate) fn shut_down(&self) {
        self.stop.stop();
        let thread = self.thread.lock().take();
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

fn run(path: &Path, address: &str, node: &str, may_begin: &AtomicBool, stop: &StopToken) {
    let mut hosted: Option<DaemonHandle> = None;
    let mut has_warned = false;
    loop {
        if may_begin.load(Ordering::SeqCst)
            && hosted.as_ref().is_none_or(DaemonHandle::is_finished)
            && matches!(probe(path), Probe::Absent | Probe::Refused)
        {
            // The last daemon releases its claim before the next one binds.
            hosted = None;
            match Daemon::bind(address).and_then(Daemon::spawn) {
                Ok(daemon) => {
                    tracing::info!(node, address, "no discovery daemon ran; hosting it");
                    hosted = Some(daemon);
                    has_warned = false;
                }
                // Another process was faster, or is stopped and holds the lock.
                Err(CreateError::Endpoint(EndpointError::AddressInUse { .. })) => {}
                Err(error) => {
                    // The folder may belong to another user for good: warn once.
                    if !std::mem::replace(&mut has_warned, true) {
                        let diagnosis = Diagnosis::of(address);
                        tracing::warn!(
                            node,
                            address,
                            error = %ErrorChain(&error),
                            advice = diagnosis.advice(),
                            "cannot host discovery"
                        );
                    }
                }
            }
        }
        if stop.wait_timeout(PROBE_INTERVAL) {
            break;
        }
    }
    drop(hosted);
}
