//! Encoding: from values to metadata bytes and a list of borrowed buffers.

use crate::array::ArrayView;
use crate::array::element::Element;
use crate::array::tensor::TensorView;
use crate::array::typed::TypedArray;
use crate::coding::descriptor;
use crate::coding::frames::CopyLimit;
use crate::coding::max_len;
use crate::error::{EncodeError, EncodeErrorKind};
use crate::limits::MAX_DEPTH;
use crate::msgpack::int::Int;
use crate::msgpack::write::Writer;
use crate::types::Type;

/// The wire type of a Rust type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a message",
    label = "not a field type",
    note = "fields are numbers, `bool`, `&str`, `&[u8]`, `Option`, `[T; N]`, `heapless::String` \
            and `Vec`, `ArrayView`, `TypedArray`, `TensorView`, `Value`, `List`, `Map`, `MapOf`; \
            with feature `alloc` also `String`, `Vec`, `BTreeMap<String, _>`, `OwnedArray`, \
            `OwnedTensor` and `OwnedValue`"
)]
pub trait Field {
    /// The type in the metadata.
    const TYPE: Type;
    /// Whether nil is allowed instead.
    const OPTIONAL: bool = false;
    /// The type of a slice of such values: a list, or bytes for `u8`.
    #[doc(hidden)]
    const SLICE_TYPE: Type = Type::List;
    /// Maximum bytes in the metadata, if there is one: borrowed text and lists have none.
    const MAX_LEN: Option<usize> = None;
}

/// A value that can be encoded.
///
/// Implement it, with [`Field`] and [`Decode`](crate::Decode), to use your own type as a field of a
/// message.
///
/// # Examples
///
/// ```
/// use cortex_wire::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Field, Type};
///
/// #[derive(Debug, PartialEq)]
/// struct Celsius(f64);
///
/// impl Field for Celsius {
///     const TYPE: Type = Type::Float;
/// }
///
/// impl Encode for Celsius {
///     fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
///         self.0.encode(out)
///     }
/// }
///
/// impl<'a> Decode<'a> for Celsius {
///     fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
///         f64::decode(input).map(Celsius)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be encoded into a message")]
pub trait Encode: Field {
    /// Writes the value; buffers of its arrays are borrowed for as long as the value.
    ///
    /// # Errors
    ///
    /// A limit of the format, or `TooManyBuffers`. An output that is too small is reported by
    /// [`Encoder::finish`], when the required length is known.
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError>;

    /// Writes a slice of values: a list, or bytes for `u8`.
    #[doc(hidden)]
    fn encode_slice<'b>(items: &'b [Self], out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError>
    where
        Self: Sized,
    {
        out.nested(|out| {
            out.writer.write_list(items.len())?;
            items.iter().try_for_each(|item| item.encode(out))
        })
    }
}

/// A list of borrowed buffers that the encoder fills.
///
/// Implemented for `heapless::Vec<&[u8], N>` and, with `alloc`, for `Vec<&[u8]>`.
pub trait Buffers<'b> {
    /// Appends `buffer`.
    ///
    /// # Errors
    ///
    /// Returns `buffer` if the list is full.
    fn push(&mut self, buffer: &'b [u8]) -> Result<(), &'b [u8]>;
}

impl<'b, const N: usize> Buffers<'b> for heapless::Vec<&'b [u8], N> {
    fn push(&mut self, buffer: &'b [u8]) -> Result<(), &'b [u8]> {
        heapless::Vec::push(self, buffer)
    }
}

/// A list that drops its buffers: for measuring metadata.
pub(crate) struct NoBuffers;

