//! Buffers that are filled in place and then sent without a copy.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::error::SocketError;
use super::shared::SharedBlock;

/// Address of every loan, modulo this, is 0: a cache line, and enough for any SIMD load.
pub(crate) const ALIGNMENT: usize = 64;
/// Loans from this length on lie in shared memory, where their pool offers it.
const SHARED_LEN: usize = 64 * 1024;
/// Bytes of shared memory that one pool makes; further loans are private.
const SHARED_LIMIT: usize = 512 << 20;

/// A pool of buffers that are reused once the transport has sent them.
///
/// Used memory is already mapped, so filling it costs no page faults. A buffer comes back when the transport
/// releases its frame; for a subscriber that disappeared libzmq does so only within a call to the socket.
#[derive(Debug, Clone)]
pub(crate) struct LoanPool {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    /// The most unused bytes that the pool keeps.
    limit: usize,
    /// The most bytes of shared memory.
    shared_limit: usize,
    /// Bytes of the shared memory that exists.
    shared: AtomicUsize,
    blocks: Mutex<Vec<Block>>,
}

impl LoanPool {
    /// A pool that keeps up to `limit` unused bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self::with_shared_limit(limit, 0)
    }

    /// The same; long buffers lie in memory that subscribers on this machine can map, up to a limit.
    pub(crate) fn shared(limit: usize) -> Self {
        Self::with_shared_limit(limit, SHARED_LIMIT)
    }

    fn with_shared_limit(limit: usize, shared_limit: usize) -> Self {
        let (shared, blocks) = (AtomicUsize::new(0), Mutex::default());
        Self { shelf: Arc::new(Shelf { limit, shared_limit, shared, blocks }) }
    }

    /// A buffer of `len` bytes: zeros, or what an earlier loan of this pool left there.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(crate) fn take(&self, len: usize) -> Result<Loan, SocketError> {
        if let Some(loan) = self.take_unused(len) {
            return Ok(loan);
        }
        let block = match self.take_shared(len) {
            Some(block) => block,
            None => Block::zeroed(len)?,
        };
        Ok(self.loan(block, len))
    }

    /// The same in shared memory only; `None` where there is none. For a pool that is not used otherwise.
    pub(super) fn try_take_shared(&self, len: usize) -> Option<Loan> {
        self.take_unused(len).or_else(|| Some(self.loan(self.take_shared(len)?, len)))
    }

    /// The same, if a buffer of an earlier loan is unused.
    pub(crate) fn take_unused(&self, len: usize) -> Option<Loan> {
        let mut blocks = self.shelf.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        // The most recently used first, since it is cached; none that is more than twice as large.
        let fits = |block: &Block| block.capacity() >= len && block.capacity() / 2 <= len;
        let block = blocks.iter().rposition(fits).map(|at| blocks.remove(at))?;
        drop(blocks);
        Some(self.loan(block, len))
    }

    fn loan(&self, block: Block, len: usize) -> Loan {
        Loan { block: Some(block), len, home: Arc::clone(&self.shelf) }
    }

    /// A new block of shared memory, where it is worth it and allowed.
    fn take_shared(&self, len: usize) -> Option<Block> {
        let Shelf { shared_limit, shared, .. } = &*self.shelf;
        if len < SHARED_LEN || shared.load(Ordering::Relaxed).saturating_add(len) > *shared_limit {
            return None;
        }
        let block = SharedBlock::create(len)?;
        shared.fetch_add(block.len(), Ordering::Relaxed);
        Some(Block {
            data: block.data(),
            memory: Memory::Shared(block, Arc::downgrade(&self.shelf)),
        })
    }
}

