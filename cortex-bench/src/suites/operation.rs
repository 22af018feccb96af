//! Something that takes nanoseconds, done again and again.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::Bench;

/// One operation of one contender.
pub(crate) struct Operation<'w> {
    work: Box<dyn FnMut() + 'w>,
    /// Repetitions that take about as long as a round should.
    count: u32,
    bytes: usize,
}

impl<'w> Operation<'w> {
    /// Repeats `work`, which reads or writes so many bytes, as often as a round has time for.
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

    /// Nanoseconds, allocations and bytes of one.
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