impl<'b> Buffers<'b> for NoBuffers {
    fn push(&mut self, _: &'b [u8]) -> Result<(), &'b [u8]> {
        Ok(())
    }
}

/// The destination of the bytes of arrays.
enum ArraySink<'w, 'b> {
    /// Frames after the metadata, which holds a descriptor of each array.
    Frames { buffers: &'w mut (dyn Buffers<'b> + 'w), count: usize },
    /// The MessagePack itself, as extensions.
    Inline,
}

/// Writes the values of one message.
pub struct Encoder<'w, 'b> {
    pub(crate) writer: Writer<'w>,
    arrays: ArraySink<'w, 'b>,
    depth: usize,
    /// Limit of the arrays of decoded lists and maps.
    pub(crate) copies: CopyLimit,
}

impl<'w, 'b> Encoder<'w, 'b> {
    /// An encoder that writes metadata into `out` and array buffers into `buffers`.
    pub fn new(out: &'w mut [u8], buffers: &'w mut (dyn Buffers<'b> + 'w)) -> Self {
        let arrays = ArraySink::Frames { buffers, count: 0 };
        Self { writer: Writer::new(out), arrays, depth: 0, copies: CopyLimit::DEFAULT }
    }

    /// An encoder that writes everything into `writer`, arrays as MessagePack extensions.
    pub(crate) const fn inline(writer: Writer<'w>) -> Self {
        Self { writer, arrays: ArraySink::Inline, depth: 0, copies: CopyLimit::DEFAULT }
    }

    /// The underlying writer, for plain MessagePack items.
    pub const fn writer(&mut self) -> &mut Writer<'w> {
        &mut self.writer
    }

    /// Writes an array: its descriptor into the metadata, its data into the list of buffers.
    ///
    /// # Errors
    ///
    /// `TooManyBuffers`.
    #[inline]
    pub fn write_array(&mut self, array: &ArrayView<'b>) -> Result<(), EncodeError> {
        self.write_item(array, None)
    }

    /// Writes a tensor: its descriptor into the metadata, its data into the list of buffers.
    ///
    /// # Errors
    ///
    /// `TooManyBuffers`.
    pub fn write_tensor(&mut self, tensor: &TensorView<'b>) -> Result<(), EncodeError> {
        self.write_item(&tensor.array, Some(tensor))
    }

    /// Runs `inside`, which writes a list or map, one nesting level deeper.
    ///
    /// # Errors
    ///
    /// `TooDeep` beyond [`MAX_DEPTH`] levels, and those of `inside`.
    pub fn nested(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.enter()?;
        let result = inside(self);
        self.leave();
        result
    }

    /// Enters a list or map.
    pub(crate) fn enter(&mut self) -> Result<(), EncodeError> {
        if self.depth >= MAX_DEPTH {
            return Err(EncodeError::new(EncodeErrorKind::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// Leaves a list or map.
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Checks a key of a plain map: one key is reserved for descriptors if arrays are in frames.
    ///
    /// # Errors
    ///
    /// `ReservedKey`.
    pub fn check_key(&self, key: &str) -> Result<(), EncodeError> {
        match self.arrays {
            ArraySink::Frames { .. } if key == descriptor::KIND_KEY => {
                Err(EncodeError::new(EncodeErrorKind::ReservedKey))
            }
            _ => Ok(()),
        }
    }

    /// Writes a map of `count` pairs from text to values.
    pub(crate) fn write_pairs<'p, V: Encode + 'b>(
        &mut self,
        count: usize,
        pairs: impl IntoIterator<Item = (&'p str, &'b V)>,
    ) -> Result<(), EncodeError> {
        self.nested(|out| {
            out.writer.write_map(count)?;
            pairs.into_iter().try_for_each(|(key, value)| {
                out.check_key(key)?;
                out.writer.write_str(key)?;
                value.encode(out)
            })
        })
    }

    /// The bytes written.
    ///
    /// # Errors
    ///
    /// `OutputFull` with the required length.
    pub fn finish(self) -> Result<&'w [u8], EncodeError> {
        self.writer.finish()
    }

    #[inline]
    fn write_item(
        &mut self,
        array: &ArrayView<'b>,
        tensor: Option<&TensorView<'b>>,
    ) -> Result<(), EncodeError> {
        match &mut self.arrays {
            ArraySink::Frames { buffers, count } => {
                let index = *count;
                *count = index.saturating_add(1);
                buffers.push(array.data()).map_err(|_| EncodeError {
                    kind: EncodeErrorKind::TooManyBuffers,
                    needed: *count,
                    available: index,
                })?;
                descriptor::write(array, tensor, index, &mut self.writer)
            }
            ArraySink::Inline => descriptor::write_extension(array, tensor, &mut self.writer),
        }
    }
}

impl core::fmt::Debug for Encoder<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Encoder").field("writer", &self.writer).finish_non_exhaustive()
    }
}

macro_rules! encode_ints {
    ($($ty:ty => $max_len:literal),*) => {$(
        impl Field for $ty {
            const TYPE: Type = Type::Int;
            const MAX_LEN: Option<usize> = Some($max_len);
        }

        impl Encode for $ty {
            #[inline]
            fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
                out.writer.write_int(*self);
                Ok(())
            }
        }
    )*};
}

encode_ints!(
    u16 => 3, u32 => 5, u64 => 9, usize => 9, i8 => 2, i16 => 3, i32 => 5, i64 => 9, isize => 9, Int => 9
);

impl Field for u8 {
    const TYPE: Type = Type::Int;
    const SLICE_TYPE: Type = Type::Bytes;
    const MAX_LEN: Option<usize> = Some(2);
}

impl Encode for u8 {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_int(*self);
        Ok(())
    }

