//! The byte order of arrays from files.

use cortex_std::wire::{ByteOrder, Dtype, DtypeKind, OwnedArray};

/// An array whose items are little-endian, as subscribers such as OpenCV expect them.
///
/// # Errors
/// If the data does not match the shape, or the items are big-endian 16-byte floats, whose format
/// differs between machines.
pub(super) fn little_endian(
    dtype: Dtype,
    shape: &[usize],
    mut data: Vec<u8>,
) -> Result<OwnedArray, String> {
    if dtype.byte_order() != ByteOrder::Big {
        return OwnedArray::new(dtype, shape, data).map_err(|error| error.to_string());
    }
    let text = dtype.as_text();
    // The bytes that are swapped as one number.
    let number_len = match dtype.kind() {
        DtypeKind::Complex => dtype.item_len() / 2,
        DtypeKind::Unicode => 4,
        _ => dtype.item_len(),
    };
    if number_len > 8 {
        return Err(format!(
            "items of dtype {text} are not portable: save them as \"<f8\" or \"<c16\""
        ));
    }
    data.chunks_exact_mut(number_len).for_each(<[u8]>::reverse);
    let dtype = text.as_str().replacen('>', "<", 1).parse().map_err(|error| format!("{error}"))?;
    OwnedArray::new(dtype, shape, data).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_become_little_endian() {
        let read = |dtype: &str, data: &[u8]| {
            let dtype: Dtype = dtype.parse().unwrap();
            let shape = [data.len() / dtype.item_len()];
            let array = little_endian(dtype, &shape, data.to_vec())?;
            Ok::<_, String>((
                array.view().dtype().as_text().to_string(),
                array.view().data().to_vec(),
            ))
        };
        assert_eq!(read(">u2", &[1, 2, 3, 4]), Ok(("<u2".to_owned(), vec![2, 1, 4, 3])));
        assert_eq!(read("<u2", &[1, 2]), Ok(("<u2".to_owned(), vec![1, 2])));
        assert_eq!(
            read(">c8", &[1, 2, 3, 4, 5, 6, 7, 8]),
            Ok(("<c8".to_owned(), vec![4, 3, 2, 1, 8, 7, 6, 5]))
        );
        assert_eq!(read(">U2", &[0, 0, 0, 1, 0, 0, 0, 2]).unwrap().1, [1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(
            read(">M8[25us]", &[0, 0, 0, 0, 0, 0, 0, 9]),
            Ok(("<M8[25us]".to_owned(), vec![9, 0, 0, 0, 0, 0, 0, 0]))
        );
        assert!(read(">f16", &[0; 16]).unwrap_err().contains("not portable"));
    }
}
