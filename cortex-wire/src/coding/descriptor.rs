//! The two forms of an array in MessagePack: a descriptor that names a buffer frame, and an
//! extension that contains the data.
//!
//! Source: wire reference, "Out-of-band descriptor" and "Tagged single value".

use crate::array::ArrayView;
use crate::array::dtype::{Dtype, MAX_DTYPE_LEN};
use crate::array::error::ArrayError;
use crate::array::shape::Shape;
use crate::array::tensor::TensorView;
use crate::coding::frames::Source;
use crate::error::{DecodeError, DecodeErrorKind, DescriptorKey, EncodeError};
use crate::limits::MAX_DIMS;
use crate::msgpack::key::{Key, read_key, read_pairs};
use crate::msgpack::once::Once;
use crate::msgpack::read::Reader;
use crate::msgpack::token::Token;
use crate::msgpack::write::Writer;
use crate::types::Type;

/// The key that marks a map as a descriptor.
pub(crate) const KIND_KEY: &str = DescriptorKey::Kind.as_str();

const NUMPY: &str = "numpy";
const TORCH: &str = "torch";

/// The bytes before each value of a descriptor, in the canonical order, in which every peer writes
/// it: the map of 4 or 6 pairs up to the buffer's index, then the other keys.
const HEAD_ARRAY: &[u8; 29] = b"\x84\xae__cortex_oob__\xa5numpy\xa6buffer";
const HEAD_TENSOR: &[u8; 29] = b"\x86\xae__cortex_oob__\xa5torch\xa6buffer";
const HEAD_DTYPE: &[u8; 6] = b"\xa5dtype";
const HEAD_SHAPE: &[u8; 6] = b"\xa5shape";
const HEAD_DEVICE: &[u8; 7] = b"\xa6device";
const HEAD_REQUIRES_GRAD: &[u8; 14] = b"\xadrequires_grad";

/// Bytes of the longest descriptor of an array, beside those of its dtype and its shape.
const MAX_HEAD_LEN: usize = HEAD_ARRAY.len() + INT_LEN + HEAD_DTYPE.len() + HEAD_SHAPE.len();

/// Bytes of the longest integer.
const INT_LEN: usize = 9;

/// Bytes of the longest shape: its head and its dimensions.
const MAX_SHAPE_LEN: usize = 1 + MAX_DIMS * INT_LEN;

/// Bytes of the longest descriptor of an array.
pub(crate) const MAX_LEN: usize = MAX_HEAD_LEN + 1 + MAX_DTYPE_LEN + MAX_SHAPE_LEN;

/// Bytes of the longest descriptor of an array of numbers, whose dtype has at most four characters.
pub(crate) const MAX_TYPED_LEN: usize = MAX_HEAD_LEN + 1 + 4 + MAX_SHAPE_LEN;

/// MessagePack extension types.
const EXTENSION_ARRAY: i8 = 1;
const EXTENSION_TENSOR: i8 = 2;

/// An array or a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ArrayItem<'a> {
    Array(ArrayView<'a>),
    Tensor(TensorView<'a>),
}

/// Writes the descriptor of an array, or of a tensor, whose data is buffer `index`.
pub(crate) fn write(
    array: &ArrayView<'_>,
    tensor: Option<&TensorView<'_>>,
    index: usize,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    out.write_chunk(if tensor.is_none() { HEAD_ARRAY } else { HEAD_TENSOR });
    out.write_int(index);
    out.write_chunk(HEAD_DTYPE);
    match array.dtype().short_text() {
        Some([order, kind, size]) => out.write_chunk(&[0xa3, order, kind, size]),
        None => out.write_str(&array.dtype().as_text())?,
    }
    out.write_chunk(HEAD_SHAPE);
    write_shape(out, array.shape())?;
    if let Some(tensor) = tensor {
        out.write_chunk(HEAD_DEVICE);
        out.write_str(tensor.device)?;
        out.write_chunk(HEAD_REQUIRES_GRAD);
        out.write_bool(tensor.requires_grad);
    }
    Ok(())
}

/// Writes an array, or a tensor, with its data as an extension.
pub(crate) fn write_extension(
    array: &ArrayView<'_>,
    tensor: Option<&TensorView<'_>>,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    let ty = if tensor.is_none() { EXTENSION_ARRAY } else { EXTENSION_TENSOR };
    // The length precedes the content, so the head is measured first.
    let mut head = Writer::new(&mut []);
    write_extension_head(array, tensor, &mut head)?;
    out.write_extension(ty, head.len().saturating_add(array.data().len()))?;
    write_extension_head(array, tensor, out)?;
    out.write_raw(array.data());
    Ok(())
}

fn write_extension_head(
    array: &ArrayView<'_>,
    tensor: Option<&TensorView<'_>>,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    match tensor {
        None => out.write_list(3)?,
        Some(tensor) => {
            out.write_list(5)?;
            out.write_str(tensor.device)?;
            out.write_bool(tensor.requires_grad);
        }
    }
    out.write_str(&array.dtype().as_text())?;
    write_shape(out, array.shape())?;
    out.write_bytes_head(array.data().len())
}

