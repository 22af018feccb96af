//! Buffers that are filled in place and then sent without a copy.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::SocketError;

/// Address of every loan, modulo this, is 0: a cache line, and enough for any SIMD load.
pub(crate) const ALIGNMENT: usize = 64;

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
    blocks: Mutex<Vec<Block>>,
}

impl LoanPool {
    /// A pool that keeps up to `limit` unused bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { shelf: Arc::new(Shelf { limit, blocks: Mutex::default() }) }
    }

    /// A buffer of `len` bytes: zeros, or what an earlier loan of this pool left there.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(crate) fn take(&self, len: usize) -> Result<Loan, SocketError> {
        let mut blocks = self.shelf.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        // The most recently used first, since it is cached; none that is more than twice as large.
        let fits = |block: &Block| block.capacity() >= len && block.capacity() / 2 <= len;
        let found = blocks.iter().rposition(fits).map(|at| blocks.remove(at));
        drop(blocks);
        let block = match found {
            Some(block) => block,
            None => Block::zeroed(len)?,
        };
        Ok(Loan { block: Some(block), len, home: Arc::clone(&self.shelf) })
    }
}

impl Shelf {
    fn put(&self, block: Block) {
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

/// An allocation; all of its bytes are initialised.
#[derive(Debug)]
struct Block {
    data: NonNull<u8>,
    layout: Layout,
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
            Some(data) => Ok(Self { data, layout }),
            None => Err(exhausted()),
        }
    }

    fn capacity(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.data.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::zmq::frame::{COPIED_LEN, Frame};
    use crate::transport::zmq::owner::{OwnedView, ViewFamily};

    struct Plain;
    impl ViewFamily for Plain {
        type View<'a> = &'a [u8];
    }

    fn into_frame(loan: Loan) -> Frame {
        let owned = OwnedView::<Plain, Loan>::new(Arc::new(loan), |loan| loan);
        owned.with(|view, maker| maker.frame(view).unwrap())
    }

    #[test]
    fn a_loan_becomes_a_frame_without_a_copy() {
        let pool = LoanPool::new(1 << 20);
        for len in [0, 1, 63, 64, COPIED_LEN + 1, 100_000] {
            let mut loan = pool.take(len).unwrap();
            assert_eq!(loan.as_ptr() as usize % ALIGNMENT, 0);
            assert_eq!(loan.len(), len);
            loan.fill(0xab);
            let address = loan.as_ptr();
            let frame = into_frame(loan);
            assert_eq!(frame.as_slice(), vec![0xab; len]);
            assert!(len <= COPIED_LEN || frame.as_slice().as_ptr() == address);
        }
    }

    #[test]
    fn a_released_loan_is_lent_again() {
        let pool = LoanPool::new(1 << 20);
        let frame = into_frame(pool.take(10_000).unwrap());
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
    fn an_impossible_length_is_an_error() {
        assert!(LoanPool::new(0).take(usize::MAX).is_err());
    }
}
