//! Timers on an absolute grid: building and driving them.

mod counters;
mod grid;
mod handle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::clock_gettime;

use crate::error::ThreadError;
use crate::log::{LogLimit, nonzero};
#[cfg(feature = "tokio")]
use crate::runtime::callback::run_guarded;
use crate::runtime::callback::{CallbackResult, call_guarded};
use crate::runtime::tasks::Tasks;
use crate::runtime::thread_options::ThreadOptions;
use crate::runtime::threads::Threads;
use crate::stats::node::StatsRegistry;
use crate::stop::{StopToken, timespec};

pub use grid::{MissedTicks, Tick};
pub use handle::ThreadTimer;
#[cfg(feature = "tokio")]
pub use handle::TimerHandle;

use counters::Counters;
use grid::{Grid, MAX_PERIOD};

/// The last part of a sleep, which a stop does not interrupt.
const FINAL_SLEEP: Duration = Duration::from_millis(20);

/// Builder for a timer.
#[derive(Debug)]
#[must_use]
pub struct TimerBuilder<'n> {
    threads: &'n Arc<Threads>,
    stats: &'n StatsRegistry,
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only run drives tasks"))]
    tasks: &'n Tasks,
    period: Duration,
    missed: MissedTicks,
    is_first_delayed: bool,
    thread: ThreadOptions,
}

impl<'n> TimerBuilder<'n> {
    pub(crate) fn new(
        threads: &'n Arc<Threads>,
        stats: &'n StatsRegistry,
        tasks: &'n Tasks,
        period: Duration,
    ) -> Self {
        Self {
            threads,
            stats,
            tasks,
            // A period of zero would leave no time to other tasks.
            period: period.clamp(Duration::from_nanos(1), MAX_PERIOD),
            missed: MissedTicks::default(),
            is_first_delayed: false,
            thread: ThreadOptions::default(),
        }
    }

