//! Maps: of anything, and of values of one type.

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use crate::decode::Source;
use crate::items::{WireItems, rewrite, wrong_type};
use crate::msgpack::Reader;
use crate::walk;
#[cfg(feature = "alloc")]
use crate::walk::Walk;
use crate::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Field, Key, Type, Value};

/// A map from keys to values in the order of the wire, built from a slice or read.
///
/// Two maps are equal when they hold the same pairs in the same order.
#[derive(Clone, Copy)]
pub struct Map<'a>(MapRepr<'a>);

#[derive(Clone, Copy)]
enum MapRepr<'a> {
    Built(&'a [(&'a str, Value<'a>)]),
    Wire(WireItems<'a>),
}

impl<'a> Map<'a> {
    pub(crate) const fn wire(reader: Reader<'a>, count: u32, source: Source<'a>) -> Self {
        Self(MapRepr::Wire(WireItems { reader, count, source }))
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            MapRepr::Built(pairs) => pairs.len(),
            MapRepr::Wire(wire) => wire.len(),
        }
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs in order, at the cost of [`List::iter`](crate::List::iter).
    #[must_use]
    pub const fn iter(&self) -> MapIter<'a> {
        MapIter(self.0)
    }

    /// The value of the last pair with this key, as in a Python dictionary; found by walking.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter().filter(|(k, _)| k.as_str() == Some(key)).last().map(|(_, value)| value)
    }

    /// A walk over the pairs, unless the map was built.
    #[cfg(feature = "alloc")]
    pub(crate) fn walk(&self) -> Option<Walk<'a>> {
        match &self.0 {
            MapRepr::Built(_) => None,
            MapRepr::Wire(wire) => Some(wire.walk(true)),
        }
    }
}

impl Default for Map<'_> {
    fn default() -> Self {
        Self(MapRepr::Built(&[]))
    }
}

impl<'a> From<&'a [(&'a str, Value<'a>)]> for Map<'a> {
    fn from(pairs: &'a [(&'a str, Value<'a>)]) -> Self {
        Self(MapRepr::Built(pairs))
    }
}

impl<'a, const N: usize> From<&'a [(&'a str, Value<'a>); N]> for Map<'a> {
    fn from(pairs: &'a [(&'a str, Value<'a>); N]) -> Self {
        Self::from(&pairs[..])
    }
}

impl<'a> IntoIterator for Map<'a> {
    type Item = (Key<'a>, Value<'a>);
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Map<'a> {
    type Item = (Key<'a>, Value<'a>);
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

/// The pairs of a [`Map`].
#[derive(Clone)]
pub struct MapIter<'a>(MapRepr<'a>);

impl<'a> Iterator for MapIter<'a> {
    type Item = (Key<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            MapRepr::Built(pairs) => {
                let ((key, value), rest) = pairs.split_first()?;
                *pairs = rest;
                Some((Key::Str(key), *value))
            }
            MapRepr::Wire(wire) => {
                wire.count = wire.count.checked_sub(1)?;
                let key = walk::read_key(&mut wire.reader).ok();
                let value =
                    key.and_then(|_| walk::read_checked(&mut wire.reader, wire.source).ok());
                // Only frames that changed since they were checked can fail.
                let pair = key.zip(value);
                if pair.is_none() {
                    wire.count = 0;
                }
                pair
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = Map(self.0).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for MapIter<'_> {}
impl FusedIterator for MapIter<'_> {}

impl fmt::Debug for MapIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Map(self.0).fmt(f)
    }
}

impl PartialEq for Map<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Map<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "map of {}", self.len());
    }
}

impl Field for Map<'_> {
    const TYPE: Type = Type::Map;
}

impl Encode for Map<'_> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match &self.0 {
            MapRepr::Built(pairs) => encode_pairs(pairs, out),
            MapRepr::Wire(wire) => rewrite(wire, true, out),
        }
    }
}

impl<'a> Decode<'a> for Map<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader;
        match Value::decode(input)? {
            Value::Map(map) => Ok(map),
            other => Err(wrong_type(input, start, Type::Map, other.ty())),
        }
    }
}
/// A map from text to values of one type, built from a slice or read from the wire.
///
/// # Examples
///
/// ```
/// use cortex_wire::{ArrayView, MapOf};
///
/// let joints = [0.1_f64, 0.2];
/// let arrays = [("joints", ArrayView::from_slice(&joints, &[2])?)];
/// let map = MapOf::from(&arrays[..]);
/// assert_eq!(map.get("joints"), Some(arrays[0].1));
/// # Ok::<(), cortex_wire::ArrayError>(())
/// ```
pub struct MapOf<'a, T>(MapOfRepr<'a, T>);

