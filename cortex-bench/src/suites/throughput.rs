//! How many messages of one topic arrive in a second if none is lost.

use std::error::Error;

use crate::Bench;
use crate::contest::{available, compete, everybody, messages_in, pairs};
use crate::peer::{Outcome, Run};
use crate::reach::Bound;
use crate::report::{Better, Chart, Column, Suite};

const LENGTHS: [(&str, usize); 6] = [
    ("40 B", 40),
    ("256 B", 256),
    ("4 KiB", 4 << 10),
    ("64 KiB", 64 << 10),
    ("512 KiB", 512 << 10),
    ("4 MiB", 4 << 20),
];
/// Up to this length a message is small.
const SMALL: usize = 4 << 10;
const FLOOR: &str = "libzmq";

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("rate", "1/s", Better::Higher),
        Column::new("sender", "us", Better::Lower),
        Column::new("receiver", "us", Better::Lower),
    ];
    let question = "messages that arrive when the sender waits for room in a queue of 1000";
    let mut suite = Suite::new("throughput", question, FLOOR, columns);
    suite.chart = Chart::Lines;
    for (task, len) in LENGTHS {
        let contenders = available(everybody(FLOOR, len), bench);
        bench.progress.expect(contenders.len());
        let mut pairs = pairs(&contenders)?;
        let count = messages_in(bench.effort.seconds(0.8), &mut pairs[0].1, 64)?;
        let run = Run { count, warmup: count.div_ceil(8), period_ns: 0, is_timed: false };
        compete(&mut suite, bench, task, pairs, |pair| {
            let Outcome { sent, received } = pair.run(run)?;
            let each = 1e6 / (run.warmup + run.count) as f64;
            let rate = received.count as f64 / received.seconds.max(1e-9);
            Ok(vec![rate, sent.cpu_seconds * each, received.cpu_seconds * each])
        })?;
    }
    for (task, len) in LENGTHS {
        suite.check_floor(task, 0);
        if len <= SMALL {
            suite.check(task, 0, "cortex thread", FLOOR, Bound::AtLeast(0.90));
            suite.check(task, 0, "cortex async", FLOOR, Bound::AtLeast(0.90));
        }
    }
    suite.notes = vec![
        "sender, receiver: time on processors for one message, libzmq's threads and the kernel's work \
         included"
            .into(),
        "small messages cost per frame, and a Cortex message has four; a unix socket has one and no \
         queue"
            .into(),
        "pyzmq sends one array again and again and copies none of 64 KiB or more; the others copy".into(),
        "zenoh gathers small messages; iceoryx2 copies once into shared memory and wakes the reader for \
         each; zeromq.rs has no queue and waits for the kernel"
            .into(),
        "nobody reads a payload, and what is in shared memory is not even copied out of it".into(),
    ];
    Ok(suite)
}
