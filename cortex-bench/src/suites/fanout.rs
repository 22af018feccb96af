//! Suite fanout: messages that one publisher delivers to many subscribers.

use std::error::Error;

use crate::bench::Bench;
use crate::check::Bound;
use crate::contest::{Contender, compete, messages_in, pairs};
use crate::peer::{Receiving, Run, Sending, Transport};
use crate::suite::{Better, Chart, Column, Suite};

/// Subscribers, length of a message, and its name.
const TASKS: [(usize, usize, &str); 9] = [
    (1, 4096, "4 KiB"),
    (2, 4096, "4 KiB"),
    (4, 4096, "4 KiB"),
    (8, 4096, "4 KiB"),
    (16, 4096, "4 KiB"),
    (4, 40, "40 B"),
    (4, 256, "256 B"),
    (4, 64 << 10, "64 KiB"),
    (4, 1 << 20, "1 MiB"),
];
const FLOOR: &str = "libzmq";
const NO_COPY: &str = "libzmq, no copy";
/// Frames of static memory are worth it from this length on.
const LARGE: usize = 64 << 10;

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("delivered", "1/s", Better::Higher),
        Column::new("cpu", "us", Better::Lower),
    ];
    let question = "messages that all subscribers together receive; each subscriber has a thread";
    let mut suite = Suite::new("fanout", question, FLOOR, columns);
    suite.chart = Chart::Lines;
    suite.drawn = vec![0, 1];
    for (subscribers, len, name) in TASKS {
        let contenders = contenders(subscribers, len);
        bench.progress.expect(contenders.len());
        let mut pairs = pairs(&contenders)?;
        let count = messages_in(bench.effort.seconds(0.8), &mut pairs[0].1, 64)?;
        let count = count.div_ceil(subscribers as u64);
        let run = Run { count, warmup: count.div_ceil(8), period_ns: 0, is_timed: false };
        compete(&mut suite, bench, &task(subscribers, name), pairs, |pair| {
            let outcome = pair.run(run)?;
            let received = outcome.received;
            let delivered = (run.warmup + run.count) as f64 * subscribers as f64;
            let cpu = (outcome.sent.cpu_seconds + received.cpu_seconds) / delivered;
            Ok(vec![received.count as f64 / received.seconds.max(1e-9), cpu * 1e6])
        })?;
    }
    for (subscribers, len, name) in TASKS {
        let task = task(subscribers, name);
        suite.check_floor(&task, 0);
        let (floor, limit) = match len {
            ..4096 => (FLOOR, 4.0),
            4096..LARGE => (FLOOR, 3.0),
            LARGE..0x10_0000 => (NO_COPY, 1.5),
            _ => (NO_COPY, 1.0),
        };
        suite.check(&task, 0, "cortex thread", floor, Bound::AtLeast(limit));
    }
    suite.notes.push("cpu: CPU time of both processes per delivery".into());
    Ok(suite)
}

fn task(subscribers: usize, name: &str) -> String {
    format!("{subscribers} x {name}")
}

fn contenders(subscribers: usize, len: usize) -> Vec<Contender> {
    let contender = |name, transport, receiving| {
        Contender::new(name, transport, Sending::Copy, receiving, len)
            .with(|setup| setup.subscribers = subscribers)
    };
    let mut contenders = Vec::new();
    contenders.extend(contender(FLOOR, Transport::Libzmq, Receiving::Blocking).with_twin());
    contenders.extend([
        contender("cortex thread", Transport::Cortex, Receiving::Thread),
        contender("cortex async", Transport::Cortex, Receiving::Async),
        contender("unix socket", Transport::Unix, Receiving::Blocking),
    ]);
    if len >= LARGE {
        let without_copy = contender(NO_COPY, Transport::Libzmq, Receiving::Blocking);
        contenders.push(without_copy.with(|setup| setup.sending = Sending::Owner));
    }
    contenders
}
