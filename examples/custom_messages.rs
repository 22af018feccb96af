//! A message type of your own: a route of nested lists and maps, and a field that older senders lack.
//!
//! `cargo run --release --bin custom_messages`
//!
//! Python twin: a `@dataclass class Route(Message)` in a module `robot.msgs` with the same fields in
//! the same order. There `waypoints` is a list of lists and `limits` a dict of lists.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::Message;

const TOPIC: &str = "/route";

/// The class's full name is the type's identity on the wire; the fields travel in this order.
#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Route")]
struct Route<'a> {
    name: &'a str,
    waypoints: Vec<[f64; 3]>,
    limits: BTreeMap<String, Vec<f64>>,
    /// Added later: older senders do not send it.
    #[cortex(default = 0.5)]
    speed: f64,
}

/// The same class without the added field.
#[derive(Message)]
#[cortex(class = "robot.msgs.Route")]
struct OldRoute<'a> {
    name: &'a str,
    waypoints: Vec<[f64; 3]>,
    limits: BTreeMap<String, Vec<f64>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("router").create()?;
    let mut seen = node.subscriber::<Route>(TOPIC).create()?;
    let waypoints = vec![[0.0, 0.0, 0.0], [1.5, 0.0, 0.25]];
    let limits = BTreeMap::from([("arm".to_owned(), vec![-1.57, 1.57])]);

    let old = node.publisher::<OldRoute>(TOPIC).latched().create()?;
    let route = OldRoute { name: "dock", waypoints: waypoints.clone(), limits: limits.clone() };
    old.publish(&route)?;
    let sample = seen.recv_timeout(Duration::from_secs(10))?.ok_or("no route arrived")?;
    let received = sample.message()?;
    println!("from an old sender: {received:?}");
    assert_eq!(received, Route { name: "dock", waypoints, limits, speed: 0.5 });
    Ok(())
}
