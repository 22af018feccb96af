//! One part of a message: bytes that libzmq owns, shares or borrows from an owner.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use zmq_sys::zmq_msg_t;

use super::errno::last_error;
use crate::transport::error::SocketError;

/// Up to this length a copy costs less than keeping an owner until libzmq releases it. Measured with one
/// subscriber over ipc: a tenth less at 33 bytes, the same at 1 KiB, a tenth more at 4 KiB.
pub(in crate::transport) const COPIED_LEN: usize = 1024;

/// One message part.
///
/// Shape: any number of bytes, at any address: a received part of less than about 8 KiB lies
/// somewhere inside a buffer that it shares with others and keeps alive.
pub(crate) struct Frame {
    raw: zmq_msg_t,
}

// SAFETY: a message has no tie to a thread; the count of shared content is atomic, and owners are
// `Send + Sync` (see `from_raw_owner`).
unsafe impl Send for Frame {}
// SAFETY: through `&Frame` the message is only read, and reading changes nothing inside libzmq.
unsafe impl Sync for Frame {}

impl Frame {
    /// A frame of no bytes.
    pub(crate) fn empty() -> Self {
        let mut raw = zmq_msg_t::default();
        // SAFETY: initialises the 64 bytes it is given; documented to always succeed.
        unsafe { zmq_sys::zmq_msg_init(&mut raw) };
        Self { raw }
    }

    /// A frame with its own copy of `bytes`.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(crate) fn from_copy(bytes: &[u8]) -> Result<Self, SocketError> {
        let mut raw = zmq_msg_t::default();
        // SAFETY: initialises the 64 bytes it is given, or fails and leaves nothing to close.
        let rc = unsafe { zmq_sys::zmq_msg_init_size(&mut raw, bytes.len()) };
        if rc != 0 {
            return Err(last_error("allocate a frame", None));
        }
        let mut frame = Self { raw };
        // SAFETY: the message was just made with room for exactly `bytes.len()` bytes, no other
        // code has it, and new memory does not overlap `bytes`.
        unsafe {
            let target = zmq_sys::zmq_msg_data(&mut frame.raw).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
        Ok(frame)
    }