enum MapOfRepr<'a, T> {
    Built(&'a [(&'a str, T)]),
    Wire(WireItems<'a>, PhantomData<T>),
}

impl<T> Clone for MapOfRepr<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for MapOfRepr<'_, T> {}

impl<T> Clone for MapOf<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for MapOf<'_, T> {}

impl<'a, T> MapOf<'a, T> {
    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            MapOfRepr::Built(pairs) => pairs.len(),
            MapOfRepr::Wire(wire, _) => wire.len(),
        }
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs in order.
    #[must_use]
    pub const fn iter(&self) -> MapOfIter<'a, T> {
        MapOfIter(self.0)
    }

    /// The value of the last pair with this key, as in a Python dictionary; found by walking.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<T>
    where
        T: Decode<'a> + Clone,
    {
        self.iter().filter(|(k, _)| *k == key).last().map(|(_, value)| value)
    }
}

impl<T> Default for MapOf<'_, T> {
    fn default() -> Self {
        Self(MapOfRepr::Built(&[]))
    }
}

impl<'a, T> From<&'a [(&'a str, T)]> for MapOf<'a, T> {
    fn from(pairs: &'a [(&'a str, T)]) -> Self {
        Self(MapOfRepr::Built(pairs))
    }
}

impl<'a, T, const N: usize> From<&'a [(&'a str, T); N]> for MapOf<'a, T> {
    fn from(pairs: &'a [(&'a str, T); N]) -> Self {
        Self::from(&pairs[..])
    }
}

/// The pairs of a [`MapOf`].
pub struct MapOfIter<'a, T>(MapOfRepr<'a, T>);

impl<T> Clone for MapOfIter<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<'a, T: Decode<'a> + Clone> Iterator for MapOfIter<'a, T> {
    type Item = (&'a str, T);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            MapOfRepr::Built(pairs) => {
                let ((key, value), rest) = pairs.split_first()?;
                *pairs = rest;
                Some((key, value.clone()))
            }
            MapOfRepr::Wire(wire, _) => {
                wire.count = wire.count.checked_sub(1)?;
                let mut input = Decoder::at(wire.reader, wire.source);
                let key = input.reader.read_str().ok()?;
                let value = T::decode(&mut input).ok()?;
                wire.reader = input.reader;
                Some((key, value))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = MapOf(self.0).len();
        (len, Some(len))
    }
}

impl<'a, T: Decode<'a> + Clone> ExactSizeIterator for MapOfIter<'a, T> {}

impl<'a, T: Decode<'a> + Clone> IntoIterator for MapOf<'a, T> {
    type Item = (&'a str, T);
    type IntoIter = MapOfIter<'a, T>;

    fn into_iter(self) -> MapOfIter<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for MapOfIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        MapOf(self.0).fmt(f)
    }
}

impl<'a, T: Decode<'a> + Clone + PartialEq> PartialEq for MapOf<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T> fmt::Debug for MapOf<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapOf({} entries)", self.len())
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for MapOf<'_, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "map of {}", self.len());
    }
}

impl<T> Field for MapOf<'_, T> {
    const TYPE: Type = Type::Map;
}

impl<'a, T: Encode + Decode<'a> + Clone> Encode for MapOf<'a, T> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match &self.0 {
            MapOfRepr::Built(pairs) => encode_pairs(pairs, out),
            MapOfRepr::Wire(wire, _) => rewrite(wire, true, out),
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for MapOf<'a, T> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.nested(|input| {
            let count = input.reader.read_map()?;
            let wire = WireItems { reader: input.reader, count, source: input.source };
            for _ in 0..count {
                input.read_text_key()?;
                T::decode(input)?;
            }
            Ok(Self(MapOfRepr::Wire(wire, PhantomData)))
        })
    }
}

/// Writes a map from text to values of one type.
fn encode_pairs<'b, K: AsRef<str>, V: Encode>(
    pairs: &'b [(K, V)],
    out: &mut Encoder<'_, 'b>,
) -> Result<(), EncodeError> {
    out.nested(|out| {
        out.writer().write_map(pairs.len())?;
        pairs.iter().try_for_each(|(key, value)| {
            out.check_key(key.as_ref())?;
            out.writer().write_str(key.as_ref())?;
            value.encode(out)
        })
    })
}
