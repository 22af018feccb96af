//! Timers on an absolute grid.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::clock_gettime;

#[cfg(feature = "tokio")]
use crate::callback::guarded;
use crate::callback::guarded_call;
use crate::census::{Counted, NodeStats, TimerStats};
use crate::error::CreateError;
use crate::node::Shared;
#[cfg(feature = "tokio")]
use crate::node::Tasks;
use crate::stats::{Counter, LogLimit};
use crate::stop::{StopToken, timespec};
use crate::subscriber::Outcome;
use crate::thread::{ThreadHandle, ThreadOptions, Threads};

/// The longest period, about thirty years: a time that far away is never reached.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);
/// A thread that waits for longer than this can be stopped meanwhile.
const LAST_STRETCH: Duration = Duration::from_millis(20);

/// What happens to ticks whose time passed while the callback was still busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissedTicks {
    /// They come at once, one after the other, until the grid is caught up: as in Python.
    #[default]
    Burst,
    /// They are left out; the next one comes at its place in the grid.
    Skip,
    /// The grid moves: the next one comes a period after the callback ended.
    Delay,
}

/// One tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Number of the tick in the grid, from 0; skipped ones count.
    pub index: u64,
    /// How long after its time the callback was called.
    pub late: Duration,
    /// Ticks whose time had passed before the one before them was done, since the start.
    pub overruns: u64,
}

/// Settings of a timer that is to be started.
#[derive(Debug)]
#[must_use]
pub struct TimerBuilder<'n> {
    shared: &'n Arc<Shared>,
    #[cfg(feature = "tokio")]
    tasks: &'n Tasks,
    period: Duration,
    missed: MissedTicks,
    thread: ThreadOptions,
}

impl<'n> TimerBuilder<'n> {
    pub(crate) fn new(
        shared: &'n Arc<Shared>,
        #[cfg(feature = "tokio")] tasks: &'n Tasks,
        period: Duration,
    ) -> Self {
        Self {
            shared,
            #[cfg(feature = "tokio")]
            tasks,
            // A period of nothing would leave no time to anybody else.
            period: period.clamp(Duration::from_nanos(1), LONGEST),
            missed: MissedTicks::default(),
            thread: ThreadOptions::default(),
        }
    }

    /// What happens to missed ticks; `Burst` unless set.
    pub fn missed_ticks(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// How the thread of [`on_thread`](Self::on_thread) is to run.
    pub fn thread(mut self, options: ThreadOptions) -> Self {
        self.thread = options;
        self
    }

    /// Calls back on every tick, from within [`Node::run`](crate::Node::run); the first one a
    /// period after that began.
    ///
    /// A callback that returns an error or panics is reported, and the next tick comes at its time.
    #[cfg(feature = "tokio")]
    pub fn on_tick<F, R>(self, callback: F)
    where
        F: AsyncFnMut(Tick) -> R + 'static,
        R: Outcome + 'static,
    {
        let counts = Arc::new(Counts::new(self.period, None));
        self.shared.census.add(&counts);
        self.tasks.add(drive(Grid::new(self.period, self.missed), counts, callback));
    }

    /// Calls back on every tick, on a thread of its own; the first one a period from now.
    ///
    /// For control loops: the thread sleeps until absolute times of the monotonic clock, so that
    /// neither the callback's time nor being late adds up, and nobody else's callback holds it up.
    /// It ends with the returned timer or with the node. A callback that returns an error or panics
    /// is reported, and the next tick comes at its time.
    ///
    /// # Errors
    ///
    /// When the thread cannot run as [`thread`](Self::thread) asked; `ShutDown`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cortex_std::{MissedTicks, Node, ThreadOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// # let node = Node::builder("arm").discovery(&address).build()?;
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
    pub fn on_thread<F, R>(self, callback: F) -> Result<ThreadTimer, CreateError>
    where
        F: FnMut(Tick) -> R + Send + 'static,
        R: Outcome,
    {
        let options = self.thread.or_named("cortex-timer");
        let counts = Arc::new(Counts::new(self.period, Some(options.name.clone())));
        let counted = Arc::clone(&counts);
        let grid = Grid::new(self.period, self.missed);
        let threads = &self.shared.threads;
        let thread =
            threads.spawn(options, move |stop| drive_thread(grid, &stop, &counted, callback))?;
        self.shared.census.add(&counts);
        Ok(ThreadTimer { threads: Arc::clone(threads), thread, counts })
    }
}

/// A timer with a thread of its own, which ends when this is dropped, or with its node.
///
/// Dropping waits for a callback that is at work, but not longer than a second; one that blocks
/// longer is reported by name in the log and left. Within the callback dropping does not wait.
#[derive(Debug)]
#[must_use = "the timer ends when this is dropped"]
pub struct ThreadTimer {
    threads: Arc<Threads>,
    thread: ThreadHandle,
    counts: Arc<Counts>,
}

impl ThreadTimer {
    /// How often the callback was called and has returned.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.counts.ticks.value()
    }

