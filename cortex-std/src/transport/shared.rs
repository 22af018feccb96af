//! Memory that a publisher shares with subscribers on its machine.
//!
//! A [`SharedBlock`] is a memfd that its publisher has mapped to write. It is sealed: no other process can map
//! it to write, and no process can shrink it. A [`Mapping`] is a subscriber's read-only view of such a block,
//! which is refused unless the seals are there.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use crate::mutex::Mutex;

/// The seals of every block.
const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);
/// Blocks are made of whole pages.
const PAGE: usize = 4096;
/// Blocks from this length on are worth huge pages, where the system offers them.
const HUGE: usize = 2 << 20;
/// The file system of a memfd without huge pages, in `fstatfs`.
const TMPFS: i64 = 0x0102_1994;

/// The environment variable that turns shared memory off: `off`, or `on`.
const VARIABLE: &str = "CORTEX_SHARED_MEMORY";

/// Whether this process shares memory, where no builder chooses.
pub(crate) fn shares_memory_by_default() -> bool {
    static CHOICE: OnceLock<bool> = OnceLock::new();
    *CHOICE.get_or_init(|| match std::env::var(VARIABLE).as_deref() {
        Ok("off") => false,
        Ok("on") | Err(_) => true,
        Ok(other) => {
            tracing::warn!("{VARIABLE}={other:?} is neither on nor off; using on");
            true
        }
    })
}

/// Makes and drops some shared memory.
///
/// # Errors
/// When the system refuses it.
pub(crate) fn try_memory() -> std::io::Result<()> {
    SharedBlock::try_create(1).map(drop).map_err(Into::into)
}

