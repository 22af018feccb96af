//! The shared memory that a publisher lends to a subscriber.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::sharing::{Lend, Sharing};
use crate::transport::shared::{Mapping, MappingError};

/// The most buffers of one publisher.
const MAX_BUFFERS: usize = 1024;
/// The most bytes of all buffers of one publisher.
const MAX_BYTES: u64 = 4 << 30;
/// The most descriptors that were passed and not named yet.
const MAX_DESCRIPTORS: usize = 16;
/// Topic, header and metadata are never lent: checks depend on them.
const FIRST_PART: u32 = 3;

/// Returns a lease to the publisher.
pub(super) type GiveBack = Arc<dyn Fn(u32) + Send + Sync>;

/// Why a publisher's shared memory is not used; the connection is then closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LeaseError {
    #[error("a buffer came without a descriptor")]
    NoDescriptor,
    #[error("buffer {id} is there already")]
    Known { id: u32 },
    #[error("there are more than {MAX_BUFFERS} buffers or {MAX_BYTES} bytes")]
    TooMany,
    #[error("a descriptor is not mapped: {0}")]
    Mapping(#[from] MappingError),
    #[error("buffer {id} is not there")]
    Unknown { id: u32 },
    #[error("a part is beyond the end of buffer {id}")]
    Range { id: u32 },
    #[error("part {part} cannot be lent")]
    Part { part: u32 },
}

/// The buffers of one connection.
pub(super) struct Leases {
    /// Descriptors that came with the bytes received last.
    pub(super) descriptors: VecDeque<OwnedFd>,
    buffers: HashMap<u32, Arc<Mapping>>,
    bytes: u64,
    give_back: GiveBack,
}

impl Leases {
    pub(super) fn new(give_back: GiveBack) -> Self {
        Self { descriptors: VecDeque::new(), buffers: HashMap::new(), bytes: 0, give_back }
    }

    /// Processes a command; returns a part of the next message where it lends one.
    ///
    /// # Errors
    /// When the publisher lends what cannot be used safely.
    pub(super) fn receive(&mut self, command: Sharing) -> Result<Option<(u32, Lease)>, LeaseError> {
        match command {
            Sharing::Buffer { id, len: 0 } => self.forget(id).map(|()| None),
            Sharing::Buffer { id, len } => self.map(id, len).map(|()| None),
            Sharing::Lend(lend) => self.lend(lend).map(|lease| Some((lend.part, lease))),
            Sharing::Return { .. } => Ok(None),
        }
    }

    fn map(&mut self, id: u32, len: u64) -> Result<(), LeaseError> {
        let descriptor = self.descriptors.pop_front().ok_or(LeaseError::NoDescriptor)?;
        if self.buffers.contains_key(&id) {
            return Err(LeaseError::Known { id });
        }
        let bytes = self.bytes.saturating_add(len);
        if self.buffers.len() >= MAX_BUFFERS || bytes > MAX_BYTES {
            return Err(LeaseError::TooMany);
        }
        self.buffers.insert(id, Arc::new(Mapping::new(&descriptor, len)?));
        self.bytes = bytes;
        Ok(())
    }

    /// Unmaps a buffer, once no message uses it.
    fn forget(&mut self, id: u32) -> Result<(), LeaseError> {
        let mapping = self.buffers.remove(&id).ok_or(LeaseError::Unknown { id })?;
        self.bytes = self.bytes.saturating_sub(mapping.len() as u64);
        Ok(())
    }

    fn lend(&self, lend: Lend) -> Result<Lease, LeaseError> {
        let Lend { part, lease, id, offset, len } = lend;
        if part < FIRST_PART {
            return Err(LeaseError::Part { part });
        }
        let mapping = self.buffers.get(&id).ok_or(LeaseError::Unknown { id })?;
        let range = LeaseError::Range { id };
        let offset = usize::try_from(offset).map_err(|_| range)?;
        let len = usize::try_from(len).map_err(|_| range)?;
        mapping.slice(offset, len).ok_or(range)?;
        let give_back = Arc::clone(&self.give_back);
        Ok(Lease { mapping: Arc::clone(mapping), offset, len, number: lease, give_back })
    }

