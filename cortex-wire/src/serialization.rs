//! `Serialize` and `Deserialize` of `serde`, where they are not derived.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::array::dtype::Dtype;
use crate::array::owned::OwnedArray;
use crate::msgpack::int::Int;

/// Bytes as bytes, which formats such as JSON write as a list of numbers.
pub(crate) mod bytes {
    use super::{BytesVisitor, Deserializer, Serializer, Vec};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        input.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
        // The length is the peer's claim: it allocates nothing.
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

/// A number; in binary formats, which may need its type, one of 128 bits.
impl Serialize for Int {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if !out.is_human_readable() {
            return out.serialize_i128((*self).into());
        }
        match (u64::try_from(*self), i64::try_from(*self)) {
            (Ok(value), _) => out.serialize_u64(value),
            (_, Ok(value)) => out.serialize_i64(value),
            _ => out.serialize_i128((*self).into()),
        }
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if input.is_human_readable() {
            input.deserialize_any(IntVisitor)
        } else {
            input.deserialize_i128(IntVisitor)
        }
    }
}

struct IntVisitor;

impl Visitor<'_> for IntVisitor {
    type Value = Int;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer from -2^63 to 2^64 - 1")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int, E> {
        Ok(value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Int, E> {
        let signed = || i64::try_from(value).map(Int::from);
        let int = u64::try_from(value).map(Int::from).or_else(|_| signed());
        int.map_err(|_| E::custom(format_args!("{value} is not an integer from -2^63 to 2^64 - 1")))
    }
}

/// numpy's text, such as `<f4`.
impl Serialize for Dtype {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.as_text())
    }
}

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(de::Error::custom)
    }
}

#[derive(serde::Serialize)]
#[serde(rename = "Array")]
struct ArrayParts<'a> {
    dtype: Dtype,
    shape: &'a [usize],
    #[serde(with = "bytes")]
    data: &'a [u8],
}

#[derive(serde::Deserialize)]
#[serde(rename = "Array")]
struct OwnedArrayParts {
    dtype: Dtype,
    shape: Vec<usize>,
    #[serde(with = "bytes")]
    data: Vec<u8>,
}

/// Dtype, shape and the bytes of the data.
impl Serialize for OwnedArray {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let view = self.view();
        ArrayParts { dtype: view.dtype(), shape: view.shape(), data: view.data() }.serialize(out)
    }
}

/// Refuses data that does not have the dtype and the shape.
impl<'de> Deserialize<'de> for OwnedArray {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let OwnedArrayParts { dtype, shape, data } = OwnedArrayParts::deserialize(input)?;
        Self::new(dtype, &shape, data).map_err(de::Error::custom)
    }
}