    /// A frame of `len` bytes at `data`, which it borrows from `owner` and keeps alive.
    ///
    /// The count of `owner` is dropped when libzmq has sent the bytes to every subscriber, on any thread; if
    /// this call fails, at once.
    ///
    /// # Safety
    /// The bytes must be initialised and must stay valid and unchanged while any count of `owner`
    /// exists, and no code may need `&mut T` before that.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(super) unsafe fn from_raw_owner<T: Send + Sync + 'static>(
        owner: Arc<T>,
        data: *const u8,
        len: usize,
    ) -> Result<Self, SocketError> {
        if len <= COPIED_LEN {
            // SAFETY: the caller promises `len` initialised bytes while `owner` lives.
            return Self::from_copy(unsafe { std::slice::from_raw_parts(data, len) });
        }
        let hint = Arc::into_raw(owner);
        let mut raw = zmq_msg_t::default();
        // SAFETY: libzmq only reads data it is to send, so the cast to `*mut` does not write.
        // `release::<T>` gets exactly the pointer that `Arc::into_raw::<T>` gave, once.
        let rc = unsafe {
            zmq_sys::zmq_msg_init_data(
                &mut raw,
                data.cast_mut().cast::<c_void>(),
                len,
                Some(release::<T>),
                hint.cast_mut().cast::<c_void>(),
            )
        };
        if rc != 0 {
            let error = last_error("allocate a frame", None);
            // SAFETY: libzmq made no message, so it will not call `release`: the count is ours.
            drop(unsafe { Arc::from_raw(hint) });
            return Err(error);
        }
        Ok(Self { raw })
    }

    /// This frame with a count that lasts until libzmq has sent it to every subscriber, or discarded it.
    ///
    /// # Errors
    /// When memory is exhausted; the count is then as before.
    pub(super) fn counted(self, count: &Arc<AtomicUsize>) -> Result<Self, SocketError> {
        // SAFETY: `malloc` has no precondition; null is checked.
        let hint = unsafe { libc::malloc(size_of::<Counted>()) }.cast::<Counted>();
        if hint.is_null() {
            return Err(SocketError::from_errno(libc::ENOMEM, "allocate a frame", None));
        }
        count.fetch_add(1, Ordering::SeqCst);
        // SAFETY: fresh memory for one `Counted`, aligned as malloc aligns everything. The bytes are read
        // from where the frame lies now, because those of a short frame are inside of it.
        let (data, len) = unsafe {
            hint.write(Counted { frame: self, count: Arc::clone(count) });
            let bytes = (*hint).frame.as_slice();
            (bytes.as_ptr(), bytes.len())
        };
        let mut raw = zmq_msg_t::default();
        // SAFETY: libzmq only reads data it is to send, which the frame in `hint` owns, and the frame does
        // not move. `release_counted` gets the pointer once.
        let rc = unsafe {
            zmq_sys::zmq_msg_init_data(
                &mut raw,
                data.cast_mut().cast::<c_void>(),
                len,
                Some(release_counted),
                hint.cast::<c_void>(),
            )
        };
        if rc != 0 {
            let error = last_error("allocate a frame", None);
            // SAFETY: libzmq made no message, so it will not call `release_counted`.
            unsafe { release_counted(std::ptr::null_mut(), hint.cast()) };
            return Err(error);
        }
        Ok(Self { raw })
    }

    /// A second frame with the same bytes; long ones are shared, not copied.
    ///
    /// # Errors
    /// When libzmq refuses, which it does for an invalid message only.
    pub(crate) fn share(&mut self) -> Result<Self, SocketError> {
        let mut copy = Self::empty();
        // SAFETY: both are initialised messages and exclusively borrowed.
        let rc = unsafe { zmq_sys::zmq_msg_copy(&mut copy.raw, &mut self.raw) };
        if rc == 0 { Ok(copy) } else { Err(last_error("share a frame", None)) }
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        let raw = std::ptr::from_ref(&self.raw);
        // SAFETY: an initialised message; `zmq_msg_data` and `zmq_msg_size` only read it, whatever
        // their signature says. The bytes live until the message is closed, moved from or sent, all
        // of which take `&mut self`. The pointer of an empty message may be null.
        unsafe {
            let len = zmq_sys::zmq_msg_size(raw);
            let data = zmq_sys::zmq_msg_data(raw.cast_mut()).cast::<u8>().cast_const();
            if len == 0 || data.is_null() { &[] } else { std::slice::from_raw_parts(data, len) }
        }
    }

    /// Whether this was received with more parts of the same message behind it.
    pub(super) fn has_more(&self) -> bool {
        // SAFETY: an initialised message, only read.
        unsafe { zmq_sys::zmq_msg_more(&self.raw) != 0 }
    }

    /// Sends; afterwards this frame is empty. On failure it still holds its bytes.
    ///
    /// # Safety
    /// `socket` is an open socket that no other thread uses meanwhile.
    pub(super) unsafe fn send_raw(&mut self, socket: *mut c_void, flags: c_int) -> c_int {
        // SAFETY: as the caller promises; the message is initialised.
        unsafe { zmq_sys::zmq_msg_send(&mut self.raw, socket, flags) }
    }

    /// Receives into this frame, whose old bytes are released.
    ///
    /// # Safety
    /// `socket` is an open socket that no other thread uses meanwhile.
    pub(super) unsafe fn recv_raw(&mut self, socket: *mut c_void, flags: c_int) -> c_int {
        // SAFETY: as the caller promises; the message is initialised.
        unsafe { zmq_sys::zmq_msg_recv(&mut self.raw, socket, flags) }
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::empty()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: an initialised message, closed once. (libzmq messages hold no pointer into
        // themselves, which is why a `Frame` may be moved.)
        unsafe { zmq_sys::zmq_msg_close(&mut self.raw) };
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("len", &self.as_slice().len()).finish_non_exhaustive()
    }
}

/// What a counted frame keeps. It lies in memory of malloc: publishing does not use Rust's allocator.
struct Counted {
    frame: Frame,
    count: Arc<AtomicUsize>,
}

/// Drops a frame that was sent, and its count; libzmq calls it, on any of its threads.
unsafe extern "C" fn release_counted(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is what `counted` wrote, and libzmq calls this once per message content.
    let Counted { frame, count } = unsafe { hint.cast::<Counted>().read() };
    drop(frame);
    count.fetch_sub(1, Ordering::SeqCst);
    drop(count);
    let _ = RELEASED.try_with(|released| released.set(released.get().wrapping_add(1)));
    // SAFETY: allocated by `counted`, and moved out of above.
    unsafe { libc::free(hint) };
}

thread_local! {
    static RELEASING: Cell<bool> = const { Cell::new(false) };
    static RELEASED: Cell<u64> = const { Cell::new(0) };
}

/// The number of counted frames that libzmq has released on this thread.
///
/// A frame that is released within the call that sends it was queued for no subscriber: libzmq's other
/// threads release those that are sent.
pub(super) fn released_on_this_thread() -> u64 {
    RELEASED.try_with(Cell::get).unwrap_or(0)
}

