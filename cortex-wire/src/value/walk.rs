//! Messages of unknown type, event by event, without a tree and without recursion.

use core::fmt;
use core::iter::FusedIterator;

use crate::coding::decode::{Decode, Decoder};
use crate::coding::descriptor::{self, ArrayItem};
use crate::coding::frames::{Frames, Source};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::MAX_DEPTH;
use crate::msgpack::key::Key;
use crate::msgpack::read::Reader;
use crate::msgpack::token::Token;
use crate::types::Type;
use crate::value::check::check_items;
use crate::value::items::WireItems;
use crate::value::{List, Map, Value};

/// One step of a [`Walk`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a> {
    /// A value that contains no others; never [`Value::List`] or [`Value::Map`].
    Value(Value<'a>),
    /// The start of a list; its items follow, then [`Event::End`].
    List {
        /// Number of items.
        count: u32,
    },
    /// The start of a map; for each pair an [`Event::Key`] and its value follow, then
    /// [`Event::End`].
    Map {
        /// Number of pairs.
        count: u32,
    },
    /// The key of the value that follows.
    Key(Key<'a>),
    /// The end of the innermost list or map.
    End,
}

/// Iterator over the events of metadata whose type is unknown.
///
/// Makes the same checks as decoding: counts, UTF-8, keys, descriptors against their buffers. It
/// ends after an error. Its work is proportional to the length of the metadata.
///
/// # Examples
///
/// ```
/// use cortex_wire::{Event, Value, Walk};
///
/// // A header and the metadata [7, [nil]].
/// let frames: [&[u8]; 2] = [&[0; 24], &[0x92, 0x07, 0x91, 0xc0]];
/// let mut depth = 0;
/// for event in Walk::new(&frames)? {
///     match event? {
///         Event::List { .. } | Event::Map { .. } => depth += 1,
///         Event::End => depth -= 1,
///         Event::Key(_) => {}
///         Event::Value(value) => println!("{depth} {value:?}"),
///     }
/// }
/// # Ok::<(), cortex_wire::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct Walk<'a> {
    reader: Reader<'a>,
    source: Source<'a>,
    /// Items left in each open list or map; for a map, keys and values are counted.
    left: [u32; MAX_DEPTH],
    /// Bit n: whether level n is a map.
    maps: u128,
    /// Number of open lists and maps.
    depth: usize,
    /// Number of lists and maps that contain the value at which the walk started.
    around: usize,
    state: State,
}

const _: () = assert!(MAX_DEPTH == u128::BITS as usize, "one bit of `maps` for each level");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    End,
}

impl<'a> Walk<'a> {
    /// A walk over the metadata of `frames`: a list of field values.
    ///
    /// # Errors
    ///
    /// `NoFrames` if there is no frame 1.
    pub fn new(frames: &'a (dyn Frames + 'a)) -> Result<Self, DecodeError> {
        let metadata = frames.frame(1).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
        Ok(Self::over(Reader::new(metadata), Source::Frames { frames, first: 2 }))
    }

    /// A walk over the one value at `reader`.
    const fn over(reader: Reader<'a>, source: Source<'a>) -> Self {
        Self {
            reader,
            source,
            left: [0; MAX_DEPTH],
            maps: 0,
            depth: 0,
            around: 0,
            state: State::Start,
        }
    }

    /// A walk over the `count` items or pairs at `reader`; ends with the [`Event::End`] of the list
    /// or map that contains them, which is nested in `around` others.
    pub(crate) fn inside(
        reader: Reader<'a>,
        source: Source<'a>,
        count: u32,
        is_map: bool,
        around: usize,
    ) -> Self {
        let mut walk = Self::over(reader, source);
        let items = if is_map { count.saturating_mul(2) } else { count };
        if let Some(left) = walk.left.first_mut() {
            *left = items;
        }
        walk.maps = is_map.into();
        walk.depth = 1;
        walk.around = around;
        walk.state = State::Inside;
        walk
    }

    /// The offset of the next item in the metadata.
    pub(crate) const fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// The place of arrays' bytes.
    #[cfg(feature = "alloc")]
    pub(crate) const fn source(&self) -> Source<'a> {
        self.source
    }

    /// The next event of the value at which the walk started.
    pub(crate) fn step(&mut self) -> Option<Result<Event<'a>, DecodeError>> {
        if self.state == State::End {
            return None;
        }
        let event = self.advance();
        if event.is_err() || self.depth == 0 {
            self.state = State::End;
        }
        Some(event)
    }

    fn advance(&mut self) -> Result<Event<'a>, DecodeError> {
        if self.state == State::Inside {
            let level = self.depth.saturating_sub(1);
            let is_map = self.maps.wrapping_shr(level_bit(level)) & 1 == 1;
            let Some(left) = self.left.get_mut(level) else { return Ok(Event::End) };
            let Some(remaining) = left.checked_sub(1) else {
                self.depth = level;
                return Ok(Event::End);
            };
            *left = remaining;
            // An odd number of items is left after a key.
            if is_map && remaining & 1 == 1 {
                return self.key().map(Event::Key);
            }
        }
        self.state = State::Inside;
        let start = self.reader;
        match read_head(&mut self.reader, self.source)? {
            Head::Value(value) => Ok(Event::Value(value)),
            Head::List(count) => {
                self.open(count.into(), false, start)?;
                Ok(Event::List { count })
            }
            Head::Map(count) => {
                self.open(u64::from(count).saturating_mul(2), true, start)?;
                Ok(Event::Map { count })
            }
        }
    }

    fn key(&mut self) -> Result<Key<'a>, DecodeError> {
        descriptor::read_plain_key(&mut self.reader, self.source)
    }

    fn open(&mut self, items: u64, is_map: bool, start: Reader<'a>) -> Result<(), DecodeError> {
        // The reader has checked that the input can contain so many items.
        let items = u32::try_from(items)
            .map_err(|_| start.error(DecodeErrorKind::Truncated { needed: items, available: 0 }))?;
        let level = self.left.get_mut(self.depth);
        let Some(left) = level.filter(|_| self.depth.saturating_add(self.around) < MAX_DEPTH)
        else {
            return Err(start.error(DecodeErrorKind::TooDeep));
        };
        *left = items;
        let bit = 1_u128.wrapping_shl(level_bit(self.depth));
        if is_map {
            self.maps |= bit;
        } else {
            self.maps &= !bit;
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }
}

