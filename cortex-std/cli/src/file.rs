//! Arrays from `.npy` and `.png` files.

use std::fs::File;
use std::io::{BufReader, Read};

use cortex_cli::typed_json::ValueError;
use cortex_std::wire::{Dtype, OwnedArray, OwnedValue};

/// Longest accepted header of a `.npy` file, in bytes; numpy's own limit is 10,000.
const MAX_HEADER: usize = 1 << 16;

/// The array of a file.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) array: OwnedArray,
    /// The pixel format of an image, as `ImageMessage::encoding` names it; `None` for `.npy`.
    pub(crate) encoding: Option<&'static str>,
}

impl Loaded {
    pub(crate) fn into_value(self) -> Result<OwnedValue, ValueError> {
        Ok(OwnedValue::Array(self.array))
    }
}

/// The path in `@path.npy` or `@path.png`; `None` for any other text.
pub(crate) fn path(text: &str) -> Option<&str> {
    text.strip_prefix('@').filter(|path| path.ends_with(".npy") || path.ends_with(".png"))
}

/// Reads the array of a file.
///
/// # Errors
/// If the file cannot be read, or is not of the format that its name ends with.
pub(crate) fn read(path: &str) -> Result<Loaded, ValueError> {
    let failed = |error: &dyn std::fmt::Display| ValueError::new(format!("{path}: {error}"));
    let file = BufReader::new(File::open(path).map_err(|error| failed(&error))?);
    match path.ends_with(".npy") {
        true => read_npy(file).map_err(|error| failed(&error)),
        false => read_png(file).map_err(|error| failed(&error)),
    }
}

fn read_npy(mut file: impl Read) -> Result<Loaded, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut head = [0; 8];
    file.read_exact(&mut head).map_err(failed)?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', major, _] = head else {
        return Err("not a .npy file".to_owned());
    };
    let header_len = if major == 1 {
        let mut len = [0; 2];
        file.read_exact(&mut len).map_err(failed)?;
        usize::from(u16::from_le_bytes(len))
    } else {
        let mut len = [0; 4];
        file.read_exact(&mut len).map_err(failed)?;
        usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX)
    };
    if header_len > MAX_HEADER {
        return Err(format!("the header has {header_len} bytes, at most {MAX_HEADER} are read"));
    }
    let mut header = vec![0; header_len];
    file.read_exact(&mut header).map_err(failed)?;
    let header = String::from_utf8_lossy(&header).into_owned();
    let (dtype, is_fortran, shape) = npy_header(&header)?;
    let mut data = Vec::new();
    file.read_to_end(&mut data).map_err(failed)?;
    if is_fortran {
        data = c_order(&data, &shape, dtype.item_len());
    }
    let array = OwnedArray::new(dtype, &shape, data).map_err(|error| error.to_string())?;
    Ok(Loaded { array, encoding: None })
}

/// Dtype, order and shape in `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn npy_header(header: &str) -> Result<(Dtype, bool, Vec<usize>), String> {
    let unsupported = || format!("unsupported array: {}", header.trim());
    let after = |name: &str| {
        let (_, rest) = header.split_once(&format!("'{name}':"))?;
        Some(rest.trim_start())
    };
    let dtype = after("descr")
        .and_then(|rest| rest.strip_prefix('\'')?.split_once('\''))
        .and_then(|(text, _)| text.parse().ok());
    let is_fortran = after("fortran_order").map(|rest| rest.starts_with("True"));
    let shape = after("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).and_then(
        |(dims, _)| {
            let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
            dims.map(|dim| dim.parse().ok()).collect::<Option<Vec<usize>>>()
        },
    );
    match (dtype, is_fortran, shape) {
        (Some(dtype), Some(is_fortran), Some(shape)) => Ok((dtype, is_fortran, shape)),
        _ => Err(unsupported()),
    }
}