    /// Keeps descriptors until the command that names them; too many are closed.
    pub(super) fn add(&mut self, descriptor: OwnedFd) {
        if self.descriptors.len() < MAX_DESCRIPTORS {
            self.descriptors.push_back(descriptor);
        }
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("buffers", &self.buffers.len()).finish_non_exhaustive()
    }
}

/// A part of a message in memory of its publisher, which gets it back when this is dropped.
pub(super) struct Lease {
    mapping: Arc<Mapping>,
    offset: usize,
    len: usize,
    number: u32,
    give_back: GiveBack,
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapping.slice(self.offset, self.len).unwrap_or_default()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        (self.give_back)(self.number);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutex::Mutex;
    use crate::transport::shared::SharedBlock;

    fn leases() -> (Leases, Arc<Mutex<Vec<u32>>>) {
        let returned = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&returned);
        (Leases::new(Arc::new(move |number| list.lock().push(number))), returned)
    }

    fn lend(offset: u64, len: u64) -> Sharing {
        Sharing::Lend(Lend { part: 3, lease: 9, id: 1, offset, len })
    }

    #[test]
    fn a_part_is_returned_once_when_it_is_dropped() {
        let (mut leases, returned) = leases();
        let block = SharedBlock::create(8192).unwrap();
        leases.add(block.fd().try_clone_to_owned().unwrap());
        assert!(leases.receive(Sharing::Buffer { id: 1, len: 8192 }).unwrap().is_none());
        let (part, lease) = leases.receive(lend(100, 8000)).unwrap().unwrap();
        assert_eq!((part, &lease[..]), (3, &[0; 8000][..]));
        assert!(leases.receive(Sharing::Buffer { id: 1, len: 0 }).unwrap().is_none());
        assert_eq!(lease.len(), 8000, "a forgotten buffer stays while a message uses it");
        assert_eq!(leases.receive(lend(0, 1)).unwrap_err(), LeaseError::Unknown { id: 1 });
        assert!(returned.lock().is_empty());
        drop(lease);
        assert_eq!(*returned.lock(), [9]);
        assert_eq!(leases.bytes, 0);
    }

    #[test]
    fn what_a_publisher_must_not_lend_is_an_error() {
        let (mut leases, _) = leases();
        let buffer = |id, len| Sharing::Buffer { id, len };
        let error = |leases: &mut Leases, command| leases.receive(command).unwrap_err();
        assert_eq!(error(&mut leases, buffer(1, 4096)), LeaseError::NoDescriptor);
        let block = SharedBlock::create(4096).unwrap();
        for _ in 0..2 * MAX_DESCRIPTORS {
            leases.add(block.fd().try_clone_to_owned().unwrap());
        }
        assert_eq!(leases.descriptors.len(), MAX_DESCRIPTORS);
        leases.receive(buffer(1, 4096)).unwrap();
        assert_eq!(error(&mut leases, buffer(1, 4096)), LeaseError::Known { id: 1 });
        assert!(matches!(error(&mut leases, buffer(2, 4097)), LeaseError::Mapping(_)));
        assert_eq!(error(&mut leases, buffer(2, MAX_BYTES)), LeaseError::TooMany);
        assert_eq!(error(&mut leases, buffer(7, 0)), LeaseError::Unknown { id: 7 });
        for (offset, len) in [(0, 4097), (4096, 1), (u64::MAX, 2), (1, u64::MAX)] {
            assert_eq!(error(&mut leases, lend(offset, len)), LeaseError::Range { id: 1 });
        }
        for part in 0..FIRST_PART {
            let command = Sharing::Lend(Lend { part, lease: 9, id: 1, offset: 0, len: 1 });
            assert_eq!(error(&mut leases, command), LeaseError::Part { part });
        }
    }
}
