//! `cortex topic pub`.

use std::process::Command;
use std::time::Duration;

use cortex_std::wire::Message;
use cortex_std::{Registration, Subscriber};
use cortex_tests::graph::{Folder, daemon, node, registered};
use cortex_tests::{DEADLINE, Signal, python, wait_until};
use serde_json::{Value as Json, json};

use crate::{end, run_in, start_in};

/// The fields of one message that `cortex` publishes, as a Python subscriber receives them.
#[track_caller]
fn received_by_python(folder: &Folder, ty: &str, value: &str) -> Json {
    let mut publisher = start_in(folder, &["topic", "pub", "--times", "1", "/out", ty, value]);
    let discovery = folder.discovery();
    let mut subscriber = python::peer(
        "subscriber.py",
        ["--discovery", &discovery, "--topic", "/out", "--message", ty, "--count", "1"],
    );
    let message = subscriber.expect_event("message");
    assert_eq!(message["sequence"].to_string().trim_matches('"'), "0");
    assert!(publisher.wait().success(), "{}", publisher.stderr());
    message["fields"].clone()
}

fn values(fields: &Json) -> Vec<Json> {
    fields.as_array().expect("fields").iter().map(|field| field["value"].clone()).collect()
}

#[test]
fn a_python_node_receives_messages_from_the_first_one_on() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let text = received_by_python(&folder, "StringMessage", "\"héllo\"");
    assert_eq!(text, json!([{ "name": "data", "value": { "str": "héllo" } }]));
    let pose = r#"{"position": [1, 2, 0.5], "orientation": {"dtype": "<f4", "shape": [4], "data": "0000000000000000000000000000803f"}, "frame_id": "map"}"#;
    let pose = values(&received_by_python(&folder, "PoseMessage", pose));
    let position = "000000000000f03f0000000000000040000000000000e03f";
    assert_eq!(
        pose,
        [
            json!({ "array": { "dtype": "<f8", "shape": [3], "data": position } }),
            json!({ "array": { "dtype": "<f4", "shape": [4], "data": "0000000000000000000000000000803f" } }),
            json!({ "str": "map" }),
            json!({ "str": "" }),
        ]
    );
    let map = r#"{"speed": 3, "tags": ["a", null, true], "raw": {"bytes": "00ff"}}"#;
    let map = values(&received_by_python(&folder, "DictMessage", map));
    assert_eq!(
        map[0]["map"],
        json!([
            [{ "str": "speed" }, { "int": "3" }],
            [{ "str": "tags" }, { "list": [{ "str": "a" }, { "nil": null }, { "bool": true }] }],
            [{ "str": "raw" }, { "bytes": "00ff" }],
        ])
    );
}

#[test]
fn arrays_are_read_from_files() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let saved = Command::new(python::interpreter())
        .args(["-c", "import numpy, sys; numpy.save(sys.argv[1], numpy.asfortranarray(numpy.arange(6, dtype='>i2').reshape(2, 3)))"])
        .arg(path("a.npy"))
        .status();
    assert!(saved.expect("python runs").success());
    let array =
        values(&received_by_python(&folder, "ArrayMessage", &format!("@{}", path("a.npy"))));
    let data = "000001000200030004000500";
    assert_eq!(array[0], json!({ "array": { "dtype": "<i2", "shape": [2, 3], "data": data } }));

    // A 1x2 grey picture.
    let file = std::fs::File::create(path("p.png")).expect("a file");
    let mut encoder = png::Encoder::new(file, 2, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&[7, 9]).expect("pixels");
    writer.finish().expect("it is written");
    let image = json!({ "data": format!("@{}", path("p.png")) }).to_string();
    let image = values(&received_by_python(&folder, "ImageMessage", &image));
    assert_eq!(
        image,
        [
            json!({ "array": { "dtype": "|u1", "shape": [1, 2], "data": "0709" } }),
            json!({ "str": "mono8" }),
            json!({ "int": "2" }),
            json!({ "int": "1" }),
        ]
    );
    std::fs::write(path("v.json"), "{\"data\": 3}").expect("a file");
    let number =
        values(&received_by_python(&folder, "FloatMessage", &format!("@{}", path("v.json"))));
    assert_eq!(number[0]["float"], "4008000000000000");
}

