//! Decodes a header and the metadata of an image.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_wire::{ImageMessage, decode};

cortex_nostd::size_of_stack!(receive);

// The golden message `image_rgb`: header, metadata, pixels.
static HEADER: [u8; 24] =
    *b"\xa5\x1d\xd7\xf8\x90\x94\x2c\xad\x17\x97\x9c\xfe\x3c\xa3\xbe\x69\0\0\0\0\0\0\0\x58";
static METADATA: [u8; 58] = *b"\x94\x84\xae__cortex_oob__\xa5numpy\xa6buffer\0\xa5dtype\xa3|u1\xa5shape\x93\x04\x06\x03\xa4rgb8\x06\x04";
static PIXELS: [u8; 72] = [0; 72];

fn receive() -> bool {
    let frames: [&[u8]; 3] = black_box([&HEADER, &METADATA, &PIXELS]);
    match decode::<ImageMessage<'_>>(&frames) {
        Ok(image) => black_box(&image).width == 6,
        Err(_) => false,
    }
}
