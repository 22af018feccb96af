//! Checks the content of received lists and maps without making values of it.

use crate::coding::descriptor;
use crate::coding::frames::Source;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::MAX_DEPTH;
use crate::msgpack::read::Reader;
use crate::msgpack::token::Token;
use crate::types::Type;

/// The list or map that is being checked: items left, where keys and values of a map count.
#[derive(Clone, Copy)]
struct Level {
    left: u32,
    is_map: bool,
}

/// Checks the `count` items or pairs at `reader`, which are nested in `around` lists and maps, as a
/// [`Walk`](crate::Walk) does; returns a reader after them.
pub(crate) fn check_items<'a>(
    mut reader: Reader<'a>,
    source: Source<'a>,
    count: u32,
    is_map: bool,
    around: usize,
) -> Result<Reader<'a>, DecodeError> {
    // The levels around the current one: items left, and bit n tells whether level n is a map.
    let mut lefts = [0_u32; MAX_DEPTH];
    let mut maps = 0_u128;
    let mut depth = 0_usize;
    let mut level = Level { left: if is_map { count.saturating_mul(2) } else { count }, is_map };
    loop {
        let Some(left) = level.left.checked_sub(1) else {
            let Some(outer) = depth.checked_sub(1) else { return Ok(reader) };
            depth = outer;
            level.left = lefts.get(outer).copied().unwrap_or(0);
            level.is_map = maps & 1 == 1;
            maps >>= 1;
            continue;
        };
        level.left = left;
        // An odd number of items is left after a key.
        if level.is_map && left & 1 == 1 {
            descriptor::read_plain_key(&mut reader, source)?;
            continue;
        }
        let start = reader;
        let (items, is_map) = match read_shallow(&mut reader, source)? {
            None => continue,
            Some((count, false)) => (u64::from(count), false),
            Some((count, true)) => (u64::from(count).saturating_mul(2), true),
        };
        // The reader has checked that the input can contain so many items.
        let items = u32::try_from(items)
            .map_err(|_| start.error(DecodeErrorKind::Truncated { needed: items, available: 0 }))?;
        let place = lefts.get_mut(depth);
        let fits = depth.saturating_add(around).saturating_add(1) < MAX_DEPTH;
        let Some(place) = place.filter(|_| fits) else {
            return Err(start.error(DecodeErrorKind::TooDeep));
        };
        *place = level.left;
        maps = maps << 1 | u128::from(level.is_map);
        depth = depth.saturating_add(1);
        level = Level { left: items, is_map };
    }
}

/// Reads a value that contains no others, or the head of a list or map: its count, and whether it is a
/// map.
#[inline]
fn read_shallow<'a>(
    reader: &mut Reader<'a>,
    source: Source<'a>,
) -> Result<Option<(u32, bool)>, DecodeError> {
    let start = *reader;
    if descriptor::canonical_array(reader, source).is_some() {
        return Ok(None);
    }
    match (reader.read()?, source) {
        (Token::List(count), _) => return Ok(Some((count, false))),
        (Token::Map(count), Source::Frames { .. }) => {
            if !descriptor::is_descriptor(*reader, count) {
                return Ok(Some((count, true)));
            }
            descriptor::read(reader, source, count, start)?;
        }
        (Token::Map(count), Source::Inline) => return Ok(Some((count, true))),
        (Token::Extension(ty, payload), Source::Inline) => {
            descriptor::read_extension(ty, payload, reader)?;
        }
        (Token::Extension(..), Source::Frames { .. }) => {
            let (expected, found) = (Type::Any, Type::Extension);
            return Err(start.error(DecodeErrorKind::WrongType { expected, found }));
        }
        _ => {}
    }
    Ok(None)
}
