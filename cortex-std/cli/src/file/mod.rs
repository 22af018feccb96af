//! Values from files that a text names: `@scan.npy`, `@picture.png`, `@note.txt`, `@blob.bin`.

mod byte_order;
mod npy;
mod picture;

use std::fs::File;
use std::io::BufReader;

use cortex_cli::typed_json::ValueError;
use cortex_std::wire::OwnedValue;

use crate::input::{read_all, read_text};

/// The meaning of a text that begins with `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// `@PATH`: the content of a file, or of stdin if the path is `-`.
    File(&'a str),
    /// `@@TEXT`: the text `@TEXT`.
    Text(&'a str),
}

/// The reference in a text; `None` if it does not begin with `@`.
pub(crate) fn reference(text: &str) -> Option<Reference<'_>> {
    let rest = text.strip_prefix('@')?;
    Some(if rest.starts_with('@') { Reference::Text(rest) } else { Reference::File(rest) })
}

/// Whether a path names a JSON file.
pub(crate) fn is_json(path: &str) -> bool {
    extension(path) == "json"
}

/// Reads a value from a file: the array of a `.npy` or `.png` file, the text of a `.txt` file, the
/// bytes of a `.bin` file. The case of the extension does not matter. Arrays are little-endian.
///
/// # Errors
/// If the file cannot be read, is not of the format that its name ends with, or its format is not
/// supported.
pub(crate) fn read(path: &str) -> Result<OwnedValue, ValueError> {
    let failed = |reason: String| ValueError::new(format!("{path}: {reason}"));
    let is_folder = std::fs::metadata(path).is_ok_and(|found| found.is_dir());
    if is_folder {
        return Err(failed("is a directory".to_owned()));
    }
    let extension = extension(path);
    if !["npy", "png", "txt", "bin"].contains(&extension.as_str()) {
        return Err(failed(unsupported(path, &extension)));
    }
    let io = |error: std::io::Error| failed(error.to_string());
    let file = BufReader::new(File::open(path).map_err(io)?);
    Ok(match extension.as_str() {
        "npy" => OwnedValue::Array(npy::read(file).map_err(failed)?),
        "png" => OwnedValue::Array(picture::read(file).map_err(failed)?),
        "txt" => OwnedValue::Str(read_text(file).map_err(io)?),
        _ => OwnedValue::Bytes(read_all(file).map_err(io)?),
    })
}

fn extension(path: &str) -> String {
    let extension = std::path::Path::new(path).extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

/// Why a file of this extension is not read, and what works instead.
fn unsupported(path: &str, extension: &str) -> String {
    let text = format!("; for the text itself write @@{path}");
    match extension {
        "npz" => format!(
            "an archive of arrays is not read: save one of them with \
             numpy.save(\"one.npy\", numpy.load({path:?})[NAME]) and give @one.npy{text}"
        ),
        "jpg" | "jpeg" | "bmp" | "gif" | "tif" | "tiff" | "webp" => {
            format!(".{extension} files are not read: convert the picture to .png{text}")
        }
        "json" => format!("a .json file is read only as the whole VALUE{text}"),
        _ if path.is_empty() => "a file name is missing after @".to_owned(),
        _ if path == "-" => format!("stdin is read only as the whole VALUE{text}"),
        "" => format!("the name has no extension: .npy, .png, .txt and .bin files are read{text}"),
        _ => format!(
            ".{extension} files are not read, only .npy, .png, .txt and .bin files, and .json files \
             as the whole VALUE{text}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_with_two_at_signs_is_text() {
        assert_eq!(reference("@a.npy"), Some(Reference::File("a.npy")));
        assert_eq!(reference("@@alice"), Some(Reference::Text("@alice")));
        assert_eq!(reference("@@@"), Some(Reference::Text("@@")));
        assert_eq!(reference("a@b"), None);
    }

    #[test]
    fn a_file_of_an_unknown_kind_is_refused_with_what_would_work() {
        for (path, expected) in [
            ("x.npz", "numpy.save(\"one.npy\", numpy.load(\"x.npz\")[NAME])"),
            ("X.JPG", ".jpg files are not read: convert the picture to .png"),
            ("alice", "the name has no extension: .npy, .png, .txt and .bin files are read"),
            ("a.csv", ".csv files are not read, only .npy, .png, .txt and .bin files"),
            ("v.json", "read only as the whole VALUE"),
            ("-", "stdin is read only as the whole VALUE"),
            ("", "a file name is missing after @"),
            ("/", "/: is a directory"),
        ] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.starts_with(path) && error.contains(expected), "{error}");
            let is_text_possible =
                path.len() < 2 && path != "-" || error.ends_with(&format!("write @@{path}"));
            assert!(is_text_possible, "{error}");
        }
    }
}
