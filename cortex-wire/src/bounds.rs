//! Tests that the work of reading is bounded by the length of the input, over every implementation
//! of `Frames` and every entry function.

use std::cell::Cell;
use std::string::String;
use std::vec::Vec;

use crate::msgpack::steps;

#[path = "../tests/costly/inputs.rs"]
mod inputs;

const LEN: usize = 8000;

fn space() -> Vec<u8> {
    std::vec![0; 2 * (4 * LEN * 2 + 8192)]
}

#[test]
fn each_byte_is_read_at_most_four_times_in_each_pass() {
    // For its own item and, in search of a descriptor's key, for the enclosing map and the one
    // around that; the bytes of a descriptor once more. The ways to read it make up to three passes.
    const READS: usize = 4 * 3;
    let mut wrong = Vec::new();
    inputs::measure_all(LEN, &mut space(), &mut |name, way, work| {
        let (steps, ()) = steps::of(work);
        // An input is at most a quarter longer than it is asked to be.
        if steps > READS * LEN * 5 / 4 {
            wrong.push((name, way, steps));
        }
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn four_times_the_input_takes_at_most_four_and_two_fifths_times_the_steps() {
    let mut wrong = Vec::new();
    let counted = Cell::new(0_u64);
    let count = inputs::compare(
        LEN,
        &mut space(),
        &mut |work| {
            let (steps, ()) = steps::of(work);
            counted.set(counted.get() + u64::from(steps > 100));
            steps as u64
        },
        &mut |name, way, before, after| {
            wrong.push(std::format!("{name}, {way}: {before} and {after} steps"));
        },
    );
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 300 && counted.get() > 500, "{count} readings, {}", counted.get());
}
