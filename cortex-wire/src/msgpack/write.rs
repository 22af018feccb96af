//! The writer.

use crate::error::{EncodeError, EncodeErrorKind};
use crate::msgpack::int::Int;

/// Writes MessagePack items into a slice, each in its smallest form.
///
/// Output that does not fit is counted, not written: [`Self::finish`] then returns the required
/// length, so a writer on an empty slice measures.
///
/// # Examples
///
/// ```
/// use cortex_wire::msgpack::Writer;
///
/// let mut out = [0; 8];
/// let mut writer = Writer::new(&mut out);
/// writer.write_list(2)?;
/// writer.write_str("hi")?;
/// writer.write_int(42);
/// assert_eq!(writer.finish()?, [0x92, 0xa2, b'h', b'i', 0x2a]);
/// # Ok::<(), cortex_wire::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Writer<'w> {
    out: &'w mut [u8],
    len: usize,
}

impl<'w> Writer<'w> {
    /// A writer at the start of `out`.
    #[must_use]
    pub const fn new(out: &'w mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written so far, including those that did not fit.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes written.
    ///
    /// # Errors
    ///
    /// [`OutputFull`](EncodeErrorKind::OutputFull) with the required length.
    pub fn finish(self) -> Result<&'w [u8], EncodeError> {
        let available = self.out.len();
        let needed = self.len;
        let out: &'w [u8] = self.out;
        out.get(..needed).ok_or(EncodeError {
            kind: EncodeErrorKind::OutputFull,
            needed,
            available,
        })
    }

    /// Writes nil.
    #[inline]
    pub fn write_nil(&mut self) {
        self.write_raw(&[0xc0]);
    }

    /// Writes a boolean.
    #[inline]
    pub fn write_bool(&mut self, value: bool) {
        self.write_raw(&[if value { 0xc3 } else { 0xc2 }]);
    }

    /// Writes an integer.
    #[inline]
    pub fn write_int(&mut self, value: impl Into<Int>) {
        let value = value.into();
        match u64::try_from(value) {
            Ok(value) => self.write_u64(value),
            // The integer is negative, so it is an i64.
            Err(_) => self.write_negative(i64::try_from(value).unwrap_or(0)),
        }
    }

    /// Writes a float, always as float 64.
    #[inline]
    pub fn write_f64(&mut self, value: f64) {
        self.marked(0xcb, value.to_be_bytes());
    }

    /// Writes a string.
    ///
    /// # Errors
    ///
    /// `TooLong` above 2^32 - 1 bytes.
    #[inline]
    pub fn write_str(&mut self, value: &str) -> Result<(), EncodeError> {
        match count32(value.len())? {
            len @ ..32 => self.write_chunk(&[0xa0 | low8(len)]),
            len @ ..0x100 => self.marked(0xd9, [low8(len)]),
            len @ ..0x1_0000 => self.marked(0xda, low16(len).to_be_bytes()),
            len => self.marked(0xdb, len.to_be_bytes()),
        }
        self.write_raw(value.as_bytes());
        Ok(())
    }

    /// Writes a byte string.
    ///
    /// # Errors
    ///
    /// `TooLong` above 2^32 - 1 bytes.
    pub fn write_bytes(&mut self, value: &[u8]) -> Result<(), EncodeError> {
        self.write_bytes_head(value.len())?;
        self.write_raw(value);
        Ok(())
    }

    /// Writes the head of a byte string of `len` bytes, which the caller then writes.
    ///
    /// # Errors
    ///
    /// `TooLong` above 2^32 - 1 bytes.
    pub fn write_bytes_head(&mut self, len: usize) -> Result<(), EncodeError> {
        match count32(len)? {
            len @ ..0x100 => self.marked(0xc4, [low8(len)]),
            len @ ..0x1_0000 => self.marked(0xc5, low16(len).to_be_bytes()),
            len => self.marked(0xc6, len.to_be_bytes()),
        }
        Ok(())
    }

    /// Writes the head of a list of `count` items.
    ///
    /// # Errors
    ///
    /// `TooLong` above 2^32 - 1 items.
    #[inline]
    pub fn write_list(&mut self, count: usize) -> Result<(), EncodeError> {
        match count32(count)? {
            count @ ..16 => self.write_chunk(&[0x90 | low8(count)]),
            count @ ..0x1_0000 => self.marked(0xdc, low16(count).to_be_bytes()),
            count => self.marked(0xdd, count.to_be_bytes()),
        }
        Ok(())
    }

    /// Writes the head of a map of `count` pairs.
    ///
    /// # Errors
    ///
    /// `TooLong` above 2^32 - 1 pairs.
    pub fn write_map(&mut self, count: usize) -> Result<(), EncodeError> {
        match count32(count)? {
            count @ ..16 => self.write_chunk(&[0x80 | low8(count)]),
            count @ ..0x1_0000 => self.marked(0xde, low16(count).to_be_bytes()),
            count => self.marked(0xdf, count.to_be_bytes()),
        }
        Ok(())
    }