    /// What happens to missed ticks; `Burst` by default.
    pub fn missed_ticks(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// Makes the first tick come one period after the start of the timer instead of at once.
    pub fn first_after_period(mut self) -> Self {
        self.is_first_delayed = true;
        self
    }

    /// Name, affinity and priority of the thread of [`on_thread`](Self::on_thread).
    pub fn thread(mut self, options: ThreadOptions) -> Self {
        self.thread = options;
        self
    }

    /// Calls the callback on every tick, from within [`Node::run`](crate::Node::run); first when that begins.
    ///
    /// An error or a panic of the callback is logged and counted, and the next tick comes at its time. The
    /// timer runs until it is [stopped](TimerHandle::stop) or the node is shut down; dropping the handle has
    /// no effect.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(node: &cortex_std::Node) {
    /// let blink = node
    ///     .timer_builder(Duration::from_millis(500))
    ///     .first_after_period()
    ///     .on_tick(async |tick| println!("{}", tick.index));
    /// blink.stop();
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn on_tick<F, R>(self, callback: F) -> TimerHandle
    where
        F: AsyncFnMut(Tick) -> R + 'static,
        R: CallbackResult + 'static,
    {
        let counters = Arc::new(Counters::new(self.period, None));
        self.stats.add(&counters);
        let handle = TimerHandle::new(&counters);
        self.tasks.add(drive(self.grid(), handle.clone(), callback));
        handle
    }

    /// Calls the callback on every tick, on a dedicated thread; first at once.
    ///
    /// For control loops: the thread sleeps until absolute times of the monotonic clock, so that neither
    /// the callback's duration nor lateness accumulates, and no other callback delays it. It ends
    /// when the returned timer is dropped, also by `let _ =`, at the latest with the node. An error or a panic of the callback is logged and counted, and the
    /// next tick comes at its time.
    ///
    /// # Errors
    ///
    /// When the system refuses the options of [`thread`](Self::thread); `ShutDown`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cortex_std::{MissedTicks, Node, ThreadOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// # let node = Node::builder("arm").discovery(&address).create()?;
    /// let control = node
    ///     .timer_builder(Duration::from_millis(1))
    ///     .missed_ticks(MissedTicks::Skip)
    ///     .thread(ThreadOptions::named("control"))
    ///     .on_thread(|tick| {
    ///         // Reads the sensors and commands the motors.
    ///     })?;
    /// println!("{} ticks, {} overruns", control.ticks(), control.overruns());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_thread<F, R>(self, callback: F) -> Result<ThreadTimer, ThreadError>
    where
        F: FnMut(Tick) -> R + Send + 'static,
        R: CallbackResult,
    {
        let grid = self.grid();
        let options = self.thread.or_named("cortex-timer");
        let counters = Arc::new(Counters::new(self.period, Some(options.name.clone())));
        let counted = Arc::clone(&counters);
        let threads = self.threads;
        let thread =
            threads.spawn(options, move |stop| drive_thread(grid, &stop, &counted, callback))?;
        self.stats.add(&counters);
        Ok(ThreadTimer { threads: Arc::clone(threads), thread, counters })
    }

    fn grid(&self) -> Grid {
        let first = if self.is_first_delayed { self.period } else { Duration::ZERO };
        Grid::new(first, self.period, self.missed)
    }
}

#[cfg(feature = "tokio")]
async fn drive<F, R>(mut grid: Grid, timer: TimerHandle, mut callback: F)
where
    F: AsyncFnMut(Tick) -> R,
    R: CallbackResult,
{
    let start = tokio::time::Instant::now();
    let mut log = LogLimit::default();
    let counters = &timer.counters;
    loop {
        tokio::select! {
            biased;
            () = timer.stopped() => return,
            () = tokio::time::sleep_until(start + grid.next) => {}
        }
        let tick = grid.tick(start.elapsed());
        counters.late.record(tick.late);
        if let Some(error) = run_guarded(callback(tick)).await {
            counters.failures.add(1);
            report(&mut log, tick, &error);
        }
        grid.advance(start.elapsed());
        counters.record_tick(grid.overruns);
        // A burst must let other tasks run.
        tokio::task::yield_now().await;
    }
}

fn drive_thread<R: CallbackResult>(
    mut grid: Grid,
    stop: &StopToken,
    counters: &Counters,
    mut callback: impl FnMut(Tick) -> R,
) {
    let start = monotonic();
    let elapsed = || monotonic().saturating_sub(start);
    let mut log = LogLimit::default();
    while sleep_until(start.saturating_add(grid.next), stop) {
        let tick = grid.tick(elapsed());
        counters.late.record(tick.late);
        if let Some(error) = call_guarded(|| callback(tick)) {
            counters.failures.add(1);
            report(&mut log, tick, &error);
        }
        grid.advance(elapsed());
        counters.record_tick(grid.overruns);
    }
}

fn report(log: &mut LogLimit, tick: Tick, error: &str) {
    if let Some(suppressed) = log.pass(Instant::now()) {
        tracing::error!(
            index = tick.index,
            error,
            suppressed = nonzero(suppressed),
            "timer callback failed"
        );
    }
}

/// The monotonic clock, since it began.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Sleeps until a time of the monotonic clock; false if stopped before.
fn sleep_until(time: Duration, stop: &StopToken) -> bool {
    loop {
        if stop.is_stopped() {
            return false;
        }
        let left = time.saturating_sub(monotonic());
        if left.is_zero() {
            return true;
        }
        if left > FINAL_SLEEP {
            // Nothing interrupts an absolute sleep, so only the last part of the time is one.
            let _ = stop.wait_timeout(left.saturating_sub(FINAL_SLEEP / 2));
            continue;
        }
        match clock_nanosleep_absolute(ClockId::Monotonic, &timespec(time)) {
            // After a signal the target time is the same.
            Ok(()) | Err(Errno::INTR) => {}
            // No error is expected; this sleep is less exact.
            Err(_) => std::thread::sleep(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sleep_can_be_stopped_and_a_short_one_is_not_too_short() {
        let stop = StopToken::new().unwrap();
        for millis in [1, 15, 45] {
            let time = monotonic() + Duration::from_millis(millis);
            assert!(sleep_until(time, &stop));
            assert!(monotonic() >= time);
        }
        let stopper = stop.clone();
        let other = std::thread::spawn(move || stopper.stop());
        assert!(!sleep_until(monotonic() + MAX_PERIOD, &stop));
        other.join().unwrap();
    }
}