fn write_shape(out: &mut Writer<'_>, shape: &[usize]) -> Result<(), EncodeError> {
    out.write_list(shape.len())?;
    for &dim in shape {
        out.write_int(dim);
    }
    Ok(())
}

/// Reads the key of a map that is no descriptor. Where arrays are in frames, the reserved key is an
/// error.
#[inline]
pub(crate) fn read_plain_key<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
) -> Result<Key<'a>, DecodeError> {
    let start = *reader;
    match read_key(reader)? {
        Key::Str(KIND_KEY) if matches!(source, Source::Frames { .. }) => {
            Err(start.error(DecodeErrorKind::ReservedKey))
        }
        key => Ok(key),
    }
}

/// Whether a map of `pairs` pairs, whose first key is at `reader`, is a descriptor.
///
/// Stops at the first value that is a list or map with another one inside, as a descriptor's
/// entries are flat. So each byte is read once for its own map and once for the enclosing map,
/// regardless of the depth.
pub(crate) fn is_descriptor(mut reader: Reader<'_>, pairs: u32) -> bool {
    for _ in 0..pairs {
        match reader.read() {
            Ok(Token::Str(KIND_KEY)) => return true,
            Ok(Token::Str(_) | Token::Bytes(_)) => {}
            _ => return false,
        }
        let inside = match reader.read() {
            Ok(Token::List(count)) => u64::from(count),
            Ok(Token::Map(count)) => u64::from(count).saturating_mul(2),
            Ok(_) => 0,
            Err(_) => return false,
        };
        for _ in 0..inside {
            match reader.read() {
                Ok(Token::List(_) | Token::Map(_)) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    }
    false
}

/// Reads an array's descriptor in canonical order. `None` if anything differs or is invalid:
/// [`read`] accepts any order and reports errors.
#[inline]
pub(crate) fn canonical_array<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
) -> Option<ArrayView<'a>> {
    let mut ahead = *reader;
    ahead.take_exactly(HEAD_ARRAY)?;
    let array = canonical_rest(&mut ahead, source)?;
    *reader = ahead;
    Some(array)
}

/// Reads a tensor's descriptor, as [`canonical_array`] does an array's.
pub(crate) fn canonical_tensor<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
) -> Option<TensorView<'a>> {
    let mut ahead = *reader;
    ahead.take_exactly(HEAD_TENSOR)?;
    let array = canonical_rest(&mut ahead, source)?;
    ahead.take_exactly(HEAD_DEVICE)?;
    let device = ahead.read_str().ok()?;
    ahead.take_exactly(HEAD_REQUIRES_GRAD)?;
    let requires_grad = ahead.read_bool().ok()?;
    *reader = ahead;
    Some(TensorView { array, device, requires_grad })
}

/// Reads the part that both have in common: from the buffer's index to the shape.
#[inline(always)]
fn canonical_rest<'a>(reader: &mut Reader<'a>, source: Source<'a>) -> Option<ArrayView<'a>> {
    let index = reader.read_integer().ok()?;
    reader.take_exactly(HEAD_DTYPE)?;
    let dtype = match canonical_dtype(reader) {
        Some(dtype) => dtype,
        None => read_dtype(reader).ok()?,
    };
    reader.take_exactly(HEAD_SHAPE)?;
    let shape = read_shape(reader).ok()?;
    let data = buffer_of(source, index)?;
    (shape.byte_len(dtype)? == data.len()).then(|| ArrayView::new_unchecked(dtype, shape, data))
}

/// The buffer with this index, if it exists.
#[inline]
fn buffer_of(source: Source<'_>, index: u64) -> Option<&[u8]> {
    match source {
        Source::Frames { frames, first } => {
            frames.frame(usize::try_from(index).ok()?.checked_add(first)?)
        }
        Source::Inline => None,
    }
}

