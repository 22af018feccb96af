//! The line: a serial device, or a TCP stream.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{ControlModes, OptionalActions, ioctl_tiocexcl, tcgetattr, tcsetattr};

/// How long a board may take nothing before the line counts as broken.
const WRITE_LIMIT: Duration = Duration::from_secs(1);
/// How long a TCP peer may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Where the line is.
#[derive(Debug)]
pub(super) enum Place {
    /// A device, and bits per second.
    Serial { device: PathBuf, baud: u32 },
    /// A TCP stream.
    Tcp { address: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { device, baud } => write!(f, "{} ({baud} baud)", device.display()),
            Self::Tcp { address } => f.write_str(address),
        }
    }
}

impl Place {
    /// Opens the line.
    pub(super) fn open(&self) -> io::Result<Port> {
        match self {
            Self::Serial { device, baud } => {
                // Not our controlling terminal, and no waiting for a modem that there is none.
                let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
                let flags = flags.bits().cast_signed();
                let file =
                    OpenOptions::new().read(true).write(true).custom_flags(flags).open(device)?;
                // Two readers would each get half of every frame.
                ioctl_tiocexcl(&file)?;
                let mut settings = tcgetattr(&file)?;
                settings.make_raw();
                settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
                settings.set_speed(*baud)?;
                tcsetattr(&file, OptionalActions::Now, &settings)?;
                Ok(Port::Serial(file))
            }
            Self::Tcp { address } => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            stream.set_nonblocking(true)?;
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

/// An open line, read and written without waiting for ever.
#[derive(Debug)]
pub(super) enum Port {
    Serial(File),
    Tcp(TcpStream),
}

impl Port {
    /// Reads what there is, once `wake` is readable or after `limit` perhaps nothing.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        wake: BorrowedFd<'_>,
        limit: Duration,
    ) -> io::Result<usize> {
        let mut fds = [
            PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(wake, PollFlags::IN),
        ];
        wait(&mut fds, limit)?;
        if fds[0].revents().is_empty() {
            return Ok(0);
        }
        let read = match self {
            Self::Serial(file) => file.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        };
        match read {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line was closed")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Writes all of `bytes`.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut end = Instant::now() + WRITE_LIMIT;
        while !bytes.is_empty() {
            let written = match self {
                Self::Serial(file) => file.write(bytes),
                Self::Tcp(stream) => stream.write(bytes),
            };
            match written {
                Ok(count) => {
                    bytes = &bytes[count..];
                    end = Instant::now() + WRITE_LIMIT;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        let text = "the board takes nothing";
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

/// Waits for one of them, or for a signal.
fn wait(fds: &mut [PollFd<'_>], limit: Duration) -> io::Result<()> {
    let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
    match poll(fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