#[test]
fn a_rust_node_receives_any_class_at_the_given_rate() {
    #[derive(Message)]
    #[cortex(class = "robot.msgs.Cmd")]
    struct Cmd<'a> {
        left: f64,
        note: Option<&'a str>,
    }
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let robot = node(&folder, "robot");
    let mut commands: Subscriber<Cmd> = robot.subscriber("/cmd").create().expect("a subscriber");
    let publisher = start_in(
        &folder,
        &[
            "topic",
            "pub",
            "--json",
            "--rate",
            "200",
            "--times",
            "5",
            "--class",
            "robot.msgs.Cmd",
            "--fields",
            "left:float,note:str?",
            "/cmd",
            "{\"left\": 2}",
        ],
    );
    for sequence in 0..5 {
        let sample = commands.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let command = sample.message().expect("it decodes");
        assert_eq!((sample.header().sequence, command.left, command.note), (sequence, 2.0, None));
    }
    let said = end(publisher).with_code(0).json();
    assert_eq!(said.len(), 5);
    assert_eq!((&said[4]["sequence"], &said[4]["result"]), (&json!("4"), &json!("sent")));
}

#[test]
fn values_may_be_negative_and_the_flag_minus_one_may_stand_first_or_last() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for arguments in [
        &["-1", "/n", "IntMessage", "-1"][..],
        &["/n", "IntMessage", "-1", "-1"],
        &["/n", "FloatMessage", "-1.5", "-1"],
        &["/n", "--class", "a.B", "{}", "-1"],
        &["/n", "--once", "IntMessage", "-3"],
    ] {
        let arguments = [&["topic", "pub", "-w", "0"], arguments].concat();
        assert_eq!(run_in(&folder, &arguments).with_code(0).lines, ["#0 no subscribers"]);
    }
}

#[test]
fn pub_waits_for_subscribers_by_default() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let alone =
        run_in(&folder, &["topic", "pub", "--once", "-w", "0", "/t", "StringMessage", "hi"]);
    assert_eq!(alone.with_code(0).lines, ["#0 no subscribers"]);
    let waiting =
        run_in(&folder, &["topic", "pub", "--timeout", "0.1", "/t", "StringMessage", "hi"]);
    let waiting = waiting.with_code(1);
    assert!(waiting.lines.is_empty());
    assert!(
        waiting.stderr.ends_with("cortex: timeout: 0 of 1 subscriptions to /t\n"),
        "{waiting:?}"
    );
    // The topic is unregistered, and Ctrl-C ends the wait.
    let listed = run_in(&folder, &["topic", "list"]);
    assert!(listed.with_code(0).lines.is_empty());
    let mut waiting = start_in(&folder, &["topic", "pub", "/t", "StringMessage", "hi"]);
    wait_until("it waits", || waiting.stderr().contains("waiting for 1"));
    waiting.interrupt();
    end(waiting).with_code(1);
}

#[test]
fn a_topic_of_another_node_is_not_taken_over() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let notes = registered(&talker);
    let taken =
        run_in(&folder, &["topic", "pub", "-w", "0", "--once", "/t", "StringMessage", "hi"]);
    let taken = taken.with_code(1);
    assert!(taken.stderr.starts_with("cortex: ") && taken.stderr.contains("talker"), "{taken:?}");
    assert!(taken.stderr.contains("`.shared()`"), "{taken:?}");
    assert_eq!(notes.registration(), Registration::Registered);
}

/// Saves arrays with numpy, each by the code of its expression.
fn save_arrays(folder: &Folder, arrays: &[(&str, &str)]) {
    let mut script = "import numpy, os, sys\nos.chdir(sys.argv[1])\n".to_owned();
    for (name, expression) in arrays {
        script += &format!("numpy.save({name:?}, {expression})\n");
    }
    let saved =
        Command::new(python::interpreter()).args(["-c", &script]).arg(folder.path()).status();
    assert!(saved.expect("python runs").success());
}

/// The path of a file in a folder, as a reference.
fn at(folder: &Folder, name: &str) -> String {
    format!("@{}", folder.path().join(name).display())
}

#[test]
fn a_picture_of_16_bits_and_every_array_file_are_little_endian() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    save_arrays(&folder, &[("wide.npy", "numpy.array([[1, 2]], dtype='>u2')")]);
    let file = std::fs::File::create(folder.path().join("wide.png")).expect("a file");
    let mut encoder = png::Encoder::new(file, 2, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&[0, 1, 0, 2]).expect("pixels");
    writer.finish().expect("it is written");
    let expected = [
        json!({ "array": { "dtype": "<u2", "shape": [1, 2], "data": "01000200" } }),
        json!({ "str": "mono16" }),
        json!({ "int": "2" }),
        json!({ "int": "1" }),
    ];
    for name in ["wide.png", "wide.npy"] {
        let image = values(&received_by_python(&folder, "ImageMessage", &at(&folder, name)));
        assert_eq!(image, expected, "{name}");
    }
}

