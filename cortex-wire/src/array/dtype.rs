//! The type of an array's items: numpy's `dtype.str`.

use core::fmt;
use core::num::NonZeroU32;

use crate::error::DtypeError;

/// Type, byte order and size of an array's items, as in numpy's `dtype.str`.
///
/// # Examples
///
/// ```
/// use cortex_wire::{ByteOrder, Dtype, DtypeKind};
///
/// let dtype: Dtype = ">i2".parse()?;
/// assert_eq!(dtype.kind(), DtypeKind::Int);
/// assert_eq!(dtype.byte_order(), ByteOrder::Big);
/// assert_eq!(dtype.item_len(), 2);
/// assert_eq!(dtype.as_text().as_str(), ">i2");
/// # Ok::<(), cortex_wire::DtypeError>(())
/// ```
///
/// Source: numpy's array interface, `typestr`; wire reference, "Out-of-band descriptor".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dtype {
    kind: DtypeKind,
    order: ByteOrder,
    /// For a time its unit, an index into [`TIME_UNITS`], else [`NO_UNIT`]. The width leaves no
    /// padding, which would be copied byte by byte.
    unit: u16,
    /// Bytes per item; for a time, which has 8 bytes, the number of units in one step.
    number: u32,
}

/// The value of `unit` for a dtype without a unit.
const NO_UNIT: u16 = u16::MAX;
/// Bytes of a `DateTime` or `TimeDelta`.
const TIME_LEN: u32 = 8;

/// The kind of an array's items: the letter of a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DtypeKind {
    /// `b`: one byte, 0 or 1.
    Bool,
    /// `i`: 1, 2, 4 or 8 bytes.
    Int,
    /// `u`: 1, 2, 4 or 8 bytes.
    UInt,
    /// `f`: 2, 4, 8 or 16 bytes.
    Float,
    /// `c`: 8, 16 or 32 bytes, real then imaginary.
    Complex,
    /// `S`: byte strings, padded with zeros.
    Bytes,
    /// `U`: strings of 4-byte characters, padded with zeros.
    Unicode,
    /// `V`: opaque bytes.
    Void,
    /// `M`: time since the Unix epoch, 8 bytes, in units.
    DateTime,
    /// `m`: duration, 8 bytes, in units.
    TimeDelta,
}

impl DtypeKind {
    const fn letter(self) -> char {
        match self {
            Self::Bool => 'b',
            Self::Int => 'i',
            Self::UInt => 'u',
            Self::Float => 'f',
            Self::Complex => 'c',
            Self::Bytes => 'S',
            Self::Unicode => 'U',
            Self::Void => 'V',
            Self::DateTime => 'M',
            Self::TimeDelta => 'm',
        }
    }
}

/// The order of the bytes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ByteOrder {
    /// `<`: least significant byte first.
    Little,
    /// `>`: most significant byte first.
    Big,
    /// `|`: not applicable, as items are single bytes.
    None,
}

impl ByteOrder {
    /// The order of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// The unit of a `DateTime` or `TimeDelta`: `[ns]`, `[25us]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TimeUnit {
    /// The number of base units in one step; written before the name if it is more than 1.
    pub multiple: NonZeroU32,
    /// Index into [`TIME_UNITS`].
    name: u16,
}

/// numpy's unit names.
const TIME_UNITS: [&str; 13] =
    ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"];

impl TimeUnit {
    /// numpy's name of the base unit: `Y M W D h m s ms us ns ps fs as`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        TIME_UNITS.get(usize::from(self.name)).copied().unwrap_or("")
    }

    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let name_at = inner.find(|c: char| !c.is_ascii_digit())?;
        let (digits, name) = inner.split_at_checked(name_at)?;
        let multiple = match digits {
            "" => NonZeroU32::MIN,
            digits => parse_number(digits).and_then(NonZeroU32::new).filter(|m| m.get() > 1)?,
        };
        let index = TIME_UNITS.iter().position(|unit| *unit == name)?;
        Some(Self { multiple, name: u16::try_from(index).ok()? })
    }
}

/// A decimal number as numpy writes it: digits only, no leading zero.
fn parse_number(digits: &str) -> Option<u32> {
    match digits.as_bytes() {
        [] | [b'0', _, ..] => None,
        digits => digits.iter().try_fold(0_u32, |number, &digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            number.checked_mul(10)?.checked_add(digit.into())
        }),
    }
}

/// Appends a decimal number.
fn push_number(text: &mut DtypeText, number: u32) {
    const POWERS: [u32; 9] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10];
    let mut push = |digit: u32| {
        let _ = text.push(char::from_digit(digit % 10, 10).unwrap_or('0'));
    };
    for power in POWERS {
        if number >= power {
            push(number.checked_div(power).unwrap_or(0));
        }
    }
    push(number);
}

/// The text of a dtype, such as `<f4` or `<M8[ns]`.
pub type DtypeText = heapless::String<MAX_DTYPE_LEN>;

/// Bytes of the longest text of a dtype, and some more.
pub(crate) const MAX_DTYPE_LEN: usize = 24;

