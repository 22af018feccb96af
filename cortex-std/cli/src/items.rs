//! The items of an array at any alignment and byte order: reading, and writing from JSON.

use std::fmt;

use cortex_cli::typed_json::{ValueError, hex, unhex};
use cortex_std::wire::{ArrayView, ByteOrder, Dtype, DtypeKind};
use half::f16;
use serde_json::{Value as Json, json};

/// One item of an array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float32(f32),
    Float(f64),
    Complex(f64, f64),
    /// numpy's `NaT`, a time or duration without a value.
    NotATime,
    Text(String),
    /// An item of a dtype without a Rust type.
    Bytes(Vec<u8>),
}

impl Item {
    /// Reads an item from its bytes, of which there must be exactly as many as the dtype has.
    pub(crate) fn read(dtype: Dtype, bytes: &[u8]) -> Self {
        let opaque = || Self::Bytes(bytes.to_vec());
        match dtype.kind() {
            DtypeKind::Bool => Self::Bool(bytes.iter().any(|byte| *byte != 0)),
            DtypeKind::UInt => little::<8>(dtype, bytes, 0)
                .map_or_else(opaque, |b| Self::UInt(u64::from_le_bytes(b))),
            DtypeKind::Int | DtypeKind::DateTime | DtypeKind::TimeDelta => {
                let last = if is_big(dtype) { bytes.first() } else { bytes.last() };
                let sign = if last.is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
                match little::<8>(dtype, bytes, sign).map(i64::from_le_bytes) {
                    Some(i64::MIN) if dtype.kind() != DtypeKind::Int => Self::NotATime,
                    number => number.map_or_else(opaque, Self::Int),
                }
            }
            DtypeKind::Float => match float(dtype, bytes) {
                Some(value) if bytes.len() == 4 => Self::Float32(value as f32),
                Some(value) => Self::Float(value),
                None => opaque(),
            },
            DtypeKind::Complex => {
                let (re, im) = bytes.split_at(bytes.len() / 2);
                match (float(dtype, re), float(dtype, im)) {
                    (Some(re), Some(im)) => Self::Complex(re, im),
                    _ => opaque(),
                }
            }
            DtypeKind::Unicode => {
                let characters = bytes.chunks_exact(4).map(|bytes| {
                    let code = little::<4>(dtype, bytes, 0).map_or(0, u32::from_le_bytes);
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                });
                let text: String = characters.collect();
                Self::Text(text.trim_end_matches('\0').to_owned())
            }
            _ => opaque(),
        }
    }

    /// The item in JSON; bytes as hex.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::UInt(value) => json!(value),
            // The shortest decimal number that is read as the same f32.
            Self::Float32(value) => match value.to_string().parse() {
                Ok(value) => float_json(value),
                Err(_) => float_json((*value).into()),
            },
            Self::Float(value) => float_json(*value),
            Self::Complex(re, im) => json!([float_json(*re), float_json(*im)]),
            Self::NotATime => json!("NaT"),
            Self::Text(text) => json!(text),
            Self::Bytes(bytes) => json!(hex(bytes)),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            // The exponent of a large number, instead of its digits.
            Self::Float32(value) if has_exponent((*value).into()) => write!(f, "{value:e}"),
            Self::Float(value) if has_exponent(*value) => write!(f, "{value:e}"),
            Self::Float32(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::NotATime => f.write_str("NaT"),
            Self::Complex(re, im) => write!(f, "{re}{im:+}j"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => f.write_str(&hex(bytes)),
        }
    }
}

/// A float in JSON: a number, or text for NaN and the infinities.
pub(crate) fn float_json(value: f64) -> Json {
    match value {
        _ if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ => json!(value),
    }
}

/// The inverse of [`float_json`].
pub(crate) fn json_float(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The integer of a number that is written as one.
pub(crate) fn json_integer(json: &Json) -> Option<i128> {
    json.as_u64().map(i128::from).or_else(|| json.as_i64().map(i128::from))
}

/// Whether a number is too large or too small to be written without an exponent.
fn has_exponent(value: f64) -> bool {
    value.is_finite() && value != 0.0 && !(1e-5..1e16).contains(&value.abs())
}

fn is_big(dtype: Dtype) -> bool {
    dtype.byte_order() == ByteOrder::Big
}

/// The bytes of an item in little-endian order, extended to N with `fill`; `None` if there are more.
fn little<const N: usize>(dtype: Dtype, bytes: &[u8], fill: u8) -> Option<[u8; N]> {
    let mut out = [fill; N];
    let item = out.get_mut(..bytes.len())?;
    item.copy_from_slice(bytes);
    if is_big(dtype) {
        item.reverse();
    }
    Some(out)
}

fn float(dtype: Dtype, bytes: &[u8]) -> Option<f64> {
    let bits = u64::from_le_bytes(little::<8>(dtype, bytes, 0)?);
    match bytes.len() {
        2 => Some(f16::from_bits(bits as u16).to_f64()),
        4 => Some(f32::from_bits(bits as u32).into()),
        8 => Some(f64::from_bits(bits)),
        _ => None,
    }
}

/// The items of an array in C order.
pub(crate) fn items<'a>(array: &ArrayView<'a>) -> impl Iterator<Item = Item> + use<'a> {
    let dtype = array.dtype();
    array.data().chunks_exact(dtype.item_len()).map(move |bytes| Item::read(dtype, bytes))
}

