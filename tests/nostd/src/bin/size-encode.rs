//! Encodes a header and the metadata of an image.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_wire::{ArrayView, Header, ImageMessage, Message, encode};

cortex_nostd::size_of_stack!(publish);

fn publish() -> bool {
    let pixels: &'static [u8] = black_box(&[0; 4 * 6 * 3]);
    let Ok(data) = ArrayView::from_slice(pixels, &[4, 6, 3]) else { return false };
    let image = ImageMessage::new(data, "rgb8");
    let fingerprint = ImageMessage::FINGERPRINT;
    black_box(&Header { fingerprint, timestamp_ns: black_box(1), sequence: 2 }.encode());
    let mut metadata = [0; 64];
    let mut buffers = heapless::Vec::<&[u8], 1>::new();
    let encoded = encode(&image, black_box(&mut metadata), &mut buffers);
    black_box(&buffers);
    encoded.is_ok_and(|metadata| metadata.len() == 58)
}
