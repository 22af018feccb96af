//! A libzmq socket of any kind.

use std::ffi::{CString, c_int, c_void};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::context::Context;
use super::errno::{self, last_errno};
use super::frame::Frame;
use crate::transport::descriptors;
use crate::transport::error::SocketError;
use crate::transport::event::{EventSource, wait_at};
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::multipart::Multipart;

const DONTWAIT: c_int = zmq_sys::ZMQ_DONTWAIT as c_int;
pub(in crate::transport) const SNDMORE: c_int = zmq_sys::ZMQ_SNDMORE as c_int;

/// An open socket. It is not `Clone`, and every call takes `&mut self`: one user at a time.
#[derive(Debug)]
pub(in crate::transport) struct ZmqSocket {
    handle: Arc<Handle>,
}

/// The pointer itself; closes the socket when the last [`EventSource`] is gone as well.
#[derive(Debug)]
struct Handle {
    socket: NonNull<c_void>,
    fd: RawFd,
    /// `None` for the events of another socket, which must not keep the context.
    _context: Option<Context>,
}

// SAFETY: libzmq allows a socket to be used by another thread after a full fence, which every way to
// hand a value to another thread contains.
unsafe impl Send for Handle {}
// SAFETY: through `&Handle` only the number `fd` is read; the socket itself is used through
// `&mut ZmqSocket`, of which there is one, and in `Drop`.
unsafe impl Sync for Handle {}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which is borrowed meanwhile.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: an open socket, closed once; this was its last handle.
        unsafe { zmq_sys::zmq_close(self.socket.as_ptr()) };
    }
}

impl ZmqSocket {
    pub(in crate::transport) fn open(context: &Context, kind: u32) -> Result<Self, SocketError> {
        descriptors::check_reserve("open a socket")?;
        // SAFETY: a live context, which `Handle` keeps alive.
        let socket = unsafe { zmq_sys::zmq_socket(context.as_ptr(), kind as c_int) };
        let Some(socket) = NonNull::new(socket) else {
            return Err(errno::last_error("open a socket", None));
        };
        let mut handle = Handle { socket, fd: -1, _context: Some(context.clone()) };
        handle.fd = int_option(socket, zmq_sys::ZMQ_FD)?;
        Ok(Self { handle: Arc::new(handle) })
    }

    fn ptr(&mut self) -> *mut c_void {
        self.handle.socket.as_ptr()
    }

    pub(in crate::transport) fn set_int(
        &mut self,
        option: u32,
        value: i32,
    ) -> Result<(), SocketError> {
        // libzmq reads some of these through an `int *`: hence no slice of bytes.
        self.set_raw(option, (&raw const value).cast(), size_of::<i32>())
    }

    pub(in crate::transport) fn set_i64(
        &mut self,
        option: u32,
        value: i64,
    ) -> Result<(), SocketError> {
        self.set_raw(option, (&raw const value).cast(), size_of::<i64>())
    }

    pub(in crate::transport) fn set_millis(
        &mut self,
        option: u32,
        value: Duration,
    ) -> Result<(), SocketError> {
        self.set_int(option, i32::try_from(value.as_millis()).unwrap_or(i32::MAX))
    }

    pub(in crate::transport) fn set_bytes(
        &mut self,
        option: u32,
        value: &[u8],
    ) -> Result<(), SocketError> {
        self.set_raw(option, value.as_ptr().cast(), value.len())
    }

    /// Only for the three above: `value` points to `len` bytes, aligned for what the option is.
    fn set_raw(
        &mut self,
        option: u32,
        value: *const c_void,
        len: usize,
    ) -> Result<(), SocketError> {
        retry("set a socket option", None, || {
            // SAFETY: an open socket; libzmq copies `len` bytes, which the callers vouch for.
            unsafe { zmq_sys::zmq_setsockopt(self.ptr(), option as c_int, value, len) }
        })
        .map(|_| ())
    }

