//! The pixel format of an image, from its array.

use cortex_std::wire::{ArrayView, ByteOrder, DtypeKind};

/// The encoding of an image of this dtype and shape, as OpenCV and ROS name it: `mono8`, `mono16`,
/// `rgb8`, `rgba8`, `32FC1`. `None` if the array is no image of that kind.
pub(crate) fn encoding(image: &ArrayView<'_>) -> Option<String> {
    let channels = match image.shape() {
        [_, _] => 1,
        [_, _, channels] if *channels > 0 => *channels,
        _ => return None,
    };
    let dtype = image.dtype();
    if dtype.byte_order() == ByteOrder::Big {
        return None;
    }
    let depth = match (dtype.kind(), dtype.item_len()) {
        (DtypeKind::UInt, 1) => "8U",
        (DtypeKind::Int, 1) => "8S",
        (DtypeKind::UInt, 2) => "16U",
        (DtypeKind::Int, 2) => "16S",
        (DtypeKind::Int, 4) => "32S",
        (DtypeKind::Float, 4) => "32F",
        (DtypeKind::Float, 8) => "64F",
        _ => return None,
    };
    let colours = match channels {
        1 => "mono",
        3 => "rgb",
        4 => "rgba",
        _ => "",
    };
    Some(match depth {
        "8U" | "16U" if !colours.is_empty() => format!("{colours}{}", depth.trim_end_matches('U')),
        _ => format!("{depth}C{channels}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_follows_from_dtype_and_channels() {
        for (dtype, shape, expected) in [
            ("|u1", &[2, 2][..], Some("mono8")),
            ("|u1", &[2, 2, 1], Some("mono8")),
            ("|u1", &[2, 2, 2], Some("8UC2")),
            ("|u1", &[2, 2, 3], Some("rgb8")),
            ("|u1", &[2, 2, 4], Some("rgba8")),
            ("<u2", &[2, 2], Some("mono16")),
            ("<u2", &[2, 2, 3], Some("rgb16")),
            ("<i2", &[2, 2], Some("16SC1")),
            ("<f4", &[2, 2], Some("32FC1")),
            ("<f4", &[2, 2, 3], Some("32FC3")),
            ("<f8", &[2, 2, 1], Some("64FC1")),
            ("|b1", &[2, 2], None),
            (">u2", &[2, 2], None),
            ("<u4", &[2, 2], None),
            ("|u1", &[4], None),
            ("|u1", &[2, 2, 0], None),
        ] {
            let dtype: cortex_std::wire::Dtype = dtype.parse().unwrap();
            let data = vec![0; dtype.item_len() * shape.iter().product::<usize>()];
            let array = ArrayView::new(dtype, shape, &data).unwrap();
            assert_eq!(encoding(&array).as_deref(), expected, "{} {shape:?}", dtype.as_text());
        }
    }
}
