//! Values and messages in a single buffer, for files and for transports without frames.
//!
//! A *tagged value* is a value after a tag. A *blob* is a header and a tagged list of field values.
//! Arrays are MessagePack extensions.
//!
//! ```text
//! blob    | header, 24 bytes | 5 | u32 length | MessagePack list of fields |
//! value   | tag | content |
//!           0 nil      nothing
//!           1 scalar   u32 length, MessagePack
//!           2 array    u8 dimensions, u32 each; u16 length, dtype; data
//!           3 tensor   u8 requires_grad; u16 length, device; then as an array
//!           4 map      u32 length, MessagePack
//!           5 list     u32 length, MessagePack
//!           6 bytes    u32 length, bytes
//! ```
//!
//! Everything is big-endian except the data of arrays, whose byte order is in the dtype.
//!
//! # Examples
//!
//! ```
//! use cortex_wire::{Header, Message, blob, standard};
//!
//! let note = standard::StringMessage { data: "kept" };
//! let header = Header { fingerprint: standard::StringMessage::FINGERPRINT, ..Header::default() };
//! let mut out = [0; 64];
//! let bytes = blob::encode(&header, &note, &mut out)?;
//!
//! // A reader knows the type, or finds it by its fingerprint.
//! assert_eq!(blob::decode::<standard::StringMessage>(bytes)?, (header, note));
//! let (header, fields) = blob::decode_any(bytes)?;
//! let info = cortex_wire::find_type(standard::TYPES, header.fingerprint);
//! assert_eq!(info.map(|info| info.name()), Some("StringMessage"));
//! assert_eq!(fields.get(0), Some("kept".into()));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Source: wire reference, "Tagged single value" and "Single-blob message".

use crate::array::ArrayView;
use crate::array::dtype::Dtype;
use crate::array::shape::Shape;
use crate::array::tensor::TensorView;
use crate::coding::decode::Decoder;
use crate::coding::descriptor::checked_array;
use crate::coding::encode::{Encode, Encoder};
use crate::coding::frames::Source;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::header::Header;
use crate::limits::MAX_DIMS;
use crate::message::{Message, check_fingerprint, read_message};
use crate::msgpack::read::Reader;
use crate::msgpack::write::Writer;
use crate::types::Type;
use crate::value::{List, Value, walk};

const NIL: u8 = 0;
const SCALAR: u8 = 1;
const ARRAY: u8 = 2;
const TENSOR: u8 = 3;
const MAP: u8 = 4;
const LIST: u8 = 5;
const BYTES: u8 = 6;

/// Encodes a message as a blob.
///
/// # Errors
///
/// `OutputFull` with the required length, or a limit of the format.
pub fn encode<'w, M: Message>(
    header: &Header,
    message: &M,
    out: &'w mut [u8],
) -> Result<&'w [u8], EncodeError> {
    write_tagged(&header.encode(), LIST, out, |encoder| message.encode_fields(encoder))
}

/// Decodes a blob of a known type.
///
/// # Errors
///
/// `Fingerprint` if it has another type, `MultipartFrames` if the input is the joined header and
/// metadata of multipart frames, `TrailingBytes`, or an error of its content. Offsets count from
/// the start of the blob.
pub fn decode<M: Message>(blob: &[u8]) -> Result<(Header, M::View<'_>), DecodeError> {
    let (header, reader) = read_start(blob)?;
    check_fingerprint::<M>(&header)?;
    Ok((header, read_message::<M>(Decoder::at(reader, Source::Inline))?))
}

/// Decodes a blob as an `M` without a check of the fingerprint.
///
/// # Errors
///
/// As [`decode`], except `Fingerprint`.
pub fn decode_ignoring_fingerprint<M: Message>(
    blob: &[u8],
) -> Result<(Header, M::View<'_>), DecodeError> {
    let (header, reader) = read_start(blob)?;
    Ok((header, read_message::<M>(Decoder::at(reader, Source::Inline))?))
}