    /// Lets libzmq handle what its own threads sent to this socket: releases frames, notices peers.
    pub(in crate::transport) fn progress(&mut self) -> Result<(), SocketError> {
        int_option(self.handle.socket, zmq_sys::ZMQ_EVENTS).map(|_| ())
    }

    /// The address of the last bind, with the port that the system chose.
    pub(in crate::transport) fn last_endpoint(&mut self) -> Result<String, SocketError> {
        let mut bytes = [0_u8; 1024];
        let mut len = bytes.len();
        retry("ask for the endpoint", None, || {
            // SAFETY: an open socket; libzmq writes at most `len` bytes and then sets `len`.
            unsafe {
                zmq_sys::zmq_getsockopt(
                    self.ptr(),
                    zmq_sys::ZMQ_LAST_ENDPOINT as c_int,
                    bytes.as_mut_ptr().cast::<c_void>(),
                    &mut len,
                )
            }
        })?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    pub(in crate::transport) fn bind(&mut self, address: &str) -> Result<(), SocketError> {
        self.allow_ipv6(address)?;
        // SAFETY: `at` gives an open socket and a string that ends in NUL.
        self.at("bind", address, |socket, address| unsafe { zmq_sys::zmq_bind(socket, address) })
    }

    pub(in crate::transport) fn connect(&mut self, address: &str) -> Result<(), SocketError> {
        self.allow_ipv6(address)?;
        // SAFETY: as in `bind`.
        self.at("connect to", address, |socket, address| unsafe {
            zmq_sys::zmq_connect(socket, address)
        })
    }

    pub(in crate::transport) fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        // SAFETY: as in `bind`.
        self.at("disconnect from", address, |socket, address| unsafe {
            zmq_sys::zmq_disconnect(socket, address)
        })
    }

    /// Sets for the bind or connect that follows, on tcp only, how long the peer may leave sent bytes
    /// unacknowledged, or read nothing while bytes wait, before the connection is closed.
    ///
    /// The kernel reports the death of an ipc peer; a tcp peer can disappear without closing the connection.
    pub(in crate::transport) fn set_peer_timeout(
        &mut self,
        address: &str,
        timeout: Duration,
    ) -> Result<(), SocketError> {
        let timeout = if is_tcp(address) { timeout } else { Duration::ZERO };
        self.set_millis(zmq_sys::ZMQ_TCP_MAXRT, timeout)
    }

