//! Suites scale and daemon: cost by the number of topics, in a node and at the daemon.

use std::error::Error;
use std::time::{Duration, Instant};

use cortex_std::discovery::{Client, Daemon, DaemonHandle, Topic};
use cortex_std::wire::discovery::RequestExt;

use crate::bench::Bench;
use crate::check::{Bound, twin_name};
use crate::contest::{Contender, compete, pairs};
use crate::peer::{Receiving, Run, Sending, Transport};
use crate::stats::{histogram, percentiles};
use crate::suite::{Better, Chart, Column, Suite};

const TOPICS: [usize; 4] = [1, 10, 100, 500];
const REGISTERED: [usize; 4] = [1, 10, 100, 1000];
/// Those that are also measured over libzmq.
const OVER_LIBZMQ: [usize; 3] = [1, 100, 500];
const RATE: u64 = 1000;
const FLOOR: &str = "1 topic";

/// Suite scale: one node publishes on all its topics in turn, another one subscribes to them.
pub(crate) fn node(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("cpu", "us", Better::Lower),
        Column::new("p50", "us", Better::Lower),
        Column::new("idle", "ms/s", Better::Lower),
    ];
    let question = "a message on one topic of many, 1000 messages per second on all together";
    let mut suite = Suite::new("scale", question, FLOOR, columns);
    suite.drawn = vec![0, 1, 2];
    let contenders = contenders();
    bench.progress.expect(contenders.len());
    // Long enough that every registration is renewed once, with and without messages.
    let pause = Duration::from_millis(2500);
    let run = Run { count: 2000, warmup: 500, period_ns: 1_000_000_000 / RATE, is_timed: true };
    let task = "publish and receive";
    compete(&mut suite, bench, task, pairs(&contenders)?, |pair| {
        let idle = pair.idle_cpu_seconds(pause)? / pause.as_secs_f64();
        let outcome = pair.run(run)?;
        let cpu = outcome.sent.cpu_seconds + outcome.received.cpu_seconds;
        let messages = (run.warmup + run.count) as f64;
        let per_message = (cpu - idle * messages / RATE as f64) / messages;
        Ok(vec![per_message * 1e6, outcome.received.ages_us[0], idle * 1e3])
    })?;
    suite.check_floor(task, 0);
    for topics in &TOPICS[1..] {
        suite.check(task, 0, &contender_name(*topics), FLOOR, Bound::AtMost(1.2));
    }
    for topics in OVER_LIBZMQ {
        let name = contender_name(topics);
        suite.check(task, 0, &name, &over_libzmq(&name), Bound::AtMost(0.5));
    }
    suite.notes = vec![
        "cpu: CPU time of both processes per message, without their idle CPU time".into(),
        "idle: CPU time of both processes without messages, in milliseconds per second".into(),
    ];
    Ok(suite)
}

fn contender_name(topics: usize) -> String {
    if topics == 1 { FLOOR.into() } else { format!("{topics} topics") }
}

fn over_libzmq(name: &str) -> String {
    format!("{name}, libzmq")
}

fn contenders() -> Vec<Contender> {
    let contender = |topics| {
        let name = contender_name(topics);
        Contender::new(&name, Transport::Cortex, Sending::Copy, Receiving::Async, 64)
            .with(|setup| setup.topics = topics)
    };
    let mut contenders = Vec::new();
    contenders.extend(contender(1).with_twin());
    contenders.extend(TOPICS[1..].iter().map(|topics| contender(*topics)));
    contenders.extend(OVER_LIBZMQ.map(|topics| {
        let name = over_libzmq(&contender_name(topics));
        contender(topics).named(&name).with(|setup| setup.is_over_libzmq = true)
    }));
    contenders
}

/// A daemon on a thread of this process with registered topics, and its client.
struct BusyDaemon {
    client: Client,
    topics: usize,
    _daemon: DaemonHandle,
    _folder: tempfile::TempDir,
}

/// A request about the topic with an index.
type Request<'a> = dyn FnMut(&mut Client, usize) -> Result<(), Box<dyn Error>> + 'a;

impl BusyDaemon {
    fn start(topics: usize) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::Builder::new().prefix("cortex-bench").tempdir()?;
        let address = format!("ipc://{}/discovery.sock", folder.path().display());
        let daemon = Daemon::bind(&address)?.spawn()?;
        let mut client = Client::connect(&address, Duration::from_secs(5))?;
        for index in 0..topics {
            client.register(&topic(index), RequestExt::default())?;
        }
        Ok(Self { client, topics, _daemon: daemon, _folder: folder })
    }

    /// Median times in microseconds: to look up a topic, to register it again, and to list all topics.
    fn measure(&mut self, count: usize) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut median = |count: usize, request: &mut Request<'_>| {
            let mut times = histogram();
            for index in 0..count {
                let start = Instant::now();
                request(&mut self.client, index % self.topics)?;
                times.saturating_record(u64::try_from(start.elapsed().as_nanos())?);
            }
            let [p50] = percentiles(&times, [50.0]);
            Ok::<f64, Box<dyn Error>>(p50)
        };
        Ok(vec![
            median(count, &mut |client, index| {
                client.look_up(&topic(index).name)?.ok_or("it was registered")?;
                Ok(())
            })?,
            median(count, &mut |client, index| {
                Ok(client.register(&topic(index), RequestExt::default())?)
            })?,
            median(count.div_ceil(20), &mut |client, _| {
                client.list()?;
                Ok(())
            })?,
        ])
    }
}

fn topic(index: usize) -> Topic {
    Topic {
        name: format!("/robot/sensor/{index}"),
        address: format!("tcp://127.0.0.1:{}", 20_000 + index),
        message_type: "ArrayMessage".into(),
        fingerprint: 1,
        publisher_node: format!("node-{}", index / 10),
    }
}

/// Suite daemon: response times of the daemon.
pub(crate) fn daemon(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let column = |name| Column::new(name, "us", Better::Lower);
    let columns = vec![column("lookup"), column("register"), column("list")];
    let question = "p50 of requests to a daemon with many topics, in the same process";
    let mut suite = Suite::new("daemon", question, FLOOR, columns);
    suite.chart = Chart::Bars;
    suite.drawn = vec![0, 1, 2];
    let mut contenders = Vec::new();
    for topics in REGISTERED {
        contenders.push((contender_name(topics), BusyDaemon::start(topics)?));
    }
    contenders.insert(1, (twin_name(FLOOR), BusyDaemon::start(1)?));
    bench.progress.expect(contenders.len());
    let count = (bench.effort.seconds(2000.0)) as usize;
    let task = "request";
    compete(&mut suite, bench, task, contenders, |daemon| daemon.measure(count))?;
    suite.check_floor(task, 0);
    suite.check(task, 0, &contender_name(1000), FLOOR, Bound::AtMost(1.2));
    suite.notes.push("the response to list contains all topics and grows with their number".into());
    Ok(suite)
}
