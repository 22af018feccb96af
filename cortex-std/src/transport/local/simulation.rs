//! A connection in memory that writes and reads in pieces, refuses, and breaks where a test says.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use rustix::io::Errno;

use crate::mutex::Mutex;

/// What a connection does to its two ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behaviour {
    /// Bytes that may be under way in one direction.
    pub(super) capacity: usize,
    /// The most bytes of one call.
    pub(super) step: usize,
    /// Every other write and every other read of each end is refused with EAGAIN.
    pub(super) refuses: bool,
    /// The connection breaks once so many bytes were written, both directions together.
    pub(super) breaks_after: Option<usize>,
}

impl Behaviour {
    /// A connection that accepts everything.
    pub(super) const PERFECT: Self =
        Self { capacity: usize::MAX, step: usize::MAX, refuses: false, breaks_after: None };
}

/// One end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    shared: Arc<Mutex<Shared>>,
    /// Reads the bytes to this end, writes those to the other one.
    end: usize,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    /// Bytes under way to each end.
    to: [VecDeque<u8>; 2],
    /// Writes and reads of each end.
    calls: [[u64; 2]; 2],
    written: usize,
    is_broken: bool,
}

impl Pipe {
    /// The two ends of a connection.
    pub(super) fn pair(behaviour: Behaviour) -> (Self, Self) {
        let shared = Arc::new(Mutex::new(Shared {
            behaviour,
            to: [VecDeque::new(), VecDeque::new()],
            calls: [[0; 2]; 2],
            written: 0,
            is_broken: false,
        }));
        (Self { shared: Arc::clone(&shared), end: 0 }, Self { shared, end: 1 })
    }

    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut shared = self.shared.lock();
        if shared.is_broken {
            return Err(Errno::PIPE);
        }
        shared.refuse(self.end, false)?;
        let mut room = shared.room(1 - self.end);
        let mut count = 0;
        for slice in slices {
            let bytes = slice.get(..room.min(slice.len())).unwrap_or_default();
            if let Some(queue) = shared.to.get_mut(1 - self.end) {
                queue.extend(bytes);
            }
            room -= bytes.len();
            count += bytes.len();
        }
        shared.written += count;
        if shared.behaviour.breaks_after.is_some_and(|limit| shared.written >= limit) {
            shared.is_broken = true;
        }
        if count == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(Errno::WOULDBLOCK);
        }
        Ok(count)
    }

    pub(super) fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut shared = self.shared.lock();
        shared.refuse(self.end, true)?;
        let (step, is_broken) = (shared.behaviour.step, shared.is_broken);
        let Some(queue) = shared.to.get_mut(self.end) else { return Ok(0) };
        if queue.is_empty() {
            return if is_broken { Ok(0) } else { Err(Errno::WOULDBLOCK) };
        }
        let count = queue.len().min(buffer.len()).min(step);
        for (place, byte) in buffer.iter_mut().zip(queue.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    /// Whether a call of [`send`](Self::send) may have an effect, as poll says.
    pub(super) fn accepts(&self) -> bool {
        let shared = self.shared.lock();
        shared.is_broken || shared.room(1 - self.end) > 0
    }

    /// Ends the connection; what is under way still arrives.
    pub(super) fn close(&self) {
        self.shared.lock().is_broken = true;
    }
}

impl Shared {
    fn refuse(&mut self, end: usize, reads: bool) -> Result<(), Errno> {
        let calls = self.calls.get_mut(end).and_then(|calls| calls.get_mut(usize::from(reads)));
        let Some(calls) = calls else { return Ok(()) };
        *calls += 1;
        if self.behaviour.refuses && *calls % 2 == 1 { Err(Errno::WOULDBLOCK) } else { Ok(()) }
    }

    fn room(&self, end: usize) -> usize {
        let Behaviour { capacity, step, breaks_after, .. } = self.behaviour;
        let queued = self.to.get(end).map_or(0, VecDeque::len);
        let left = breaks_after.map_or(usize::MAX, |limit| limit.saturating_sub(self.written));
        capacity.saturating_sub(queued).min(step).min(left)
    }
}
