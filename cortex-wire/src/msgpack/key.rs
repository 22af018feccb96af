//! The keys of a map.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::msgpack::read::Reader;
use crate::msgpack::token::Token;

/// The key of a map entry; Python's reader accepts strings and bytes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Key<'a> {
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Key<'a> {
    /// The text, if the key is a string.
    #[must_use]
    pub const fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Str(key) => Some(key),
            Self::Bytes(_) => None,
        }
    }
}

/// Reads a map key: a string or bytes.
pub(crate) fn read_key<'a>(reader: &mut Reader<'a>) -> Result<Key<'a>, DecodeError> {
    let start = *reader;
    match reader.read()? {
        Token::Str(key) => Ok(Key::Str(key)),
        Token::Bytes(key) => Ok(Key::Bytes(key)),
        other => Err(start.error(DecodeErrorKind::MapKey { found: other.ty() })),
    }
}

/// Reads a map: `entry` reads the value of each text key; the values of byte keys are skipped.
pub(crate) fn read_entries<'a>(
    reader: &mut Reader<'a>,
    entry: impl FnMut(&'a str, &mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let pairs = reader.read_map()?;
    read_pairs(reader, pairs, entry)
}

/// Reads `pairs` keys and values, as [`read_entries`] does after the head of the map.
pub(crate) fn read_pairs<'a>(
    reader: &mut Reader<'a>,
    pairs: u32,
    mut entry: impl FnMut(&'a str, &mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    for _ in 0..pairs {
        match read_key(reader)? {
            Key::Str(key) => entry(key, reader)?,
            Key::Bytes(_) => reader.skip()?,
        }
    }
    Ok(())
}
