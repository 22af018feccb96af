//! The libzmq context: its I/O thread and everything that its sockets share.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use super::errno::{last_errno, last_error};
use super::{frame, malloc};
use crate::transport::descriptors;
use crate::transport::error::SocketError;

/// Requested sockets of a context; libzmq grants what this build permits.
const MAX_SOCKETS: c_int = 65_535;

/// A handle to one libzmq context; clones share it.
///
/// Every socket holds a clone, so the context ends after its last socket. Ending waits while
/// sockets send within their linger time, and for nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    raw: NonNull<c_void>,
}

// SAFETY: libzmq documents the context as thread safe; nothing else is inside.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Context {
    /// A context with one I/O thread.
    ///
    /// # Errors
    /// When libzmq is out of memory or file descriptors.
    pub(crate) fn new() -> Result<Self, SocketError> {
        Self::with_io_threads(1)
    }

    /// A context with `count` I/O threads; one moves about a gigabyte per second.
    ///
    /// # Errors
    /// When libzmq is out of memory or file descriptors, or `count` is not positive.
    fn with_io_threads(count: i32) -> Result<Self, SocketError> {
        malloc::keep_blocks_mapped();
        descriptors::raise_limit();
        descriptors::check_reserve("create a context")?;
        // SAFETY: has no precondition; null is checked below.
        let raw = unsafe { zmq_sys::zmq_ctx_new() };
        let Some(raw) = NonNull::new(raw) else {
            return Err(last_error("create a context", None));
        };
        let context = Self { inner: Arc::new(Inner { raw }) };
        // SAFETY: `raw` is a live context, see `Inner`.
        let limit =
            unsafe { zmq_sys::zmq_ctx_get(raw.as_ptr(), zmq_sys::ZMQ_SOCKET_LIMIT as c_int) };
        context.set(zmq_sys::ZMQ_IO_THREADS, count)?;
        if limit > 0 {
            context.set(zmq_sys::ZMQ_MAX_SOCKETS, limit.min(MAX_SOCKETS))?;
        }
        // Sockets without a linger time do not delay the end of the process.
        context.set(zmq_sys::ZMQ_BLOCKY, 0)?;
        Ok(context)
    }

    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.inner.raw.as_ptr()
    }

    fn set(&self, option: u32, value: c_int) -> Result<(), SocketError> {
        // SAFETY: `raw` is a live context.
        let rc = unsafe { zmq_sys::zmq_ctx_set(self.inner.raw.as_ptr(), option as c_int, value) };
        if rc == 0 { Ok(()) } else { Err(last_error("configure the context", None)) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let context = Address(self.raw);
        if frame::is_releasing() {
            // The owner of a frame held the last handle, and libzmq releases that frame at this moment,
            // possibly on the I/O thread that `terminate` waits for: another thread must wait.
            let spawned = std::thread::Builder::new()
                .name("cortex-term".into())
                .spawn(move || terminate(context));
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start a thread to end a libzmq context; the context is leaked");
            }
        } else {
            terminate(context);
        }
    }
}

struct Address(NonNull<c_void>);

// SAFETY: the pointer is handed to the one thread that ends the context.
unsafe impl Send for Address {}

fn terminate(context: Address) {
    loop {
        // SAFETY: the last handle is gone and with it every socket, so this is the only user. A
        // call that a signal interrupted must be repeated; any other answer is final.
        let rc = unsafe { zmq_sys::zmq_ctx_term(context.0.as_ptr()) };
        if rc == 0 || last_errno() != libc::EINTR {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::socket::SubscriberOptions;
    use crate::transport::zmq::sub::ZmqSubscriber;

    #[test]
    fn a_context_without_io_threads_is_refused() {
        assert!(Context::with_io_threads(-1).is_err());
    }

    #[test]
    fn sockets_keep_their_context() {
        let context = Context::new().unwrap();
        let socket = ZmqSubscriber::new(&context, &SubscriberOptions::default()).unwrap();
        drop(context);
        drop(socket);
    }

    #[test]
    fn more_sockets_than_the_default_limit_are_possible() {
        let context = Context::new().unwrap();
        // SAFETY: a live context.
        let max =
            unsafe { zmq_sys::zmq_ctx_get(context.as_ptr(), zmq_sys::ZMQ_MAX_SOCKETS as c_int) };
        assert!(max > 1023, "{max}");
    }
}
