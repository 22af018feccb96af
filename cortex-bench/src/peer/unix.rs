//! A Unix stream socket: the transport below libzmq's ipc, without libzmq.

use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use super::Setup;
use super::inbox::Inbox;
use super::libzmq::Tuning;
use super::publisher::Send;

/// Writes every payload to every reader; blocks while the socket buffer is full.
pub(super) struct Sender {
    streams: Vec<UnixStream>,
    payload: Vec<u8>,
}

impl Sender {
    pub(super) fn new(
        setup: &Setup,
        bound: impl Fn() -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let listener = UnixListener::bind(setup.path())?;
        bound()?;
        let streams = (0..setup.subscribers)
            .map(|_| {
                let (stream, _) = listener.accept()?;
                rustix::net::sockopt::set_socket_send_buffer_size(&stream, Tuning::SEND_BUFFER)?;
                Ok(stream)
            })
            .collect::<Result<_, Box<dyn Error>>>()?;
        Ok(Self { streams, payload: vec![0; setup.len] })
    }
}

impl Send for Sender {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        self.payload[..8].copy_from_slice(&stamp.to_le_bytes());
        for stream in &mut self.streams {
            stream.write_all(&self.payload)?;
        }
        Ok(())
    }
}

/// Starts threads that receive until the process ends.
pub(super) fn receive(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
    for _ in 0..setup.subscribers {
        let mut stream = UnixStream::connect(setup.path())?;
        let mut payload = vec![0; setup.len];
        let inbox = inbox.clone();
        std::thread::spawn(move || {
            while stream.read_exact(&mut payload).is_ok() {
                inbox.record(&payload);
            }
        });
    }
    Ok(())
}