/// True while libzmq releases a frame's owner on this thread.
///
/// The `Drop` of the owner, which runs then, must not wait for libzmq.
pub(super) fn is_releasing() -> bool {
    RELEASING.try_with(Cell::get).unwrap_or(false)
}

/// Drops one count of an owner; libzmq calls it, on any of its threads.
unsafe extern "C" fn release<T: Send + Sync>(_data: *mut c_void, hint: *mut c_void) {
    let before = RELEASING.try_with(|flag| flag.replace(true)).unwrap_or(false);
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `hint` came from `Arc::into_raw::<T>` and libzmq calls this once per message
        // content; `T: Send + Sync`, so this thread may be the one to drop it.
        drop(unsafe { Arc::from_raw(hint.cast_const().cast::<T>()) });
    }));
    if let Err(panic) = dropped {
        // A panic may not unwind into libzmq, and dropping its payload may panic again.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            forget(again);
        }
        tracing::error!("the owner of a published frame panicked while it was dropped");
    }
    let _ = RELEASING.try_with(|flag| flag.set(before));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Tell(Vec<u8>, mpsc::Sender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }

    fn told(len: usize) -> (Arc<Tell>, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel();
        (Arc::new(Tell(vec![7; len], sender)), receiver)
    }

    fn frame_of(owner: &Arc<Tell>) -> Frame {
        // SAFETY: the vector is never changed and lives in the owner.
        unsafe { Frame::from_raw_owner(Arc::clone(owner), owner.0.as_ptr(), owner.0.len()) }
            .unwrap()
    }

    #[test]
    fn a_copy_has_the_bytes_at_every_length() {
        for len in [0, 1, 29, 30, 31, 32, 33, 34, 64, 8192, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let frame = Frame::from_copy(&bytes).unwrap();
            assert_eq!(frame.as_slice(), bytes);
            let mut moved = Box::new(frame);
            let shared = moved.share().unwrap();
            assert_eq!(moved.as_slice(), bytes);
            drop(moved);
            assert_eq!(shared.as_slice(), bytes);
        }
    }

    #[test]
    fn an_owner_lives_as_long_as_its_last_frame() {
        let (owner, dropped) = told(COPIED_LEN + 1);
        let first = frame_of(&owner);
        let second = frame_of(&owner);
        assert_eq!(first.as_slice().as_ptr(), owner.0.as_ptr());
        drop(owner);
        drop(first);
        assert!(dropped.try_recv().is_err());
        assert_eq!(second.as_slice(), [7; COPIED_LEN + 1]);
        drop(second);
        dropped.try_recv().unwrap();
    }

    #[test]
    fn a_short_frame_is_copied_and_needs_no_owner() {
        let (owner, dropped) = told(COPIED_LEN);
        let frame = frame_of(&owner);
        drop(owner);
        dropped.try_recv().unwrap();
        assert_eq!(frame.as_slice(), [7; COPIED_LEN]);
    }

    #[test]
    fn a_counted_frame_counts_until_its_last_share_is_gone() {
        let count = Arc::new(AtomicUsize::new(0));
        for len in [0, 5, 33, 34, 100_000] {
            let bytes = vec![3; len];
            let mut frame = Frame::from_copy(&bytes).unwrap().counted(&count).unwrap();
            assert_eq!(frame.as_slice(), bytes);
            let shared = frame.share().unwrap();
            drop(frame);
            assert_eq!((shared.as_slice(), count.load(Ordering::SeqCst)), (&bytes[..], 1));
            drop(shared);
            assert_eq!(count.load(Ordering::SeqCst), 0);
        }
    }

    #[test]
    fn a_panicking_owner_does_not_unwind_into_libzmq() {
        struct Bomb(Vec<u8>);
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("boom");
            }
        }
        let owner = Arc::new(Bomb(vec![1; COPIED_LEN + 1]));
        let data = owner.0.as_ptr();
        // SAFETY: the vector is never changed and lives in the owner.
        let frame = unsafe { Frame::from_raw_owner(owner, data, COPIED_LEN + 1) }.unwrap();
        drop(frame);
        assert!(!is_releasing());
    }

    #[test]
    fn frames_can_be_read_by_several_threads() {
        let frame = Arc::new(Frame::from_copy(&[3; 5000]).unwrap());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let frame = Arc::clone(&frame);
                std::thread::spawn(move || {
                    frame.as_slice().iter().map(|b| u32::from(*b)).sum::<u32>()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 15_000);
        }
    }
}