impl Dtype {
    /// A dtype of numbers in this machine's byte order.
    pub(crate) const fn native(kind: DtypeKind, item_len: u32) -> Self {
        let order = if item_len == 1 { ByteOrder::None } else { ByteOrder::NATIVE };
        Self { kind, order, unit: NO_UNIT, number: item_len }
    }

    /// The kind of the items.
    #[must_use]
    pub const fn kind(&self) -> DtypeKind {
        self.kind
    }

    /// The order of the items' bytes.
    #[must_use]
    pub const fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// Bytes of one item; never 0.
    #[must_use]
    pub const fn item_len(&self) -> usize {
        self.item_len32() as usize
    }

    const fn item_len32(&self) -> u32 {
        match self.kind {
            DtypeKind::DateTime | DtypeKind::TimeDelta => TIME_LEN,
            _ => self.number,
        }
    }

    /// The unit of a `DateTime` or `TimeDelta`, if it has one.
    #[must_use]
    pub const fn time_unit(&self) -> Option<TimeUnit> {
        match NonZeroU32::new(self.number) {
            Some(multiple) if self.unit != NO_UNIT => Some(TimeUnit { multiple, name: self.unit }),
            _ => None,
        }
    }

    /// Whether both have the same kind and size, in either byte order.
    #[must_use]
    pub fn same_items(&self, other: &Self) -> bool {
        self.kind == other.kind && self.number == other.number && self.unit == other.unit
    }

    /// numpy's `dtype.str` if it has three characters, as those of numbers do.
    pub(crate) fn short_text(&self) -> Option<[u8; 3]> {
        let size = u8::try_from(self.item_len()).ok().filter(|size| *size < 10)?;
        if self.unit != NO_UNIT || self.kind == DtypeKind::Unicode {
            return None;
        }
        let order = match self.order {
            ByteOrder::Little => b'<',
            ByteOrder::Big => b'>',
            ByteOrder::None => b'|',
        };
        let letter = u8::try_from(self.kind.letter()).ok()?;
        Some([order, letter, b'0'.saturating_add(size)])
    }

    /// numpy's `dtype.str`.
    #[must_use]
    pub fn as_text(&self) -> DtypeText {
        // Without `core::fmt`, which the link proof cannot show to be free of panics.
        // The longest text, `<M8[4294967295as]`, fits.
        let mut text = DtypeText::new();
        let _ = text.push(match self.order {
            ByteOrder::Little => '<',
            ByteOrder::Big => '>',
            ByteOrder::None => '|',
        });
        let _ = text.push(self.kind.letter());
        push_number(
            &mut text,
            match self.kind {
                DtypeKind::Unicode => self.number >> 2,
                _ => self.item_len32(),
            },
        );
        if let Some(unit) = self.time_unit() {
            let _ = text.push('[');
            if unit.multiple.get() > 1 {
                push_number(&mut text, unit.multiple.get());
            }
            // All are ASCII; the filter tells the compiler that each takes one byte.
            for letter in unit.name().chars().filter(char::is_ascii) {
                let _ = text.push(letter);
            }
            let _ = text.push(']');
        }
        text
    }

    /// The dtype of `bool` or of a number, from its three bytes: `|u1`, `<f4`. `None` for any other
    /// dtype and for invalid text.
    #[inline]
    pub(crate) const fn number([order, kind, size]: [u8; 3]) -> Option<Self> {
        let (kind, item_len) = match (kind, size) {
            (b'b', b'1') => (DtypeKind::Bool, 1),
            (b'u', b'1') => (DtypeKind::UInt, 1),
            (b'u', b'2') => (DtypeKind::UInt, 2),
            (b'u', b'4') => (DtypeKind::UInt, 4),
            (b'u', b'8') => (DtypeKind::UInt, 8),
            (b'i', b'1') => (DtypeKind::Int, 1),
            (b'i', b'2') => (DtypeKind::Int, 2),
            (b'i', b'4') => (DtypeKind::Int, 4),
            (b'i', b'8') => (DtypeKind::Int, 8),
            (b'f', b'2') => (DtypeKind::Float, 2),
            (b'f', b'4') => (DtypeKind::Float, 4),
            (b'f', b'8') => (DtypeKind::Float, 8),
            _ => return None,
        };
        let order = match (order, item_len) {
            (b'|', 1) => ByteOrder::None,
            (b'<', 2..) => ByteOrder::Little,
            (b'>', 2..) => ByteOrder::Big,
            _ => return None,
        };
        Some(Self { kind, order, unit: NO_UNIT, number: item_len })
    }