    /// Ticks whose time had passed before the one before them was done.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.counts.overruns.value()
    }

    /// How often the callback returned an error or panicked.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counts.failures.value()
    }

    /// Whether the timer has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Drop for ThreadTimer {
    fn drop(&mut self) {
        self.threads.end(&self.thread);
    }
}

#[derive(Debug)]
struct Counts {
    period: Duration,
    thread: Option<String>,
    ticks: Counter,
    overruns: Counter,
    failures: Counter,
}

impl Counts {
    fn new(period: Duration, thread: Option<String>) -> Self {
        let [ticks, overruns, failures] = Default::default();
        Self { period, thread, ticks, overruns, failures }
    }

    /// A tick was done.
    fn note(&self, grid: &Grid) {
        self.overruns.set(grid.overruns);
        self.ticks.add(1);
    }
}

impl Counted for Counts {
    fn count(&self, stats: &mut NodeStats) {
        stats.timers.push(TimerStats {
            period: self.period,
            thread: self.thread.clone(),
            ticks: self.ticks.value(),
            overruns: self.overruns.value(),
            failures: self.failures.value(),
        });
    }
}

#[cfg(feature = "tokio")]
async fn drive<F, R>(mut grid: Grid, counts: Arc<Counts>, mut callback: F)
where
    F: AsyncFnMut(Tick) -> R,
    R: Outcome,
{
    let start = tokio::time::Instant::now();
    let mut log = LogLimit::default();
    loop {
        tokio::time::sleep_until(start + grid.next).await;
        let tick = grid.tick(start.elapsed());
        if let Some(error) = guarded(callback(tick)).await {
            counts.failures.add(1);
            report(&mut log, tick, &error);
        }
        grid.advance(start.elapsed());
        counts.note(&grid);
        // A burst must leave the others their turn.
        tokio::task::yield_now().await;
    }
}

fn drive_thread<R: Outcome>(
    mut grid: Grid,
    stop: &StopToken,
    counts: &Counts,
    mut callback: impl FnMut(Tick) -> R,
) {
    let start = monotonic();
    let elapsed = || monotonic().saturating_sub(start);
    let mut log = LogLimit::default();
    while sleep_until(start.saturating_add(grid.next), stop) {
        let tick = grid.tick(elapsed());
        if let Some(error) = guarded_call(|| callback(tick)) {
            counts.failures.add(1);
            report(&mut log, tick, &error);
        }
        grid.advance(elapsed());
        counts.note(&grid);
    }
}

fn report(log: &mut LogLimit, tick: Tick, error: &str) {
    if let Some(suppressed) = log.pass(Instant::now()) {
        tracing::error!(index = tick.index, error, suppressed, "timer callback failed");
    }
}

/// The monotonic clock, since it began.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Sleeps until a time of the monotonic clock; false if it was stopped before.
fn sleep_until(time: Duration, stop: &StopToken) -> bool {
    loop {
        if stop.is_stopped() {
            return false;
        }
        let left = time.saturating_sub(monotonic());
        if left.is_zero() {
            return true;
        }
        if left > LAST_STRETCH {
            // Nothing wakes a thread from an absolute sleep, so only the end of it is one.
            let _ = stop.wait_timeout(left.saturating_sub(LAST_STRETCH / 2));
            continue;
        }
        match clock_nanosleep_absolute(ClockId::Monotonic, &timespec(time)) {
            // A signal came; the time is still the same.
            Ok(()) | Err(Errno::INTR) => {}
            // It knows every clock and time; if not, this one is not as exact.
            Err(_) => std::thread::sleep(left),
        }
    }
}

