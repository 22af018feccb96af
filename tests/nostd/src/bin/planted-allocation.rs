//! Must not link: a field type whose decoding allocates.

#![no_std]
#![no_main]

use alloc::vec::Vec;
use core::hint::black_box;

use cortex_wire::{
    Decode, DecodeError, DecodeErrorKind, Decoder, Encode, EncodeError, Encoder, Field, Message,
    Type, decode,
};

cortex_nostd::link_proof!(|| {
    cortex_nostd::everything();
    let frames: [&[u8]; 2] = black_box([&[0; 24], &[0; 8]]);
    black_box(decode::<Planted>(&frames).is_ok());
});

#[derive(Message)]
#[cortex(class = "proof.Planted")]
struct Planted {
    rest: Owned,
}

struct Owned(Vec<u8>);

impl Field for Owned {
    const TYPE: Type = Type::Bytes;
}

impl Encode for Owned {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer().write_bytes(&self.0)
    }
}

impl<'a> Decode<'a> for Owned {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let bytes = input.reader().read_bytes()?;
        let mut owned = Vec::new();
        // The planted fault, in the form that does not panic.
        owned
            .try_reserve(bytes.len())
            .map_err(|_| DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
        Ok(Self(black_box(owned)))
    }
}
