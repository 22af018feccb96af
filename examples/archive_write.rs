//! Writes values and whole messages to a file, one tagged value after the other. A message is a
//! single blob (header and fields in one piece) inside a value of bytes, so that a reader knows
//! where it ends.
//!
//! Terminal: `cargo run --release --bin archive_write` and then
//! `cargo run --release --bin archive_read`
//!
//! Another file: `cargo run --release --bin archive_write /tmp/mine`.
//! Python twin: `archive_write.py` in tests/peers; `archive_read.py` reads the file.

use std::error::Error;
use std::fs::File;
use std::io::Write;

use cortex_std::wire::{ArrayView, Header, ImageMessage, Message, Value, blob};

const PATH: &str = "cortex.archive";

/// A type that is not a standard one: the class of the Python twin.
#[derive(Message)]
#[cortex(class = "robot.msgs.Battery")]
struct Battery<'a> {
    volts: f64,
    cells: ArrayView<'a>,
    name: &'a str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or(PATH.into());
    let mut file = File::create(&path)?;
    let mut out = vec![0; 4096];

    let joints = [0.5_f64, -1.25, 3.0];
    let joints = ArrayView::from_slice(&joints, &[3])?;
    let pose = [("frame", Value::from("map")), ("joints", Value::from(joints))];
    let values = [
        Value::Nil,
        Value::from(-7),
        Value::from(2.5),
        Value::from("text"),
        Value::from(&pose[..]),
    ];
    for value in values {
        file.write_all(blob::encode_value(&value, &mut out)?)?;
    }

    let pixels = [10_u8, 20, 30, 40, 50, 60];
    let image = ImageMessage::new(ArrayView::from_slice(&pixels, &[2, 3])?, "mono8");
    let header = Header::of::<ImageMessage>(1_700_000_000_000_000_000, 41);
    let message = blob::encode(&header, &image, &mut out)?.to_vec();
    file.write_all(blob::encode_value(&Value::Bytes(&message), &mut out)?)?;

    let cells = [4.1_f32, 4.0];
    let battery = Battery { volts: 8.1, cells: ArrayView::from_slice(&cells, &[2])?, name: "left" };
    let header = Header::of::<Battery>(1_700_000_000_500_000_000, 42);
    let message = blob::encode(&header, &battery, &mut out)?.to_vec();
    file.write_all(blob::encode_value(&Value::Bytes(&message), &mut out)?)?;
    println!("wrote {path}");
    Ok(())
}
