//! `cortex decode` and `cortex encode` as a user runs them.

use cortex_tests::golden;
use serde_json::{Value as Json, json};

use crate::{end, start};

/// Stdout, stderr and exit code of a command with these lines as stdin.
fn run(arguments: &[&str], lines: &[String]) -> (Vec<String>, String, Option<i32>) {
    let mut program = start(arguments, &[]);
    for line in lines {
        program.send_line(line);
    }
    program.close_stdin();
    let ended = end(program);
    (ended.lines, ended.stderr, ended.code)
}

fn golden_lines() -> Vec<String> {
    let line = |case: &Json| {
        let frames = golden::frames(case);
        frames.iter().map(|frame| golden::hex(frame)).collect::<Vec<_>>().join(" ")
    };
    golden::cases("messages.json").iter().map(line).collect()
}

#[test]
fn typed_json_of_golden_messages_is_lossless() {
    let lines = golden_lines();
    assert_eq!(lines.len(), 97);
    let (decoded, said, code) = run(&["decode", "--typed"], &lines);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    for (text, case) in decoded.iter().zip(golden::cases("messages.json")) {
        let object: Json = serde_json::from_str(text).expect("a JSON object");
        let name = &case["name"];
        assert_eq!(object["message"], case["message"], "{name}");
        assert_eq!(object["timestamp_ns"], case["timestamp_ns"], "{name}");
        assert_eq!(object["sequence"], case["sequence"], "{name}");
        assert_eq!(object["fields"], golden::without_repr(case["fields"].clone()), "{name}");
        let class = format!("cortex.messages.standard.{}", case["message"].as_str().expect("text"));
        assert_eq!(object["class"], class, "{name}");
        let fingerprint = &golden::frames(&case)[0][..8];
        assert_eq!(object["fingerprint"], format!("0x{}", golden::hex(fingerprint)), "{name}");
    }
    let (encoded, said, code) = run(&["encode", "--typed"], &decoded);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    assert_eq!(encoded, lines);
}

#[test]
fn plain_json_of_golden_messages_is_lossless_except_for_an_int_in_a_float_field() {
    let lines = golden_lines();
    let (plain, said, code) = run(&["decode"], &lines);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    let (encoded, said, code) = run(&["encode"], &plain);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    assert_eq!(encoded.len(), 97);
    for ((line, encoded), case) in lines.iter().zip(&encoded).zip(golden::cases("messages.json")) {
        match case["name"].as_str() {
            // The int becomes a float, which is eight bytes longer.
            Some("float_8") => assert_eq!(encoded.len(), line.len() + 16),
            name => assert_eq!(encoded, line, "{name:?}"),
        }
    }
}

#[test]
fn numbered_fields_of_an_unknown_class_are_lossless() {
    // fingerprint 1, time 2, number 3; [7, "x", {"dtype": "<f4", ..}].
    let metadata = "9307a17884ae5f5f636f727465785f6f6f625f5fa56e756d7079a662756666657200a56474797065a33c6634a57368617065\
        9100";
    let line = format!("{:016x}{:016x}{:016x} {metadata} ", 1, 2, 3);
    let (decoded, said, code) = run(&["decode", "--typed"], std::slice::from_ref(&line));
    assert_eq!((said.as_str(), code), ("", Some(0)));
    let object: Json = serde_json::from_str(&decoded[0]).expect("JSON");
    let expected = json!({
        "message": null,
        "class": null,
        "fingerprint": "0x0000000000000001",
        "timestamp_ns": "2",
        "sequence": "3",
        "fields": [
            { "name": "0", "value": { "int": "7" } },
            { "name": "1", "value": { "str": "x" } },
            { "name": "2", "value": { "array": { "dtype": "<f4", "shape": [0], "data": "" } } },
        ],
    });
    assert_eq!(object, expected);
    // The line ends in a space, since the last buffer is empty.
    assert_eq!(run(&["encode", "--typed"], &decoded).0, [line]);
}

