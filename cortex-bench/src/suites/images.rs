//! Suite images: images per second without loss, by the way of sending.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use crate::bench::Bench;
use crate::check::Bound;
use crate::contest::{Contender, available, compete, messages_in, pairs};
use crate::peer::{Pair, Receiving, Run, Sending, Setup, Transport};
use crate::suite::{Better, Column, Suite};

const SIZES: [(&str, usize); 3] =
    [("VGA", 640 * 480 * 3), ("720p", 1280 * 720 * 3), ("1080p", 1920 * 1080 * 3)];
/// Queue length in images, the default of cortex-std.
const QUEUE: u32 = 10;
const FLOOR: &str = "libzmq, no copy";

/// A contender: a pair of processes, or copies in memory.
enum Carrier {
    Pair(Box<Pair>),
    Memory { from: Vec<u8>, to: Vec<u8> },
}

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns =
        vec![Column::new("rate", "1/s", Better::Higher), Column::new("cpu", "us", Better::Lower)];
    let question = "images received per second if the sender blocks while its queue of 10 is full";
    let mut suite = Suite::new("images", question, FLOOR, columns);
    for (task, len) in SIZES {
        let contenders = available(contenders(len), bench);
        bench.progress.expect(contenders.len() + 1);
        let mut pairs = pairs(&contenders)?;
        let count = messages_in(bench.effort.seconds(0.8), &mut pairs[0].1, 16)?;
        let run = Run { count, warmup: count.div_ceil(8), period_ns: 0, is_timed: false };
        let mut carriers: Vec<_> =
            pairs.into_iter().map(|(name, pair)| (name, Carrier::Pair(Box::new(pair)))).collect();
        let memory = Carrier::Memory { from: vec![1; len], to: vec![2; len] };
        carriers.push(("memcpy".into(), memory));
        compete(&mut suite, bench, task, carriers, |carrier| match carrier {
            Carrier::Pair(pair) => {
                let outcome = pair.run(run)?;
                let received = outcome.received;
                let cpu = (outcome.sent.cpu_seconds + received.cpu_seconds)
                    / (run.warmup + run.count) as f64;
                Ok(vec![received.count as f64 / received.seconds.max(1e-9), cpu * 1e6])
            }
            Carrier::Memory { from, to } => {
                let start = Instant::now();
                for _ in 0..run.count {
                    black_box(&mut *to).copy_from_slice(black_box(from));
                }
                let seconds = start.elapsed().as_secs_f64() / run.count as f64;
                Ok(vec![1.0 / seconds, seconds * 1e6])
            }
        })?;
    }
    for (task, _) in SIZES {
        suite.check_floor(task, 0);
        for (contender, limit) in
            [("cortex publish", 0.90), ("cortex owner", 0.98), ("cortex loan", 0.98)]
        {
            suite.check(task, 0, contender, FLOOR, Bound::AtLeast(limit));
            suite.check(task, 0, contender, "pyzmq asyncio", Bound::AtLeast(1.3));
        }
    }
    suite.notes = vec![
        "libzmq, no copy: frames of static memory, the fastest way of using libzmq directly".into(),
        "defaults: without the malloc thresholds and the socket buffers that cortex-std sets"
            .into(),
        "cpu: CPU time of both processes per image, including the kernel's".into(),
    ];
    Ok(suite)
}

fn contenders(len: usize) -> Vec<Contender> {
    let contender = |name, transport, sending| {
        let receiving = match transport {
            Transport::Cortex => Receiving::Thread,
            Transport::Pyzmq => Receiving::Async,
            _ => Receiving::Blocking,
        };
        Contender::new(name, transport, sending, receiving, len).with(|setup| setup.queue = QUEUE)
    };
    let defaults = |setup: &mut Setup| setup.is_tuned = false;
    let mut contenders = Vec::new();
    contenders.extend(contender(FLOOR, Transport::Libzmq, Sending::Owner).with_twin());
    contenders.extend([
        contender("libzmq, copy", Transport::Libzmq, Sending::Copy),
        contender("libzmq, copy, defaults", Transport::Libzmq, Sending::Copy).with(defaults),
        contender("cortex publish", Transport::Cortex, Sending::Copy),
        contender("cortex owner", Transport::Cortex, Sending::Owner),
        contender("cortex loan", Transport::Cortex, Sending::Loan),
        contender("cortex publish, malloc defaults", Transport::Cortex, Sending::Copy)
            .with(defaults),
        contender("pyzmq asyncio", Transport::Pyzmq, Sending::Owner),
        contender("pyzmq uvloop", Transport::Pyzmq, Sending::Owner)
            .with(|setup| setup.receiving = Receiving::Uvloop),
        contender("unix socket", Transport::Unix, Sending::Copy),
    ]);
    contenders
}
