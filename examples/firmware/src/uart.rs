//! The CMSDK UART of the mps2 boards, polled.

use core::convert::Infallible;
use core::ptr::{read_volatile, write_volatile};

use embedded_io::{ErrorType, Read, ReadReady, Write};

/// Registers of UART0: data, state, control, interrupts, clock divisor.
const BASE: usize = 0x4000_4000;
const DATA: *mut u32 = BASE as *mut u32;
const STATE: *mut u32 = (BASE + 0x4) as *mut u32;
const CONTROL: *mut u32 = (BASE + 0x8) as *mut u32;
const DIVISOR: *mut u32 = (BASE + 0x10) as *mut u32;

const OUT_FULL: u32 = 1;
const IN_FULL: u32 = 2;
const ENABLE_BOTH: u32 = 3;

/// The only user of UART0.
pub(crate) struct Uart(());

impl Uart {
    /// Enables the UART, at 25 MHz / 27 = 926 kbaud.
    pub(crate) fn open() -> Self {
        // SAFETY: registers of this board, which nothing else uses.
        unsafe {
            write_volatile(DIVISOR, 27);
            write_volatile(CONTROL, ENABLE_BOTH);
        }
        Self(())
    }

    fn state(&self) -> u32 {
        // SAFETY: as in `open`.
        unsafe { read_volatile(STATE) }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.state() & IN_FULL != 0)
    }
}

impl Read for Uart {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        let mut count = 0;
        for place in out {
            // Waits for the first byte only.
            while count == 0 && self.state() & IN_FULL == 0 {}
            if self.state() & IN_FULL == 0 {
                break;
            }
            // SAFETY: as in `open`.
            *place = unsafe { read_volatile(DATA) } as u8;
            count += 1;
        }
        Ok(count)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.state() & OUT_FULL != 0 {}
            // SAFETY: as in `open`.
            unsafe { write_volatile(DATA, byte.into()) };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
