//! Timers: the grid under slow, failing and panicking callbacks, in `run` and on threads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cortex_std::{MissedTicks, Node, ThreadError, ThreadOptions, ThreadTimer, Tick};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, wait_until};

const PERIOD: Duration = Duration::from_millis(10);

/// A node without a daemon.
fn node(folder: &Folder) -> Node {
    Node::builder("clock").discovery(&folder.discovery()).create().expect("a node")
}

fn options() -> ThreadOptions {
    ThreadOptions::named("ticks")
}

fn never(tick: Tick) {
    panic!("{tick:?} came");
}

/// The ticks of an async timer whose first callback takes `busy`, by tokio's paused clock: index,
/// time since the start, lateness and overruns, all in milliseconds.
async fn async_ticks(missed: MissedTicks, busy: u64, count: usize) -> Vec<(u64, u64, u64, u64)> {
    let folder = Folder::new();
    let node = node(&folder);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (ticks, handle) = (Rc::clone(&seen), node.handle());
    let start = tokio::time::Instant::now();
    let timer = node.timer_builder(PERIOD).missed_ticks(missed).first_after_period();
    timer.on_tick(async move |tick: Tick| {
        let now = start.elapsed().as_millis() as u64;
        ticks.borrow_mut().push((tick.index, now, tick.late.as_millis() as u64, tick.overruns));
        if ticks.borrow().len() == 1 {
            tokio::time::sleep(Duration::from_millis(busy)).await;
        }
        if ticks.borrow().len() == count {
            handle.shutdown();
        }
    });
    node.run().await.expect("no error");
    drop(node);
    Rc::into_inner(seen).expect("the callback is gone").into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_quick_async_callback_is_called_on_an_absolute_grid() {
    for missed in [MissedTicks::Burst, MissedTicks::Skip, MissedTicks::Delay] {
        let ticks = async_ticks(missed, 4, 4).await;
        assert_eq!(ticks, [(0, 10, 0, 0), (1, 20, 0, 0), (2, 30, 0, 0), (3, 40, 0, 0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn missed_async_ticks_come_in_a_burst() {
    let ticks = async_ticks(MissedTicks::Burst, 35, 5).await;
    assert_eq!(
        ticks,
        [(0, 10, 0, 0), (1, 45, 25, 1), (2, 45, 15, 2), (3, 45, 5, 3), (4, 50, 0, 3)]
    );
}

#[tokio::test(start_paused = true)]
async fn missed_async_ticks_are_skipped() {
    let ticks = async_ticks(MissedTicks::Skip, 35, 3).await;
    assert_eq!(ticks, [(0, 10, 0, 0), (4, 50, 0, 3), (5, 60, 0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn missed_async_ticks_delay_the_grid() {
    let ticks = async_ticks(MissedTicks::Delay, 35, 3).await;
    assert_eq!(ticks, [(0, 10, 0, 0), (1, 55, 0, 3), (2, 65, 0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn async_callbacks_that_fail_or_panic_keep_the_pace() {
    let folder = Folder::new();
    let node = node(&folder);
    let calls = Rc::new(Cell::new(0));
    let (counter, handle) = (Rc::clone(&calls), node.handle());
    let start = tokio::time::Instant::now();
    node.timer_builder(PERIOD).first_after_period().on_tick(async move |tick: Tick| {
        counter.set(counter.get() + 1);
        match tick.index {
            50 => {
                handle.shutdown();
                Ok(())
            }
            index if index % 2 == 0 => Err("failed on purpose"),
            _ => panic!("on purpose"),
        }
    });
    node.run().await.expect("no error");
    assert_eq!(calls.get(), 51);
    assert_eq!(start.elapsed(), PERIOD * 51);
}

#[tokio::test(start_paused = true)]
async fn a_period_of_zero_and_an_endless_one_are_valid() {
    let folder = Folder::new();
    let node = node(&folder);
    let handle = node.handle();
    let endless = || node.timer_builder(Duration::MAX).first_after_period();
    endless().on_tick(async |tick| never(tick));
    node.timer_builder(Duration::ZERO).missed_ticks(MissedTicks::Skip).on_tick(
        async move |tick: Tick| {
            if tick.index > 100 {
                handle.shutdown();
            }
        },
    );
    let never = endless().thread(options()).on_thread(never).expect("a thread");
    node.run().await.expect("no error");
    assert!(never.is_finished());
    assert_eq!(never.ticks(), 0);
}

/// The ticks of a thread timer whose first callback takes `busy`, with the time since the start.
fn thread_ticks(missed: MissedTicks, busy: Duration, count: usize) -> (Vec<(Tick, Duration)>, u64) {
    let folder = Folder::new();
    let node = node(&folder);
    let (sender, receiver) = channel();
    let start = Instant::now();
    let timer = node
        .timer_builder(PERIOD)
        .missed_ticks(missed)
        .first_after_period()
        .thread(options())
        .on_thread(move |tick| {
            // After the receiver is gone, ticks are of no interest.
            let _ = sender.send((tick, start.elapsed()));
            if tick.index == 0 {
                std::thread::sleep(busy);
            }
        })
        .expect("a thread");
    let ticks = (0..count).map(|_| receiver.recv_timeout(DEADLINE).expect("a tick")).collect();
    wait_until("the last tick is counted", || timer.ticks() >= count as u64);
    (ticks, timer.overruns())
}

#[test]
fn a_thread_timer_is_never_early_and_counts_from_its_start() {
    for missed in [MissedTicks::Burst, MissedTicks::Skip, MissedTicks::Delay] {
        let (ticks, _) = thread_ticks(missed, Duration::ZERO, 5);
        for (tick, at) in ticks {
            // A delayed grid moves with every overrun, the others never.
            let due = PERIOD * (tick.index as u32 + 1);
            assert!(at >= due, "{tick:?} at {at:?}");
        }
    }
}

#[test]
fn missed_thread_ticks_come_in_a_burst() {
    let busy = Duration::from_millis(55);
    let (ticks, overruns) = thread_ticks(MissedTicks::Burst, busy, 10);
    let indices: Vec<u64> = ticks.iter().map(|(tick, _)| tick.index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // The callback of the tick at 10 ms ended at 65 ms: those at 20 to 60 ms were missed.
    let late: Vec<_> = ticks.iter().map(|(tick, _)| tick.late).collect();
    assert!(late[1] >= Duration::from_millis(45), "{late:?}");
    assert!(late[5] >= Duration::from_millis(5), "{late:?}");
    assert!(ticks[5].0.overruns >= 5, "{ticks:?}");
    assert!(overruns >= 5);
}

#[test]
fn missed_thread_ticks_are_skipped() {
    let busy = Duration::from_millis(55);
    let (ticks, overruns) = thread_ticks(MissedTicks::Skip, busy, 3);
    let [(first, _), (second, at), ..] = ticks[..] else { panic!("{ticks:?}") };
    assert_eq!(first.index, 0);
    assert!(second.index >= 6, "{second:?}");
    assert_eq!(second.overruns, second.index - 1);
    // Still on the grid of the start.
    assert!(at >= PERIOD * (second.index as u32 + 1));
    assert!(overruns >= 5);
}

#[test]
fn missed_thread_ticks_delay_the_grid() {
    let busy = Duration::from_millis(55);
    let (ticks, overruns) = thread_ticks(MissedTicks::Delay, busy, 3);
    let [(_, first), (second, at), ..] = ticks[..] else { panic!("{ticks:?}") };
    assert_eq!(second.index, 1);
    assert!(at >= first + busy + PERIOD, "{ticks:?}");
    assert!(overruns >= 5);
}

#[test]
fn thread_callbacks_that_fail_or_panic_keep_the_pace() {
    let folder = Folder::new();
    let node = node(&folder);
    let start = Instant::now();
    let timer = node
        .timer_builder(Duration::from_millis(2))
        .first_after_period()
        .thread(options())
        .on_thread(|tick| match tick.index % 3 {
            0 => Err("failed on purpose"),
            1 => panic!("on purpose"),
            _ => Ok(()),
        })
        .expect("a thread");
    wait_until("it ticked on", || timer.ticks() >= 60);
    // It does not spin: no tick comes before its time.
    let ticks = timer.ticks();
    assert!(u128::from(ticks) <= start.elapsed().as_millis() / 2, "{ticks} ticks");
    assert!(timer.failures() >= 40);
    assert!(!timer.is_finished());
}

#[test]
fn a_thread_timer_ends_with_its_guard_even_in_a_long_period() {
    let folder = Folder::new();
    let node = node(&folder);
    let (sender, receiver) = channel::<()>();
    let timer = node
        .timer_builder(Duration::from_secs(3600))
        .first_after_period()
        .thread(options())
        .on_thread(move |_| {
            let _ = sender.send(());
        })
        .expect("a thread");
    drop(timer);
    // The callback is gone, and with it the sender.
    assert!(
        receiver
            .try_recv()
            .is_err_and(|error| error == std::sync::mpsc::TryRecvError::Disconnected)
    );
}

#[test]
fn a_thread_timer_ends_with_its_node() {
    let folder = Folder::new();
    let node = node(&folder);
    let timer = node.timer_builder(PERIOD).thread(options()).on_thread(|_| ()).expect("a thread");
    drop(node);
    assert!(timer.is_finished());
}

#[test]
fn a_thread_timer_may_drop_its_own_guard() {
    let folder = Folder::new();
    let node = node(&folder);
    let slot = std::sync::Arc::new(Mutex::new(None::<ThreadTimer>));
    let own = std::sync::Arc::clone(&slot);
    let timer = node
        .timer_builder(PERIOD)
        .thread(options())
        .on_thread(move |_| drop(own.lock().expect("not poisoned").take()))
        .expect("a thread");
    *slot.lock().expect("not poisoned") = Some(timer);
    wait_until("the thread is gone", || std::sync::Arc::strong_count(&slot) == 1);
}

#[test]
fn a_thread_timer_may_shut_its_node_down() {
    let folder = Folder::new();
    let node = node(&folder);
    let handle = node.handle();
    // At once, the node could be shut down before the timer exists.
    let timer = node.timer_builder(PERIOD).first_after_period().thread(options());
    let timer = timer.on_thread(move |_| handle.shutdown()).expect("a thread");
    node.spin().expect("no error");
    wait_until("the thread is gone", || timer.is_finished());
}

#[test]
fn an_option_refused_for_a_timer_thread_is_returned_as_an_error() {
    let folder = Folder::new();
    let node = node(&folder);
    let on = |options| node.timer_builder(PERIOD).thread(options).on_thread(|_| ());
    let nowhere = ThreadOptions { cores: vec![4000], ..options() };
    assert!(matches!(on(nowhere), Err(ThreadError::Affinity { .. })));
    let too_high = ThreadOptions { fifo_priority: Some(100), ..options() };
    assert!(matches!(on(too_high), Err(ThreadError::Scheduling { priority: 100, .. })));
    node.handle().shutdown();
    assert!(matches!(on(options()), Err(ThreadError::ShutDown)));
}

#[tokio::test(start_paused = true)]
async fn the_first_tick_of_an_async_timer_comes_at_once_unless_it_is_delayed() {
    let folder = Folder::new();
    let node = node(&folder);
    let (seen, handle) = (Rc::new(RefCell::new(Vec::new())), node.handle());
    let start = tokio::time::Instant::now();
    let record = |name: &'static str| {
        let seen = Rc::clone(&seen);
        async move |tick: Tick| {
            seen.borrow_mut().push((name, tick.index, start.elapsed().as_millis()));
        }
    };
    node.timer(PERIOD, record("at once"));
    node.timer_builder(PERIOD).first_after_period().on_tick(record("delayed"));
    let end = node.timer_builder(PERIOD * 3 / 2).first_after_period();
    end.on_tick(async move |_| handle.shutdown());
    node.run().await.expect("no error");
    let mut seen = seen.take();
    seen.sort_unstable();
    assert_eq!(seen, [("at once", 0, 0), ("at once", 1, 10), ("delayed", 0, 10)]);
}

#[test]
fn the_first_tick_of_a_thread_timer_comes_at_once() {
    let folder = Folder::new();
    let node = node(&folder);
    let timer = node.timer_builder(Duration::from_secs(3600)).thread(options());
    let timer = timer.on_thread(|_| ()).expect("a thread");
    wait_until("it ticked", || timer.ticks() == 1);
    timer.stop();
    wait_until("it has ended", || timer.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_async_timer_drops_its_callback_while_the_others_run() {
    let folder = Folder::new();
    let node = node(&folder);
    let captured = Rc::new(());
    let (held, handle) = (Rc::clone(&captured), node.handle());
    let hour = Duration::from_secs(3600);
    let idle = node.timer(hour, async move |_| drop(Rc::clone(&held)));
    let stopped = idle.clone();
    let other = node.timer(PERIOD, async move |tick: Tick| match tick.index {
        3 => stopped.stop(),
        5 => {
            assert_eq!(Rc::strong_count(&captured), 1, "the callback is gone");
            handle.shutdown();
        }
        _ => {}
    });
    node.run().await.expect("no error");
    assert_eq!((idle.stats().ticks, idle.is_stopped()), (1, true));
    assert_eq!((other.stats().failures, other.is_stopped()), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_keeps_its_callbacks_and_another_one_continues_them() {
    let folder = Folder::new();
    let node = node(&folder);
    let captured = Rc::new(());
    let (held, handle) = (Rc::clone(&captured), node.handle());
    let timer = node.timer_builder(PERIOD).missed_ticks(MissedTicks::Skip).on_tick(
        async move |tick: Tick| {
            let _held = &held;
            // The first run is cancelled in here.
            tokio::time::sleep(PERIOD / 2).await;
            if tick.index >= 10 {
                handle.shutdown();
            }
        },
    );
    tokio::time::timeout(PERIOD * 3 + PERIOD / 4, node.run()).await.expect_err("it is cancelled");
    let ticks = timer.stats().ticks;
    assert_eq!((ticks, Rc::strong_count(&captured)), (3, 2));
    tokio::time::sleep(PERIOD * 3).await;
    assert_eq!(timer.stats().ticks, ticks, "no run, no tick");
    node.run().await.expect("no error");
    assert!(timer.stats().ticks > ticks, "{:?}", timer.stats());
    assert_eq!(Rc::strong_count(&captured), 1, "a run that ends drops its callbacks");
}

#[tokio::test(start_paused = true)]
async fn a_timer_reports_the_lateness_of_its_ticks() {
    let folder = Folder::new();
    let node = node(&folder);
    let handle = node.handle();
    let timer = node.timer(PERIOD, async move |tick: Tick| match tick.index {
        0 => tokio::time::sleep(PERIOD * 9 / 2).await,
        199 => handle.shutdown(),
        _ => {}
    });
    node.run().await.expect("no error");
    let late = timer.stats().late;
    // The ticks at 10, 20, 30 and 40 ms came at 45 ms; tokio's clock has milliseconds.
    assert!(late.max >= PERIOD * 7 / 2, "{late:?}");
    assert!(late.p99 >= PERIOD && late.p99 <= late.max, "{late:?}");
    assert!(late.p50 <= Duration::from_millis(1), "{late:?}");
    assert_eq!(node.stats().timers[0].late, late);
}
