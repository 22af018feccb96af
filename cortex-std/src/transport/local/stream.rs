//! The connection of a peer, as the state machines of this folder use it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg, sockopt,
};

use crate::transport::error::SocketError;
use crate::transport::interrupt::WaitResult;

/// Descriptors of one read; further ones are closed by the kernel.
const DESCRIPTORS: usize = 16;

/// A stream of bytes in both directions; no call blocks. Clones are the same connection.
#[derive(Debug, Clone)]
pub(super) enum Stream {
    /// A connected socket.
    Socket(Arc<OwnedFd>),
    /// A connection in memory, which tests and the fuzz target control.
    #[cfg(any(test, fuzzing))]
    Simulated(super::simulation::Pipe),
}

impl Stream {
    /// Writes; returns how many bytes were accepted. Never raises SIGPIPE.
    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        match self {
            Self::Socket(descriptor) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                sendmsg(descriptor, slices, &mut SendAncillaryBuffer::default(), flags)
            }
            #[cfg(any(test, fuzzing))]
            Self::Simulated(pipe) => pipe.send(slices),
        }
    }

    /// Reads; 0 is the end of the stream.
    pub(super) fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Socket(descriptor) => {
                recv(descriptor, buffer, RecvFlags::DONTWAIT).map(|(count, _)| count)
            }
            #[cfg(any(test, fuzzing))]
            Self::Simulated(pipe) => pipe.recv(buffer),
        }
    }

    /// Reads, and passes the descriptors that came with the bytes to `add`.
    pub(super) fn recv_with_descriptors(
        &self,
        buffer: &mut [u8],
        add: impl FnMut(OwnedFd),
    ) -> Result<usize, Errno> {
        match self {
            Self::Socket(descriptor) => {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
                let mut slices = [IoSliceMut::new(buffer)];
                let received = recvmsg(descriptor, &mut slices, &mut control, flags)?;
                let rights = control.drain().filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(rights) => Some(rights),
                    _ => None,
                });
                rights.flatten().for_each(add);
                Ok(received.bytes)
            }
            #[cfg(any(test, fuzzing))]
            Self::Simulated(pipe) => pipe.recv(buffer),
        }
    }

    /// Writes bytes, and passes a descriptor with the first of them.
    pub(super) fn send_with_descriptor(
        &self,
        bytes: &[u8],
        passed: BorrowedFd<'_>,
    ) -> Result<usize, Errno> {
        match self {
            Self::Socket(descriptor) => {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let passed = [passed];
                control.push(SendAncillaryMessage::ScmRights(&passed));
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                sendmsg(descriptor, &[IoSlice::new(bytes)], &mut control, flags)
            }
            // Descriptors exist between processes only.
            #[cfg(any(test, fuzzing))]
            Self::Simulated(_) => Err(Errno::WOULDBLOCK),
        }
    }

    /// Asks for a send buffer of about `len` bytes; where the system refuses, sending is slower.
    pub(super) fn set_send_buffer(&self, len: usize) {
        match self {
            Self::Socket(descriptor) => {
                let _ = sockopt::set_socket_send_buffer_size(descriptor.as_fd(), len);
            }
            #[cfg(any(test, fuzzing))]
            Self::Simulated(_) => {}
        }
    }

    /// The descriptor to wait at.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Socket(descriptor) => Some(descriptor.as_fd()),
            #[cfg(any(test, fuzzing))]
            Self::Simulated(_) => None,
        }
    }
}

/// Blocks until a stream accepts bytes or its peer left, the deadline passed, or the interrupt is set.
///
/// # Errors
/// When the system refuses to wait.
pub(super) fn wait_for_writes(
    streams: &[Stream],
    deadline: Option<Instant>,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<WaitResult, SocketError> {
    #[cfg(any(test, fuzzing))]
    if let [Stream::Simulated(_), ..] = streams {
        let accepts = |stream: &Stream| matches!(stream, Stream::Simulated(pipe) if pipe.accepts());
        let wait =
            if streams.iter().any(accepts) { WaitResult::Ready } else { WaitResult::TimedOut };
        return Ok(wait);
    }
    let writes = |fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT);
    let mut fds: Vec<_> = interrupt
        .into_iter()
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .chain(streams.iter().filter_map(Stream::fd).map(writes))
        .collect();
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => {}
            Ok(_)
                if interrupt.is_some()
                    && fds.first().is_some_and(|fd| !fd.revents().is_empty()) =>
            {
                return Ok(WaitResult::Interrupted);
            }
            Ok(_) => return Ok(WaitResult::Ready),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(SocketError::from_errno(errno.raw_os_error(), "wait", None)),
        }
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return Ok(WaitResult::TimedOut);
        }
    }
}
