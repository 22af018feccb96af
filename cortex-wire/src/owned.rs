//! Values that own what they hold.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use crate::{
    ArrayError, ArrayView, Buffers, Decode, DecodeError, Decoder, Dtype, Element, Encode,
    EncodeError, Encoder, Event, Field, Frames, Int, Key, Shape, TensorView, Type, Value, Walk,
};

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
        out.nested(|out| {
            out.writer().write_map(self.len())?;
            self.iter().try_for_each(|(key, value)| {
                out.check_key(key)?;
                out.writer().write_str(key)?;
                value.encode(out)
            })
        })
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

/// An array that owns its data.
///
/// # Examples
///
/// ```
/// use cortex_wire::OwnedArray;
///
/// let array = OwnedArray::from_slice(&[1_u16, 2, 3, 4], &[2, 2])?;
/// assert_eq!(array.view().get::<u16>(&[1, 0])?, 3);
/// assert_eq!(array.view().to_vec::<u16>()?, [1, 2, 3, 4]);
/// # Ok::<(), cortex_wire::ArrayError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedArray {
    dtype: Dtype,
    shape: Shape,
    data: Vec<u8>,
}

impl OwnedArray {
    /// An array of any dtype over bytes in C order.
    ///
    /// # Errors
    ///
    /// As [`ArrayView::new`].
    pub fn new(dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Result<Self, ArrayError> {
        ArrayView::new(dtype, shape, &data)?;
        Ok(Self { dtype, shape: Shape::new(shape)?, data })
    }

    /// A copy of a slice of items, in this machine's byte order.
    ///
    /// # Errors
    ///
    /// As [`ArrayView::new`].
    pub fn from_slice<T: Element>(items: &[T], shape: &[usize]) -> Result<Self, ArrayError> {
        ArrayView::from_slice(items, shape).map(Self::from)
    }

    /// The array, borrowed.
    #[must_use]
    pub fn view(&self) -> ArrayView<'_> {
        ArrayView::trusted(self.dtype, self.shape, &self.data)
    }
}

impl ArrayView<'_> {
    /// A copy of the items, read at any alignment and byte order.
    ///
    /// # Errors
    ///
    /// `Dtype` where the items are of another kind or size.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, ArrayError> {
        self.iter().map(Iterator::collect)
    }
}

impl From<ArrayView<'_>> for OwnedArray {
    fn from(view: ArrayView<'_>) -> Self {
        Self { dtype: view.dtype(), shape: view.shape_inline(), data: view.data().into() }
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
        input.read_array().map(Self::from)
    }
}

/// A tensor that owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedTensor {
    /// dtype, shape and data.
    pub array: OwnedArray,
    /// PyTorch's name of the device: `cpu`, `cuda:0`.
    pub device: String,
    /// Whether gradients are kept for it.
    pub requires_grad: bool,
}

impl OwnedTensor {
    /// The tensor, borrowed.
    #[must_use]
    pub fn view(&self) -> TensorView<'_> {
        TensorView {
            array: self.array.view(),
            device: &self.device,
            requires_grad: self.requires_grad,
        }
    }
}

impl From<TensorView<'_>> for OwnedTensor {
    fn from(view: TensorView<'_>) -> Self {
        Self {
            array: view.array.into(),
            device: view.device.into(),
            requires_grad: view.requires_grad,
        }
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
        input.read_tensor().map(Self::from)
    }
}

/// Any value, owned: the tree that [`Value`] does not build.
///
/// # Examples
///
/// ```
/// use cortex_wire::{OwnedKey, OwnedValue, Value};
///
/// let kept = OwnedValue::from(Value::from("text"));
/// let map = OwnedValue::Map(vec![(OwnedKey::Str("note".into()), kept)]);
/// assert_eq!(map.get("note"), Some(&OwnedValue::Str("text".into())));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedValue {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer from -2^63 to 2^64 - 1.
    Int(Int),
    /// A double.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order of the wire.
    Map(Vec<(OwnedKey, Self)>),
    /// An array.
    Array(OwnedArray),
    /// A tensor.
    Tensor(OwnedTensor),
}

