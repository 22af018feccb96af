//! Programs that tests/process/lifecycle.rs starts: to end them by signals, or to count descriptors
//! and threads in a process without other tests.

use std::time::Duration;

use cortex_std::wire::StringMessage;
use cortex_std::{Node, StopToken, ThreadOptions};
use cortex_tests::graph::{Folder, assert_nothing_is_left, daemon, registered};
use cortex_tests::{DEADLINE, wait_until};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().unwrap_or_default();
    let mode = arguments.next().unwrap_or_default();
    match program.as_str() {
        "spin" => spin(&mode),
        "block" => block(mode),
        "publish" => publish(),
        "unregistered" => unregistered(&mode),
        "thousand" => thousand(&mode),
        other => panic!("no program is called {other:?}"),
    }
}

fn node(address: &str, hosts: bool) -> Node {
    let node = Node::builder("both").discovery(address).host_discovery(hosts);
    node.create().expect("a node")
}

fn named(name: &str) -> ThreadOptions {
    ThreadOptions::named(name)
}

fn own_node() -> Node {
    let node = Node::builder("program").create().expect("a node");
    // Stays registered until the node ends.
    std::mem::forget(registered(&node));
    node
}

/// Publishers that no daemon knows; without a log.
fn unregistered(mode: &str) {
    let address = std::env::var("CORTEX_DISCOVERY").expect("an address");
    let node = node(&address, mode == "refused");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    if mode == "refused" {
        notes.blocking_wait_registered(DEADLINE).expect("it is registered");
        let second = Node::builder("second").discovery(&address).create().expect("a node");
        let refused = second.publisher::<StringMessage>("/t").create().expect("it binds");
        println!("{}", refused.blocking_wait_registered(DEADLINE).expect_err("it is taken"));
    } else {
        println!("ready");
        node.spin().expect("no error");
    }
}

fn spin(mode: &str) {
    if mode == "log" {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    }
    let node = own_node();
    println!("ready");
    node.spin().expect("no error");
    println!("ended");
    if mode == "stay" {
        drop(node);
        println!("stays");
        std::thread::sleep(DEADLINE);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn block(mode: String) {
    let node = own_node();
    node.timer(Duration::from_millis(1), async move |_| {
        // The lock of stdout blocks every other thread that prints.
        let _out = (mode == "print").then(|| std::io::stdout().lock());
        eprintln!("blocks");
        std::thread::sleep(DEADLINE * 2);
    });
    println!("ready");
    node.run().await.expect("no error");
}

fn publish() {
    let node = Node::builder("program").create().expect("a node");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    let timer = node
        .timer_builder(Duration::from_millis(5))
        .thread(named("notes"))
        .on_thread(move |_| notes.publish(&StringMessage { data: &std::process::id().to_string() }))
        .expect("a thread");
    println!("ready");
    node.spin().expect("no error");
    drop(timer);
}

fn thousand(mode: &str) {
    let folder = Folder::new();
    let daemon = match mode {
        // Without a daemon nothing but the nodes holds the libzmq context; or each is the daemon.
        "alone" | "host" => None,
        _ => Some(daemon(&folder)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let cycle = |index: u32| {
        let node = node(&folder.discovery(), mode == "host");
        let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
        let mut seen = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
        let wait = |stop: StopToken| assert!(stop.wait_timeout(DEADLINE));
        let thread = node.spawn_thread(named("waits"), wait).expect("a thread");
        let ticks = node.timer_builder(Duration::from_secs(1)).thread(named("t")).on_thread(|_| ());
        let handle = node.handle();
        match index % 4 {
            0 => {
                node.timer(Duration::from_nanos(1), async move |_| handle.shutdown());
                runtime.block_on(node.run()).expect("no error");
            }
            1 => handle.shutdown(),
            2 if daemon.is_some() => wait_until("they are connected", || {
                let _ = seen.recv_timeout(Duration::from_millis(1)).expect("no error");
                notes.subscriber_count() > 0
            }),
            _ => {}
        }
        drop(node);
        assert!(thread.is_finished());
        drop((notes, seen, ticks));
    };
    let count = |of: &str| std::fs::read_dir(of).expect("it is there").count();
    let left = || [count("/proc/self/fd"), count("/proc/self/task"), folder.files().len()];
    (0..20).for_each(cycle);
    let before = left();
    for hundreds in 1..=10 {
        (0..100).for_each(cycle);
        println!("{hundreds} hundred nodes");
    }
    // The daemon may close a connection a moment after the client did, here and at the start.
    wait_until("nothing more is there than before", || {
        left().iter().zip(before).all(|(now, before)| *now <= before)
    });
    if let Some(daemon) = daemon {
        assert_nothing_is_left(&folder, daemon);
    }
}
