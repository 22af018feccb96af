//! A microcontroller as a node: an IMU and a small image, over a serial line.
//!
//! Bare metal for QEMU's mps2-an386 (Cortex-M4), without an allocator.
//!
//! Terminal 1: cd examples/firmware && cargo run --release
//! Terminal 2: cortex-discovery
//! Terminal 3: cortex gateway --tcp 127.0.0.1:4000
//! Terminal 4: cortex topic echo /imu
//!
//! `/board/rate`, an IntMessage, sets how many IMU readings a second there are, 1 to 1000.

#![no_std]
#![no_main]

mod clock;
mod sensors;
mod uart;

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use cortex_wire::link::{Direction, Event, Hello, Link, Topic};
use cortex_wire::{ArrayView, Header, ImageMessage, IntMessage, Message, decode};
use panic_semihosting as _;

use crate::clock::Clock;
use crate::uart::Uart;

const IMU: &str = "/imu";
const IMAGE: &str = "/camera";
const RATE: &str = "/board/rate";
/// One image for so many readings.
const READINGS_PER_IMAGE: u64 = 10;

/// One reading.
#[derive(Message)]
#[cortex(class = "robot.msgs.Imu")]
struct Imu<'a> {
    acceleration: ArrayView<'a>,
    angular_velocity: ArrayView<'a>,
    temperature: f32,
    frame_id: &'a str,
}

#[entry]
fn main() -> ! {
    let mut clock = Clock::start();
    let topics = [
        Topic::of::<Imu>(Direction::Published, IMU),
        Topic::of::<ImageMessage>(Direction::Published, IMAGE),
        Topic::of::<IntMessage>(Direction::Subscribed, RATE),
    ];
    // All the memory that the link and the codec take beside their stack.
    let mut hello = [0; 192];
    let mut scratch = [0; 256];
    let mut link = Link::new(Uart::open(), [0; 512]);

    // Without a source of randomness: how far the clock of the host is.
    let hello = Hello { node: "board", epoch: clock::epoch(), topics: topics[..].into() };
    let Ok(hello) = hello.encode(&mut hello) else { panic!("192 bytes do not hold the hello") };
    let mut period_ms = 20;
    let mut next_ms = clock.now_ms();
    let mut sequence = 0;
    hprintln!("the board runs");
    loop {
        let now_ms = clock.now_ms();
        let _ = link.tend(hello, now_ms);
        if now_ms >= next_ms {
            next_ms += period_ms;
            let (acceleration, angular_velocity) = sensors::imu(sequence);
            let (Ok(acceleration), Ok(angular_velocity)) = (
                ArrayView::from_slice(&acceleration, &[3]),
                ArrayView::from_slice(&angular_velocity, &[3]),
            ) else {
                continue;
            };
            let temperature = sensors::temperature(sequence);
            let imu = Imu { acceleration, angular_velocity, temperature, frame_id: "imu" };
            // No clock that knows the time: the gateway writes it.
            let header = Header::of::<Imu>(0, sequence);
            let _ = link.publish(IMU, &header, &imu, &mut scratch);
            if sequence % READINGS_PER_IMAGE == 0 {
                let number = sequence / READINGS_PER_IMAGE;
                let pixels = sensors::image(number);
                if let Ok(data) = ArrayView::from_slice(&pixels, &[32, 32]) {
                    let image = ImageMessage::new(data, "mono8");
                    let header = Header::of::<ImageMessage>(0, number);
                    let _ = link.publish(IMAGE, &header, &image, &mut scratch);
                }
            }
            sequence += 1;
        }
        // A damaged frame is counted, and the next one is heard again.
        if let Ok(Some(Event::Message(message))) = link.poll()
            && message.topic() == RATE.as_bytes()
            && let Ok(rate) = decode::<IntMessage>(&message)
            && let Ok(rate @ 1..=1000) = u64::try_from(rate.data)
        {
            hprintln!("{} readings a second", rate);
            period_ms = 1000 / rate;
            next_ms = clock.now_ms();
        }
    }
}
