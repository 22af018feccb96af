//! Asking a publisher for its subscribers, as diagnostic tools do.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::handshake::PUBLISHERS;
use super::inbound::{Event, Inbound};
use super::report;
use crate::stats::PeerStats;
use crate::transport::choice::Transport;
use crate::wire::zmtp::{Greeting, write_ready};

/// Bytes of the longest answer.
const MAX_ANSWER: u64 = 16 << 20;
/// Bytes of one read.
const READ_LEN: usize = 4096;

/// What a publisher at an ipc address says of itself.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) transport: Transport,
    /// The subscribers; `None` where the publisher does not tell.
    pub(crate) subscribers: Option<Vec<PeerStats>>,
}

/// Asks the publisher that listens at `path`.
///
/// # Errors
/// When no process listens, or it is no publisher, or it does not answer in time.
pub(crate) fn ask(path: &Path, timeout: Duration) -> std::io::Result<Answer> {
    let deadline = Instant::now() + timeout;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Not blocking: where the listener's queue is full, a tool does not wait.
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let mut stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(&Greeting::BYTES)?;
    let mut inbound = Inbound::new(PUBLISHERS, MAX_ANSWER);
    let mut bytes = [0; READ_LEN];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut input = bytes.get(..count).unwrap_or_default();
        let invalid = |error: String| std::io::Error::new(ErrorKind::InvalidData, error);
        while let Some(event) =
            inbound.receive(&mut input).map_err(|kind| invalid(kind.to_string()))?
        {
            match event {
                Event::Greeted(_) => {
                    let mut ready = Vec::new();
                    let properties = [("Socket-Type", &b"SUB"[..])];
                    write_ready(&properties, |part| ready.extend_from_slice(part));
                    stream.write_all(&ready)?;
                }
                Event::Ready(introduced) if introduced.reports => {
                    stream.write_all(&report::request())?;
                }
                Event::Ready(_) => {
                    return Ok(Answer { transport: Transport::Zmq, subscribers: None });
                }
                Event::Report(data) => {
                    let decoded = report::decode(&data);
                    let subscribers = Some(decoded.map_err(|error| invalid(error.to_string()))?);
                    return Ok(Answer { transport: Transport::Local, subscribers });
                }
                _ => {}
            }
        }
    }
}
