//! Program of the graphs in tests/process/hosting.rs, tests/healing.rs and ci/netns.sh: a daemon, or
//! a node that publishes or listens, or an async client. Ends with a signal, or with its stdin.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cortex_std::discovery::{AsyncClient, Daemon, default_address};
use cortex_std::wire::StringMessage;
use cortex_std::{Node, Queue, ThreadOptions};

/// The period of a publisher.
const PERIOD: Duration = Duration::from_millis(10);
/// The period at which a listener reports.
const REPORT: Duration = Duration::from_millis(50);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let name = arguments.next().unwrap_or_default();
    let topics: Vec<_> = arguments.collect();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    if role == "daemon" {
        let daemon = Daemon::bind(&default_address()).unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(2);
        });
        println!("ready");
        daemon.run().expect("no error");
        return;
    }
    if role == "ping" {
        ping();
        return;
    }
    let node = Node::builder(&name).create().expect("a node");
    match role.as_str() {
        "publish" => publish(&node, &topics),
        "listen" => listen(&node, &topics),
        "idle" => {}
        other => panic!("no role is called {other:?}"),
    }
    println!("ready");
    node.spin().expect("no error");
}

/// Asks the daemon for an answer on tokio.
fn ping() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let timeout = Duration::from_secs(5);
        let mut client = AsyncClient::connect(&default_address(), timeout).expect("a client");
        client.ping().await.expect("it answers");
    });
    println!("answered");
}

fn publish(node: &Node, topics: &[String]) {
    for topic in topics {
        let notes = node.publisher::<StringMessage>(topic).create().expect("it binds");
        let timer = node
            .timer_builder(PERIOD)
            .thread(ThreadOptions::named("notes"))
            .on_thread(move |_| notes.publish(&StringMessage { data: "x" }));
        // Runs until the node ends.
        std::mem::forget(timer.expect("a thread"));
    }
}

/// Prints, once per period, when the last message of each topic was sent.
fn listen(node: &Node, topics: &[String]) {
    let received: Vec<_> = topics.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
    for (topic, received) in topics.iter().zip(&received) {
        let received = Arc::clone(received);
        let seen = node.subscriber::<StringMessage>(topic).queue(Queue::Latest);
        let seen = seen.on_thread(move |_, header| {
            received.store(header.timestamp_ns, Ordering::SeqCst);
        });
        std::mem::forget(seen.expect("a thread"));
    }
    let report = move |stop: cortex_std::StopToken| {
        while !stop.wait_timeout(REPORT) {
            let times: Vec<_> = received.iter().map(|time| time.load(Ordering::SeqCst)).collect();
            // The reader may have ended.
            let _ = writeln!(std::io::stdout(), "{times:?}");
        }
    };
    let thread = node.spawn_thread(ThreadOptions::named("report"), report);
    std::mem::forget(thread.expect("a thread"));
}
