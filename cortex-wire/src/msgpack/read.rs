//! The reader.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::msgpack::int::Int;
use crate::msgpack::steps;
use crate::msgpack::token::Token;
use crate::types::Type;

/// Reads MessagePack items off the front of a slice.
///
/// It borrows, does not allocate, and does not advance on an error. A count of items that exceeds
/// the bytes left is rejected at once, so work is bounded by the length of the input.
///
/// # Examples
///
/// ```
/// use cortex_wire::msgpack::{Reader, Token};
///
/// let mut reader = Reader::new(&[0x92, 0xa2, b'h', b'i', 0x2a]);
/// assert_eq!(reader.read_list()?, 2);
/// assert_eq!(reader.read_str()?, "hi");
/// assert_eq!(reader.read()?, Token::Int(42.into()));
/// reader.finish()?;
/// # Ok::<(), cortex_wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Length of the whole input, for offsets.
    len: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input`.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, len: input.len() }
    }

    /// A reader of `input`, which starts `offset` bytes after the origin of offsets.
    #[must_use]
    pub const fn new_at(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, len: input.len().saturating_add(offset) }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error of `kind` at the current offset.
    #[must_use]
    pub const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.offset())
    }

    /// Reads the next item; for a list or map only its head.
    ///
    /// # Errors
    ///
    /// `Truncated`, `ReservedMarker` or `InvalidUtf8`, with the offset of the item.
    pub fn read(&mut self) -> Result<Token<'a>, DecodeError> {
        let start = *self;
        let token = self.item();
        steps::count(start.rest.len().saturating_sub(self.rest.len()));
        token.map_err(|kind| {
            *self = start;
            start.error(kind)
        })
    }

    /// Skips one value with its whole content, in one pass and constant memory.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], with the offset of the inner item; the reader does not advance.
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        self.skip_items(1)
    }

    /// Skips `count` values with their whole content, in one pass and constant memory.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], with the offset of the inner item; the reader does not advance.
    pub fn skip_items(&mut self, count: u64) -> Result<(), DecodeError> {
        let start = *self;
        let mut pending = count;
        while let Some(left) = pending.checked_sub(1) {
            let inside = match self.read() {
                Ok(Token::List(count)) => u64::from(count),
                Ok(Token::Map(count)) => u64::from(count).saturating_mul(2),
                Ok(_) => 0,
                Err(error) => {
                    *self = start;
                    return Err(error);
                }
            };
            pending = left.saturating_add(inside);
        }
        Ok(())
    }

    /// Reads nil.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    pub fn read_nil(&mut self) -> Result<(), DecodeError> {
        self.expect(Type::Nil, |token| match token {
            Token::Nil => Some(()),
            _ => None,
        })
    }

    /// Reads a boolean.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    pub fn read_bool(&mut self) -> Result<bool, DecodeError> {
        self.expect(Type::Bool, |token| match token {
            Token::Bool(value) => Some(value),
            _ => None,
        })
    }

    /// Reads an integer of any form.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    #[inline]
    pub fn read_int(&mut self) -> Result<Int, DecodeError> {
        // The most frequent forms first: small numbers, and the sizes of images.
        match *self.rest {
            [value @ ..0x80, ref tail @ ..] => {
                self.rest = tail;
                return Ok(value.into());
            }
            [0xcd, high, low, ref tail @ ..] => {
                self.rest = tail;
                return Ok(u16::from_be_bytes([high, low]).into());
            }
            _ => {}
        }
        self.expect(Type::Int, |token| match token {
            Token::Int(value) => Some(value),
            _ => None,
        })
    }

    /// Reads an integer that fits `T`.
    ///
    /// # Errors
    ///
    /// As [`Self::read_int`], or `IntegerRange`.
    #[inline]
    pub(crate) fn read_integer<T: TryFrom<Int>>(&mut self) -> Result<T, DecodeError> {
        let start = *self;
        T::try_from(self.read_int()?).map_err(|_| {
            *self = start;
            start.error(DecodeErrorKind::IntegerRange)
        })
    }

    /// Reads a float; an integer is accepted too, as Python sends one for `3`.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    pub fn read_f64(&mut self) -> Result<f64, DecodeError> {
        self.expect(Type::Float, |token| match token {
            Token::Float(value) => Some(value),
            Token::Int(value) => Some(value.to_f64()),
            _ => None,
        })
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    #[inline]
    pub fn read_str(&mut self) -> Result<&'a str, DecodeError> {
        // The most frequent form first: text of fewer than 32 bytes.
        if let [marker @ 0xa0..=0xbf, tail @ ..] = self.rest
            && let Some((text, tail)) = tail.split_at_checked((marker & 0x1f).into())
            && let Ok(text) = core::str::from_utf8(text)
        {
            self.rest = tail;
            return Ok(text);
        }
        self.expect(Type::Str, |token| match token {
            Token::Str(value) => Some(value),
            _ => None,
        })
    }

    /// Reads a byte string.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    pub fn read_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        self.expect(Type::Bytes, |token| match token {
            Token::Bytes(value) => Some(value),
            _ => None,
        })
    }

    /// Reads the head of a list; returns the number of items that follow.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    #[inline]
    pub fn read_list(&mut self) -> Result<u32, DecodeError> {
        // The most frequent form first: fewer than 16 items.
        if let [marker @ 0x90..=0x9f, tail @ ..] = self.rest
            && usize::from(marker & 0x0f) <= tail.len()
        {
            self.rest = tail;
            return Ok((marker & 0x0f).into());
        }
        self.expect(Type::List, |token| match token {
            Token::List(count) => Some(count),
            _ => None,
        })
    }

    /// Reads the head of a map; returns the number of pairs that follow.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], or `WrongType`.
    pub fn read_map(&mut self) -> Result<u32, DecodeError> {
        self.expect(Type::Map, |token| match token {
            Token::Map(count) => Some(count),
            _ => None,
        })
    }

    /// Checks that nothing follows.
    ///
    /// # Errors
    ///
    /// `TrailingBytes` if bytes are left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(self.error(DecodeErrorKind::TrailingBytes { count })),
        }
    }

    /// Takes `bytes` if they are next.
    #[inline]
    pub(crate) fn take_exactly<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        if head != bytes {
            return None;
        }
        self.rest = tail;
        Some(())
    }

    /// Takes the next `N` bytes.
    #[inline]
    pub(crate) fn take_chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    fn expect<T>(
        &mut self,
        expected: Type,
        take: impl FnOnce(Token<'a>) -> Option<T>,
    ) -> Result<T, DecodeError> {
        let start = *self;
        let token = self.read()?;
        take(token).ok_or_else(|| {
            *self = start;
            start.error(DecodeErrorKind::WrongType { expected, found: token.ty() })
        })
    }

    #[inline]
    fn item(&mut self) -> Result<Token<'a>, DecodeErrorKind> {
        let [marker] = self.array()?;
        Ok(match marker {
            0x00..=0x7f => Token::Int(marker.into()),
            0x80..=0x8f => self.map_head((marker & 0x0f).into())?,
            0x90..=0x9f => self.list_head((marker & 0x0f).into())?,
            0xa0..=0xbf => self.text((marker & 0x1f).into())?,
            0xc0 => Token::Nil,
            0xc1 => return Err(DecodeErrorKind::ReservedMarker),
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4 => {
                let len = self.len8()?;
                Token::Bytes(self.take(len)?)
            }
            0xc5 => {
                let len = self.len16()?;
                Token::Bytes(self.take(len)?)
            }
            0xc6 => {
                let len = self.len32()?;
                Token::Bytes(self.take(len)?)
            }
            0xc7 => {
                let len = self.len8()?;
                self.extension(len)?
            }
            0xc8 => {
                let len = self.len16()?;
                self.extension(len)?
            }
            0xc9 => {
                let len = self.len32()?;
                self.extension(len)?
            }
            0xca => Token::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Token::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Token::Int(u8::from_be_bytes(self.array()?).into()),
            0xcd => Token::Int(u16::from_be_bytes(self.array()?).into()),
            0xce => Token::Int(u32::from_be_bytes(self.array()?).into()),
            0xcf => Token::Int(u64::from_be_bytes(self.array()?).into()),
            0xd0 => Token::Int(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Token::Int(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Token::Int(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Token::Int(i64::from_be_bytes(self.array()?).into()),
            0xd4 => self.extension(1)?,
            0xd5 => self.extension(2)?,
            0xd6 => self.extension(4)?,
            0xd7 => self.extension(8)?,
            0xd8 => self.extension(16)?,
            0xd9 => {
                let len = self.len8()?;
                self.text(len)?
            }
            0xda => {
                let len = self.len16()?;
                self.text(len)?
            }
            0xdb => {
                let len = self.len32()?;
                self.text(len)?
            }
            0xdc => {
                let count = self.len16()?;
                self.list_head(count)?
            }
            0xdd => {
                let count = self.len32()?;
                self.list_head(count)?
            }
            0xde => {
                let count = self.len16()?;
                self.map_head(count)?
            }
            0xdf => {
                let count = self.len32()?;
                self.map_head(count)?
            }
            0xe0..=0xff => Token::Int(marker.cast_signed().into()),
        })
    }

    fn len8(&mut self) -> Result<u32, DecodeErrorKind> {
        Ok(u8::from_be_bytes(self.array()?).into())
    }

    fn len16(&mut self) -> Result<u32, DecodeErrorKind> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn len32(&mut self) -> Result<u32, DecodeErrorKind> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn text(&mut self, len: u32) -> Result<Token<'a>, DecodeErrorKind> {
        match core::str::from_utf8(self.take(len)?) {
            Ok(text) => Ok(Token::Str(text)),
            Err(_) => Err(DecodeErrorKind::InvalidUtf8),
        }
    }

    fn extension(&mut self, len: u32) -> Result<Token<'a>, DecodeErrorKind> {
        let [ty] = self.array()?;
        Ok(Token::Extension(ty.cast_signed(), self.take(len)?))
    }

    fn list_head(&self, count: u32) -> Result<Token<'a>, DecodeErrorKind> {
        self.at_least(count.into())?;
        Ok(Token::List(count))
    }

    fn map_head(&self, count: u32) -> Result<Token<'a>, DecodeErrorKind> {
        self.at_least(u64::from(count).saturating_mul(2))?;
        Ok(Token::Map(count))
    }

    /// Each item takes at least one byte, so a count beyond the bytes left is invalid.
    fn at_least(&self, needed: u64) -> Result<(), DecodeErrorKind> {
        let available = self.rest.len();
        if needed > available as u64 {
            return Err(DecodeErrorKind::Truncated { needed, available });
        }
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeErrorKind> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeErrorKind::Truncated { needed: N as u64, available: self.rest.len() })?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    fn take(&mut self, len: u32) -> Result<&'a [u8], DecodeErrorKind> {
        let truncated =
            DecodeErrorKind::Truncated { needed: len.into(), available: self.rest.len() };
        let len = usize::try_from(len).map_err(|_| truncated)?;
        let (head, tail) = self.rest.split_at_checked(len).ok_or(truncated)?;
        self.rest = tail;
        Ok(head)
    }
}

#[cfg(test)]
mod tests;
