//! One process of a pair that sends and receives with zenoh, zeromq.rs or iceoryx2.
//!
//! If it is built, the suites `latency` and `throughput` of cortex-bench include it:
//!
//! ```text
//! cargo build --release --manifest-path cortex-bench/peers-rs/Cargo.toml
//! cargo run --release -p cortex-bench -- latency throughput
//! ```
//!
//! cortex-bench starts it. It shares the source files of the protocol.

#[path = "../../src/peer/clock.rs"]
mod clock;
mod iceoryx2;
#[path = "../../src/peer/inbox.rs"]
mod inbox;
#[path = "../../src/peer/protocol.rs"]
#[allow(dead_code, reason = "only cortex-bench creates setups")]
mod protocol;
#[path = "../../src/peer/publisher.rs"]
mod publisher;
#[path = "../../src/stats.rs"]
#[allow(dead_code, reason = "only percentiles are used here")]
mod stats;
#[path = "../../src/peer/subscriber.rs"]
mod subscriber;
mod zenoh;
mod zeromq;

use std::any::Any;
use std::error::Error;

use inbox::Inbox;
use protocol::{Setup, Transport, write_event};
use publisher::Send;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [role, setup] = &arguments[..] else { return Err("usage: ROLE SETUP".into()) };
    let setup: Setup = protocol::parse(setup)?;
    match role.as_str() {
        "publisher" => publisher::serve(&mut *sender(&setup)?)?,
        "subscriber" => {
            let inbox = Inbox::default();
            let _receiver = receiver(&setup, &inbox)?;
            subscriber::serve(&setup, &inbox)?;
        }
        _ => return Err("the role must be publisher or subscriber".into()),
    }
    Ok(())
}

/// A sender with all its subscribers; calls `bound` when they can connect.
fn sender(setup: &Setup) -> Result<Box<dyn Send>, Box<dyn Error>> {
    let bound = || write_event("bound", &serde_json::json!({}));
    Ok(match setup.transport {
        Transport::Zenoh => Box::new(zenoh::Sender::new(setup, bound)?),
        Transport::Zeromq => Box::new(zeromq::Sender::new(setup, bound)?),
        Transport::Iceoryx2 => Box::new(iceoryx2::Sender::new(setup, bound)?),
        _ => return Err(OTHER_PROGRAM.into()),
    })
}

const OTHER_PROGRAM: &str = "cortex-bench implements this transport";

/// A receiver that runs until it is dropped.
fn receiver(setup: &Setup, inbox: &Inbox) -> Result<Box<dyn Any>, Box<dyn Error>> {
    Ok(match setup.transport {
        Transport::Zenoh => Box::new(zenoh::Receiver::new(setup, inbox)?),
        Transport::Zeromq => Box::new(zeromq::Receiver::new(setup, inbox)?),
        Transport::Iceoryx2 => Box::new(iceoryx2::Receiver::new(setup, inbox)?),
        _ => return Err(OTHER_PROGRAM.into()),
    })
}
