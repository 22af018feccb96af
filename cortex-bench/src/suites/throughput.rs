//! Suite throughput: messages per second of one topic without loss.

use std::error::Error;

use crate::bench::Bench;
use crate::check::Bound;
use crate::contest::{all_transports, available, compete, messages_in, pairs};
use crate::peer::{Outcome, Run, Sending};
use crate::suite::{Better, Chart, Column, Suite};

const LENGTHS: [(&str, usize); 6] = [
    ("40 B", 40),
    ("256 B", 256),
    ("4 KiB", 4 << 10),
    ("64 KiB", 64 << 10),
    ("1 MiB", 1 << 20),
    ("4 MiB", 4 << 20),
];
const FLOOR: &str = "libzmq";
const NO_COPY: &str = "libzmq, no copy";
/// Frames of static memory are worth it from this length on.
const LARGE: usize = 64 << 10;

/// The contender and the ratio to be reached with messages of this length.
fn rate_target(len: usize) -> (&'static str, f64) {
    match len {
        ..4096 => (FLOOR, 4.0),
        4096..LARGE => (FLOOR, 3.0),
        LARGE..0x10_0000 => (NO_COPY, 1.5),
        0x10_0000 => (NO_COPY, 1.2),
        _ => (NO_COPY, 1.0),
    }
}

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("rate", "1/s", Better::Higher),
        Column::new("sender", "us", Better::Lower),
        Column::new("receiver", "us", Better::Lower),
    ];
    let question =
        "messages received per second if the sender blocks while its queue of 1000 is full";
    let mut suite = Suite::new("throughput", question, FLOOR, columns);
    suite.chart = Chart::Lines;
    for (task, len) in LENGTHS {
        let mut contenders = all_transports(FLOOR, len);
        if len >= LARGE {
            let without_copy = contenders[0].clone();
            contenders
                .push(without_copy.named(NO_COPY).with(|setup| setup.sending = Sending::Owner));
        }
        let contenders = available(contenders, bench);
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
        let (floor, limit) = rate_target(len);
        for contender in ["cortex thread", "cortex async"] {
            suite.check(task, 0, contender, floor, Bound::AtLeast(limit));
        }
        for other in ["zenoh", "zeromq.rs"] {
            suite.check(task, 0, "cortex thread", other, Bound::AtLeast(1.0));
        }
    }
    suite.notes = vec![
        "sender, receiver: CPU time per message, including libzmq's threads and the kernel".into(),
        "the cost of small messages is per frame: a Cortex message has four frames, the unix socket has \
         one and no queue"
            .into(),
        "pyzmq sends the same array every time and copies none of 64 KiB or more; the others copy".into(),
        "zenoh batches small messages; iceoryx2 copies once into shared memory and wakes the receiver \
         for each message; zeromq.rs has no queue and blocks until the kernel has space"
            .into(),
        "no contender reads the payload; a payload in shared memory is not even copied by the receiver"
            .into(),
    ];
    Ok(suite)
}
