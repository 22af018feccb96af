//! Suite latency: the age of a message in the callback, at 1000 messages per second.

use std::error::Error;

use crate::bench::Bench;
use crate::check::Bound;
use crate::contest::{all_transports, available, compete, pairs};
use crate::peer::Run;
use crate::suite::{Better, Column, Suite};

const RATE: u64 = 1000;
const LENGTHS: [(&str, usize); 3] = [("64 B", 64), ("1 KiB", 1024), ("64 KiB", 64 * 1024)];
const FLOOR: &str = "libzmq";

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let column = |name| Column::new(name, "us", Better::Lower);
    let columns = vec![column("p50"), column("p99"), column("p99.9")];
    let question = "age of a message in the callback, 1000 messages per second";
    let mut suite = Suite::new("latency", question, FLOOR, columns);
    suite.drawn = vec![0, 1];
    let count = (bench.effort.seconds(2.0) * RATE as f64) as u64;
    let run = Run { count, warmup: 50, period_ns: 1_000_000_000 / RATE, is_timed: true };
    for (task, len) in LENGTHS {
        let contenders = available(all_transports(FLOOR, len), bench);
        bench.progress.expect(contenders.len());
        compete(&mut suite, bench, task, pairs(&contenders)?, |pair| {
            Ok(pair.run(run)?.received.ages_us.to_vec())
        })?;
    }
    for (task, _) in LENGTHS {
        suite.check_floor(task, 0);
        suite.check_floor(task, 1);
        suite.check(task, 0, "cortex thread", FLOOR, Bound::AtMost(1.10));
        suite.check(task, 1, "cortex thread", FLOOR, Bound::AtMost(1.25));
        suite.check(task, 0, "cortex async", FLOOR, Bound::AtMost(1.5));
        suite.check(task, 1, "cortex async", FLOOR, Bound::AtMost(2.0));
    }
    suite.notes.push(
        "on a busy machine the scheduler dominates p99 and p99.9: compare with the floor's twin"
            .into(),
    );
    Ok(suite)
}