#[test]
fn an_invalid_line_is_reported_with_its_number_and_skipped() {
    let good = golden_lines().swap_remove(0);
    let lines = ["zz".to_owned(), good.clone(), "00".to_owned(), format!("{good}c0"), good.clone()];
    let (decoded, said, code) = run(&["decode"], &lines);
    assert_eq!((decoded.len(), code), (2, Some(1)));
    let errors: Vec<_> = said.lines().collect();
    assert_eq!(errors.len(), 3, "{said}");
    assert!(errors[0].starts_with("cortex decode: line 1: header: character 1 is 'z'"), "{said}");
    assert!(errors[1].starts_with("cortex decode: line 3: "), "{said}");
    assert!(errors[2].starts_with("cortex decode: line 4: "), "{said}");

    let lines = ["{".to_owned(), String::new(), decoded[0].clone(), r#"{"fields": []}"#.to_owned()];
    let (encoded, said, code) = run(&["encode"], &lines);
    assert_eq!((encoded, code), (vec![good], Some(1)));
    let errors: Vec<_> = said.lines().collect();
    assert!(errors[0].starts_with("cortex encode: line 1: not JSON: "), "{said}");
    assert!(errors[1].starts_with("cortex encode: line 2: not JSON: "), "{said}");
    assert_eq!(
        errors[2],
        "cortex encode: line 4: \"fingerprint\", \"class\" or \"message\" is missing"
    );
}

#[test]
fn a_message_of_the_greatest_depth_is_lossless() {
    // 127 maps of one pair in the list of fields.
    let header = format!("{:048x}", 1);
    let line = format!("{header} 91{}c0", "81a161".repeat(127));
    let (decoded, said, code) = run(&["decode", "--typed"], std::slice::from_ref(&line));
    assert_eq!((said.as_str(), code), ("", Some(0)));
    assert_eq!(run(&["encode", "--typed"], &decoded).0, [line]);
    let deeper = format!("{header} 91{}c0", "81a161".repeat(128));
    assert_eq!(run(&["decode", "--typed"], &[deeper]).2, Some(1));
}

#[test]
fn a_single_blob_message_is_decoded() {
    let case = golden::message("image_explicit");
    let blob = case["single_blob"].as_str().expect("hex").to_owned();
    let (decoded, said, code) = run(&["decode", "--typed"], &[blob]);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    let object: Json = serde_json::from_str(&decoded[0]).expect("JSON");
    assert_eq!(object["fields"], golden::without_repr(case["fields"].clone()));
}

#[test]
fn a_message_without_its_fields_is_refused() {
    let line = |text: &str| text.to_owned();
    let lines = [
        line(r#"{"message": "IntMessage", "fields": []}"#),
        line(r#"{"message": "IntMessage", "fields": [{"name": "date", "value": 1}]}"#),
        line(r#"{"message": "IntMessage", "fields": [{"value": 1}, {"value": 2}]}"#),
        line(r#"{"message": "IntMessage", "fingerprint": "0x1", "fields": [{"value": 1}]}"#),
        line(r#"{"message": "IntMessage", "fields": [{"value": 18446744073709551616}]}"#),
        line(r#"{"message": "IntMessage", "timestmap_ns": 5, "fields": [{"value": 1}]}"#),
        line(r#"{"message": "IntMessage", "fields": [{"value": 1, "nmae": "data"}]}"#),
        line(r#"{"message": "IntMessage", "class": "a.Other", "fields": [{"value": 1}]}"#),
        line(r#"{"message": "StringMessage", "fields": [{"value": "@secret.txt"}]}"#),
        line(r#"{"message": "IntMessage", "fields": [{"value": 7}]}"#),
    ];
    let (encoded, said, code) = run(&["encode"], &lines);
    assert_eq!((encoded.len(), code), (2, Some(1)), "{said}");
    // A text of a peer reads no file.
    assert!(encoded[0].contains(&golden::hex(b"@secret.txt")), "{encoded:?}");
    let errors: Vec<_> = said.lines().collect();
    assert_eq!(
        errors[0],
        "cortex encode: line 1: fields: the fields of IntMessage are data, in this order; found none"
    );
    assert!(errors[1].ends_with("found date"), "{said}");
    assert!(errors[2].ends_with("found without a name, without a name"), "{said}");
    assert!(errors[3].contains("line 4: fingerprint: is not 0x"), "{said}");
    assert!(errors[4].contains("line 5: 18446744073709551616 is not an integer"), "{said}");
    let unknown = "line 6: unknown entry \"timestmap_ns\"; the entries are topic, message, class";
    assert!(errors[5].contains(unknown), "{said}");
    assert!(
        errors[6].ends_with("fields[0]: unknown entry \"nmae\"; the entries are name, value"),
        "{said}"
    );
    assert!(errors[7].contains("message: IntMessage is not the name of a.Other"), "{said}");
    let (encoded, said, code) = run(&["encode", "--typed"], &lines[..1]);
    assert_eq!((encoded.len(), code), (0, Some(1)), "{said}");
}

#[test]
fn encode_writes_json_on_request() {
    let line = r#"{"message": "IntMessage", "sequence": 2, "fields": [{"value": 7}]}"#.to_owned();
    let (text, _, _) = run(&["encode"], std::slice::from_ref(&line));
    let (encoded, said, code) = run(&["encode", "--json"], &[line]);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    let object: Json = serde_json::from_str(&encoded[0]).expect("JSON");
    let frames: Vec<_> = text[0].split(' ').collect();
    assert_eq!(object, json!({ "frames": frames }));
}
