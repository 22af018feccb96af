//! Decoding: from borrowed frames to borrowed values.

use crate::array::ArrayView;
use crate::array::element::Element;
use crate::array::tensor::TensorView;
use crate::array::typed::TypedArray;
use crate::coding::descriptor::{self, ArrayItem};
use crate::coding::encode::Field;
use crate::coding::frames::{CopyLimit, Frames, Source};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::MAX_DEPTH;
use crate::msgpack::int::Int;
use crate::msgpack::key::{Key, read_key};
use crate::msgpack::read::Reader;
use crate::msgpack::token::Token;
use crate::types::Type;

/// Reads the values of one message.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) source: Source<'a>,
    /// Number of lists and maps that the reader is inside of.
    pub(crate) depth: usize,
    pub(crate) copies: CopyLimit,
}

impl<'a> Decoder<'a> {
    /// A decoder of the metadata frame of `frames`.
    ///
    /// # Errors
    ///
    /// `NoFrames` if there is no frame 1.
    pub fn new(frames: &'a (dyn Frames + 'a)) -> Result<Self, DecodeError> {
        let metadata = frames.frame(1).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
        let source = Source::Frames { frames, first: 2 };
        Ok(Self::at(Reader::new(metadata), source))
    }

    /// A decoder of the values at `reader`.
    pub(crate) const fn at(reader: Reader<'a>, source: Source<'a>) -> Self {
        Self { reader, source, depth: 0, copies: CopyLimit::DEFAULT }
    }

    /// The decoder with a limit of the bytes that `OwnedArray`, `OwnedTensor` and `OwnedValue`
    /// copy out of buffers.
    ///
    /// Any number of descriptors can name the same buffer, so a message of a megabyte could
    /// otherwise be copied to a gigabyte. By default the limit is four times the bytes of all
    /// buffers, and at least 64 KiB. Views borrow and do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use cortex_wire::{DecodeError, Decoder, Frames, Message};
    ///
    /// fn decode<'a, M: Message>(frames: &'a dyn Frames) -> Result<M::View<'a>, DecodeError> {
    ///     let mut input = Decoder::new(frames)?.with_copy_limit(1 << 20);
    ///     let message = M::decode_fields(&mut input)?;
    ///     input.finish()?;
    ///     Ok(message)
    /// }
    /// ```
    #[must_use]
    pub const fn with_copy_limit(mut self, bytes: usize) -> Self {
        self.copies = CopyLimit::new(bytes);
        self
    }

    /// Counts a copy of an array's `len` bytes, which the caller makes; `start` is the offset of
    /// the array in the metadata.
    ///
    /// # Errors
    ///
    /// `CopyLimit` at `start` beyond the limit of [`with_copy_limit`](Self::with_copy_limit).
    pub fn count_copy(&mut self, len: usize, start: usize) -> Result<(), DecodeError> {
        self.copies
            .take(len, self.source)
            .map_err(|limit| DecodeError::new(DecodeErrorKind::CopyLimit { limit }, start))
    }

    /// The underlying reader, for plain MessagePack items.
    pub const fn reader(&mut self) -> &mut Reader<'a> {
        &mut self.reader
    }

    /// Reads an array.
    ///
    /// # Errors
    ///
    /// `WrongType`, or an error of its descriptor or its buffer.
    #[inline]
    pub fn read_array(&mut self) -> Result<ArrayView<'a>, DecodeError> {
        if let Some(array) = descriptor::canonical_array(&mut self.reader, self.source) {
            return Ok(array);
        }
        let start = self.reader;
        match self.read_array_item(Type::Array)? {
            ArrayItem::Array(array) => Ok(array),
            ArrayItem::Tensor(_) => Err(self.wrong_type(start, Type::Array, Type::Tensor)),
        }
    }

    /// Reads a tensor.
    ///
    /// # Errors
    ///
    /// `WrongType`, or an error of its descriptor or its buffer.
    pub fn read_tensor(&mut self) -> Result<TensorView<'a>, DecodeError> {
        if let Some(tensor) = descriptor::canonical_tensor(&mut self.reader, self.source) {
            return Ok(tensor);
        }
        let start = self.reader;
        match self.read_array_item(Type::Tensor)? {
            ArrayItem::Tensor(tensor) => Ok(tensor),
            ArrayItem::Array(_) => Err(self.wrong_type(start, Type::Tensor, Type::Array)),
        }
    }

    /// Reads the head of the field list; returns a reader of the fields.
    ///
    /// # Errors
    ///
    /// `FieldCount` unless there are `required` to `total` fields.
    #[inline]
    pub fn fields(&mut self, required: usize, total: usize) -> Result<Fields<'_, 'a>, DecodeError> {
        let start = self.reader;
        let found = self.reader.read_list()?;
        match usize::try_from(found) {
            Ok(count) if (required..=total).contains(&count) => {
                self.enter()?;
                Ok(Fields { input: self, left: found })
            }
            _ => {
                self.reader = start;
                Err(start.error(DecodeErrorKind::FieldCount { required, total, found }))
            }
        }
    }

    /// Runs `inside`, which reads a list or map, one nesting level deeper.
    ///
    /// # Errors
    ///
    /// `TooDeep` beyond [`MAX_DEPTH`] levels, and those of `inside`.
    pub fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.enter()?;
        let result = inside(self);
        self.leave();
        result
    }

    fn enter(&mut self) -> Result<(), DecodeError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.reader.error(DecodeErrorKind::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Reads a key of a map whose keys are text.
    pub(crate) fn read_text_key(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.reader;
        let kind = match read_key(&mut self.reader)? {
            // A map with this key is a descriptor: an array was sent where a map is expected.
            Key::Str(descriptor::KIND_KEY) if matches!(self.source, Source::Frames { .. }) => {
                DecodeErrorKind::ReservedKey
            }
            Key::Str(key) => return Ok(key),
            Key::Bytes(_) => DecodeErrorKind::MapKey { found: Type::Bytes },
        };
        Err(start.error(kind))
    }

    /// Checks that nothing follows.
    ///
    /// # Errors
    ///
    /// `TrailingBytes` if bytes are left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        self.reader.finish()
    }

    fn read_array_item(&mut self, expected: Type) -> Result<ArrayItem<'a>, DecodeError> {
        let start = self.reader;
        let item = match (self.reader.read()?, self.source) {
            (Token::Map(pairs), Source::Frames { .. }) => {
                descriptor::read(&mut self.reader, self.source, pairs, start)
            }
            (Token::Extension(ty, payload), Source::Inline) => {
                descriptor::read_extension(ty, payload, &self.reader)
            }
            (token, _) => {
                let found = token.ty();
                Err(start.error(DecodeErrorKind::WrongType { expected, found }))
            }
        };
        item.inspect_err(|_| self.reader = start)
    }

    pub(crate) fn wrong_type(
        &mut self,
        start: Reader<'a>,
        expected: Type,
        found: Type,
    ) -> DecodeError {
        self.reader = start;
        start.error(DecodeErrorKind::WrongType { expected, found })
    }
}

