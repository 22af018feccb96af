//! Input that is cut off, and buffers of another length.

use super::*;

#[test]
fn metadata_truncated_at_any_byte_names_the_item_that_is_cut() {
    for case in golden::cases("messages.json") {
        let name = case["message"].as_str().expect("a name");
        let frames = golden::frames(&case);
        let starts = item_starts(&frames[1]);
        for len in 0..frames[1].len() {
            let mut cut: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            cut[1] = &frames[1][..len];
            let error = decode_named(name, &cut).expect_err("it is cut");
            assert_truncated(error, len);
            assert!(starts.contains(&error.offset), "{}: {error}", case["name"]);
            let walked = Walk::new(&cut).unwrap().find_map(Result::err);
            assert_truncated(walked.expect("it is cut"), len);
        }
    }
}

#[test]
fn blobs_truncated_at_any_byte_name_the_part_that_is_cut() {
    for case in golden::cases("messages.json") {
        let name = case["message"].as_str().expect("a name");
        let whole = unhex(case["single_blob"].as_str().expect("a blob"));
        for len in 0..whole.len() {
            let truncated = |needed: usize, from: usize| {
                at(from, Kind::Truncated { needed: needed as u64, available: len - from })
            };
            let expected = match len {
                ..24 => at(0, Kind::HeaderLength { found: len }),
                24 => truncated(1, 24),
                25..29 => truncated(4, 25),
                _ => truncated(whole.len() - 29, 29),
            };
            assert_eq!(decode_named(name, &[&whole[..len]]), Err(expected));
            assert_eq!(blob::decode_any(&whole[..len]).unwrap_err(), expected);
        }
    }
}

#[test]
fn tagged_values_and_raw_arrays_truncated_at_any_byte_are_refused() {
    for case in golden::cases("values.json") {
        let bytes = unhex(case["serialize"].as_str().expect("hex"));
        for len in 0..bytes.len() {
            assert_truncated(blob::decode_value(&bytes[..len]).unwrap_err(), len);
        }
    }
    for case in golden::cases("numpy.json") {
        let bytes = unhex(case["serialize_numpy"].as_str().expect("hex"));
        for len in 0..bytes.len() {
            assert_truncated(blob::decode_array(&bytes[..len]).unwrap_err(), len);
        }
    }
}

#[test]
fn discovery_bodies_truncated_at_any_byte_are_refused() {
    for case in golden::cases("discovery.json") {
        let bytes = unhex(case["bytes"].as_str().expect("hex"));
        for len in 0..bytes.len() {
            let error = match case["kind"].as_str() {
                Some("request") => Request::decode(&bytes[..len]).unwrap_err(),
                _ => Response::decode(&bytes[..len]).unwrap_err(),
            };
            assert_truncated(error, len);
        }
    }
}

#[test]
fn buffers_that_are_missing_cut_or_too_long_name_their_descriptor() {
    let mut seen = 0;
    for case in golden::cases("messages.json") {
        let name = case["message"].as_str().expect("a name");
        let frames = golden::frames(&case);
        let count = frames.len() - 2;
        if count == 0 {
            continue;
        }
        seen += 1;
        let last = frames.len() - 1;
        let metadata = &frames[1];
        let missing = Kind::BufferMissing { index: count as u64 - 1 };
        let index_at = value_of(metadata, "buffer");
        assert_eq!(decode_named(name, &&frames[..last]), Err(at(index_at, missing)));

        let expected = frames[last].len();
        let mut other = frames.clone();
        other[last].push(0);
        let length =
            |found| at(value_of(metadata, "shape"), Kind::BufferLength { expected, found });
        assert_eq!(decode_named(name, &other), Err(length(expected + 1)));
        if expected > 0 {
            other[last].truncate(expected - 1);
            assert_eq!(decode_named(name, &other), Err(length(expected - 1)));
        }
    }
    assert!(seen > 40, "{seen} golden messages have arrays");
}
