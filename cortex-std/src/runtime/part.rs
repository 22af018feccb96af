//! The parts of a node that take part in its shutdown.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::error::CreateError;
use crate::mutex::Mutex;

/// A part of a node that holds a socket.
pub(crate) trait Part: Send + Sync {
    /// Closes the part, once what was published is sent or the linger time since `begun` is over.
    fn close(&self, begun: Instant);

    /// Ends every wait inside the part, since the node is about to close.
    fn interrupt(&self);

    /// Called once a second: releases what belongs to peers that disconnected.
    fn on_idle(&self);
}

/// The parts of a node.
#[derive(Default)]
pub(crate) struct Parts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    parts: Vec<Weak<dyn Part>>,
}

impl Parts {
    /// Adds a part for as long as it exists.
    ///
    /// # Errors
    ///
    /// `ShutDown` after [`close`](Self::close).
    pub(crate) fn add(&self, part: &Arc<impl Part + 'static>) -> Result<(), CreateError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(CreateError::ShutDown);
        }
        let part: Arc<dyn Part> = part.clone();
        state.parts.retain(|part| part.strong_count() > 0);
        state.parts.push(Arc::downgrade(&part));
        Ok(())
    }

    /// Refuses further parts and returns the existing ones, to be closed.
    pub(super) fn close(&self) -> Vec<Arc<dyn Part>> {
        let mut state = self.state.lock();
        state.is_closed = true;
        std::mem::take(&mut state.parts).iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Calls [`Part::on_idle`] of every part.
    pub(super) fn on_idle(&self) {
        // Not under the lock: a part may be slow, or be dropped by the last handle here.
        let parts: Vec<_> = self.state.lock().parts.iter().filter_map(Weak::upgrade).collect();
        for part in parts {
            part.on_idle();
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
