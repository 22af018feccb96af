//! Must not link: a field type whose decoding can panic.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_wire::{
    Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Field, Message, Type, decode,
};

cortex_nostd::link_proof!(|| {
    cortex_nostd::everything();
    let frames: [&[u8]; 2] = black_box([&[0; 24], &[0; 8]]);
    black_box(decode::<Planted>(&frames).is_ok());
});

#[derive(Message)]
#[cortex(class = "proof.Planted")]
struct Planted {
    first: FirstByte,
}

struct FirstByte(u8);

impl Field for FirstByte {
    const TYPE: Type = Type::Int;
}

impl Encode for FirstByte {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        self.0.encode(out)
    }
}

impl<'a> Decode<'a> for FirstByte {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        // The planted fault: nothing may be left.
        Ok(Self(input.reader().rest()[0]))
    }
}