/// Decodes a blob of any type: its header and its field values.
///
/// [`find_type`](crate::find_type) finds the type by the fingerprint in the header.
///
/// # Errors
///
/// As [`decode`], except `Fingerprint`.
pub fn decode_any(blob: &[u8]) -> Result<(Header, List<'_>), DecodeError> {
    let (header, mut reader) = read_start(blob)?;
    let start = reader;
    let fields = match walk::read_value(&mut reader, Source::Inline, 0)? {
        Value::List(fields) => fields,
        other => {
            let kind = DecodeErrorKind::WrongType { expected: Type::List, found: other.ty() };
            return Err(start.error(kind));
        }
    };
    reader.finish()?;
    Ok((header, fields))
}

/// Encodes a tagged value.
///
/// # Errors
///
/// `OutputFull` with the required length, or a limit of the format.
pub fn encode_value<'w>(value: &Value<'_>, out: &'w mut [u8]) -> Result<&'w [u8], EncodeError> {
    let tag = match value {
        Value::Nil | Value::Bytes(_) | Value::Array(_) | Value::Tensor(_) => {
            let mut writer = Writer::new(out);
            write_flat(value, &mut writer)?;
            return writer.finish();
        }
        Value::Map(_) => MAP,
        Value::List(_) => LIST,
        _ => SCALAR,
    };
    write_tagged(&[], tag, out, |encoder| value.encode(encoder))
}

/// Writes a value whose tagged form is not MessagePack.
fn write_flat(value: &Value<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    match value {
        Value::Bytes(bytes) => {
            out.write_raw(&[BYTES]);
            out.write_raw(&len32(bytes.len())?);
            out.write_raw(bytes);
        }
        Value::Array(array) => {
            out.write_raw(&[ARRAY]);
            write_array(array, out)?;
        }
        Value::Tensor(tensor) => {
            out.write_raw(&[TENSOR, tensor.requires_grad.into()]);
            out.write_raw(&len16(tensor.device.len())?);
            out.write_raw(tensor.device.as_bytes());
            write_array(&tensor.array, out)?;
        }
        _ => out.write_raw(&[NIL]),
    }
    Ok(())
}

/// Decodes a tagged value; returns it and its length in bytes. Bytes after it are ignored.
///
/// # Errors
///
/// `Tag`, `Truncated`, or an error of the content. Offsets count from the start of `input`.
pub fn decode_value(input: &[u8]) -> Result<(Value<'_>, usize), DecodeError> {
    let mut bytes = Bytes::new(input, 0);
    let start = bytes;
    let [tag] = bytes.array()?;
    let value = match tag {
        NIL => Value::Nil,
        ARRAY => Value::Array(read_array(&mut bytes)?),
        TENSOR => {
            let [requires_grad] = bytes.array()?;
            let len = u16::from_be_bytes(bytes.array()?);
            let device = bytes.text(len.into())?;
            let array = read_array(&mut bytes)?;
            Value::Tensor(TensorView { array, device, requires_grad: requires_grad != 0 })
        }
        SCALAR | MAP | LIST => {
            let mut reader = bytes.section()?;
            let at = reader;
            let value = walk::read_value(&mut reader, Source::Inline, 0)?;
            reader.finish()?;
            let expected = match tag {
                MAP => Type::Map,
                LIST => Type::List,
                _ => Type::Any,
            };
            match (tag, value.ty()) {
                (MAP, Type::Map) | (LIST, Type::List) => {}
                (SCALAR, ty)
                    if !matches!(ty, Type::Map | Type::List | Type::Array | Type::Tensor) => {}
                (_, found) => {
                    return Err(at.error(DecodeErrorKind::WrongType { expected, found }));
                }
            }
            value
        }
        BYTES => {
            let len = u32::from_be_bytes(bytes.array()?);
            Value::Bytes(bytes.take(len.into())?)
        }
        found => return Err(start.error(DecodeErrorKind::Tag { found })),
    };
    Ok((value, bytes.offset()))
}

/// Encodes an array in the raw layout: dimensions, dtype, data, without a tag.
///
/// # Errors
///
/// `OutputFull` with the required length; `TooLong` for a dimension of 2^32 or more.
pub fn encode_array<'w>(array: &ArrayView<'_>, out: &'w mut [u8]) -> Result<&'w [u8], EncodeError> {
    let mut writer = Writer::new(out);
    write_array(array, &mut writer)?;
    writer.finish()
}