/// The fields of one message, read in order; fields at the end may be missing.
#[derive(Debug)]
pub struct Fields<'d, 'a> {
    input: &'d mut Decoder<'a>,
    left: u32,
}

impl Drop for Fields<'_, '_> {
    fn drop(&mut self) {
        self.input.leave();
    }
}

impl<'a> Fields<'_, 'a> {
    /// The next field, which is required.
    ///
    /// # Errors
    ///
    /// The errors of the field's type.
    #[expect(clippy::should_implement_trait, reason = "each field has another type")]
    #[inline]
    pub fn next<T: Decode<'a>>(&mut self) -> Result<T, DecodeError> {
        self.left = self.left.saturating_sub(1);
        T::decode(self.input)
    }

    /// The next field, or a default if the message ends before it.
    ///
    /// # Errors
    ///
    /// The errors of the field's type.
    #[inline]
    pub fn next_or<T: Decode<'a>>(
        &mut self,
        default: impl FnOnce() -> T,
    ) -> Result<T, DecodeError> {
        if self.left == 0 { Ok(default()) } else { self.next() }
    }
}

/// A value that can be decoded; it may borrow from the frames.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be decoded from a message")]
pub trait Decode<'a>: Field + Sized {
    /// Reads one value.
    ///
    /// # Errors
    ///
    /// Why the input is invalid, and its offset.
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError>;

    /// Reads a list of values, or bytes for `u8`.
    #[doc(hidden)]
    fn decode_items<const N: usize>(
        input: &mut Decoder<'a>,
    ) -> Result<heapless::Vec<Self, N>, DecodeError> {
        input.nested(|input| {
            let start = input.reader;
            let count = input.reader.read_list()?;
            let full = DecodeErrorKind::Capacity {
                capacity: N,
                found: usize::try_from(count).unwrap_or(usize::MAX),
            };
            let mut items = heapless::Vec::new();
            for _ in 0..count {
                if items.is_full() {
                    return Err(start.error(full));
                }
                // The list is not full, so the push succeeds.
                let _ = items.push(Self::decode(input)?);
            }
            Ok(items)
        })
    }

    /// Reads a list of values, or bytes for `u8`.
    #[cfg(feature = "alloc")]
    #[doc(hidden)]
    fn decode_vec(input: &mut Decoder<'a>) -> Result<alloc::vec::Vec<Self>, DecodeError> {
        input.nested(|input| {
            // Nothing is allocated by the peer's count alone.
            let mut items = alloc::vec::Vec::new();
            for _ in 0..input.reader.read_list()? {
                items.push(Self::decode(input)?);
            }
            Ok(items)
        })
    }
}

