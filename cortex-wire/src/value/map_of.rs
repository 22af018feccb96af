//! Maps whose values are of one type.

use core::fmt;
use core::marker::PhantomData;

use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::{Encode, Encoder, Field};
use crate::error::{DecodeError, EncodeError};
use crate::types::Type;
use crate::value::items::WireItems;
use crate::value::rewrite::{rewrite, rewrite_arrays};

/// A map from text to values of one type, built from a slice or decoded.
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

    /// The value of the last pair with this key, as in a Python dictionary; found by iteration.
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

/// Iterator over the pairs of a [`MapOf`].
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
                // Copies were counted when the map was decoded.
                let mut input = Decoder::at(wire.reader, wire.source).with_copy_limit(usize::MAX);
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
            MapOfRepr::Built(pairs) => {
                out.write_pairs(pairs.len(), pairs.iter().map(|(key, value)| (*key, value)))
            }
            MapOfRepr::Wire(wire, _) => match T::TYPE {
                Type::Array | Type::Tensor => rewrite_arrays(wire, out),
                _ => rewrite(wire, true, out),
            },
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
