//! What the agent found of a topic.

use crate::discovery::topic::Found;
use crate::mutex::Mutex;
use crate::transport::{Interrupt, SocketError};

/// The latest look-up of a topic, for the one subscriber that waits for it.
#[derive(Debug)]
pub(crate) struct WatchCell {
    state: Mutex<WatchState>,
    interrupt: Interrupt,
    #[cfg(feature = "tokio")]
    notify: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct WatchState {
    found: Option<Found>,
    is_closed: bool,
}

impl WatchCell {
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub(super) fn new() -> Result<Self, SocketError> {
        Ok(Self {
            state: Mutex::default(),
            interrupt: Interrupt::new()?,
            #[cfg(feature = "tokio")]
            notify: tokio::sync::Notify::new(),
        })
    }

    /// The topic as last found; it stays when its publisher leaves.
    pub(crate) fn found(&self) -> Option<Found> {
        self.state.lock().found.clone()
    }

    /// Whether the node was shut down.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Interrupts a blocked receive when the cell changes.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Waits for a change; returns at once if there was one since the last call.
    ///
    /// # Cancel safety
    ///
    /// No change is lost.
    #[cfg(feature = "tokio")]
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }

    pub(super) fn set_found(&self, found: Found) {
        self.update(|state| state.found = Some(found));
    }

    pub(super) fn close(&self) {
        self.update(|state| state.is_closed = true);
    }

    fn update(&self, change: impl FnOnce(&mut WatchState)) {
        change(&mut self.state.lock());
        self.wake();
    }

    /// Ends every wait for a change, as a change does.
    pub(crate) fn wake(&self) {
        self.interrupt.wake();
        #[cfg(feature = "tokio")]
        self.notify.notify_one();
    }
}
