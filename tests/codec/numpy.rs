//! Descriptors against numpy's own reading of dtypes and shapes.

use std::fmt::Write as _;

use cortex_tests::python;
use cortex_wire::{ArrayView, Dtype};

/// Every dtype of one form: byte order, kind, size, unit.
fn dtypes() -> Vec<String> {
    let orders = ["<", ">", "|", "=", ""];
    let kinds = ["b", "i", "u", "f", "c", "S", "U", "V", "M", "m", "O", "x", "?", "B"];
    let sizes = ["", "0", "1", "2", "3", "4", "7", "8", "16", "32", "08", "-8"];
    let units = ["", "[ns]", "[25s]", "[1ns]", "[us]", "[x]", "[", "[]", "[s]x", "[generic]"];
    let mut all = Vec::new();
    for order in orders {
        for kind in kinds {
            for size in sizes {
                // Units beside other kinds are rejected by both. numpy alone keeps `[0s]`.
                let units = if "Mm".contains(kind) { &units[..] } else { &units[..2] };
                all.extend(units.iter().map(|unit| format!("{order}{kind}{size}{unit}")));
            }
        }
    }
    all
}

#[test]
fn dtypes_and_shapes_are_read_as_numpy_reads_them() {
    let mut cases: Vec<(String, Vec<usize>, usize)> = Vec::new();
    for dtype in dtypes() {
        let item_len = Dtype::parse(&dtype).map_or(8, |dtype| dtype.item_len());
        cases.push((dtype, vec![2], 2 * item_len));
    }
    for dtype in ["|u1", "<u2", ">f4", "<c16", "|S3", "<U2", "<M8[ns]"] {
        let item_len = Dtype::parse(dtype).expect("it is valid").item_len();
        let shapes: [&[usize]; 9] =
            [&[], &[0], &[1], &[3], &[2, 3], &[2, 0, 3], &[1; 8], &[3, 2], &[1 << 62, 4]];
        for shape in shapes {
            for len in [0, 1, item_len, 3 * item_len, 6 * item_len, 6 * item_len + 1] {
                cases.push((dtype.to_owned(), shape.to_vec(), len));
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cases");
    let mut lines = String::new();
    for (dtype, shape, len) in &cases {
        writeln!(lines, "[{dtype:?}, {shape:?}, {len}]").expect("a text");
    }
    std::fs::write(&file, lines).expect("a file");
    let mut numpy = python::peer("dtypes.py", [&file]);
    let answers = numpy.expect_event("done")["answers"].clone();
    assert!(numpy.wait().success());
    let answers = answers.as_array().expect("a list");
    assert_eq!(answers.len(), cases.len());
    let mut accepted = 0;
    for ((text, shape, len), theirs) in cases.iter().zip(answers) {
        let data = vec![0; *len];
        let ours = Dtype::parse(text).ok().and_then(|dtype| {
            ArrayView::new(dtype, shape, &data).is_ok().then(|| (dtype.as_text(), dtype.item_len()))
        });
        let theirs = theirs.as_array().map(|both| {
            (both[0].as_str().expect("text").to_owned(), both[1].as_u64().expect("a number"))
        });
        let case = format!("{text} {shape:?} of {len} bytes");
        match (ours, theirs) {
            (Some((dtype, item_len)), Some(theirs)) => {
                assert_eq!((dtype.as_str().to_owned(), item_len as u64), theirs, "{case}");
                accepted += 1;
            }
            // numpy takes more spellings than it writes; what it writes is read.
            (None, Some((theirs, _))) => assert_ne!(*text, theirs, "only numpy reads {case}"),
            (Some(_), None) => panic!("numpy does not read {case}"),
            (None, None) => {}
        }
    }
    assert!(accepted > 100, "{accepted} of {}", cases.len());
}