/// The times of the ticks, since the start of the timer, on whatever clock.
#[derive(Debug)]
struct Grid {
    next: Duration,
    period: Duration,
    missed: MissedTicks,
    index: u64,
    overruns: u64,
}

impl Grid {
    fn new(period: Duration, missed: MissedTicks) -> Self {
        Self { next: period, period, missed, index: 0, overruns: 0 }
    }

    fn tick(&self, now: Duration) -> Tick {
        let late = now.saturating_sub(self.next);
        Tick { index: self.index, late, overruns: self.overruns }
    }

    /// Goes to the tick after the one that was just done.
    fn advance(&mut self, now: Duration) {
        self.index = self.index.saturating_add(1);
        self.next = self.next.saturating_add(self.period);
        let behind = now.saturating_sub(self.next);
        if behind.is_zero() {
            return;
        }
        let (behind, period) = (behind.as_nanos(), self.period.as_nanos().max(1));
        // The one whose time is just now is not missed.
        let passed = u64::try_from(behind.div_ceil(period)).unwrap_or(u64::MAX);
        match self.missed {
            // Each is counted when it is its turn.
            MissedTicks::Burst => self.overruns = self.overruns.saturating_add(1),
            MissedTicks::Skip => {
                self.overruns = self.overruns.saturating_add(passed);
                self.index = self.index.saturating_add(passed);
                // Nanoseconds of less than a period, which fit.
                let ahead = u64::try_from(behind.next_multiple_of(period) - behind);
                self.next = now.saturating_add(Duration::from_nanos(ahead.unwrap_or(0)));
            }
            MissedTicks::Delay => {
                self.overruns = self.overruns.saturating_add(passed);
                self.next = now.saturating_add(self.period);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);
    const ALL: [MissedTicks; 3] = [MissedTicks::Burst, MissedTicks::Skip, MissedTicks::Delay];

    fn grid_after(busy: Duration, missed: MissedTicks) -> (Duration, u64, u64) {
        let mut grid = Grid::new(PERIOD, missed);
        // The first tick comes in time and its callback takes `busy`.
        grid.advance(grid.next + busy);
        (grid.next, grid.index, grid.overruns)
    }

    #[test]
    fn a_quick_callback_stays_on_the_grid() {
        for missed in ALL {
            for busy in [Duration::ZERO, PERIOD - Duration::from_nanos(1), PERIOD] {
                assert_eq!(grid_after(busy, missed), (PERIOD * 2, 1, 0));
            }
        }
    }

    #[test]
    fn missed_ticks_burst_are_skipped_or_delay_the_grid() {
        let busy = Duration::from_millis(35);
        assert_eq!(grid_after(busy, MissedTicks::Burst), (PERIOD * 2, 1, 1));
        // Ticks at 20, 30 and 40 ms passed; the next one is at 50.
        assert_eq!(grid_after(busy, MissedTicks::Skip), (PERIOD * 5, 4, 3));
        assert_eq!(grid_after(busy, MissedTicks::Delay), (PERIOD + busy + PERIOD, 1, 3));
        // The one at 40 ms is just due.
        let busy = Duration::from_millis(30);
        assert_eq!(grid_after(busy, MissedTicks::Skip), (PERIOD * 4, 3, 2));
    }

    #[test]
    fn no_period_and_no_pause_is_too_long() {
        for missed in ALL {
            for period in [Duration::from_nanos(1), LONGEST] {
                let mut grid = Grid::new(period, missed);
                for now in [LONGEST, LONGEST * 10, Duration::MAX, Duration::MAX] {
                    let _ = grid.tick(now);
                    grid.advance(now);
                }
            }
        }
    }

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
        assert!(!sleep_until(monotonic() + LONGEST, &stop));
        other.join().unwrap();
    }
}