/// Appends the bytes of an item of a dtype, from JSON.
///
/// # Errors
/// If the JSON is not a value of that dtype.
pub(crate) fn write(dtype: Dtype, json: &Json, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let invalid = || ValueError::new(format!("{json} is not an item of dtype {}", dtype.as_text()));
    let len = dtype.item_len();
    let mut put = |bytes: &[u8]| {
        let start = out.len();
        out.extend_from_slice(bytes);
        if is_big(dtype)
            && let Some(item) = out.get_mut(start..)
        {
            item.reverse();
        }
    };
    let is_time = matches!(dtype.kind(), DtypeKind::DateTime | DtypeKind::TimeDelta);
    match dtype.kind() {
        _ if is_time && json == "NaT" => put(&i64::MIN.to_le_bytes()),
        DtypeKind::Bool => put(&[json.as_bool().ok_or_else(invalid)?.into()]),
        DtypeKind::UInt => {
            let bytes = json.as_u64().ok_or_else(invalid)?.to_le_bytes();
            put(fitting(&bytes, len, 0).ok_or_else(invalid)?);
        }
        DtypeKind::Int | DtypeKind::DateTime | DtypeKind::TimeDelta => {
            let number = json.as_i64().ok_or_else(invalid)?;
            let bytes = number.to_le_bytes();
            let item = fitting(&bytes, len, if number < 0 { 0xff } else { 0 });
            let has_same_sign =
                |item: &&[u8]| item.last().is_some_and(|last| (*last >= 0x80) == (number < 0));
            put(item.filter(has_same_sign).ok_or_else(invalid)?);
        }
        DtypeKind::Float => put(&float_bytes(json, dtype, len)?),
        DtypeKind::Complex => {
            let parts = json.as_array().filter(|parts| parts.len() == 2).ok_or_else(invalid)?;
            for part in parts {
                put(&float_bytes(part, dtype, len / 2)?);
            }
        }
        DtypeKind::Unicode => {
            let text = json.as_str().filter(|text| text.chars().count() * 4 <= len);
            let characters = text.ok_or_else(invalid)?.chars().map(u32::from);
            characters
                .chain(std::iter::repeat(0))
                .take(len / 4)
                .for_each(|code| put(&code.to_le_bytes()));
        }
        _ => {
            let bytes = json.as_str().ok_or_else(invalid).and_then(unhex)?;
            if bytes.len() != len {
                return Err(invalid());
            }
            out.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

/// The first `len` bytes, if all others are `fill`.
fn fitting(bytes: &[u8], len: usize, fill: u8) -> Option<&[u8]> {
    let (item, rest) = bytes.split_at_checked(len)?;
    rest.iter().all(|byte| *byte == fill).then_some(item)
}

/// The bytes of a float of `len` bytes, little-endian. A decimal number is rounded to the nearest
/// float; an integer must be one exactly.
fn float_bytes(json: &Json, dtype: Dtype, len: usize) -> Result<Vec<u8>, ValueError> {
    let refused = |reason: &str| {
        ValueError::new(format!("{json} is not an item of dtype {}{reason}", dtype.as_text()))
    };
    let value = json_float(json).ok_or_else(|| refused(""))?;
    let (bytes, rounded) = match len {
        2 => (f16::from_f64(value).to_le_bytes().to_vec(), f16::from_f64(value).to_f64()),
        4 => ((value as f32).to_le_bytes().to_vec(), f64::from(value as f32)),
        8 => (value.to_le_bytes().to_vec(), value),
        _ => return Err(refused(": give its bytes in hex as the data of the array")),
    };
    match json_integer(json) {
        _ if rounded.is_infinite() && value.is_finite() => Err(refused(": too large")),
        _ if rounded == 0.0 && value != 0.0 => Err(refused(": closer to 0 than any other item")),
        Some(integer) if rounded as i128 != integer => {
            let nearest = rounded as i128;
            Err(refused(&format!(", the nearest is {nearest}: write {integer}.0 to round it")))
        }
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_and_written_in_any_dtype_and_byte_order() {
        for (dtype, bytes, json) in [
            ("|b1", "01", json!(true)),
            ("|i1", "ff", json!(-1)),
            ("<i2", "feff", json!(-2)),
            (">i2", "fffe", json!(-2)),
            (">i4", "80000000", json!(-2_147_483_648_i64)),
            ("<u8", "ffffffffffffffff", json!(u64::MAX)),
            (">u2", "0102", json!(258)),
            ("<f2", "003c", json!(1.0)),
            ("<f4", "cdcccc3d", json!(0.1)),
            (">f8", "3ff8000000000000", json!(1.5)),
            ("<f8", "000000000000f07f", json!("Infinity")),
            ("<c8", "0000803f00000040", json!([1.0, 2.0])),
            (">c8", "3f80000040000000", json!([1.0, 2.0])),
            ("<U2", "6800000000000000", json!("h")),
            (">U2", "0000006800000069", json!("hi")),
            ("|S2", "6100", json!("6100")),
            ("|V3", "010203", json!("010203")),
            ("<M8[ns]", "0100000000000000", json!(1)),
            ("<m8[25us]", "ffffffffffffffff", json!(-1)),
            (">M8[ns]", "8000000000000000", json!("NaT")),
            ("<i8", "0000000000000080", json!(i64::MIN)),
        ] {
            let parsed: Dtype = dtype.parse().unwrap();
            let bytes = unhex(bytes).unwrap();
            assert_eq!(Item::read(parsed, &bytes).to_json(), json, "{dtype}");
            let mut out = Vec::new();
            write(parsed, &json, &mut out).unwrap();
            assert_eq!(out, bytes, "{dtype}");
        }
        for (dtype, json) in [
            ("|u1", json!(256)),
            ("|u1", json!(-1)),
            ("|i1", json!(128)),
            ("|i1", json!(-129)),
            ("<i4", json!(1.5)),
            ("<f4", json!("x")),
            ("<i8", json!("NaT")),
            ("<f16", json!(1.5)),
            ("<U1", json!("ab")),
            ("|V2", json!("00")),
            ("<c8", json!([1.0])),
            ("|b1", json!(1)),
        ] {
            let parsed: Dtype = dtype.parse().unwrap();
            assert!(write(parsed, &json, &mut Vec::new()).is_err(), "{dtype} {json}");
        }
    }

    #[test]
    fn a_number_that_an_item_cannot_hold_is_refused_and_not_rounded() {
        let written = |dtype: &str, json: Json| {
            let mut out = Vec::new();
            let result = write(dtype.parse().unwrap(), &json, &mut out);
            result.map(|()| out).map_err(|error| error.to_string())
        };
        for (dtype, json, expected) in [
            ("<f4", json!(1e39), "1e+39 is not an item of dtype <f4: too large"),
            ("<f2", json!(70000), "70000 is not an item of dtype <f2: too large"),
            ("<c8", json!([0.0, -1e39]), "-1e+39 is not an item of dtype <c8: too large"),
            (
                "<f4",
                json!(1e-50),
                "1e-50 is not an item of dtype <f4: closer to 0 than any other item",
            ),
            (
                "<f4",
                json!(16_777_217),
                "16777217 is not an item of dtype <f4, the nearest is 16777216: write 16777217.0 to \
                 round it",
            ),
            (
                "<f8",
                json!(u64::MAX),
                "18446744073709551615 is not an item of dtype <f8, the nearest is \
                 18446744073709551616: write 18446744073709551615.0 to round it",
            ),
        ] {
            assert_eq!(written(dtype, json), Err(expected.to_owned()));
        }
        // The advice works, as do exact integers and rounded decimals.
        assert_eq!(written("<f4", json!(16_777_217.0)), Ok(16_777_216_f32.to_le_bytes().to_vec()));
        assert_eq!(written("<f4", json!(65536)), Ok(65536_f32.to_le_bytes().to_vec()));
        assert_eq!(written("<f2", json!(0.1)), Ok(f16::from_f64(0.1).to_le_bytes().to_vec()));
        assert_eq!(written("<f4", json!("Infinity")), Ok(f32::INFINITY.to_le_bytes().to_vec()));
    }

    #[test]
    fn a_large_number_is_shown_with_its_exponent() {
        for (item, text) in [
            (Item::Float(1e300), "1e300"),
            (Item::Float32(1e-30), "1e-30"),
            (Item::Float(0.0), "0"),
            (Item::Float(1234.5), "1234.5"),
            (Item::NotATime, "NaT"),
        ] {
            assert_eq!(item.to_string(), text);
        }
    }
}
