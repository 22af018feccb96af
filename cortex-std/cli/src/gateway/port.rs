//! The byte stream to a board: a serial device or a TCP stream.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_user_timeout,
};

use super::line;

/// Timeout of writes: the port fails if no byte can be written for so long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of TCP connects.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A TCP stream fails after so long without an acknowledgement. Without the limit, TCP repeats a packet
/// after ever longer times, and data flows late after an interruption.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(4);
/// Time between two probes of a TCP stream on which nothing is sent, and their number.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBES: u32 = 3;

/// The address of a port.
#[derive(Debug)]
pub(super) enum PortAddress {
    /// A serial device, and its speed in bits per second.
    Serial { device: PathBuf, baud: u32 },
    /// A TCP stream.
    Tcp { address: String },
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { device, baud } => write!(f, "{} ({baud} baud)", device.display()),
            Self::Tcp { address } => f.write_str(address),
        }
    }
}

impl PortAddress {
    /// Opens the port.
    pub(super) fn open(&self) -> io::Result<Port> {
        match self {
            Self::Serial { device, baud } => line::open(device, *baud).map(Port::Serial),
            Self::Tcp { address } => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            stream.set_nonblocking(true)?;
                            detect_interruptions(&stream)?;
                            return Ok(Port::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

/// Makes a stream fail within seconds if the other end does not acknowledge.
fn detect_interruptions(stream: &TcpStream) -> io::Result<()> {
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, PROBE_INTERVAL)?;
    set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    set_tcp_keepcnt(stream, PROBES)?;
    let timeout_ms = u32::try_from(ACKNOWLEDGE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    set_tcp_user_timeout(stream, timeout_ms)?;
    Ok(())
}

/// An open port, whose reads and writes are bounded in time.
#[derive(Debug)]
pub(super) enum Port {
    Serial(File),
    Tcp(TcpStream),
}

impl Port {
    /// Reads available bytes. Returns 0 if `wake` becomes readable first or `timeout` ends.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        wake: BorrowedFd<'_>,
        timeout: Duration,
    ) -> io::Result<usize> {
        let mut fds = [
            PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(wake, PollFlags::IN),
        ];
        wait(&mut fds, timeout)?;
        if fds[0].revents().is_empty() {
            return Ok(0);
        }
        let read = match self {
            Self::Serial(file) => file.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        };
        match read {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the port was closed")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Writes all of `bytes`.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut end = Instant::now() + WRITE_TIMEOUT;
        while !bytes.is_empty() {
            let written = match self {
                Self::Serial(file) => file.write(bytes),
                Self::Tcp(stream) => stream.write(bytes),
            };
            match written {
                Ok(count) => {
                    bytes = &bytes[count..];
                    end = Instant::now() + WRITE_TIMEOUT;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        let text = "write timeout: the board does not read";
                        return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                    }
                    wait(&mut [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::OUT)], left)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Serial(file) => file.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// Waits for an event of one of the descriptors, for a signal, or for the end of `timeout`.
fn wait(fds: &mut [PollFd<'_>], timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(|_| io::ErrorKind::InvalidInput)?;
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_user_timeout};

    #[test]
    fn an_interrupted_tcp_stream_fails_within_seconds() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let Port::Tcp(stream) = (PortAddress::Tcp { address }).open().unwrap() else {
            panic!("a TCP stream")
        };
        assert!(socket_keepalive(&stream).unwrap());
        assert_eq!(tcp_user_timeout(&stream).unwrap(), 4000);
        assert_eq!(tcp_keepidle(&stream).unwrap(), PROBE_INTERVAL);
        assert_eq!(tcp_keepcnt(&stream).unwrap(), PROBES);
    }
}
