//! Fields that own their content.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::array::owned::{OwnedArray, OwnedTensor};
use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::{Buffers, Encode, Encoder, Field};
use crate::coding::frames::Frames;
use crate::error::{DecodeError, EncodeError};
use crate::types::Type;

impl<'b> Buffers<'b> for Vec<&'b [u8]> {
    fn push(&mut self, buffer: &'b [u8]) -> Result<(), &'b [u8]> {
        Vec::push(self, buffer);
        Ok(())
    }
}

impl<T: AsRef<[u8]> + Sync> Frames for Vec<T> {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl Field for String {
    const TYPE: Type = Type::Str;
}

impl Encode for String {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer().write_str(self)
    }
}

impl<'a> Decode<'a> for String {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader().read_str().map(Self::from)
    }
}

impl<T: Field> Field for Vec<T> {
    const TYPE: Type = T::SLICE_TYPE;
}

impl<T: Encode> Encode for Vec<T> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        T::encode_slice(self, out)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        T::decode_vec(input)
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    const TYPE: Type = Type::Map;
}

impl<T: Encode> Encode for BTreeMap<String, T> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.write_pairs(self.len(), self.iter().map(|(key, value)| (key.as_str(), value)))
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for BTreeMap<String, T> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.nested(|input| {
            let mut map = Self::new();
            for _ in 0..input.reader().read_map()? {
                let key = input.read_text_key()?;
                map.insert(key.into(), T::decode(input)?);
            }
            Ok(map)
        })
    }
}

impl Field for OwnedArray {
    const TYPE: Type = Type::Array;
}

impl Encode for OwnedArray {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.write_array(&self.view())
    }
}

impl<'a> Decode<'a> for OwnedArray {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader().offset();
        let array = input.read_array()?;
        input.count_copy(array.data().len(), start)?;
        Ok(array.into())
    }
}

impl Field for OwnedTensor {
    const TYPE: Type = Type::Tensor;
}

impl Encode for OwnedTensor {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.write_tensor(&self.view())
    }
}

impl<'a> Decode<'a> for OwnedTensor {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader().offset();
        let tensor = input.read_tensor()?;
        input.count_copy(tensor.array.data().len(), start)?;
        Ok(tensor.into())
    }
}
