//! Compares the instructions that reading takes for inputs of one length and of four times the
//! length, on a Cortex-M4 in QEMU, whose SysTick counts them with `-icount`.

#![no_std]
#![no_main]

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use panic_semihosting as _;

#[path = "../../../../cortex-wire/tests/costly/inputs.rs"]
mod inputs;

/// Bytes of the shorter inputs.
const LEN: usize = 4000;

static mut SPACE: [u8; 2 * (4 * LEN * 2 + 8192)] = [0; 2 * (4 * LEN * 2 + 8192)];

#[entry]
fn main() -> ! {
    let Some(peripherals) = Peripherals::take() else { panic!("the peripherals are taken") };
    let mut counter = peripherals.SYST;
    counter.set_clock_source(SystClkSource::Core);
    counter.set_reload(TOP);
    counter.clear_current();
    counter.enable_counter();
    #[expect(static_mut_refs, reason = "the only use, in a program of one thread")]
    // SAFETY: `main` runs once.
    let space = unsafe { &mut SPACE };
    let mut wrong = 0;
    let count = inputs::compare(
        LEN,
        space,
        &mut |work| {
            counter.clear_current();
            let before = SYST::get_current();
            work();
            let after = SYST::get_current();
            if counter.has_wrapped() {
                panic!("the counter is too short for this input");
            }
            // It counts down.
            u64::from(before.wrapping_sub(after) & TOP)
        },
        &mut |name, way, before, after| {
            wrong += 1;
            hprintln!("{}, {}: {} and {} ticks", name, way, before, after);
        },
    );
    hprintln!(
        "{} readings, {} of them take more than 4.4 times as long for 4 times the input",
        count,
        wrong
    );
    debug::exit(if wrong == 0 && count > 300 { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {}
}

/// The counter has 24 bits.
const TOP: u32 = 0x00ff_ffff;
