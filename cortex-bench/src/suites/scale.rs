//! How cost grows with the number of topics, in a node and at the daemon.

use std::error::Error;
use std::time::{Duration, Instant};

use cortex_std::discovery::{Client, Daemon, DaemonHandle, Topic};
use cortex_std::wire::discovery::RequestExt;

use crate::Bench;
use crate::contest::{Contender, compete, pairs};
use crate::peer::{Receiving, Run, Sending, Transport};
use crate::reach::{Bound, again};
use crate::report::{Better, Chart, Column, Suite};
use crate::stats::{histogram, percentiles};

const TOPICS: [usize; 4] = [1, 10, 100, 500];
const REGISTERED: [usize; 4] = [1, 10, 100, 1000];
const RATE: u64 = 1000;
const FLOOR: &str = "1 topic";

/// Messages in turn on all topics of one node, to subscribers in another one.
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
    // Both as long as it takes until every registration was renewed once.
    let pause = Duration::from_millis(2500);
    let run = Run { count: 2000, warmup: 500, period_ns: 1_000_000_000 / RATE, is_timed: true };
    let task = "publish and receive";
    compete(&mut suite, bench, task, pairs(&contenders)?, |pair| {
        let idle = pair.idle_cpu_seconds(pause)? / pause.as_secs_f64();
        let outcome = pair.run(run)?;
        let cpu = outcome.sent.cpu_seconds + outcome.received.cpu_seconds;
        let messages = (run.warmup + run.count) as f64;
        let own = (cpu - idle * messages / RATE as f64) / messages;
        Ok(vec![own * 1e6, outcome.received.ages_us[0], idle * 1e3])
    })?;
    suite.check_floor(task, 0);
    for topics in &TOPICS[1..] {
        suite.check(task, 0, &named(*topics), FLOOR, Bound::AtMost(1.2));
    }
    suite.notes = vec![
        "cpu: of both processes for one message, without what they take when nothing is sent"
            .into(),
        "idle: of both processes when nothing is sent, in milliseconds per second".into(),
    ];
    Ok(suite)
}

fn named(topics: usize) -> String {
    if topics == 1 { FLOOR.into() } else { format!("{topics} topics") }
}

fn contenders() -> Vec<Contender> {
    let contender = |topics| {
        let name = named(topics);
        Contender::new(&name, Transport::Cortex, Sending::Copy, Receiving::Async, 64)
            .with(|setup| setup.topics = topics)
    };
    let mut contenders = Vec::new();
    contenders.extend(contender(1).twice());
    contenders.extend(TOPICS[1..].iter().map(|topics| contender(*topics)));
    contenders
}

/// A daemon on a thread of this process, and who asks it.
struct Registered {
    client: Client,
    topics: usize,
    _daemon: DaemonHandle,
    _folder: tempfile::TempDir,
}

/// A question about the topic of an index.
type Ask<'a> = dyn FnMut(&mut Client, usize) -> Result<(), Box<dyn Error>> + 'a;

impl Registered {
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

    /// Microseconds to look one up, to register one again, and to list all.
    fn ask(&mut self, count: usize) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut each = |count: usize, ask: &mut Ask<'_>| {
            let mut times = histogram();
            for index in 0..count {
                let start = Instant::now();
                ask(&mut self.client, index % self.topics)?;
                times.saturating_record(u64::try_from(start.elapsed().as_nanos())?);
            }
            let [p50] = percentiles(&times, [50.0]);
            Ok::<f64, Box<dyn Error>>(p50)
        };
        Ok(vec![
            each(count, &mut |client, index| {
                client.look_up(&topic(index).name)?.ok_or("it was registered")?;
                Ok(())
            })?,
            each(count, &mut |client, index| {
                Ok(client.register(&topic(index), RequestExt::default())?)
            })?,
            each(count.div_ceil(20), &mut |client, _| {
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

/// What the daemon takes to answer.
pub(crate) fn daemon(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let column = |name| Column::new(name, "us", Better::Lower);
    let columns = vec![column("lookup"), column("register"), column("list")];
    let question = "p50 of asking a daemon in the same process that knows many topics";
    let mut suite = Suite::new("daemon", question, FLOOR, columns);
    suite.chart = Chart::Bars;
    suite.drawn = vec![0, 1, 2];
    let mut contenders = Vec::new();
    for topics in REGISTERED {
        contenders.push((named(topics), Registered::start(topics)?));
    }
    contenders.insert(1, (again(FLOOR), Registered::start(1)?));
    bench.progress.expect(contenders.len());
    let count = (bench.effort.seconds(2000.0)) as usize;
    let task = "ask";
    compete(&mut suite, bench, task, contenders, |registered| registered.ask(count))?;
    suite.check_floor(task, 0);
    suite.check(task, 0, &named(1000), FLOOR, Bound::AtMost(1.2));
    suite.notes.push("the answer to list holds all topics: it grows with them".into());
    Ok(suite)
}
