//! Arrays from `.npy` files.
//!
//! Source: numpy's `numpy.lib.format`, versions 1.0, 2.0 and 3.0.

use std::io::Read;

use cortex_std::wire::{Dtype, DtypeKind, OwnedArray};

use super::byte_order::little_endian;
use crate::input::MAX_INPUT_LEN;

/// Longest accepted header of a `.npy` file, in bytes; numpy's own limit is 10,000.
const MAX_HEADER: usize = 1 << 16;

/// The array of a `.npy` file, in C order and little-endian.
///
/// # Errors
/// If the file is no `.npy` file or is damaged, or its items are not of one dtype that the wire has.
pub(super) fn read(mut file: impl Read) -> Result<OwnedArray, String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the file ends inside its header".to_owned(),
        _ => error.to_string(),
    };
    let mut head = Vec::new();
    (&mut file).take(8).read_to_end(&mut head).map_err(failed)?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', major, minor] = head[..] else {
        return Err("not a .npy file".to_owned());
    };
    let header_len = match major {
        1 => {
            let mut len = [0; 2];
            file.read_exact(&mut len).map_err(failed)?;
            usize::from(u16::from_le_bytes(len))
        }
        2 | 3 => {
            let mut len = [0; 4];
            file.read_exact(&mut len).map_err(failed)?;
            usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX)
        }
        _ => {
            return Err(format!("version {major}.{minor} of the format is not known, only 1 to 3"));
        }
    };
    if header_len > MAX_HEADER {
        return Err(format!("the header has {header_len} bytes, at most {MAX_HEADER} are read"));
    }
    let mut header = vec![0; header_len];
    file.read_exact(&mut header).map_err(failed)?;
    // Versions 1 and 2 are Latin-1 and version 3 is UTF-8; the three agree on the headers of plain
    // arrays.
    let header = Header::parse(&String::from_utf8_lossy(&header))?;
    let Header { dtype, is_fortran, shape } = header;
    let len = shape.iter().try_fold(dtype.item_len(), |len, dim| len.checked_mul(*dim));
    let len = len.filter(|len| *len as u64 <= MAX_INPUT_LEN).ok_or("the shape is too large")?;
    let mut data = Vec::new();
    let limit = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut data).map_err(|error| error.to_string())?;
    if data.len() > len {
        return Err(format!(
            "the file continues after the {len} bytes of its array: save one array in a file"
        ));
    }
    if is_fortran {
        data = c_order(&data, &shape, dtype.item_len());
    }
    little_endian(dtype, &shape, data)
}

/// The header of a `.npy` file: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct Header {
    dtype: Dtype,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, String> {
        let invalid = |error: String| format!("invalid header {:?}: {error}", text.trim());
        let mut literal = Literal(text.trim());
        let (mut dtype, mut is_fortran, mut shape) = (None, None, None);
        literal.expect("{").map_err(invalid)?;
        while !literal.take("}") {
            let key = literal.string().map_err(invalid)?;
            literal.expect(":").map_err(invalid)?;
            match key {
                "descr" if literal.0.starts_with('[') || literal.0.starts_with('(') => {
                    return Err(
                        "an array of records is not read, since it has several dtypes: save \
                                one field, such as array[\"x\"]"
                            .to_owned(),
                    );
                }
                // An unsupported dtype has its own reason; the header is valid.
                "descr" => dtype = Some(dtype_of(literal.string().map_err(invalid)?)?),
                "fortran_order" if literal.take("True") => is_fortran = Some(true),
                "fortran_order" if literal.take("False") => is_fortran = Some(false),
                "shape" => shape = Some(literal.shape().map_err(invalid)?),
                _ => return Err(invalid(format!("unexpected entry {key:?}"))),
            }
            if !literal.take(",") {
                literal.expect("}").map_err(invalid)?;
                break;
            }
        }
        match (dtype, is_fortran, shape) {
            (Some(dtype), Some(is_fortran), Some(shape)) => Ok(Self { dtype, is_fortran, shape }),
            _ => Err(invalid("descr, fortran_order or shape is missing".to_owned())),
        }
    }
}

fn dtype_of(descr: &str) -> Result<Dtype, String> {
    // Old versions of numpy write "=f4" and "|f4"; one byte has no order.
    let dtype = descr.parse::<Dtype>().ok().or_else(|| {
        let rest = descr.strip_prefix(['<', '>', '='])?;
        let native = format!("{}{rest}", if cfg!(target_endian = "big") { '>' } else { '<' });
        match descr.starts_with('=') {
            true => native.parse().ok(),
            false => format!("|{rest}").parse().ok(),
        }
    });
    match dtype {
        Some(dtype) if dtype.kind() == DtypeKind::Void => Err(format!(
            "items of dtype {descr:?} are opaque bytes, as numpy saves bfloat16 and float8: convert \
             them before saving with array.astype(\"float32\")"
        )),
        Some(dtype) => Ok(dtype),
        None if descr.ends_with('O') => {
            Err("Python objects are not read: save an array of numbers or of text".to_owned())
        }
        None => Err(format!(
            "dtype {descr:?} is not supported: convert the array before saving with \
             array.astype(\"float32\")"
        )),
    }
}