fn level_bit(level: usize) -> u32 {
    u32::try_from(level).unwrap_or(u32::MAX)
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Event<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let event = self.step()?;
        if self.state == State::End
            && event.is_ok()
            && let Err(error) = self.reader.finish()
        {
            return Some(Err(error));
        }
        Some(event)
    }
}

impl FusedIterator for Walk<'_> {}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("offset", &self.reader.offset())
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// A value, or the head of a list or map.
pub(crate) enum Head<'a> {
    Value(Value<'a>),
    List(u32),
    Map(u32),
}

/// Reads a value, or only the head of a list or map.
pub(crate) fn read_head<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
) -> Result<Head<'a>, DecodeError> {
    let start = *reader;
    if let Some(array) = descriptor::canonical_array(reader, source) {
        return Ok(Head::Value(Value::Array(array)));
    }
    let value = match reader.read()? {
        Token::Nil => Value::Nil,
        Token::Bool(value) => Value::Bool(value),
        Token::Int(value) => Value::Int(value),
        Token::Float(value) => Value::Float(value),
        Token::Str(value) => Value::Str(value),
        Token::Bytes(value) => Value::Bytes(value),
        Token::List(count) => return Ok(Head::List(count)),
        Token::Map(count) => {
            let beside = matches!(source, Source::Frames { .. });
            if !(beside && descriptor::is_descriptor(*reader, count)) {
                return Ok(Head::Map(count));
            }
            array_value(descriptor::read(reader, source, count, start)?)
        }
        Token::Extension(ty, payload) => match source {
            Source::Inline => array_value(descriptor::read_extension(ty, payload, reader)?),
            Source::Frames { .. } => {
                return Err(start.error(DecodeErrorKind::WrongType {
                    expected: Type::Any,
                    found: Type::Extension,
                }));
            }
        },
    };
    Ok(Head::Value(value))
}

const fn array_value(item: ArrayItem<'_>) -> Value<'_> {
    match item {
        ArrayItem::Array(array) => Value::Array(array),
        ArrayItem::Tensor(tensor) => Value::Tensor(tensor),
    }
}

/// Reads one value that is nested in `around` lists and maps; checks its whole content.
pub(crate) fn read_value<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
    around: usize,
) -> Result<Value<'a>, DecodeError> {
    let start = *reader;
    let mut items = start;
    let (value, count, is_map) = match read_head(&mut items, source)? {
        Head::Value(value) => {
            *reader = items;
            return Ok(value);
        }
        Head::List(count) => (Value::List(List::wire(items, count, source)), count, false),
        Head::Map(count) => (Value::Map(Map::wire(items, count, source)), count, true),
    };
    if around >= MAX_DEPTH {
        return Err(start.error(DecodeErrorKind::TooDeep));
    }
    *reader = check_items(items, source, count, is_map, around)?;
    Ok(value)
}

/// Reads one value that [`read_value`] has checked before; does not check its content again.
pub(crate) fn read_checked<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
) -> Result<Value<'a>, DecodeError> {
    let value = match read_head(reader, source)? {
        Head::Value(value) => value,
        Head::List(count) => {
            let items = *reader;
            reader.skip_items(count.into())?;
            Value::List(List::wire(items, count, source))
        }
        Head::Map(count) => {
            let items = *reader;
            reader.skip_items(u64::from(count).saturating_mul(2))?;
            Value::Map(Map::wire(items, count, source))
        }
    };
    Ok(value)
}

impl<'a> Decode<'a> for Value<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        read_value(&mut input.reader, input.source, input.depth)
    }
}

impl<'a> WireItems<'a> {
    pub(crate) fn walk(&self, is_map: bool) -> Walk<'a> {
        Walk::inside(self.reader, self.source, self.count, is_map, 0)
    }
}

#[cfg(test)]
mod tests;
