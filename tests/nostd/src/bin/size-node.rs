//! What the example firmware's node takes: hello, readings and images out over the link, a command in.

#![no_std]
#![no_main]

#[path = "../../../../examples/firmware/src/node.rs"]
mod node;
#[path = "../../../../examples/firmware/src/sensors.rs"]
mod sensors;

use core::convert::Infallible;
use core::hint::black_box;

use embedded_io::{ErrorType, Read, ReadReady, Write};

use self::node::{Buffers, Node};

cortex_nostd::size_of_stack!(run, beside size_of::<Buffers>());

// A frame of the link with an IntMessage, 200, on `/board/rate`.
static COMMAND: [u8; 62] = *b"\0\x02\x02\x01\x01\x01\x01\x01\x01\x0d\x0b/board/rate\x01\x01\x0a\x18\xde\x80\xce\x01\x96f\x06\xc9\x01\x01\x01\x01\x01\x01\x02\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x09\x03\x91\xcc\xc8a\xdf\xf8\xcc\0";
static PIXELS: [u8; 32 * 32] = [0; 32 * 32];

/// Holds the command, and takes everything.
struct Line(&'static [u8]);

impl ErrorType for Line {
    type Error = Infallible;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.is_empty())
    }
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        self.0.read(out)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn run() -> bool {
    let mut buffers = Buffers::new();
    let Ok(mut node) = Node::new(Line(black_box(&COMMAND)), black_box(1), &mut buffers) else {
        return false;
    };
    node.send_hello_if_due(black_box(0));
    node.publish_reading(black_box(0), black_box(0));
    node.publish_image(black_box(0), black_box(&PIXELS));
    // The link takes its input in pieces.
    (0..8).any(|_| node.command(black_box(0)) == Some(200)) && node.unsent() == 0
}