/// Decodes an array in the raw layout; returns it and its length in bytes.
///
/// # Errors
///
/// `Truncated`, `Dtype`, `TooManyDimensions` or `ShapeOverflow`.
pub fn decode_array(input: &[u8]) -> Result<(ArrayView<'_>, usize), DecodeError> {
    let mut bytes = Bytes::new(input, 0);
    let array = read_array(&mut bytes)?;
    Ok((array, bytes.offset()))
}

/// Reads the header and the tag of a blob; returns the header and a reader of the field list.
fn read_start(blob: &[u8]) -> Result<(Header, Reader<'_>), DecodeError> {
    let header = match blob.split_at_checked(Header::LEN) {
        Some((header, _)) => Header::decode(header)?,
        None => Header::decode(blob)?,
    };
    let mut bytes = Bytes::new(blob.get(Header::LEN..).unwrap_or(&[]), Header::LEN);
    let start = bytes;
    match bytes.array()? {
        [LIST] => {}
        // The head of a list: this is metadata, so the frames were joined.
        [0x90..=0x9f | 0xdc | 0xdd] => {
            return Err(start.error(DecodeErrorKind::MultipartFrames));
        }
        [found] => return Err(start.error(DecodeErrorKind::Tag { found })),
    }
    let reader = bytes.section()?;
    match bytes.rest.len() {
        0 => Ok((header, reader)),
        count => Err(bytes.error(DecodeErrorKind::TrailingBytes { count })),
    }
}

/// Writes `before`, tag, length and MessagePack. The length precedes the content, so the content is
/// measured first.
fn write_tagged<'w, 'b>(
    before: &[u8],
    tag: u8,
    out: &'w mut [u8],
    content: impl Fn(&mut Encoder<'_, 'b>) -> Result<(), EncodeError>,
) -> Result<&'w [u8], EncodeError> {
    let mut measure = Encoder::inline(Writer::new(&mut []));
    content(&mut measure)?;
    let content_len = measure.writer().len();

    let available = out.len();
    let mut head = Writer::new(&mut *out);
    head.write_raw(before);
    head.write_raw(&[tag]);
    head.write_raw(&len32(content_len)?);
    let head_len = head.len();
    if let Some(rest) = out.get_mut(head_len..) {
        content(&mut Encoder::inline(Writer::new(rest)))?;
    }
    let needed = head_len.saturating_add(content_len);
    let full = EncodeError { kind: EncodeErrorKind::OutputFull, needed, available };
    out.get(..needed).ok_or(full)
}

fn write_array(array: &ArrayView<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    const { assert!(MAX_DIMS < 256, "the number of dimensions takes one byte") };
    let count = u8::try_from(array.shape().len()).map_err(|_| too_long())?;
    out.write_raw(&[count]);
    for &dim in array.shape() {
        out.write_raw(&len32(dim)?);
    }
    let dtype = array.dtype().as_text();
    out.write_raw(&len16(dtype.len())?);
    out.write_raw(dtype.as_bytes());
    out.write_raw(array.data());
    Ok(())
}

fn read_array<'a>(bytes: &mut Bytes<'a>) -> Result<ArrayView<'a>, DecodeError> {
    let shape_at = *bytes;
    let [count] = bytes.array()?;
    let mut shape = Shape::scalar();
    for _ in 0..count {
        let at = *bytes;
        let dim = u32::from_be_bytes(bytes.array()?);
        let dim = usize::try_from(dim).map_err(|_| at.error(DecodeErrorKind::IntegerRange))?;
        shape.push(dim).ok_or_else(|| {
            shape_at.error(DecodeErrorKind::TooManyDimensions { found: count.into() })
        })?;
    }
    let len = u16::from_be_bytes(bytes.array()?);
    let dtype_at = *bytes;
    let dtype = Dtype::parse(bytes.text(len.into())?)
        .map_err(|error| dtype_at.error(DecodeErrorKind::Dtype(error)))?;
    let data_len = shape
        .item_count()
        .and_then(|items| items.checked_mul(dtype.item_len()))
        .ok_or_else(|| shape_at.error(DecodeErrorKind::ShapeOverflow))?;
    let data = bytes.take(data_len as u64)?;
    checked_array(dtype, shape, data, shape_at.offset())
}

