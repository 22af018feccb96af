//! Milliseconds since the start, from the SysTick counter.

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Frequency of the processor's clock.
const TICKS_PER_MS: u32 = 25_000;

/// Extends the SysTick counter to 64 bits, without interrupts: call [`now_ms`](Self::now_ms) at least
/// twice a second.
pub(crate) struct Clock {
    /// Owned, so that no other code stops it.
    _counter: SYST,
    last: u32,
    ticks: u64,
}

/// The counter has 24 bits.
const TOP: u32 = 0x00ff_ffff;

impl Clock {
    /// Starts the counter.
    pub(crate) fn start() -> Self {
        let Some(peripherals) = Peripherals::take() else { panic!("the clock is already started") };
        let mut counter = peripherals.SYST;
        counter.set_clock_source(SystClkSource::Core);
        counter.set_reload(TOP);
        counter.clear_current();
        counter.enable_counter();
        Self { last: SYST::get_current(), _counter: counter, ticks: 0 }
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&mut self) -> u64 {
        self.now_ticks() / u64::from(TICKS_PER_MS)
    }

    /// Nanoseconds since the start.
    pub(crate) fn now_ns(&mut self) -> u64 {
        self.now_ticks() * (1_000_000 / u64::from(TICKS_PER_MS))
    }

    fn now_ticks(&mut self) -> u64 {
        let now = SYST::get_current();
        // SysTick counts down.
        self.ticks += u64::from(self.last.wrapping_sub(now) & TOP);
        self.last = now;
        self.ticks
    }
}

/// A number that differs after each start: the host's time, by semihosting.
pub(crate) fn epoch() -> u64 {
    const SYS_TIME: usize = 0x11;
    const SYS_CLOCK: usize = 0x10;
    // SAFETY: both calls take no argument and only return a number.
    let (seconds, hundredths) = unsafe {
        (cortex_m_semihosting::syscall1(SYS_TIME, 0), cortex_m_semihosting::syscall1(SYS_CLOCK, 0))
    };
    (seconds as u64) << 32 | hundredths as u64
}
