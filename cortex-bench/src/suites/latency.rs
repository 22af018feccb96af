//! Suite latency: the age of a message in the callback, at 1000 messages per second and at a rate at which
//! coalescing is about to begin.

use std::error::Error;

use crate::bench::Bench;
use crate::check::Bound;
use crate::contest::{all_transports, available, compete, pairs};
use crate::peer::{Outcome, Run};
use crate::suite::{Better, Column, Suite};

/// Name, length and messages per second.
const TASKS: [(&str, usize, u64); 4] = [
    ("64 B", 64, 1000),
    ("1 KiB", 1024, 1000),
    ("64 KiB", 64 * 1024, 1000),
    ("64 B, 75 kHz", 64, 75_000),
];
/// The rate from which on CPU time says nothing: the sender does not sleep.
const BUSY_RATE: u64 = 10_000;
const CORTEX: [&str; 3] = ["cortex thread", "cortex async", "cortex blocking"];
const FLOOR: &str = "libzmq";

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let column = |name| Column::new(name, "us", Better::Lower);
    let columns = vec![column("p50"), column("p99"), column("p99.9"), column("cpu")];
    let question =
        "age of a message in the callback, 1000 messages per second where no rate is given";
    let mut suite = Suite::new("latency", question, FLOOR, columns);
    suite.drawn = vec![0, 1];
    for (task, len, rate) in TASKS {
        let count = (bench.effort.seconds(2.0) * rate as f64) as u64;
        let run = Run { count, warmup: 50, period_ns: 1_000_000_000 / rate, is_timed: true };
        let contenders = available(all_transports(FLOOR, len), bench);
        bench.progress.expect(contenders.len());
        compete(&mut suite, bench, task, pairs(&contenders)?, |pair| {
            let Outcome { sent, received } = pair.run(run)?;
            let cpu = (sent.cpu_seconds + received.cpu_seconds) / (run.warmup + run.count) as f64;
            Ok(received.ages_us.into_iter().chain([cpu * 1e6]).collect())
        })?;
    }
    for (task, len, rate) in TASKS {
        suite.check_floor(task, 0);
        suite.check_floor(task, 1);
        let is_busy = rate >= BUSY_RATE;
        let limit = if len > 1024 || is_busy { 0.5 } else { 1.0 / 3.0 };
        for contender in CORTEX {
            suite.check(task, 0, contender, FLOOR, Bound::AtMost(limit));
            if !is_busy {
                suite.check(task, 1, contender, FLOOR, Bound::AtMost(1.0));
                suite.check(task, 3, contender, FLOOR, Bound::AtMost(0.5));
            }
            if len <= 1024 && !is_busy {
                suite.check(task, 0, contender, "unix socket", Bound::AtMost(1.6));
            }
        }
        for other in ["zenoh", "zeromq.rs"] {
            suite.check(task, 0, "cortex thread", other, Bound::AtMost(1.0));
        }
    }
    suite.notes.push(
        "cpu: CPU time of both processes per message, that of sleeping until the next one included"
            .into(),
    );
    suite.notes.push(
        "on a busy machine the scheduler dominates p99 and p99.9: compare with the floor's twin"
            .into(),
    );
    Ok(suite)
}