#[test]
fn the_encoding_of_an_array_file_follows_from_its_dtype_and_channels_or_is_demanded() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    save_arrays(
        &folder,
        &[
            ("depth.npy", "numpy.zeros((1, 2), 'f4')"),
            ("alpha.NPY", "numpy.zeros((1, 2, 4), 'u1')"),
            ("flags.npy", "numpy.zeros((1, 2), bool)"),
        ],
    );
    // numpy appends its extension to another one.
    std::fs::rename(folder.path().join("alpha.NPY.npy"), folder.path().join("alpha.NPY"))
        .expect("it is saved");
    for (name, expected) in [("depth.npy", "32FC1"), ("alpha.NPY", "rgba8")] {
        let image = values(&received_by_python(&folder, "ImageMessage", &at(&folder, name)));
        assert_eq!(image[1], json!({ "str": expected }), "{name}");
    }
    let publish = |value: &str| {
        run_in(&folder, &["topic", "pub", "--once", "-w", "0", "/out", "ImageMessage", value])
    };
    let refused = publish(&at(&folder, "flags.npy")).with_code(2);
    let advice = "encoding: an image of dtype |b1 and shape [1, 2] has no usual pixel format: give \
                  {\"data\": .., \"encoding\": NAME}";
    assert!(refused.stderr.contains(advice), "{refused:?}");
    // The advice works.
    let named = json!({ "data": at(&folder, "flags.npy"), "encoding": "mask" });
    publish(&named.to_string()).with_code(0);
}

#[test]
fn a_file_that_is_not_read_is_refused_with_what_works() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let file = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).expect("a file");
    };
    file("note.txt", "@alice\n");
    file("noext", "3");
    file("picture.jpg", "");
    save_arrays(
        &folder,
        &[("half.npy", "numpy.zeros(2, 'V2')"), ("objects.npy", "numpy.array([{}, []], object)")],
    );
    let publish = |ty: &str, value: &str| {
        run_in(&folder, &["topic", "pub", "--once", "-w", "0", "/out", ty, value])
    };
    for (ty, name, reason) in [
        (
            "StringMessage",
            "noext",
            "the name has no extension: .npy, .png, .txt and .bin files are read",
        ),
        ("ImageMessage", "picture.jpg", ".jpg files are not read: convert the picture to .png"),
        ("ArrayMessage", "half.npy", "are opaque bytes, as numpy saves bfloat16 and float8"),
        ("ArrayMessage", "objects.npy", "Python objects are not read"),
        ("ArrayMessage", "archive.npz", "an archive of arrays is not read"),
        ("ArrayMessage", ".", "is a directory"),
        ("ArrayMessage", "note.txt", "is not of type array"),
    ] {
        let refused = publish(ty, &at(&folder, name)).with_code(2);
        assert!(refused.stderr.contains(reason), "{refused:?}");
        assert!(!refused.stderr.contains("not JSON"), "{refused:?}");
    }
    let text = received_by_python(&folder, "StringMessage", &at(&folder, "note.txt"));
    assert_eq!(values(&text), [json!({ "str": "@alice\n" })]);
    // The advice for a text works, also beside an array.
    let text = received_by_python(&folder, "StringMessage", "@@alice");
    assert_eq!(values(&text), [json!({ "str": "@alice" })]);
    let named = r#"{"data": [1], "name": "@@alice"}"#;
    let named = values(&received_by_python(&folder, "ArrayMessage", named));
    assert_eq!(named[1], json!({ "str": "@alice" }));
}

