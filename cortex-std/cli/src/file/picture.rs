//! Arrays from `.png` files.

use cortex_std::wire::OwnedArray;

use super::byte_order::little_endian;
use crate::input::MAX_INPUT_LEN;

/// The pixels of a PNG file. Shape: `[height, width]` if it is grey, else `[height, width, channels]`;
/// dtype `|u1`, or `<u2` if it has 16 bits.
pub(super) fn read(file: impl std::io::BufRead + std::io::Seek) -> Result<OwnedArray, String> {
    let failed = |error: png::DecodingError| error.to_string();
    let mut decoder = png::Decoder::new(file);
    // Expands palettes and pixels of fewer than 8 bits to bytes.
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(failed)?;
    if reader.info().animation_control().is_some() {
        return Err("an animation is not read: save one of its frames as a picture".to_owned());
    }
    let too_large = || format!("too large: at most {MAX_INPUT_LEN} bytes of pixels are read");
    let len = reader.output_buffer_size().filter(|len| *len as u64 <= MAX_INPUT_LEN);
    let len = len.ok_or_else(too_large)?;
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(len).map_err(|_| "out of memory")?;
    pixels.resize(len, 0);
    let info = reader.next_frame(&mut pixels).map_err(failed)?;
    pixels.truncate(info.buffer_size());
    let size = |side: u32| usize::try_from(side).map_err(|error| error.to_string());
    let mut shape = vec![size(info.height)?, size(info.width)?];
    match info.color_type.samples() {
        1 => {}
        channels => shape.push(channels),
    }
    // A PNG stores 16-bit samples big-endian.
    let dtype = if info.bit_depth == png::BitDepth::Sixteen { ">u2" } else { "|u1" };
    little_endian(dtype.parse().map_err(|error| format!("{error}"))?, &shape, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(color: png::ColorType, depth: png::BitDepth, pixels: &[u8]) -> OwnedArray {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 2, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        read(std::io::Cursor::new(file)).unwrap()
    }

    #[test]
    fn a_png_that_claims_more_pixels_than_are_read_is_refused() {
        let mut file = Vec::new();
        let mut writer = png::Encoder::new(&mut file, 60_000, 60_000).write_header().unwrap();
        writer.write_chunk(png::chunk::IDAT, &[]).unwrap();
        drop(writer);
        let error = read(std::io::Cursor::new(file)).unwrap_err();
        assert!(error.starts_with("too large: at most"), "{error}");
    }

    #[test]
    fn a_png_of_16_bits_is_little_endian() {
        let array = picture(png::ColorType::Grayscale, png::BitDepth::Sixteen, &[1, 2, 3, 4]);
        assert_eq!(array.view().dtype().as_text().as_str(), "<u2");
        assert_eq!((array.view().shape(), array.view().data()), (&[1, 2][..], &[2, 1, 4, 3][..]));
        let array = picture(png::ColorType::Rgba, png::BitDepth::Sixteen, &[7; 16]);
        assert_eq!(array.view().shape(), [1, 2, 4]);
        let array = picture(png::ColorType::Grayscale, png::BitDepth::Eight, &[7, 9]);
        assert_eq!((array.view().shape(), array.view().data()), (&[1, 2][..], &[7, 9][..]));
    }
}
