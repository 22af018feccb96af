//! A microcontroller as a node: an IMU and a small image, over a serial line.
//!
//! Bare metal for QEMU's mps2-an386 (Cortex-M4), without an allocator. It needs
//! `rustup target add thumbv7em-none-eabihf` and qemu-system-arm.
//!
//! Terminal 1: cd examples/firmware && cargo run --release
//! Terminal 2: cortex-discovery
//! Terminal 3: cortex gateway --tcp 127.0.0.1:4000
//! Terminal 4: cortex topic echo /imu
//! Terminal 5: cortex topic pub --once /board/rate IntMessage 200
//!
//! Python twin: tests/peers/board.py.

#![no_std]
#![no_main]

mod clock;
mod node;
mod sensors;
mod uart;

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use panic_semihosting as _;

use crate::clock::Clock;
use crate::node::{Buffers, Node};
use crate::uart::Uart;

/// Readings for each image.
const READINGS_PER_IMAGE: u64 = 10;

#[entry]
fn main() -> ! {
    let mut clock = Clock::start();
    let mut buffers = Buffers::new();
    let Ok(mut node) = Node::new(Uart::open(), clock::epoch(), &mut buffers) else {
        panic!("the buffer is too small for the hello")
    };
    hprintln!("the board runs");
    let mut period_ms = 20;
    let mut next_ms = clock.now_ms();
    let mut number = 0;
    loop {
        let now_ms = clock.now_ms();
        node.send_hello_if_due(now_ms);
        if now_ms >= next_ms {
            node.publish_reading(number, next_ms);
            if number.is_multiple_of(READINGS_PER_IMAGE) {
                let image = number / READINGS_PER_IMAGE;
                node.publish_image(image, &sensors::image(image));
            }
            number += 1;
            next_ms += period_ms;
        }
        let now_ns = clock.now_ns();
        if let Some(rate) = node.command(now_ns) {
            hprintln!("{} readings a second, {} not sent", rate, node.unsent());
            period_ms = 1000 / rate;
            next_ms = clock.now_ms();
        }
    }
}
