//! zeromq.rs: ZeroMQ in pure Rust, with as many frames as Cortex sends.

use std::error::Error;

use tokio::runtime::{Builder, Runtime};
use zeromq::{Socket, SocketRecv, SocketSend, SubSocket, XPubSocket, ZmqMessage};

use crate::inbox::Inbox;
use crate::protocol::{Setup, TOPIC};
use crate::publisher;

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn address(setup: &Setup) -> String {
    format!("ipc://{}", setup.path())
}

/// Sends through an XPUB socket; blocks while the kernel's buffer is full.
pub(super) struct Sender {
    runtime: Runtime,
    socket: XPubSocket,
    payload: Vec<u8>,
}

impl Sender {
    pub(super) fn new(
        setup: &Setup,
        bound: impl Fn() -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let runtime = runtime()?;
        let mut socket = XPubSocket::new();
        runtime.block_on(async {
            socket.bind(&address(setup)).await?;
            bound()?;
            for _ in 0..setup.subscribers {
                socket.recv().await?;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
        Ok(Self { runtime, socket, payload: vec![0; setup.len] })
    }
}

impl publisher::Send for Sender {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        self.payload[..8].copy_from_slice(&stamp.to_le_bytes());
        // Frames of the lengths of a header and of an array's metadata.
        let mut message = ZmqMessage::from(TOPIC);
        message.push_back(vec![0; 24].into());
        message.push_back(vec![0; 64].into());
        message.push_back(self.payload.clone().into());
        Ok(self.runtime.block_on(self.socket.send(message))?)
    }
}

/// Threads that receive until the process ends.
pub(super) struct Receiver;

impl Receiver {
    pub(super) fn new(setup: &Setup, inbox: &Inbox) -> Result<Self, Box<dyn Error>> {
        for _ in 0..setup.subscribers {
            let (address, inbox) = (address(setup), inbox.clone());
            let runtime = runtime()?;
            std::thread::spawn(move || {
                // The error goes to stderr, which cortex-bench shows.
                let error = runtime.block_on(receive(&address, &inbox));
                eprintln!("{error:?}");
            });
        }
        Ok(Self)
    }
}

async fn receive(address: &str, inbox: &Inbox) -> Result<(), zeromq::ZmqError> {
    let mut socket = SubSocket::new();
    socket.connect(address).await?;
    socket.subscribe(TOPIC).await?;
    loop {
        let message = socket.recv().await?;
        if let Some(payload) = message.get(3) {
            inbox.record(payload);
        }
    }
}
