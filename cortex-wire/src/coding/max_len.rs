//! The longest metadata of a type, computed by the compiler.

use crate::types::Type;

/// Bytes of text of up to `len` bytes.
pub(crate) const fn of_text(len: usize) -> Option<usize> {
    let head = match len {
        0..=31 => 1,
        32..=255 => 2,
        256..=65_535 => 3,
        _ => 5,
    };
    len.checked_add(head)
}

/// Bytes of the head of a list of up to `count` items.
const fn list_head(count: usize) -> usize {
    match count {
        0..=15 => 1,
        16..=65_535 => 3,
        _ => 5,
    }
}

/// Bytes of up to `count` values of at most `item` bytes: a list, or bytes where the slice's type says so.
pub(crate) const fn of_slice(ty: Type, item: Option<usize>, count: usize) -> Option<usize> {
    if matches!(ty, Type::Bytes) {
        let head = match count {
            0..=255 => 2,
            256..=65_535 => 3,
            _ => 5,
        };
        return count.checked_add(head);
    }
    let Some(item) = item else { return None };
    match count.checked_mul(item) {
        Some(items) => items.checked_add(list_head(count)),
        None => None,
    }
}

/// Bytes of a list of fields of these lengths; for `#[derive(Message)]`.
#[doc(hidden)]
#[must_use]
pub const fn fields(lens: &[Option<usize>]) -> Option<usize> {
    let mut sum = list_head(lens.len());
    let mut rest = lens;
    while let Some((first, others)) = rest.split_first() {
        let Some(len) = *first else { return None };
        sum = sum.saturating_add(len);
        rest = others;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use cortex_wire_derive::Message;

    use crate::array::ArrayView;
    use crate::array::dtype::Dtype;
    use crate::array::typed::TypedArray;
    use crate::codec::encoded_len;
    use crate::message::Message;
    use crate::msgpack::int::Int;

    #[derive(Message)]
    #[cortex(class = "m.Full")]
    struct Full {
        u8: u8,
        u16: u16,
        u32: u32,
        u64: u64,
        i8: i8,
        i16: i16,
        i32: i32,
        i64: i64,
        int: Int,
        bool: bool,
        f32: Option<f32>,
        text: heapless::String<40>,
        bytes: [u8; 300],
        list: heapless::Vec<i16, 16>,
        lists: [[f64; 2]; 3],
    }

    #[test]
    fn the_longest_values_take_the_maximum() {
        let full = Full {
            u8: u8::MAX,
            u16: u16::MAX,
            u32: u32::MAX,
            u64: u64::MAX,
            i8: i8::MIN,
            i16: i16::MIN,
            i32: i32::MIN,
            i64: i64::MIN,
            int: u64::MAX.into(),
            bool: true,
            f32: Some(1.0),
            text: heapless::String::try_from(&*"x".repeat(40)).expect("it fits"),
            bytes: [7; 300],
            list: heapless::Vec::from_slice(&[i16::MIN; 16]).expect("it fits"),
            lists: [[1.0; 2]; 3],
        };
        assert_eq!(Full::MAX_METADATA_LEN, encoded_len(&full).ok());
    }

    #[derive(Message)]
    #[cortex(class = "m.Arrays")]
    struct Arrays<'a> {
        any: ArrayView<'a>,
        typed: TypedArray<'a, f64>,
    }

    #[test]
    fn no_descriptor_is_longer_than_the_maximum() {
        let shape = [usize::MAX, 0, usize::MAX, 1, 1, 1, 1, usize::MAX];
        let dtype = Dtype::parse("<M8[4294967295as]").expect("the longest");
        let any = ArrayView::new(dtype, &shape, &[]).expect("it is empty");
        let typed = TypedArray::from_slice(&[], &shape).expect("it is empty");
        let len = encoded_len(&Arrays { any, typed }).expect("it fits");
        assert!(Arrays::MAX_METADATA_LEN.is_some_and(|max| len < max), "{len}");
    }

    #[derive(Message)]
    #[cortex(class = "m.Text")]
    struct Text<'a> {
        text: &'a str,
    }

    #[test]
    fn borrowed_text_has_no_maximum() {
        assert_eq!(Text::MAX_METADATA_LEN, None);
    }
}
