//! The items of an array at any alignment and byte order: reading, writing from JSON, statistics.

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
                little::<8>(dtype, bytes, sign)
                    .map_or_else(opaque, |b| Self::Int(i64::from_le_bytes(b)))
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

    /// The item as a float; `None` for complex numbers, text and bytes.
    fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Int(value) => Some(*value as f64),
            Self::UInt(value) => Some(*value as f64),
            Self::Float32(value) => Some((*value).into()),
            Self::Float(value) => Some(*value),
            Self::Complex(..) | Self::Text(_) | Self::Bytes(_) => None,
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
            Self::Float32(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
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

/// Statistics of the numbers in an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    /// Items that are NaN, which the other statistics leave out.
    pub(crate) nans: usize,
}

impl Summary {
    /// The statistics of an array; `None` if it has no numbers.
    pub(crate) fn of(array: &ArrayView<'_>) -> Option<Self> {
        // Fast paths for the dtypes of images and point clouds.
        if let Ok(items) = array.as_slice::<u8>() {
            return Self::of_bytes(items);
        }
        if let Ok(items) = array.iter::<f32>() {
            return Self::over(items.map(f64::from));
        }
        Self::over(items(array).map_while(|item| item.number()))
    }

    fn of_bytes(items: &[u8]) -> Option<Self> {
        let (mut min, mut max, mut sum) = (u8::MAX, 0, 0_u64);
        for item in items {
            min = min.min(*item);
            max = max.max(*item);
            sum += u64::from(*item);
        }
        let mean = sum as f64 / items.len() as f64;
        (!items.is_empty()).then(|| Self { min: min.into(), max: max.into(), mean, nans: 0 })
    }

    fn over(items: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut min, mut max, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        let (mut count, mut nans) = (0_usize, 0);
        for item in items {
            if item.is_nan() {
                nans += 1;
                continue;
            }
            min = min.min(item);
            max = max.max(item);
            sum += item;
            count += 1;
        }
        (count > 0).then(|| Self { min, max, mean: sum / count as f64, nans })
    }
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
    match dtype.kind() {
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
        DtypeKind::Float => put(float_bytes(json_float(json).ok_or_else(invalid)?, len)
            .ok_or_else(invalid)?
            .as_slice()),
        DtypeKind::Complex => {
            let parts = json.as_array().filter(|parts| parts.len() == 2).ok_or_else(invalid)?;
            for part in parts {
                let number = json_float(part).ok_or_else(invalid)?;
                put(float_bytes(number, len / 2).ok_or_else(invalid)?.as_slice());
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

fn float_bytes(value: f64, len: usize) -> Option<Vec<u8>> {
    match len {
        2 => Some(f16::from_f64(value).to_le_bytes().to_vec()),
        4 => Some((value as f32).to_le_bytes().to_vec()),
        8 => Some(value.to_le_bytes().to_vec()),
        _ => None,
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
    fn statistics_leave_out_nan() {
        let data = [1.0_f64, f64::NAN, -3.0];
        let view = ArrayView::from_slice(&data, &[3]).unwrap();
        let summary = Summary::of(&view).unwrap();
        assert_eq!((summary.min, summary.max, summary.mean, summary.nans), (-3.0, 1.0, -1.0, 1));
        let empty = ArrayView::from_slice::<u8>(&[], &[0]).unwrap();
        assert!(Summary::of(&empty).is_none());
        let text = ArrayView::new("<U1".parse().unwrap(), &[1], &[104, 0, 0, 0]).unwrap();
        assert!(Summary::of(&text).is_none());
    }
}