/// The rest of a Python literal; each method skips the white space that follows.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0).trim_start();
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.take(token) {
            true => Ok(()),
            false => Err(format!("expected {token:?} before {:?}", self.0)),
        }
    }

    /// A string in quotes of either kind; Python 2 may write a `u` before it.
    fn string(&mut self) -> Result<&'a str, String> {
        let text = self.0.strip_prefix('u').unwrap_or(self.0);
        let rest = text.strip_prefix(['\'', '"']);
        let quote = text.chars().next().unwrap_or_default();
        let Some((string, rest)) = rest.and_then(|rest| rest.split_once(quote)) else {
            return Err(format!("expected a string before {:?}", self.0));
        };
        self.0 = rest.trim_start();
        Ok(string)
    }

    /// A tuple of sizes. Python 2 writes `480L`, numpy 2 may write `np.int64(480)`.
    fn shape(&mut self) -> Result<Vec<usize>, String> {
        self.expect("(")?;
        let mut shape = Vec::new();
        while !self.take(")") {
            shape.push(self.size()?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(shape)
    }

    fn size(&mut self) -> Result<usize, String> {
        let is_call = self.0.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_call {
            let (_, rest) = self.0.split_once('(').ok_or("expected a size")?;
            self.0 = rest.trim_start();
        }
        let end = self.0.find(|character: char| !character.is_ascii_digit());
        let (digits, _) = self.0.split_at(end.unwrap_or(self.0.len()));
        let size = digits.parse().map_err(|_| format!("expected a size before {:?}", self.0))?;
        self.take(digits);
        self.take("L");
        if is_call {
            self.expect(")")?;
        }
        Ok(size)
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

    fn error(header: &str, data: &[u8]) -> String {
        read(&npy(header, data)[..]).unwrap_err()
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
        assert_eq!(read(&c[..]).unwrap(), expected);
        assert_eq!(read(&f[..]).unwrap(), expected);
        let scalar = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", &[0; 8]);
        assert_eq!(read(&scalar[..]).unwrap().view().shape(), [0_usize; 0]);
    }

    #[test]
    fn headers_of_every_python_and_numpy_are_read() {
        let expected = OwnedArray::from_slice(&[0_u8, 1, 2, 3, 4, 5], &[2, 3]).unwrap();
        for header in [
            "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (np.int64(2), np.int64(3))}",
            "{\"descr\": \"|u1\", \"fortran_order\": False, \"shape\": (2, 3)}",
            "{u'shape': (2, 3), u'fortran_order': False, u'descr': u'|u1'}",
            "{'shape':(2,3,),'fortran_order':False,'descr':'<u1',}",
        ] {
            assert_eq!(
                read(&npy(header, &[0, 1, 2, 3, 4, 5])[..]),
                Ok(expected.clone()),
                "{header}"
            );
        }
        for version in [2, 3] {
            let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }";
            let mut file = b"\x93NUMPY".to_vec();
            file.extend_from_slice(&[version, 0, header.len() as u8, 0, 0, 0]);
            file.extend_from_slice(header.as_bytes());
            file.extend_from_slice(&[0, 1, 2, 3, 4, 5]);
            assert_eq!(read(&file[..]), Ok(expected.clone()), "{version}");
        }
        assert_eq!(
            read(&b"\x93NUMPY\x04\0\0\0\0\0"[..]).unwrap_err(),
            "version 4.0 of the format is not known, only 1 to 3"
        );
    }

    #[test]
    fn unsupported_npy_files_are_refused_with_what_would_work() {
        let header = |descr: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n")
        };
        for (descr, expected) in [
            ("'|O'", "Python objects are not read"),
            ("[('a', '<f4')]", "save one field, such as array[\"x\"]"),
            // ml_dtypes' bfloat16 and float8.
            ("'<V2'", "bfloat16 and float8: convert them before saving with array.astype"),
            ("'|V1'", "items of dtype \"|V1\" are opaque bytes"),
            ("'bfloat16'", "dtype \"bfloat16\" is not supported: convert the array before saving"),
            ("'float8_e4m3fn'", "saving with array.astype(\"float32\")"),
        ] {
            let error = error(&header(descr, "(1,)"), &[0; 4]);
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(
            error(&header("'<f8'", "(2, 2)"), &[0; 8]),
            "shape and dtype need 32 bytes, data has 8"
        );
        assert!(error(&header("'|u1'", "(2,)"), &[0; 3]).contains("save one array in a file"));
        assert_eq!(
            error(&header("'<f8'", "(9999999999999, 9999999999999)"), &[]),
            "the shape is too large"
        );
        for text in
            ["", "{", "{'descr': '<f4'}", "{'descr", "{'shape': (x)}", "{'shape': (-1,)}", "{1: 2}"]
        {
            assert!(error(text, &[]).starts_with("invalid header"), "{text}");
        }
        assert_eq!(read(&b"GIF89a.."[..]).unwrap_err(), "not a .npy file");
        assert_eq!(read(&b""[..]).unwrap_err(), "not a .npy file");
        assert!(read(&b"\x93NUMPY\x02\0\xff\xff\xff\xff"[..]).unwrap_err().contains("at most"));
    }
}