    /// Writes the head of an extension of type `ty` and `len` bytes, which the caller then writes.
    ///
    /// # Errors
    ///
    /// `TooLong` above 2^32 - 1 bytes.
    pub fn write_extension(&mut self, ty: i8, len: usize) -> Result<(), EncodeError> {
        match count32(len)? {
            1 => self.write_raw(&[0xd4]),
            2 => self.write_raw(&[0xd5]),
            4 => self.write_raw(&[0xd6]),
            8 => self.write_raw(&[0xd7]),
            16 => self.write_raw(&[0xd8]),
            len @ ..0x100 => self.marked(0xc7, [low8(len)]),
            len @ ..0x1_0000 => self.marked(0xc8, low16(len).to_be_bytes()),
            len => self.marked(0xc9, len.to_be_bytes()),
        }
        self.write_raw(&[ty.cast_unsigned()]);
        Ok(())
    }

    /// Appends bytes unchanged.
    #[inline]
    pub fn write_raw(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        // The lengths are equal; the check removes the panic from `copy_from_slice`.
        if let Some(place) = self.out.get_mut(self.len..end)
            && place.len() == bytes.len()
        {
            place.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// Appends bytes whose number is known to the compiler.
    #[inline]
    pub(crate) fn write_chunk<const N: usize>(&mut self, bytes: &[u8; N]) {
        let place = self.out.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<N>);
        if let Some(place) = place {
            *place = *bytes;
        }
        self.len = self.len.saturating_add(N);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        match value {
            ..0x80 => self.write_chunk(&[h]),
            0x80..0x100 => self.write_chunk(&[0xcc, h]),
            0x100..0x1_0000 => self.write_chunk(&[0xcd, g, h]),
            0x1_0000..0x1_0000_0000 => self.write_chunk(&[0xce, e, f, g, h]),
            _ => self.write_chunk(&[0xcf, a, b, c, d, e, f, g, h]),
        }
    }

    fn write_negative(&mut self, value: i64) {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        match value {
            -0x20.. => self.write_chunk(&[h]),
            -0x80..-0x20 => self.write_chunk(&[0xd0, h]),
            -0x8000..-0x80 => self.write_chunk(&[0xd1, g, h]),
            -0x8000_0000..-0x8000 => self.write_chunk(&[0xd2, e, f, g, h]),
            _ => self.write_chunk(&[0xd3, a, b, c, d, e, f, g, h]),
        }
    }

    #[inline]
    fn marked<const N: usize>(&mut self, marker: u8, bytes: [u8; N]) {
        self.write_chunk(&[marker]);
        self.write_chunk(&bytes);
    }
}

#[inline]
fn count32(count: usize) -> Result<u32, EncodeError> {
    u32::try_from(count).map_err(|_| EncodeError::new(EncodeErrorKind::TooLong))
}

/// The low byte; callers have checked that the others are zero.
const fn low8(count: u32) -> u8 {
    count.to_be_bytes()[3]
}

/// The low two bytes; callers have checked that the others are zero.
const fn low16(count: u32) -> u16 {
    let [_, _, high, low] = count.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::read::Reader;
    use crate::msgpack::token::Token;

    fn written(write: impl Fn(&mut Writer<'_>)) -> heapless::Vec<u8, 16> {
        let mut out = [0; 16];
        let mut writer = Writer::new(&mut out);
        write(&mut writer);
        heapless::Vec::from_slice(writer.finish().unwrap()).unwrap()
    }

    #[test]
    fn integers_are_written_in_their_smallest_form() {
        let edges: &[(i128, usize)] = &[
            (0, 1),
            (0x7f, 1),
            (0x80, 2),
            (0xff, 2),
            (0x100, 3),
            (0xffff, 3),
            (0x1_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 9),
            (u64::MAX as i128, 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-128, 2),
            (-129, 3),
            (-32768, 3),
            (-32769, 5),
            (i32::MIN as i128, 5),
            (i32::MIN as i128 - 1, 9),
            (i64::MIN as i128, 9),
        ];
        for &(value, len) in edges {
            let int = match u64::try_from(value) {
                Ok(value) => Int::from(value),
                Err(_) => Int::from(i64::try_from(value).unwrap()),
            };
            let bytes = written(|w| w.write_int(int));
            assert_eq!(bytes.len(), len, "{value}");
            assert_eq!(Reader::new(&bytes).read(), Ok(Token::Int(int)), "{value}");
            assert_eq!(i128::from(int), value);
        }
    }

    #[test]
    fn a_full_output_reports_the_required_length() {
        let mut out = [0; 3];
        let mut writer = Writer::new(&mut out);
        writer.write_str("abc").unwrap();
        writer.write_nil();
        let error = writer.finish().unwrap_err();
        assert_eq!(
            error,
            EncodeError { kind: EncodeErrorKind::OutputFull, needed: 5, available: 3 }
        );
    }
}