fn len32(len: usize) -> Result<[u8; 4], EncodeError> {
    u32::try_from(len).map(u32::to_be_bytes).map_err(|_| too_long())
}

fn len16(len: usize) -> Result<[u8; 2], EncodeError> {
    u16::try_from(len).map(u16::to_be_bytes).map_err(|_| too_long())
}

const fn too_long() -> EncodeError {
    EncodeError::new(EncodeErrorKind::TooLong)
}

/// A cursor over plain bytes.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    rest: &'a [u8],
    /// Length of the whole input, for offsets.
    len: usize,
}

impl<'a> Bytes<'a> {
    const fn new(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, len: input.len().saturating_add(offset) }
    }

    const fn offset(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.offset())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let available = self.rest.len();
        let truncated = DecodeErrorKind::Truncated { needed: N as u64, available };
        let (head, tail) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| self.error(truncated))?;
        self.rest = tail;
        Ok(*head)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        let available = self.rest.len();
        let (head, tail) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or_else(|| self.error(DecodeErrorKind::Truncated { needed: len, available }))?;
        self.rest = tail;
        Ok(head)
    }

    fn text(&mut self, len: u64) -> Result<&'a str, DecodeError> {
        let start = *self;
        core::str::from_utf8(self.take(len)?).map_err(|_| start.error(DecodeErrorKind::InvalidUtf8))
    }

    /// Reads a length; returns a reader of the MessagePack of that length.
    fn section(&mut self) -> Result<Reader<'a>, DecodeError> {
        let len = u32::from_be_bytes(self.array()?);
        let at = self.offset();
        Ok(Reader::new_at(self.take(len.into())?, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::StringMessage;

    #[test]
    fn reports_joined_multipart_frames() {
        let header =
            Header { fingerprint: StringMessage::FINGERPRINT, ..Header::default() }.encode();
        let mut captured = heapless::Vec::<u8, 64>::from_slice(&header).unwrap();
        captured.extend_from_slice(&[0x91, 0xa2, b'h', b'i']).unwrap();
        let error = decode::<StringMessage<'_>>(&captured).unwrap_err();
        assert_eq!(error, DecodeError::new(DecodeErrorKind::MultipartFrames, 24));
        assert_eq!(decode_any(&captured).unwrap_err().kind, DecodeErrorKind::MultipartFrames);
    }

    #[test]
    fn rejects_truncation_at_every_byte() {
        let items = [1_u16, 2, 3];
        let array = ArrayView::from_slice(&items, &[3]).unwrap();
        let inner = [Value::from(array), Value::from(TensorView::cpu(array))];
        for value in [
            Value::from(array),
            Value::from(TensorView::cpu(array)),
            Value::from(&inner[..]),
            Value::from(5),
            Value::from(&b"bytes"[..]),
        ] {
            let mut out = [0; 128];
            let bytes = encode_value(&value, &mut out).unwrap();
            assert_eq!(decode_value(bytes), Ok((value, bytes.len())));
            for len in 0..bytes.len() {
                assert!(decode_value(&bytes[..len]).is_err(), "{value:?} at {len}");
            }
        }
    }

    #[test]
    fn ignores_bytes_after_a_value() {
        assert_eq!(decode_value(&[0, 9, 9]), Ok((Value::Nil, 1)));
    }

    #[test]
    fn tags_must_match_their_content() {
        for bytes in [&[4, 0, 0, 0, 1, 0x90][..], &[5, 0, 0, 0, 1, 0x80], &[1, 0, 0, 0, 1, 0x90]] {
            let error = decode_value(bytes).unwrap_err();
            assert!(matches!(error.kind, DecodeErrorKind::WrongType { .. }));
            assert_eq!(error.offset, 5);
        }
        assert_eq!(decode_value(&[7]).unwrap_err().kind, DecodeErrorKind::Tag { found: 7 });
    }
}
