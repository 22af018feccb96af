//! zenoh: two peers over a Unix socket, without scouting.

use std::error::Error;
use std::time::Duration;

use zenoh::qos::CongestionControl;
use zenoh::{Config, Session, Wait};

use crate::inbox::Inbox;
use crate::protocol::Setup;
use crate::publisher;

const KEY: &str = "bench/topic";

fn open(setup: &Setup, side: &str) -> Result<Session, Box<dyn Error>> {
    let mut config = Config::default();
    let endpoints = format!("[\"unixsock-stream/{}\"]", setup.path());
    for (key, value) in [
        ("mode", "\"peer\""),
        ("scouting/multicast/enabled", "false"),
        ("listen/endpoints", if side == "listen" { &endpoints } else { "[]" }),
        ("connect/endpoints", if side == "connect" { &endpoints } else { "[]" }),
    ] {
        config.insert_json5(key, value).map_err(|error| error.to_string())?;
    }
    Ok(zenoh::open(config).wait().map_err(|error| error.to_string())?)
}

/// A publisher that puts every payload.
pub(super) struct Sender {
    publisher: zenoh::pubsub::Publisher<'static>,
    payload: Vec<u8>,
    _session: Session,
}

impl Sender {
    pub(super) fn new(
        setup: &Setup,
        bound: impl Fn() -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let session = open(setup, "listen")?;
        let control = if setup.waits { CongestionControl::Block } else { CongestionControl::Drop };
        let publisher = session.declare_publisher(KEY).congestion_control(control);
        let publisher = publisher.wait().map_err(|error| error.to_string())?;
        bound()?;
        while !publisher.matching_status().wait().is_ok_and(|status| status.matching()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { publisher, payload: vec![0; setup.len], _session: session })
    }
}

impl publisher::Send for Sender {
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>> {
        self.payload[..8].copy_from_slice(&stamp.to_le_bytes());
        Ok(self.publisher.put(self.payload.clone()).wait().map_err(|error| error.to_string())?)
    }
}

/// A subscriber whose callback runs on a thread of zenoh.
pub(super) struct Receiver {
    _subscriber: zenoh::pubsub::Subscriber<()>,
    _session: Session,
}

impl Receiver {
    pub(super) fn new(setup: &Setup, inbox: &Inbox) -> Result<Self, Box<dyn Error>> {
        let session = open(setup, "connect")?;
        let inbox = inbox.clone();
        let subscriber = session
            .declare_subscriber(KEY)
            .callback(move |sample| inbox.record(&sample.payload().to_bytes()))
            .wait()
            .map_err(|error| error.to_string())?;
        Ok(Self { _subscriber: subscriber, _session: session })
    }
}
