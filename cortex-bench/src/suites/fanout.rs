//! Suite fanout: messages that one publisher delivers to many subscribers.

use std::error::Error;

use crate::bench::Bench;
use crate::check::Bound;
use crate::contest::{Contender, compete, messages_in, pairs};
use crate::peer::{Receiving, Run, Sending, Transport};
use crate::suite::{Better, Chart, Column, Suite};

const SUBSCRIBERS: [usize; 5] = [1, 2, 4, 8, 16];
const LEN: usize = 4096;
const FLOOR: &str = "libzmq";

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("delivered", "1/s", Better::Higher),
        Column::new("cpu", "us", Better::Lower),
    ];
    let question =
        "messages of 4 KiB that all subscribers together receive; each subscriber has a thread";
    let mut suite = Suite::new("fanout", question, FLOOR, columns);
    suite.chart = Chart::Lines;
    suite.drawn = vec![0, 1];
    let task = |subscribers: usize| format!("{subscribers} subscribers");
    for subscribers in SUBSCRIBERS {
        let contenders = contenders(subscribers);
        bench.progress.expect(contenders.len());
        let mut pairs = pairs(&contenders)?;
        let count = messages_in(bench.effort.seconds(0.8), &mut pairs[0].1, 64)?;
        let count = count.div_ceil(subscribers as u64);
        let run = Run { count, warmup: count.div_ceil(8), period_ns: 0, is_timed: false };
        compete(&mut suite, bench, &task(subscribers), pairs, |pair| {
            let outcome = pair.run(run)?;
            let received = outcome.received;
            let delivered = (run.warmup + run.count) as f64 * subscribers as f64;
            let cpu = (outcome.sent.cpu_seconds + received.cpu_seconds) / delivered;
            Ok(vec![received.count as f64 / received.seconds.max(1e-9), cpu * 1e6])
        })?;
    }
    for subscribers in SUBSCRIBERS {
        let task = task(subscribers);
        suite.check_floor(&task, 0);
        suite.check(&task, 0, "cortex thread", FLOOR, Bound::AtLeast(0.90));
    }
    suite.notes.push("cpu: CPU time of both processes per delivery".into());
    Ok(suite)
}

fn contenders(subscribers: usize) -> Vec<Contender> {
    let contender = |name, transport, receiving| {
        Contender::new(name, transport, Sending::Copy, receiving, LEN)
            .with(|setup| setup.subscribers = subscribers)
    };
    let mut contenders = Vec::new();
    contenders.extend(contender(FLOOR, Transport::Libzmq, Receiving::Blocking).with_twin());
    contenders.extend([
        contender("cortex thread", Transport::Cortex, Receiving::Thread),
        contender("cortex async", Transport::Cortex, Receiving::Async),
        contender("unix socket", Transport::Unix, Receiving::Blocking),
    ]);
    contenders
}