    /// A socket from which the events of this one are received, until this one is closed or the context
    /// ends.
    pub(in crate::transport) fn monitor(
        &mut self,
        context: &Context,
        events: u32,
    ) -> Result<Self, SocketError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = format!("inproc://cortex-monitor-{number}");
        let events = c_int::try_from(events).unwrap_or(0);
        // SAFETY: `at` gives an open socket and a string that ends in NUL.
        self.at("monitor", &address, |socket, address| unsafe {
            zmq_sys::zmq_socket_monitor(socket, address, events)
        })?;
        let mut monitor = Self::open(context, zmq_sys::ZMQ_PAIR)?;
        monitor.connect(&address)?;
        if let Some(handle) = Arc::get_mut(&mut monitor.handle) {
            // Ending the context waits until the socket is closed, and makes its calls fail.
            handle._context = None;
        }
        Ok(monitor)
    }

    /// libzmq resolves to IPv4 by default, also for an address in brackets.
    fn allow_ipv6(&mut self, address: &str) -> Result<(), SocketError> {
        self.set_int(zmq_sys::ZMQ_IPV6, i32::from(address.starts_with("tcp://[")))
    }

    fn at(
        &mut self,
        operation: &'static str,
        address: &str,
        call: impl Fn(*mut c_void, *const std::ffi::c_char) -> c_int,
    ) -> Result<(), SocketError> {
        let Ok(text) = CString::new(address) else {
            return Err(SocketError::invalid_address(operation, address));
        };
        retry(operation, Some(address), || call(self.ptr(), text.as_ptr())).map(|_| ())
    }

    /// Sends one part without waiting. False: it would have to wait, and `frame` is untouched.
    pub(in crate::transport) fn send(
        &mut self,
        frame: &mut Frame,
        flags: c_int,
    ) -> Result<bool, SocketError> {
        loop {
            // SAFETY: an open socket that only `&mut self` uses.
            if unsafe { frame.send_raw(self.ptr(), flags | DONTWAIT) } >= 0 {
                return Ok(true);
            }
            match last_errno() {
                libc::EAGAIN => return Ok(false),
                libc::EINTR => {}
                errno => return Err(SocketError::from_errno(errno, "send", None)),
            }
        }
    }

    /// Receives one part without waiting. False: there is none. Afterwards, and only after false, the
    /// descriptor becomes readable as soon as there is one.
    pub(in crate::transport) fn recv(&mut self, frame: &mut Frame) -> Result<bool, SocketError> {
        loop {
            // SAFETY: an open socket that only `&mut self` uses.
            if unsafe { frame.recv_raw(self.ptr(), DONTWAIT) } >= 0 {
                return Ok(true);
            }
            match last_errno() {
                libc::EAGAIN => return Ok(false),
                libc::EINTR => {}
                errno => return Err(SocketError::from_errno(errno, "receive", None)),
            }
        }
    }

    /// Receives a whole message without waiting. False: there is none, and `message` is empty.
    pub(in crate::transport) fn recv_multipart(
        &mut self,
        message: &mut Multipart,
    ) -> Result<bool, SocketError> {
        message.clear();
        loop {
            let mut frame = Frame::empty();
            match self.recv(&mut frame) {
                Ok(true) => {
                    let has_more = frame.has_more();
                    message.push(frame);
                    if !has_more {
                        return Ok(true);
                    }
                }
                Ok(false) if message.is_empty() => return Ok(false),
                // libzmq returns a message once it has all parts of it.
                Ok(false) => {
                    message.clear();
                    return Err(SocketError::from_errno(libc::EAGAIN, "receive", None));
                }
                Err(error) => {
                    message.clear();
                    return Err(error);
                }
            }
        }
    }

    /// Receives a whole message; waits for it until `deadline`, for ever if there is none.
    pub(in crate::transport) fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        loop {
            // First, so that a flood does not hide a wake.
            if interrupt.is_some_and(Interrupt::is_woken) {
                message.clear();
                return Ok(WaitResult::Interrupted);
            }
            if self.recv_multipart(message)? {
                return Ok(WaitResult::Ready);
            }
            let wait = self.wait(deadline, interrupt)?;
            if wait != WaitResult::Ready {
                return Ok(wait);
            }
        }
    }

    /// Waits until something happened at the socket; only meaningful after an operation that would
    /// have had to wait, because the descriptor reports changes, not a state.
    pub(in crate::transport) fn wait(
        &mut self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        wait_at(self.handle.as_fd(), deadline, interrupt)
    }

    /// The descriptor, to wait at while the socket is in use elsewhere.
    pub(in crate::transport) fn events(&self) -> EventSource {
        // The same descriptor for the whole life of the socket, which `Handle` keeps open.
        let handle = Arc::clone(&self.handle);
        EventSource::new(handle)
    }
}

/// Whether an address is one of tcp.
pub(in crate::transport) fn is_tcp(address: &str) -> bool {
    address.starts_with("tcp://")
}

fn int_option(socket: NonNull<c_void>, option: u32) -> Result<i32, SocketError> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>();
    retry("ask for a socket option", None, || {
        // SAFETY: an open socket, an option of type int, and room for one.
        unsafe {
            zmq_sys::zmq_getsockopt(
                socket.as_ptr(),
                option as c_int,
                (&raw mut value).cast::<c_void>(),
                &mut len,
            )
        }
    })?;
    Ok(value)
}

/// Repeats a call that a signal interrupted.
fn retry(
    operation: &'static str,
    address: Option<&str>,
    mut call: impl FnMut() -> c_int,
) -> Result<c_int, SocketError> {
    loop {
        let rc = call();
        if rc >= 0 {
            return Ok(rc);
        }
        if last_errno() != libc::EINTR {
            return Err(errno::last_error(operation, address));
        }
    }
}
