//! Maps of any values.

use core::fmt;
use core::iter::FusedIterator;

use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::{Encode, Encoder, Field};
use crate::coding::frames::Source;
use crate::error::{DecodeError, EncodeError};
use crate::msgpack::key::{Key, read_key};
use crate::msgpack::read::Reader;
use crate::types::Type;
use crate::value::items::WireItems;
use crate::value::rewrite::rewrite;
use crate::value::walk;
#[cfg(feature = "alloc")]
use crate::value::walk::Walk;
use crate::value::{Map, MapRepr, Value};

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

    /// The value of the last pair with this key, as in a Python dictionary; found by iteration.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter().filter(|(k, _)| k.as_str() == Some(key)).last().map(|(_, value)| value)
    }

    /// A walk over the pairs; `None` if the map was built from a slice.
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

/// Iterator over the pairs of a [`Map`].
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
                let key = read_key(&mut wire.reader).ok();
                let value =
                    key.and_then(|_| walk::read_checked(&mut wire.reader, wire.source).ok());
                // This fails only if the frames changed since they were checked.
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
            MapRepr::Built(pairs) => {
                out.write_pairs(pairs.len(), pairs.iter().map(|(key, value)| (*key, value)))
            }
            MapRepr::Wire(wire) => rewrite(wire, true, out),
        }
    }
}

impl<'a> Decode<'a> for Map<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader;
        match Value::decode(input)? {
            Value::Map(map) => Ok(map),
            other => Err(input.wrong_type(start, Type::Map, other.ty())),
        }
    }
}