    fn encode_slice<'b>(items: &'b [Self], out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_bytes(items)
    }
}

impl Field for bool {
    const TYPE: Type = Type::Bool;
    const MAX_LEN: Option<usize> = Some(1);
}

impl Encode for bool {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_bool(*self);
        Ok(())
    }
}

impl Field for f64 {
    const TYPE: Type = Type::Float;
    const MAX_LEN: Option<usize> = Some(9);
}

impl Encode for f64 {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_f64(*self);
        Ok(())
    }
}

impl Field for f32 {
    const TYPE: Type = Type::Float;
    const MAX_LEN: Option<usize> = Some(9);
}

impl Encode for f32 {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_f64((*self).into());
        Ok(())
    }
}

impl Field for &str {
    const TYPE: Type = Type::Str;
}

impl Encode for &str {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_str(self)
    }
}

impl<const N: usize> Field for heapless::String<N> {
    const TYPE: Type = Type::Str;
    const MAX_LEN: Option<usize> = max_len::of_text(N);
}

impl<const N: usize> Encode for heapless::String<N> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_str(self)
    }
}

impl Field for &[u8] {
    const TYPE: Type = Type::Bytes;
}

impl Encode for &[u8] {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.writer.write_bytes(self)
    }
}

impl<T: Field> Field for Option<T> {
    const TYPE: Type = T::TYPE;
    const OPTIONAL: bool = true;
    const MAX_LEN: Option<usize> = T::MAX_LEN;
}

impl<T: Encode> Encode for Option<T> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.encode(out),
            None => {
                out.writer.write_nil();
                Ok(())
            }
        }
    }
}

impl<T: Field, const N: usize> Field for [T; N] {
    const TYPE: Type = T::SLICE_TYPE;
    const MAX_LEN: Option<usize> = max_len::of_slice(T::SLICE_TYPE, T::MAX_LEN, N);
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        T::encode_slice(self, out)
    }
}

impl<T: Field, const N: usize> Field for heapless::Vec<T, N> {
    const TYPE: Type = T::SLICE_TYPE;
    const MAX_LEN: Option<usize> = max_len::of_slice(T::SLICE_TYPE, T::MAX_LEN, N);
}

impl<T: Encode, const N: usize> Encode for heapless::Vec<T, N> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        T::encode_slice(self, out)
    }
}

impl Field for ArrayView<'_> {
    const TYPE: Type = Type::Array;
    const MAX_LEN: Option<usize> = Some(descriptor::MAX_LEN);
}

impl Encode for ArrayView<'_> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.write_array(self)
    }
}

impl<T> Field for TypedArray<'_, T> {
    const TYPE: Type = Type::Array;
    const MAX_LEN: Option<usize> = Some(descriptor::MAX_TYPED_LEN);
}

impl<T: Element> Encode for TypedArray<'_, T> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.write_array(&self.view())
    }
}

impl Field for TensorView<'_> {
    const TYPE: Type = Type::Tensor;
}

impl Encode for TensorView<'_> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        out.write_tensor(self)
    }
}