macro_rules! decode_ints {
    ($($ty:ty),*) => {$(
        impl<'a> Decode<'a> for $ty {
            #[inline]
            fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                input.reader.read_integer()
            }
        }
    )*};
}

decode_ints!(u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl<'a> Decode<'a> for u8 {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_integer()
    }

    fn decode_items<const N: usize>(
        input: &mut Decoder<'a>,
    ) -> Result<heapless::Vec<Self, N>, DecodeError> {
        let start = input.reader;
        let bytes = input.reader.read_bytes()?;
        heapless::Vec::from_slice(bytes)
            .map_err(|_| start.error(DecodeErrorKind::Capacity { capacity: N, found: bytes.len() }))
    }

    #[cfg(feature = "alloc")]
    fn decode_vec(input: &mut Decoder<'a>) -> Result<alloc::vec::Vec<Self>, DecodeError> {
        input.reader.read_bytes().map(<[u8]>::to_vec)
    }
}

impl<'a> Decode<'a> for Int {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_int()
    }
}

impl<'a> Decode<'a> for bool {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_bool()
    }
}

impl<'a> Decode<'a> for f64 {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_f64()
    }
}

impl<'a> Decode<'a> for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "an f32 field rounds, as numpy does")]
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_f64().map(|value| value as Self)
    }
}

impl<'a> Decode<'a> for &'a str {
    #[inline]
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_str()
    }
}

impl<'a, const N: usize> Decode<'a> for heapless::String<N> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader;
        let text = input.reader.read_str()?;
        Self::try_from(text)
            .map_err(|_| start.error(DecodeErrorKind::Capacity { capacity: N, found: text.len() }))
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.reader.read_bytes()
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let mut ahead = input.reader;
        if ahead.read_nil().is_ok() {
            input.reader = ahead;
            return Ok(None);
        }
        T::decode(input).map(Some)
    }
}

impl<'a, T: Decode<'a>, const N: usize> Decode<'a> for [T; N] {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader;
        let wrong_count = |found| start.error(DecodeErrorKind::ItemCount { expected: N, found });
        match T::decode_items::<N>(input) {
            Ok(items) => {
                let found = items.len();
                items.into_array().map_err(|_| wrong_count(found))
            }
            Err(DecodeError { kind: DecodeErrorKind::Capacity { found, .. }, offset })
                if offset == start.offset() =>
            {
                Err(wrong_count(found))
            }
            Err(error) => Err(error),
        }
    }
}

impl<'a, T: Decode<'a>, const N: usize> Decode<'a> for heapless::Vec<T, N> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        T::decode_items(input)
    }
}

impl<'a> Decode<'a> for ArrayView<'a> {
    #[inline]
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.read_array()
    }
}

impl<'a, T: Element> Decode<'a> for TypedArray<'a, T> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader;
        Self::new(input.read_array()?).map_err(|_| start.error(DecodeErrorKind::DtypeMismatch))
    }
}

impl<'a> Decode<'a> for TensorView<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.read_tensor()
    }
}