/// Reads the `pairs` entries of a descriptor, whose map starts at `start`, and finds its buffer.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
    pairs: u32,
    start: Reader<'a>,
) -> Result<ArrayItem<'a>, DecodeError> {
    let mut kind = Once::new(DescriptorKey::Kind);
    let mut buffer = Once::new(DescriptorKey::Buffer);
    let mut dtype = Once::new(DescriptorKey::Dtype);
    let mut shape = Once::new(DescriptorKey::Shape);
    let mut device = Once::new(DescriptorKey::Device);
    let mut requires_grad = Once::new(DescriptorKey::RequiresGrad);
    read_pairs(reader, pairs, |key, reader| match key {
        "__cortex_oob__" => kind.set(reader, Reader::read_str),
        "buffer" => buffer.set(reader, Reader::read_integer),
        "dtype" => dtype.set(reader, read_dtype),
        "shape" => shape.set(reader, read_shape),
        "device" => device.set(reader, Reader::read_str),
        "requires_grad" => requires_grad.set(reader, Reader::read_bool),
        _ => reader.skip(),
    })?;
    let start = start.offset();
    let (kind, kind_at) = kind.require_with_offset(start)?;
    let (index, index_at) = buffer.require_with_offset(start)?;
    let dtype = dtype.require(start)?;
    let (shape, shape_at) = shape.require_with_offset(start)?;
    let data = buffer_of(source, index)
        .ok_or(DecodeError::new(DecodeErrorKind::BufferMissing { index }, index_at))?;
    let array = checked_array(dtype, shape, data, shape_at)?;
    match kind {
        NUMPY => Ok(ArrayItem::Array(array)),
        TORCH => Ok(ArrayItem::Tensor(TensorView {
            array,
            device: device.require(start)?,
            requires_grad: requires_grad.require(start)?,
        })),
        _ => Err(DecodeError::new(DecodeErrorKind::DescriptorKind, kind_at)),
    }
}

/// Reads the payload of an extension that ends at `after`.
pub(crate) fn read_extension<'a>(
    ty: i8,
    payload: &'a [u8],
    after: &Reader<'a>,
) -> Result<ArrayItem<'a>, DecodeError> {
    let start = after.offset().saturating_sub(payload.len());
    let mut reader = Reader::new_at(payload, start);
    let expected: u32 = match ty {
        EXTENSION_ARRAY => 3,
        EXTENSION_TENSOR => 5,
        _ => {
            let kind = DecodeErrorKind::WrongType { expected: Type::Array, found: Type::Extension };
            return Err(DecodeError::new(kind, start));
        }
    };
    let at = reader;
    let count = reader.read_list()?;
    if count != expected {
        let kind = DecodeErrorKind::ItemCount {
            expected: usize::try_from(expected).unwrap_or(usize::MAX),
            found: usize::try_from(count).unwrap_or(usize::MAX),
        };
        return Err(at.error(kind));
    }
    let tensor =
        if ty == EXTENSION_TENSOR { Some((reader.read_str()?, reader.read_bool()?)) } else { None };
    let dtype = read_dtype(&mut reader)?;
    let shape_at = reader.offset();
    let shape = read_shape(&mut reader)?;
    let data = reader.read_bytes()?;
    reader.finish()?;
    let array = checked_array(dtype, shape, data, shape_at)?;
    Ok(match tensor {
        Some((device, requires_grad)) => {
            ArrayItem::Tensor(TensorView { array, device, requires_grad })
        }
        None => ArrayItem::Array(array),
    })
}

/// An array whose data has the length that shape and dtype give; an error has the offset of the
/// shape.
pub(crate) fn checked_array(
    dtype: Dtype,
    shape: Shape,
    data: &[u8],
    shape_at: usize,
) -> Result<ArrayView<'_>, DecodeError> {
    ArrayView::with_shape(dtype, shape, data).map_err(|error| {
        let kind = match error {
            ArrayError::Length { expected, found } => {
                DecodeErrorKind::BufferLength { expected, found }
            }
            _ => DecodeErrorKind::ShapeOverflow,
        };
        DecodeError::new(kind, shape_at)
    })
}

/// Reads a dtype of three bytes, which most are.
#[inline]
fn canonical_dtype(reader: &mut Reader<'_>) -> Option<Dtype> {
    let mut ahead = *reader;
    let [0xa3, text @ ..] = ahead.take_chunk::<4>()? else { return None };
    let dtype = Dtype::number(text)?;
    *reader = ahead;
    Some(dtype)
}

fn read_dtype(reader: &mut Reader<'_>) -> Result<Dtype, DecodeError> {
    let start = *reader;
    Dtype::parse(reader.read_str()?).map_err(|error| start.error(DecodeErrorKind::Dtype(error)))
}

#[inline]
fn read_shape(reader: &mut Reader<'_>) -> Result<Shape, DecodeError> {
    let start = *reader;
    let found = reader.read_list()?;
    let mut shape = Shape::scalar();
    for _ in 0..found {
        let dim = reader.read_integer()?;
        shape.push(dim).ok_or_else(|| start.error(DecodeErrorKind::TooManyDimensions { found }))?;
    }
    Ok(shape)
}