#[test]
fn a_value_that_cannot_be_carried_exactly_is_refused_with_its_place() {
    let folder = Folder::new();
    let check = |ty: &str, value: &str, expected: &str| {
        let ended = run_in(&folder, &["topic", "pub", "/t", ty, value]).with_code(2);
        assert!(ended.stderr.contains(expected), "{ended:?}");
    };
    check(
        "DictMessage",
        r#"{"id": 18446744073709551616}"#,
        "18446744073709551616 is not an integer from -2^63 to 2^64 - 1; as a float, which is rounded, it \
         is 18446744073709551616.0 (line 1 column 8)",
    );
    check("FloatMessage", "9007199254740993", "data: 9007199254740993 is not a 64-bit float");
    check(
        "ArrayMessage",
        r#"{"dtype": "<f4", "data": [0, 1e39]}"#,
        "data.data[1]: 1e+39 is not an item",
    );
    check(
        "ArrayMessage",
        r#"{"dtype": "<f2", "data": [70000]}"#,
        "70000 is not an item of dtype <f2",
    );
    check("ArrayMessage", "[1, NaN]", "JSON has no NaN: write \"NaN\"");
    check("MultiArrayMessage", r#"{"a": "hello"}"#, "arrays.a: \"hello\" is not of type array");
    check("DictMessage", r#"{"a": 1, "a": 2}"#, "the key \"a\" is given twice");
    check("IntMessage", "{}", "field data of type int is missing");
    let class = |fields: &str, expected: &str| {
        let arguments = ["topic", "pub", "--class", "robot.Cmd", "--fields", fields, "/t", "{}"];
        let ended = run_in(&folder, &arguments).with_code(2);
        assert!(ended.stderr.contains(expected), "{ended:?}");
    };
    class("a:float", "field a of type float is missing");
    class("a:float?,a:int?", "the field \"a\" is given twice");
}

#[test]
fn nan_and_infinity_are_published_as_the_errors_advise() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let nan = "7ff8000000000000";
    for value in ["NaN", "\"NaN\""] {
        let number = values(&received_by_python(&folder, "FloatMessage", value));
        assert_eq!(number[0]["float"], nan, "{value}");
    }
    let map = values(&received_by_python(&folder, "DictMessage", r#"{"x": {"float": "NaN"}}"#));
    assert_eq!(map[0]["map"][0][1]["float"], nan);
    let array = values(&received_by_python(&folder, "ArrayMessage", r#"[1, "NaN"]"#));
    assert_eq!(array[0]["array"]["data"], "000000000000f03f000000000000f87f");
}

#[test]
fn invalid_values_are_wrong_usage_and_reported() {
    let folder = Folder::new();
    let check = |arguments: &[&str], expected: &str| {
        let ended = run_in(&folder, &[&["topic", "pub", "/t"], arguments].concat()).with_code(2);
        assert!(ended.stderr.contains(expected), "{ended:?}");
    };
    check(
        &["NoMessage", "1"],
        "NoMessage is not a standard message such as StringMessage, IntMessage, ",
    );
    check(&["Pose", "1"], "such as PoseMessage; for other classes use --class");
    check(&["StringMessage"], "VALUE is missing");
    check(&["IntMessage", "1.5"], "data: 1.5 is not of type int");
    check(&["ImageMessage", "{\"encoding\": \"x\"}"], "field data of type array is missing");
    check(&["ArrayMessage", "@nothing.npy"], "nothing.npy: No such file");
    check(&["--class", "Cmd", "{}"], "Cmd has no module: give MODULE.CLASS");
    check(
        &["--class", "a.Cmd", "--fields", "x:double", "{}"],
        "x: \"double\" is not one of bool, int",
    );
    check(&["--rate", "0", "IntMessage", "1"], "not a rate from 0.001 to 1000000");
}

#[test]
fn a_publisher_that_was_stopped_skips_the_messages_that_it_missed() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let arguments =
        ["topic", "pub", "--json", "-w", "0", "--rate", "100", "/cmd", "IntMessage", "1"];
    let mut publisher = start_in(&folder, &arguments);
    let stamp = |said: &Json| -> u64 {
        said["timestamp_ns"].as_str().and_then(|text| text.parse().ok()).expect("a time")
    };
    let mut last = stamp(&publisher.next_json());
    publisher.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(2));
    publisher.signal(Signal::CONT);
    // The commands before the gap, then those after it.
    let gap = Duration::from_secs(1).as_nanos() as u64;
    let mut next = stamp(&publisher.next_json());
    while next - last < gap {
        last = std::mem::replace(&mut next, stamp(&publisher.next_json()));
    }
    let burst: Vec<u64> = (0..20).map(|_| stamp(&publisher.next_json()) - next).collect();
    // 200 messages were due: none of them comes now.
    assert!(burst[19] > Duration::from_millis(100).as_nanos() as u64, "{burst:?}");
    publisher.interrupt();
    let ended = end(publisher).with_code(0);
    assert!(ended.stderr.contains(" messages skipped: the process was stopped"), "{ended:?}");
}