impl Shelf {
    fn put(&self, block: Block) {
        if matches!(&block.memory, Memory::Shared(block, _) if block.is_retired()) {
            return;
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let used: usize = blocks.iter().map(Block::capacity).sum();
        if used.saturating_add(block.capacity()) <= self.limit {
            blocks.push(block);
        }
    }
}

/// A buffer to write into, aligned to [`ALIGNMENT`].
///
/// Its owner (see [`OwnedView`](super::OwnedView)) lends its bytes to frames.
pub(crate) struct Loan {
    /// None only once dropped.
    block: Option<Block>,
    len: usize,
    home: Arc<Shelf>,
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.block {
            // SAFETY: `len <= capacity` initialised bytes that this loan alone has.
            Some(block) => unsafe { std::slice::from_raw_parts(block.data.as_ptr(), self.len) },
            None => &[],
        }
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.block {
            // SAFETY: `len <= capacity` initialised bytes that this loan alone has.
            Some(block) => unsafe { std::slice::from_raw_parts_mut(block.data.as_ptr(), self.len) },
            None => &mut [],
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.home.put(block);
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Memory, of which all bytes are initialised, and which only the owner of this value writes.
#[derive(Debug)]
struct Block {
    data: NonNull<u8>,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Private(Layout),
    /// Also mapped to read by other processes, which read while a frame with the loan exists; and the shelf
    /// that counts it.
    Shared(Arc<SharedBlock>, Weak<Shelf>),
}

// SAFETY: memory that this value alone owns.
unsafe impl Send for Block {}
// SAFETY: through `&Block` nothing is written.
unsafe impl Sync for Block {}

impl Block {
    fn zeroed(len: usize) -> Result<Self, SocketError> {
        let exhausted = || SocketError::from_errno(libc::ENOMEM, "allocate a loan", None);
        let layout = Layout::from_size_align(len.max(1), ALIGNMENT).map_err(|_| exhausted())?;
        // SAFETY: the layout is not of size 0.
        let data = unsafe { alloc_zeroed(layout) };
        match NonNull::new(data) {
            Some(data) => Ok(Self { data, memory: Memory::Private(layout) }),
            None => Err(exhausted()),
        }
    }

    fn capacity(&self) -> usize {
        match &self.memory {
            Memory::Private(layout) => layout.size(),
            Memory::Shared(block, _) => block.len(),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        match &self.memory {
            // SAFETY: allocated with this layout, freed once.
            Memory::Private(layout) => unsafe { dealloc(self.data.as_ptr(), *layout) },
            Memory::Shared(block, shelf) => {
                if let Some(shelf) = shelf.upgrade() {
                    shelf.shared.fetch_sub(block.len(), Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::zmq::frame::COPIED_LEN;
    use crate::transport::zmq::owner::frame_of;

    #[test]
    fn a_loan_becomes_a_frame_without_a_copy() {
        let pool = LoanPool::new(1 << 20);
        for len in [0, 1, 63, 64, COPIED_LEN + 1, 100_000] {
            let mut loan = pool.take(len).unwrap();
            assert_eq!(loan.as_ptr() as usize % ALIGNMENT, 0);
            assert_eq!(loan.len(), len);
            loan.fill(0xab);
            let address = loan.as_ptr();
            let frame = frame_of(loan).unwrap();
            assert_eq!(frame.as_slice(), vec![0xab; len]);
            assert!(len <= COPIED_LEN || frame.as_slice().as_ptr() == address);
        }
    }

    #[test]
    fn a_released_loan_is_lent_again() {
        let pool = LoanPool::new(1 << 20);
        let frame = frame_of(pool.take(10_000).unwrap()).unwrap();
        let address = frame.as_slice().as_ptr();
        let other = pool.take(10_000).unwrap();
        assert_ne!(other.as_ptr(), address);
        drop(frame);
        assert_eq!(pool.take(9_000).unwrap().as_ptr(), address);
        assert_ne!(pool.take(100).unwrap().as_ptr(), address, "too large for that");
    }

    #[test]
    fn a_pool_keeps_no_more_than_its_limit() {
        let pool = LoanPool::new(1000);
        let loans: Vec<_> = (0..4).map(|_| pool.take(400).unwrap()).collect();
        drop(loans);
        assert_eq!(pool.shelf.blocks.lock().unwrap().len(), 2);
    }

    #[test]
    fn long_loans_of_a_shared_pool_lie_in_shared_memory_up_to_its_limit() {
        let pool = LoanPool::with_shared_limit(1 << 20, 2 * SHARED_LEN);
        let loans: Vec<_> = (0..3).map(|_| pool.take(SHARED_LEN).unwrap()).collect();
        let is_shared: Vec<_> =
            loans.iter().map(|loan| SharedBlock::find(loan).is_some()).collect();
        assert_eq!(is_shared, [true, true, false]);
        drop(loans);
        assert_eq!(pool.shelf.shared.load(Ordering::Relaxed), 2 * SHARED_LEN, "kept");
        let reused: Vec<_> = (0..3).map(|_| pool.take(SHARED_LEN - 1).unwrap()).collect();
        let is_shared = |loan: &&Loan| SharedBlock::find(loan).is_some();
        assert_eq!(reused.iter().filter(is_shared).count(), 2);
        drop(reused);
        let shelf = Arc::downgrade(&pool.shelf);
        drop(pool);
        assert!(shelf.upgrade().is_none());
        assert!(SharedBlock::find(&LoanPool::shared(0).take(100).unwrap()).is_none(), "short");
    }

    #[test]
    fn a_block_that_may_still_be_read_is_not_lent_again() {
        let pool = LoanPool::shared(1 << 20);
        let loan = pool.take(SHARED_LEN).unwrap();
        let (block, _) = SharedBlock::find(&loan).unwrap();
        block.retire();
        drop(loan);
        let (other, _) = SharedBlock::find(&pool.take(SHARED_LEN).unwrap()).unwrap();
        assert_ne!(other.id(), block.id());
        drop(block);
        assert_eq!(pool.shelf.shared.load(Ordering::Relaxed), SHARED_LEN);
    }

    #[test]
    fn without_shared_memory_a_loan_that_must_lie_there_is_none() {
        let pool = LoanPool::with_shared_limit(1 << 20, SHARED_LEN);
        let loan = pool.try_take_shared(SHARED_LEN).unwrap();
        assert!(pool.try_take_shared(SHARED_LEN).is_none(), "beyond the limit");
        drop(loan);
        assert!(pool.try_take_shared(SHARED_LEN).is_some());
        assert!(pool.try_take_shared(SHARED_LEN - 1).is_some(), "in the same memory");
        assert!(LoanPool::new(1 << 20).try_take_shared(SHARED_LEN).is_none());
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        assert!(LoanPool::new(0).take(usize::MAX).is_err());
    }
}