/// The key of a map entry, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnedKey {
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl OwnedValue {
    /// The value of the last pair with this key, where this is a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let same = |(k, _): &&(OwnedKey, Self)| matches!(k, OwnedKey::Str(k) if k == key);
        pairs.iter().rfind(same).map(|(_, value)| value)
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Str(key) => Self::Str(key.into()),
            Key::Bytes(key) => Self::Bytes(key.into()),
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    /// Copies a value: in one pass and without recursion what was read, recursively what was
    /// built.
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Float(value),
            Value::Str(value) => Self::Str(value.into()),
            Value::Bytes(value) => Self::Bytes(value.into()),
            Value::List(list) => match list.walk() {
                Some(walk) => Open::default().filled(walk),
                None => Self::List(list.iter().map(Self::from).collect()),
            },
            Value::Map(map) => match map.walk() {
                Some(walk) => Open { is_map: true, ..Open::default() }.filled(walk),
                None => Self::Map(map.iter().map(|(k, value)| (k.into(), value.into())).collect()),
            },
            Value::Array(array) => Self::Array(array.into()),
            Value::Tensor(tensor) => Self::Tensor(tensor.into()),
        }
    }
}

/// A list or map that is being copied.
#[derive(Default)]
struct Open {
    is_map: bool,
    keys: Vec<OwnedKey>,
    items: Vec<OwnedValue>,
}

impl Open {
    /// The whole list or map, whose content `walk` is at.
    fn filled(self, mut walk: Walk<'_>) -> OwnedValue {
        let mut around = Vec::new();
        let mut inner = self;
        // What was decoded has no errors.
        while let Some(Ok(event)) = walk.step() {
            let value = match event {
                Event::Value(value) => value.into(),
                Event::Key(key) => {
                    inner.keys.push(key.into());
                    continue;
                }
                Event::List { .. } => {
                    around.push(mem::take(&mut inner));
                    continue;
                }
                Event::Map { .. } => {
                    around.push(mem::replace(&mut inner, Self { is_map: true, ..Self::default() }));
                    continue;
                }
                Event::End => match around.pop() {
                    Some(outer) => mem::replace(&mut inner, outer).closed(),
                    None => break,
                },
            };
            inner.items.push(value);
        }
        inner.closed()
    }

    fn closed(self) -> OwnedValue {
        if self.is_map {
            OwnedValue::Map(self.keys.into_iter().zip(self.items).collect())
        } else {
            OwnedValue::List(self.items)
        }
    }
}

impl Field for OwnedValue {
    const TYPE: Type = Type::Any;
}

impl Encode for OwnedValue {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match self {
            Self::Nil => out.writer().write_nil(),
            Self::Bool(value) => out.writer().write_bool(*value),
            Self::Int(value) => out.writer().write_int(*value),
            Self::Float(value) => out.writer().write_f64(*value),
            Self::Str(value) => out.writer().write_str(value)?,
            Self::Bytes(value) => out.writer().write_bytes(value)?,
            Self::List(items) => Self::encode_slice(items, out)?,
            Self::Map(pairs) => out.nested(|out| {
                out.writer().write_map(pairs.len())?;
                pairs.iter().try_for_each(|(key, value)| {
                    match key {
                        OwnedKey::Str(key) => {
                            out.check_key(key)?;
                            out.writer().write_str(key)?;
                        }
                        OwnedKey::Bytes(key) => out.writer().write_bytes(key)?,
                    }
                    value.encode(out)
                })
            })?,
            Self::Array(array) => array.encode(out)?,
            Self::Tensor(tensor) => tensor.encode(out)?,
        }
        Ok(())
    }
}

impl<'a> Decode<'a> for OwnedValue {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Value::decode(input).map(Self::from)
    }
}
