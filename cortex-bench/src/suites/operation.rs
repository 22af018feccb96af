//! Operations that take nanoseconds and are measured by repetition.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::bench::Bench;

/// One operation of one contender.
pub(crate) struct Operation<'w> {
    work: Box<dyn FnMut() + 'w>,
    /// Repetitions per round.
    count: u32,
    bytes: usize,
}

impl<'w> Operation<'w> {
    /// An operation that reads or writes `bytes` bytes. Finds the number of repetitions for a round.
    pub(crate) fn new(bench: &Bench, bytes: usize, work: impl FnMut() + 'w) -> Self {
        let mut operation = Self { work: Box::new(work), count: 16, bytes };
        let round = Duration::from_secs_f64(bench.effort.seconds(0.04));
        loop {
            let taken = operation.time();
            if taken >= round / 4 {
                let per_second = f64::from(operation.count) / taken.as_secs_f64();
                operation.count = (per_second * round.as_secs_f64()) as u32 + 1;
                return operation;
            }
            operation.count *= 2;
        }
    }

    /// One sample: nanoseconds, allocations and bytes of one repetition.
    pub(crate) fn sample(&mut self) -> Result<Vec<f64>, Box<dyn Error>> {
        let time = self.time().as_secs_f64() * 1e9 / f64::from(self.count);
        let count = self.count.min(100);
        let allocated = allocation_counter::measure(|| (0..count).for_each(|_| (self.work)()));
        Ok(vec![time, allocated.count_total as f64 / f64::from(count), self.bytes as f64])
    }

    fn time(&mut self) -> Duration {
        let start = Instant::now();
        for _ in 0..self.count {
            (self.work)();
        }
        start.elapsed()
    }
}
