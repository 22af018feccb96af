//! The floor: the same frames, sent with libzmq directly and with all its optimizations.
//!
//! Options are those of `cortex-std`: blocking instead of drops if `waits` is set, malloc thresholds
//! that keep large blocks mapped, larger buffers of accepted ipc connections. Everything else that
//! `cortex-std` does is left out: counting subscribers, tracking sequence numbers, checking types,
//! discovery.
#![expect(
    unsafe_code,
    reason = "the zmq crate has neither XPUB_NODROP nor frames of static memory"
)]

use std::error::Error;
use std::ffi::{c_int, c_void};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use cortex_wire::standard::ArrayMessage;
use cortex_wire::{ArrayView, Header, Message as _, encode};
use rustix::net::{SocketAddrUnix, getsockname, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use zmq::{Context, Message, SNDMORE, Socket};

use super::inbox::Inbox;
use super::publisher::Send;
use super::{FRAME_ID, Sending, Setup, TOPIC};

/// Settings that make large frames cheaper.
#[derive(Debug)]
pub(crate) struct Tuning;

impl Tuning {
    /// Send buffer of a subscriber's connection in bytes, as `cortex-std` sets it.
    pub(super) const SEND_BUFFER: usize = 1 << 20;
    /// Payloads of at least this length get the larger send buffer.
    const LARGE: usize = 64 * 1024;

    /// Sets malloc's thresholds as `cortex-std` does.
    pub(super) fn apply_to(command: &mut Command) {
        command.env("MALLOC_MMAP_THRESHOLD_", (32 << 20).to_string());
        command.env("MALLOC_TRIM_THRESHOLD_", (128 << 20).to_string());
    }
}

/// Sends through an XPUB.
pub(super) struct Sender {
    socket: Socket,
    metadata: Vec<u8>,
    payload: Payload,
    sequence: u64,
    waits: bool,
}

enum Payload {
    Copied(Vec<u8>),
    /// Static memory, whose frames need no release callback.
    Constant(&'static [u8]),
}

impl Sender {
    /// A sender with all its subscribers; calls `bound` when they can connect.
    pub(super) fn new(
        setup: &Setup,
        bound: impl Fn() -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut socket = Context::new().socket(zmq::XPUB)?;
        socket.set_sndhwm(setup.queue.try_into()?)?;
        socket.set_linger(0)?;
        set_option(&mut socket, zmq_sys::ZMQ_XPUB_NODROP, setup.waits)?;
        // Reports the subscription of every subscriber, not only the first one.
        set_option(&mut socket, zmq_sys::ZMQ_XPUB_VERBOSER, true)?;
        socket.bind(&format!("ipc://{}", setup.path()))?;
        bound()?;
        for _ in 0..setup.subscribers {
            socket.recv_msg(0)?;
        }
        if setup.is_tuned && setup.len >= Tuning::LARGE {
            enlarge_send_buffers(&setup.path())?;
        }
        let payload = vec![0; setup.len];
        let metadata = metadata(&payload)?;
        let payload = match setup.sending {
            Sending::Copy => Payload::Copied(payload),
            Sending::Owner | Sending::Loan => Payload::Constant(payload.leak()),
        };
        Ok(Self { socket, metadata, payload, sequence: 0, waits: setup.waits })
    }
}

impl Send for Sender {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let timestamp_ns = u64::try_from(now.as_nanos())?;
        let header = Header {
            fingerprint: ArrayMessage::FINGERPRINT,
            timestamp_ns,
            sequence: self.sequence,
        };
        self.sequence += 1;
        let wait = if self.waits { 0 } else { zmq::DONTWAIT };
        match self.socket.send(TOPIC, wait | SNDMORE) {
            Err(zmq::Error::EAGAIN) => return Ok(()),
            sent => sent?,
        }
        self.socket.send(&header.encode()[..], SNDMORE)?;
        self.socket.send(&self.metadata[..], SNDMORE)?;
        match &mut self.payload {
            Payload::Copied(payload) => {
                payload[..8].copy_from_slice(&stamp.to_le_bytes());
                self.socket.send(&payload[..], 0)?;
            }
            Payload::Constant(payload) => send_constant(&mut self.socket, payload)?,
        }
        Ok(())
    }
}

fn metadata(payload: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let data = ArrayView::from_slice(payload, &[payload.len()])?;
    let message = ArrayMessage { data, name: "", frame_id: FRAME_ID };
    let mut out = [0; 256];
    let mut buffers = heapless::Vec::<&[u8], 1>::new();
    Ok(encode(&message, &mut out, &mut buffers)?.to_vec())
}

/// Sets an option of type `int` that the crate lacks.
fn set_option(socket: &mut Socket, option: u32, value: bool) -> Result<(), zmq::Error> {
    let value = c_int::from(value);
    // SAFETY: an open socket, and an option that is read through an `int *`.
    let rc = unsafe {
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            option as c_int,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>(),
        )
    };
    if rc == 0 { Ok(()) } else { Err(zmq::Error::EINVAL) }
}

/// Sends static memory as the last part, without a copy and without a release.
fn send_constant(socket: &mut Socket, bytes: &'static [u8]) -> Result<(), Box<dyn Error>> {
    let mut message = zmq_sys::zmq_msg_t::default();
    let data = bytes.as_ptr().cast_mut().cast::<c_void>();
    // SAFETY: the message refers to static bytes, which libzmq only reads, and which it does not
    // release without a release function. The socket is open: it takes the message, or the message is
    // closed here.
    let rc = unsafe {
        zmq_sys::zmq_msg_init_data(&mut message, data, bytes.len(), None, std::ptr::null_mut());
        let rc = zmq_sys::zmq_msg_send(&mut message, socket.as_mut_ptr(), 0);
        zmq_sys::zmq_msg_close(&mut message);
        rc
    };
    if rc < 0 { Err("a frame was not sent".into()) } else { Ok(()) }
}

/// Enlarges the send buffers of connections that were accepted at `path`.
fn enlarge_send_buffers(path: &str) -> Result<(), Box<dyn Error>> {
    let this = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Ok(fd) = entry?.file_name().to_string_lossy().parse() else { continue };
        // A duplicate descriptor of the same socket.
        let Ok(fd) = pidfd_getfd(&this, fd, PidfdGetfdFlags::empty()) else { continue };
        let name = getsockname(&fd).ok().and_then(|name| SocketAddrUnix::try_from(name).ok());
        if name.is_some_and(|name| name.path_bytes() == Some(path.as_bytes())) {
            sockopt::set_socket_send_buffer_size(&fd, Tuning::SEND_BUFFER)?;
        }
    }
    Ok(())
}

/// Starts threads that receive until the process ends.
pub(super) fn receive(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
    let context = Context::new();
    for _ in 0..setup.subscribers {
        let socket = context.socket(zmq::SUB)?;
        socket.set_rcvhwm(setup.queue.try_into()?)?;
        socket.set_linger(0)?;
        socket.set_subscribe(TOPIC.as_bytes())?;
        socket.connect(&format!("ipc://{}", setup.path()))?;
        let inbox = inbox.clone();
        std::thread::spawn(move || {
            let mut part = Message::new();
            // Runs until the process ends.
            while socket.recv(&mut part, 0).is_ok() {
                if !part.get_more() {
                    inbox.record(&part);
                }
            }
        });
    }
    std::mem::forget(context);
    Ok(())
}