/// The blocks of this process, by address.
static BLOCKS: Mutex<BTreeMap<usize, Weak<SharedBlock>>> = Mutex::new(BTreeMap::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(1);
/// Whether a refusal of the system was logged.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Memory of this process that other processes can map to read.
#[derive(Debug)]
pub(super) struct SharedBlock {
    id: u32,
    descriptor: OwnedFd,
    data: NonNull<u8>,
    len: usize,
    /// Whether a process may read it that does not tell when it is done.
    is_retired: AtomicBool,
}

// SAFETY: the memory is mapped until the block is dropped, on any thread; who may write it is decided by the
// owner of the block (see `loan`).
unsafe impl Send for SharedBlock {}
// SAFETY: `&SharedBlock` gives its address only, and a flag.
unsafe impl Sync for SharedBlock {}

impl SharedBlock {
    /// A block of at least `len` zero bytes; `None` where the system refuses, which is logged once.
    pub(super) fn create(len: usize) -> Option<Arc<Self>> {
        match Self::try_create(len) {
            Ok(block) => Some(block),
            Err(errno) => {
                if !IS_REFUSED.swap(true, Ordering::Relaxed) {
                    let error = std::io::Error::from(errno);
                    tracing::warn!(%error, len, "no shared memory: large arrays go through sockets");
                }
                None
            }
        }
    }

    fn try_create(len: usize) -> Result<Arc<Self>, Errno> {
        let len = len.max(1).checked_next_multiple_of(PAGE).ok_or(Errno::NOMEM)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let descriptor = rustix::fs::memfd_create("cortex", flags)?;
        rustix::fs::ftruncate(&descriptor, len as u64)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let data = unsafe {
            mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, descriptor.as_fd(), 0)?
        };
        let data = NonNull::new(data.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let block =
            Arc::new(Self { id, descriptor, data, len, is_retired: AtomicBool::new(false) });
        let advise = |advice| {
            // SAFETY: the mapping of this block; the advice changes no contents. A kernel that does not know
            // it only makes the first use slower.
            let _ = unsafe { madvise(data.as_ptr().cast(), len, advice) };
        };
        if len >= HUGE {
            advise(Advice::LinuxHugepage);
        }
        advise(Advice::LinuxPopulateWrite);
        fcntl_add_seals(&block.descriptor, SEALS)?;
        BLOCKS.lock().insert(data.as_ptr().addr(), Arc::downgrade(&block));
        Ok(block)
    }

    /// The block in which `bytes` lie, and where they start there.
    pub(super) fn find(bytes: &[u8]) -> Option<(Arc<Self>, usize)> {
        let address = bytes.as_ptr().addr();
        let found = BLOCKS.lock().range(..=address).next_back().map(|(_, block)| block.clone());
        // Outside of the lock: this may become the last handle to the block, whose drop locks.
        let block = found?.upgrade()?;
        let offset = address.checked_sub(block.data.as_ptr().addr())?;
        (offset.checked_add(bytes.len())? <= block.len).then_some((block, offset))
    }

    /// Differs from that of every other block of this process.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Never write to it again: a subscriber has left that may still read it.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Whether it is not to be used again.
    pub(super) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    pub(super) fn data(&self) -> NonNull<u8> {
        self.data
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for SharedBlock {
    fn drop(&mut self) {
        BLOCKS.lock().remove(&self.data.as_ptr().addr());
        // SAFETY: the mapping of `try_create`, unmapped once; loans hold the block while they use it.
        let _ = unsafe { munmap(self.data.as_ptr().cast(), self.len) };
    }
}

/// Why a descriptor of another process is not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MappingError {
    #[error("it is no memfd")]
    NoMemory,
    #[error("it can still be shrunk or written by others: seals {found:#x}")]
    Seals { found: u32 },
    #[error("it has {found} bytes instead of {claimed}")]
    Length { claimed: u64, found: u64 },
    #[error("it cannot be mapped: {0}")]
    System(Errno),
}

/// Memory of another process, mapped to read.
///
/// # Why slices of it are sound
///
/// - The pages stay: the memfd is on tmpfs (no huge page that could be missing), sealed against shrinking
///   and, with FUTURE_WRITE, against punching holes, and long enough. So reading never faults.
/// - No other process writes: with FUTURE_WRITE sealed, the one writable mapping is that of the publisher, made
///   before the seal. It lends a block by a lease and writes to it again only when every subscriber has
///   returned its lease, so the bytes do not change while a [`Lease`](super::local) exists. What a
///   subscriber has not returned when its connection ends is never written again.
/// - A publisher that breaks this (it would have to be malicious, or corrupt its own memory) can change
///   bytes while they are read. The slices are handed out as array bytes only, whose items are valid
///   whatever their bits are; header and metadata, on which checks depend, never lie here. A `&[bool]` of
///   such bytes is the exception: `ArrayView::as_slice` checks them once only.
#[derive(Debug)]
pub(super) struct Mapping {
    data: NonNull<u8>,
    len: usize,
}

// SAFETY: memory that is only read, mapped until it is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a memfd that another process sent.
    ///
    /// # Errors
    /// When it is not what [`SharedBlock`] makes.
    pub(super) fn new(descriptor: &OwnedFd, len: u64) -> Result<Self, MappingError> {
        let Ok(seals) = fcntl_get_seals(descriptor) else { return Err(MappingError::NoMemory) };
        let is_constant = seals.intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE);
        if !seals.contains(SealFlags::SHRINK) || !is_constant {
            return Err(MappingError::Seals { found: seals.bits() });
        }
        let system = fstatfs(descriptor).map_err(MappingError::System)?;
        #[allow(clippy::unnecessary_cast, reason = "the type differs between targets")]
        if system.f_type as i64 != TMPFS {
            return Err(MappingError::NoMemory);
        }
        let found = fstat(descriptor).map_err(MappingError::System)?.st_size;
        let found = u64::try_from(found).unwrap_or(0);
        let bytes = usize::try_from(len).unwrap_or(0);
        if bytes == 0 || found < len {
            return Err(MappingError::Length { claimed: len, found });
        }
        let flags = MapFlags::SHARED;
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that is long enough.
        let data = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ, flags, descriptor.as_fd(), 0)
        };
        let data = data.map_err(MappingError::System)?;
        match NonNull::new(data.cast::<u8>()) {
            Some(data) => Ok(Self { data, len: bytes }),
            None => Err(MappingError::System(Errno::NOMEM)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that the publisher has lent. The caller holds a lease for them.
    pub(super) fn slice(&self, offset: usize, len: usize) -> Option<&[u8]> {
        let end = offset.checked_add(len)?;
        // SAFETY: within the mapping, which lives as long as `self`; unchanged as the type's documentation
        // tells.
        (end <= self.len)
            .then(|| unsafe { std::slice::from_raw_parts(self.data.as_ptr().add(offset), len) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, unmapped once.
        let _ = unsafe { munmap(self.data.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duplicate(block: &SharedBlock) -> OwnedFd {
        block.fd().try_clone_to_owned().unwrap()
    }

    fn fill(block: &SharedBlock, value: u8) {
        // SAFETY: the test is the only user of the block.
        unsafe { std::ptr::write_bytes(block.data().as_ptr(), value, block.len()) };
    }

    #[test]
    fn another_mapping_reads_what_the_block_has() {
        let block = SharedBlock::create(10_000).unwrap();
        assert_eq!(block.len(), 12_288, "whole pages");
        fill(&block, 7);
        let mapping = Mapping::new(&duplicate(&block), 10_000).unwrap();
        assert_eq!(mapping.slice(1, 9_999).unwrap(), [7; 9_999]);
        assert_eq!((mapping.slice(1, 10_000), mapping.slice(usize::MAX, 2)), (None, None));
        drop(block);
        assert_eq!(mapping.slice(0, 1).unwrap(), [7], "the memory lives as long as a mapping");
    }

    #[test]
    fn bytes_are_found_in_their_block_only() {
        let block = SharedBlock::create(PAGE).unwrap();
        // SAFETY: initialised memory of the block, which nothing writes here.
        let bytes = unsafe { std::slice::from_raw_parts(block.data().as_ptr(), block.len()) };
        let (found, offset) = SharedBlock::find(&bytes[100..]).unwrap();
        assert_eq!((found.id(), offset), (block.id(), 100));
        drop(found);
        assert!(SharedBlock::find(&[0; 100]).is_none());
        let address = block.data().as_ptr().addr();
        drop(block);
        assert!(!BLOCKS.lock().contains_key(&address));
    }

    #[test]
    fn a_block_may_be_dropped_while_bytes_behind_it_are_looked_up() {
        let block = SharedBlock::create(PAGE).unwrap();
        // SAFETY: initialised memory of the block, which nothing writes here.
        let behind = unsafe { std::slice::from_raw_parts(block.data().as_ptr(), block.len()) };
        std::thread::scope(|scope| {
            let finder = scope.spawn(|| {
                for _ in 0..20_000 {
                    // No block: the one below it is found and then refused.
                    assert!(SharedBlock::find(&[0; 100]).is_none());
                    assert!(SharedBlock::find(behind).is_some());
                }
            });
            while !finder.is_finished() {
                drop(SharedBlock::create(PAGE).unwrap());
            }
        });
    }

    #[test]
    fn no_other_process_can_write_shrink_or_grow_a_block() {
        let block = SharedBlock::create(PAGE).unwrap();
        let fd = duplicate(&block);
        assert_eq!(rustix::fs::ftruncate(&fd, 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&fd, 1 << 20), Err(Errno::PERM));
        assert_eq!(rustix::io::pwrite(&fd, b"x", 0), Err(Errno::PERM));
        let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        assert_eq!(rustix::fs::fallocate(&fd, punch, 0, 4096), Err(Errno::PERM));
        assert_eq!(fcntl_add_seals(&fd, SealFlags::WRITE), Err(Errno::PERM));
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, which is refused.
        let mapped = unsafe {
            mmap(std::ptr::null_mut(), PAGE, protection, MapFlags::SHARED, fd.as_fd(), 0)
        };
        assert_eq!(mapped.map(|_| ()), Err(Errno::PERM));
        let mapping = Mapping::new(&fd, PAGE as u64).unwrap();
        // SAFETY: the mapping of this test; the change is refused.
        let changed = unsafe {
            rustix::mm::mprotect(
                mapping.data.as_ptr().cast(),
                PAGE,
                rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE,
            )
        };
        assert_eq!(changed, Err(Errno::ACCESS));
    }

    #[test]
    fn what_could_fault_or_change_is_not_mapped() {
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        assert!(Mapping::new(&file, 1).is_err(), "a file");
        let (pipe, _) = rustix::pipe::pipe().unwrap();
        assert_eq!(Mapping::new(&pipe, 1).unwrap_err(), MappingError::NoMemory);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create("test", flags).unwrap();
        rustix::fs::ftruncate(&memory, 4096).unwrap();
        assert_eq!(Mapping::new(&memory, 4096).unwrap_err(), MappingError::Seals { found: 0 });
        fcntl_add_seals(&memory, SealFlags::SHRINK).unwrap();
        let found = SealFlags::SHRINK.bits();
        assert_eq!(Mapping::new(&memory, 4096).unwrap_err(), MappingError::Seals { found });
        fcntl_add_seals(&memory, SealFlags::FUTURE_WRITE).unwrap();
        Mapping::new(&memory, 4096).unwrap();
        for claimed in [0, 4097, u64::MAX] {
            let error = Mapping::new(&memory, claimed).unwrap_err();
            assert_eq!(error, MappingError::Length { claimed, found: 4096 });
        }
    }
}
