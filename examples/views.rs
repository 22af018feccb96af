//! Prints which calls copy: compares the addresses of the bytes before and after each call.
//!
//! Terminal: `cargo run --release --bin views`
//!
//! Python twin: `views.py` in tests/peers, with memoryview and numpy.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cortex_std::raw::{RawPublisher, RawSubscriber};
use cortex_std::wire::{self, ArrayMessage, ArrayView, Header, OwnedArray};

const SHAPE: [usize; 2] = [480, 640];
const IN_TIME: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let address = format!("ipc://{}/views.sock", folder.path().display());
    let sender = RawPublisher::bind(&address)?;
    let mut receiver = RawSubscriber::connect(&address)?;
    receiver.subscribe(b"")?;
    sender.blocking_wait_for_subscribers(1, IN_TIME)?;

    // Sending: the message borrows the pixels, and so do the frames.
    let pixels = Arc::new(vec![7_u8; 480 * 640]);
    let message =
        ArrayMessage { data: ArrayView::from_slice(&pixels, &SHAPE)?, name: "", frame_id: "" };
    row("ArrayView::from_slice", &pixels, message.data.data());
    let (mut metadata, mut buffers) = ([0; 256], wire::heapless::Vec::<&[u8], 1>::new());
    let metadata = wire::encode(&message, &mut metadata, &mut buffers)?;
    row("encode: the array's frame", &pixels, buffers[0]);
    let header = Header::of::<ArrayMessage>(0, 0).encode();
    let first: [&[u8]; 3] = [b"views", &header, metadata];
    sender.send_from(&first, Arc::clone(&pixels), |pixels| {
        row("send_from: what the socket gets", pixels, pixels);
        pixels
    })?;

    // Receiving: everything is read in place.
    let received = receiver.recv_timeout(IN_TIME)?.ok_or("no message arrived")?;
    let frame = received.frame(3).ok_or("no pixels")?;
    let (start, payload) = (frame.as_ptr(), received.payload());
    let array = wire::decode::<ArrayMessage>(&payload)?.data;
    row("decode: the array", frame, array.data());
    row("as_slice", frame, array.as_slice::<u8>()?);
    row("a slice of it", frame, &array.as_slice::<u8>()?[640..1280]);
    row("to_vec", frame, &array.to_vec::<u8>()?);
    row("OwnedArray::from", frame, OwnedArray::from(array).view().data());
    row("iter, collected", frame, &array.iter::<u8>()?.collect::<Vec<_>>());

    // Another thread: the message moves, its frames keep their addresses.
    let start = start.addr();
    let same = thread::spawn(move || {
        received.frame(3).is_some_and(|frame| frame.as_ptr().addr() == start)
    });
    let same = same.join().map_err(|_| "the thread failed")?;
    println!("{:<34} {}", "a message sent to a thread", if same { "no copy" } else { "copy" });
    Ok(())
}

/// Prints whether `part` lies within `whole`.
fn row(what: &str, whole: &[u8], part: &[u8]) {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    let is_within = whole.start <= part.start && part.end <= whole.end;
    println!("{what:<34} {}", if is_within { "no copy" } else { "copy" });
}