    /// Parses numpy's `dtype.str`. Single-byte items may have any byte order, as some peers write
    /// one.
    ///
    /// # Errors
    ///
    /// A [`DtypeError`] that names the reason.
    pub fn parse(text: &str) -> Result<Self, DtypeError> {
        let (head, rest) = text.split_at_checked(2).ok_or(DtypeError::Syntax)?;
        let (order, letter) = match *head.as_bytes() {
            [b'<', letter] => (ByteOrder::Little, letter),
            [b'>', letter] => (ByteOrder::Big, letter),
            [b'|', letter] => (ByteOrder::None, letter),
            _ => return Err(DtypeError::Syntax),
        };
        let kind = match letter {
            b'b' => DtypeKind::Bool,
            b'i' => DtypeKind::Int,
            b'u' => DtypeKind::UInt,
            b'f' => DtypeKind::Float,
            b'c' => DtypeKind::Complex,
            b'S' => DtypeKind::Bytes,
            b'U' => DtypeKind::Unicode,
            b'V' => DtypeKind::Void,
            b'M' => DtypeKind::DateTime,
            b'm' => DtypeKind::TimeDelta,
            b'O' => return Err(DtypeError::Object),
            _ => return Err(DtypeError::Syntax),
        };
        let unit_at = rest.bytes().position(|byte| byte == b'[').unwrap_or(rest.len());
        let (digits, unit) = rest.split_at_checked(unit_at).ok_or(DtypeError::Syntax)?;
        let is_time = matches!(kind, DtypeKind::DateTime | DtypeKind::TimeDelta);
        let unit = match unit {
            "" => None,
            unit if is_time => Some(TimeUnit::parse(unit).ok_or(DtypeError::Syntax)?),
            _ => return Err(DtypeError::Syntax),
        };
        let size = parse_number(digits).ok_or(DtypeError::Syntax)?;
        let item_len = match (kind, size) {
            (_, 0) => return Err(DtypeError::ZeroSize),
            (DtypeKind::Bool, 1)
            | (DtypeKind::Int | DtypeKind::UInt, 1 | 2 | 4 | 8)
            | (DtypeKind::Float, 2 | 4 | 8 | 16)
            | (DtypeKind::Complex, 8 | 16 | 32)
            | (DtypeKind::DateTime | DtypeKind::TimeDelta, 8)
            | (DtypeKind::Bytes | DtypeKind::Void, _) => size,
            (DtypeKind::Unicode, _) => size.checked_mul(4).ok_or(DtypeError::Size)?,
            _ => return Err(DtypeError::Size),
        };
        let ordered = !matches!(kind, DtypeKind::Bytes | DtypeKind::Void) && item_len > 1;
        let order = match (ordered, order) {
            (true, ByteOrder::None) => return Err(DtypeError::ByteOrder),
            (true, order) => order,
            (false, _) => ByteOrder::None,
        };
        let (unit, number) = match unit {
            Some(unit) => (unit.name, unit.multiple.get()),
            None if is_time => (NO_UNIT, 1),
            None => (NO_UNIT, item_len),
        };
        Ok(Self { kind, order, unit, number })
    }
}

impl core::str::FromStr for Dtype {
    type Err = DtypeError;

    fn from_str(text: &str) -> Result<Self, DtypeError> {
        Self::parse(text)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

impl fmt::Debug for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Dtype {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_text().as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_numpy_spellings() {
        for text in [
            "|b1",
            "|i1",
            "|u1",
            "<i2",
            ">i2",
            "<u4",
            ">u8",
            "<f2",
            "<f4",
            ">f8",
            "<f16",
            "<c8",
            ">c16",
            "<c32",
            "|S4",
            "<U5",
            "|V12",
            "<M8[ns]",
            "<m8[us]",
            ">M8",
            "<m8[25ms]",
            "<M8[Y]",
            "<M8[4294967295as]",
        ] {
            let dtype = Dtype::parse(text).unwrap();
            assert_eq!(dtype.as_text().as_str(), text);
        }
    }

    #[test]
    fn accepts_a_byte_order_for_single_bytes() {
        assert_eq!(Dtype::parse("<u1").unwrap().as_text().as_str(), "|u1");
    }

    #[test]
    fn rejects_dtypes_that_cannot_be_sent() {
        let cases = [
            ("|O", DtypeError::Object),
            ("|O8", DtypeError::Object),
            ("|S0", DtypeError::ZeroSize),
            ("<U0", DtypeError::ZeroSize),
            ("<f0", DtypeError::ZeroSize),
            ("<f3", DtypeError::Size),
            ("<i16", DtypeError::Size),
            ("<U4294967295", DtypeError::Size),
            ("|f4", DtypeError::ByteOrder),
            ("=f4", DtypeError::Syntax),
            ("f4", DtypeError::Syntax),
            ("", DtypeError::Syntax),
            ("<", DtypeError::Syntax),
            ("<f", DtypeError::Syntax),
            ("<f04", DtypeError::Syntax),
            ("<f+4", DtypeError::Syntax),
            ("<f4 ", DtypeError::Syntax),
            ("<f4[ns]", DtypeError::Syntax),
            ("<M8[1ns]", DtypeError::Syntax),
            ("<M8[0ns]", DtypeError::Syntax),
            ("<M8[xs]", DtypeError::Syntax),
            ("<M8[ns", DtypeError::Syntax),
            ("<M8[]", DtypeError::Syntax),
            ("<f99999999999", DtypeError::Syntax),
            ("<é4", DtypeError::Syntax),
        ];
        for (text, error) in cases {
            assert_eq!(Dtype::parse(text), Err(error), "{text:?}");
        }
    }
}