/// The items of an array in Fortran order, put into C order. Returns the data unchanged if its
/// length does not match the shape, which `OwnedArray::new` then rejects.
fn c_order(data: &[u8], shape: &[usize], item_len: usize) -> Vec<u8> {
    let count = shape.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim));
    if count.and_then(|count| count.checked_mul(item_len)) != Some(data.len()) {
        return data.to_vec();
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0; shape.len()];
    for _ in 0..data.len() / item_len {
        let at = index.iter().zip(shape).rev().fold(0, |at, (index, dim)| at * dim + index);
        out.extend_from_slice(data.get(at * item_len..(at + 1) * item_len).unwrap_or_default());
        for (index, dim) in index.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *dim {
                break;
            }
            *index = 0;
        }
    }
    out
}

fn read_png(file: impl std::io::BufRead + std::io::Seek) -> Result<Loaded, String> {
    let failed = |error: png::DecodingError| error.to_string();
    let mut decoder = png::Decoder::new(file);
    // Expands palettes and pixels of fewer than 8 bits to bytes.
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(failed)?;
    let len = reader.output_buffer_size().ok_or("too large")?;
    let mut pixels = vec![0; len];
    let info = reader.next_frame(&mut pixels).map_err(failed)?;
    pixels.truncate(info.buffer_size());
    let is_wide = info.bit_depth == png::BitDepth::Sixteen;
    let (channels, encoding) = match (info.color_type, is_wide) {
        (png::ColorType::Grayscale, false) => (1, "mono8"),
        (png::ColorType::Grayscale, true) => (1, "mono16"),
        (png::ColorType::GrayscaleAlpha, false) => (2, "8UC2"),
        (png::ColorType::GrayscaleAlpha, true) => (2, "16UC2"),
        (png::ColorType::Rgba, false) => (4, "rgba8"),
        (png::ColorType::Rgba, true) => (4, "rgba16"),
        (_, false) => (3, "rgb8"),
        (_, true) => (3, "rgb16"),
    };
    let size = |side: u32| usize::try_from(side).map_err(|error| error.to_string());
    let mut shape = vec![size(info.height)?, size(info.width)?];
    if channels > 1 {
        shape.push(channels);
    }
    let dtype = if is_wide { ">u2" } else { "|u1" };
    let dtype = dtype.parse().map_err(|error| format!("{error}"))?;
    let array = OwnedArray::new(dtype, &shape, pixels).map_err(|error| error.to_string())?;
    Ok(Loaded { array, encoding: Some(encoding) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\0".to_vec();
        file.extend_from_slice(&(header.len() as u16).to_le_bytes());
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(data);
        file
    }

    #[test]
    fn npy_files_are_read_in_c_and_fortran_order() {
        let c = npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n",
            &[0, 1, 2, 3, 4, 5],
        );
        let f = npy(
            "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n",
            &[0, 3, 1, 4, 2, 5],
        );
        let expected = OwnedArray::from_slice(&[0_u8, 1, 2, 3, 4, 5], &[2, 3]).unwrap();
        assert_eq!(read_npy(&c[..]).unwrap().array, expected);
        assert_eq!(read_npy(&f[..]).unwrap().array, expected);
        let scalar = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", &[0; 8]);
        assert_eq!(read_npy(&scalar[..]).unwrap().array.view().shape(), [0_usize; 0]);
    }

    #[test]
    fn rejects_unsupported_npy_files() {
        let object = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", &[]);
        assert!(read_npy(&object[..]).unwrap_err().contains("unsupported array"));
        let record =
            npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", &[0; 4]);
        assert!(read_npy(&record[..]).is_err());
        let short = npy("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }\n", &[0; 8]);
        assert_eq!(read_npy(&short[..]).unwrap_err(), "shape and dtype need 32 bytes, data has 8");
        assert_eq!(read_npy(&b"GIF89a.."[..]).unwrap_err(), "not a .npy file");
        assert!(read_npy(&b"\x93NUMPY\x02\0\xff\xff\xff\xff"[..]).is_err());
    }
}
