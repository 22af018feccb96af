//! Lists of any values.

use core::fmt;
use core::iter::FusedIterator;

use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::{Encode, Encoder, Field};
use crate::coding::frames::Source;
use crate::error::{DecodeError, EncodeError};
use crate::msgpack::read::Reader;
use crate::types::Type;
use crate::value::items::WireItems;
use crate::value::rewrite::rewrite;
use crate::value::walk;
#[cfg(feature = "alloc")]
use crate::value::walk::Walk;
use crate::value::{List, ListRepr, Value};

impl<'a> List<'a> {
    pub(crate) const fn wire(reader: Reader<'a>, count: u32, source: Source<'a>) -> Self {
        Self(ListRepr::Wire(WireItems { reader, count, source }))
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            ListRepr::Built(items) => items.len(),
            ListRepr::Wire(wire) => wire.len(),
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items in order. A step over an inner list or map takes time proportional to its length
    /// in bytes, so a recursion through all levels, such as `==` and `{:?}`, reads each byte once
    /// per level of nesting, of which there are at most [`MAX_DEPTH`](crate::MAX_DEPTH).
    /// [`Walk`] and `OwnedValue::from` need a single pass.
    #[must_use]
    pub const fn iter(&self) -> ListIter<'a> {
        ListIter(self.0)
    }

    /// The item at `index`, found by iteration.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        self.iter().nth(index)
    }

    /// A walk over the items; `None` if the list was built from a slice.
    #[cfg(feature = "alloc")]
    pub(crate) fn walk(&self) -> Option<Walk<'a>> {
        match &self.0 {
            ListRepr::Built(_) => None,
            ListRepr::Wire(wire) => Some(wire.walk(false)),
        }
    }
}

impl Default for List<'_> {
    fn default() -> Self {
        Self(ListRepr::Built(&[]))
    }
}

impl<'a> From<&'a [Value<'a>]> for List<'a> {
    fn from(items: &'a [Value<'a>]) -> Self {
        Self(ListRepr::Built(items))
    }
}

impl<'a, const N: usize> From<&'a [Value<'a>; N]> for List<'a> {
    fn from(items: &'a [Value<'a>; N]) -> Self {
        Self::from(&items[..])
    }
}

impl<'a> IntoIterator for List<'a> {
    type Item = Value<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &List<'a> {
    type Item = Value<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

/// Iterator over the items of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a>(ListRepr<'a>);

impl<'a> Iterator for ListIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match &mut self.0 {
            ListRepr::Built(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
            ListRepr::Wire(wire) => {
                wire.count = wire.count.checked_sub(1)?;
                walk::read_checked(&mut wire.reader, wire.source).ok()
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = List(self.0).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for ListIter<'_> {}
impl FusedIterator for ListIter<'_> {}

impl fmt::Debug for ListIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        List(self.0).fmt(f)
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for List<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "list of {}", self.len());
    }
}

impl Field for List<'_> {
    const TYPE: Type = Type::List;
}

impl Encode for List<'_> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match &self.0 {
            ListRepr::Built(items) => Value::encode_slice(items, out),
            ListRepr::Wire(wire) => rewrite(wire, false, out),
        }
    }
}

impl<'a> Decode<'a> for List<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let start = input.reader;
        match Value::decode(input)? {
            Value::List(list) => Ok(list),
            other => Err(input.wrong_type(start, Type::List, other.ty())),
        }
    }
}
