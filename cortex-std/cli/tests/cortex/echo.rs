//! `cortex topic echo`.

use cortex_std::wire::{ArrayView, Header, ImageMessage};
use cortex_std::{Published, Registration};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{DEADLINE, golden, wait_until};
use serde_json::{Value as Json, json};

use crate::{end, python_publisher, run_in, start_in};

/// A golden message for each of several types.
const EACH: [&str; 6] =
    ["string_2", "float_1", "bytes_2", "dict_nested_arrays", "list_mixed", "image_explicit"];

#[test]
fn typed_json_shows_messages_of_a_python_node_without_loss() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for name in EACH {
        let topic = format!("/{name}");
        let _publisher = python_publisher(&folder, name, &topic, name);
        let case = golden::message(name);
        let arguments = ["topic", "echo", "--json", "--typed", "-n", "2", &topic];
        let messages = run_in(&folder, &arguments).with_code(0).json();
        assert_eq!(messages.len(), 2);
        for message in &messages {
            assert_eq!(message["topic"], topic);
            assert_eq!(message["message"], case["message"]);
            assert_eq!(message["fields"], golden::without_repr(case["fields"].clone()), "{name}");
        }
        let number =
            |message: &Json| message["sequence"].as_str().and_then(|n| n.parse::<u64>().ok());
        assert_eq!(number(&messages[0]).map(|n| n + 1), number(&messages[1]));
        // `decode` reads the output of --raw.
        let raw = run_in(&folder, &["topic", "echo", "--raw", "--once", &topic]).with_code(0);
        let mut decoding = start_in(&folder, &["decode", "--typed"]);
        decoding.send_line(&raw.lines[0]);
        decoding.close_stdin();
        let decoded = end(decoding).with_code(0).json();
        assert_eq!(decoded[0]["fields"], messages[0]["fields"], "{name}");
    }
}

#[test]
fn arrays_are_shown_as_a_summary_in_full_or_by_shape() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let camera = node(&folder, "camera");
    let images = camera.publisher::<ImageMessage>("/cam").latched().create().expect("it binds");
    wait_until("it is registered", || images.registration() == Registration::Registered);
    let pixels: Vec<u8> = (0..24).collect();
    let data = ArrayView::from_slice(&pixels, &[2, 4, 3]).expect("an array");
    images.publish(&ImageMessage::new(data, "rgb8")).expect("it is kept");
    let echo = |flags: &[&str]| {
        run_in(&folder, &[&["topic", "echo", "--once", "/cam"], flags].concat()).with_code(0)
    };

    let shown = echo(&[]);
    assert!(shown.lines[0].starts_with("/cam  ImageMessage  #0  20"), "{shown:?}");
    assert_eq!(
        shown.lines[1..],
        [
            "data: |u1 [2, 4, 3] min 0 max 23 mean 11.5 [0, 1, 2, 3, 4, 5, 6, 7, ..]",
            "encoding: \"rgb8\"",
            "width: 4",
            "height: 2",
            "---",
        ]
    );
    let full: Vec<String> = (0..24).map(|n| n.to_string()).collect();
    assert_eq!(echo(&["--full"]).lines[1], format!("data: |u1 [2, 4, 3] [{}]", full.join(", ")));
    assert_eq!(echo(&["--no-arr"]).lines[1], "data: |u1 [2, 4, 3]");
    let table = echo(&["--csv"]).lines;
    assert!(
        table[0].starts_with("timestamp_ns,sequence,node,data[0][0][0],data[0][0][1],"),
        "{table:?}"
    );
    assert!(table[0].ends_with(",data[1][3][2],encoding,width,height"), "{table:?}");
    assert!(table[1].ends_with(&format!(",0,camera,{},rgb8,4,2", full.join(","))), "{table:?}");
    let width = echo(&["--csv", "--field", "width"]).lines;
    assert_eq!(width[0], "timestamp_ns,sequence,node,width");
    assert!(width[1].ends_with(",0,camera,4"), "{width:?}");
    assert_eq!(
        echo(&["--field", "data[1][-1]"]).lines,
        ["|u1 [3] min 21 max 23 mean 22 [21, 22, 23]"]
    );
    assert_eq!(echo(&["--field", "data.0.0.1"]).lines, ["1"]);
    assert_eq!(echo(&["--field", "data[0:1]", "--no-arr"]).lines, ["|u1 [1, 4, 3]"]);
    assert_eq!(echo(&["--field", "encoding"]).lines, ["\"rgb8\""]);
    let values =
        |flags: &[&str]| echo(&[&["--json"], flags].concat()).json()[0]["fields"][0].clone();
    assert_eq!(
        values(&[])["value"],
        json!({ "dtype": "|u1", "shape": [2, 4, 3], "min": 0, "max": 23, "mean": 11.5, "first": [0, 1, 2, 3, 4, 5, 6, 7] })
    );
    assert_eq!(values(&["--full"])["value"]["data"][1][3], json!([21, 22, 23]));
    assert_eq!(values(&["--no-arr"])["value"], json!({ "dtype": "|u1", "shape": [2, 4, 3] }));
    assert_eq!(values(&["--field", "width"]), json!({ "name": "width", "value": 4 }));
}

#[test]
fn fields_inside_maps_and_lists_are_found_by_their_path() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = r#"{"gains": {"kp": 0.5, "list": [1, {"x": "deep"}]}}"#;
    let mut publisher =
        start_in(&folder, &["topic", "pub", "-r", "50", "/config", "DictMessage", value]);
    let echo = |path: &str| {
        run_in(&folder, &["topic", "echo", "--once", "--timeout", "30", "--field", path, "/config"])
    };
    assert_eq!(echo("data.gains.kp").with_code(0).lines, ["0.5"]);
    assert_eq!(echo("data.gains.list.1.x").with_code(0).lines, ["\"deep\""]);
    assert_eq!(echo("0.gains.list.0").with_code(0).lines, ["1"]);
    assert_eq!(
        echo("data.gains").with_code(0).lines,
        ["kp: 0.5", "list:", "  [0]: 1", "  [1]:", "    x: \"deep\""]
    );
    assert_eq!(echo("data.gains.list[-2:]").with_code(0).lines[0], "1");
    // All messages of the type lack the field.
    let missing = echo("date").with_code(1);
    assert_eq!(missing.stderr, "cortex: DictMessage has no date: no field date; it has data\n");
    publisher.interrupt();
    assert!(publisher.wait().success());
}

#[test]
fn a_class_of_its_own_has_its_registered_name_and_numbered_fields() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let base = node(&folder, "base");
    let publisher = base.raw_publisher("/cmd", "Cmd", 7).expect("it binds");
    wait_until("it is registered", || publisher.registration() == Some(Registration::Registered));
    let mut echo = start_in(&folder, &["topic", "echo", "-n", "2", "/cmd"]);
    let by_name = start_in(&folder, &["topic", "echo", "--field", "speed", "/cmd"]);
    publisher.blocking_wait_for_subscribers(2, DEADLINE).expect("they subscribe");
    let header = Header { fingerprint: 7, timestamp_ns: 1_700_000_000_000_000_000, sequence: 5 };
    // A topic with the same prefix is ignored, and invalid metadata is reported.
    publisher.send(&[b"/cmd2", &header.encode(), b"\x91\x01"]).expect("it is sent");
    publisher.send(&[b"/cmd", &header.encode(), b"\x91\xc1"]).expect("it is sent");
    publisher.send(&[b"/cmd", &header.encode(), b"\x92\x01\xa1x"]).expect("it is sent");
    let heading = echo.next_line();
    assert!(heading.starts_with("/cmd  Cmd  #5  2023-11-14T22:13:20.000000000Z  +"), "{heading}");
    assert_eq!([echo.next_line(), echo.next_line(), echo.next_line()], ["0: 1", "1: \"x\"", "---"]);
    // Another type than the registered one.
    let other = Header { fingerprint: 8, ..header };
    publisher.send(&[b"/cmd", &other.encode(), b"\x91\x01"]).expect("it is sent");
    assert!(echo.next_line().starts_with("/cmd  0x0000000000000008  #5  "), "{echo:?}");
    let ended = end(echo).with_code(0);
    assert!(ended.stderr.starts_with("cortex: cannot decode a message on /cmd: "), "{ended:?}");
    let ended = end(by_name).with_code(2);
    assert!(
        ended.stderr.contains("fields are numbered in their order: --field 0 to 1"),
        "{ended:?}"
    );
}

#[test]
fn timeout_limits_the_wait_for_a_topic_and_for_each_message() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let echo = start_in(&folder, &["topic", "echo", "--once", "--timeout", "30", "/late"]);
    let talker = node(&folder, "talker");
    let publisher = talker.raw_publisher("/late", "StringMessage", 1).expect("it binds");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
    let header = Header { fingerprint: 1, timestamp_ns: 1, sequence: 0 };
    let sent = publisher.send(&[b"/late", &header.encode(), b"\x91\xa2hi"]).expect("it is sent");
    assert_eq!(sent, Published::Sent);
    assert_eq!(end(echo).with_code(0).lines[1], "0: \"hi\"");
    let silent = run_in(&folder, &["topic", "echo", "--timeout", "0.1", "/late"]).with_code(1);
    assert_eq!(silent.stderr, "cortex: no message on /late for 100ms\n");
}

#[test]
fn showing_large_images_slows_down_no_publisher() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let camera = node(&folder, "camera");
    let images = camera.publisher::<ImageMessage>("/cam").queue(100).create().expect("it binds");
    wait_until("it is registered", || images.registration() == Registration::Registered);
    let mut echo = start_in(&folder, &["topic", "echo", "--json", "/cam"]);
    wait_until("it subscribed", || images.subscriber_count() == 1);
    let pixels = vec![7_u8; 1080 * 1920 * 3];
    let data = ArrayView::from_slice(&pixels, &[1080, 1920, 3]).expect("an array");
    for _ in 0..45 {
        let sent = images.publish(&ImageMessage::new(data, "rgb8")).expect("it is sent");
        assert_eq!(sent, Published::Sent);
        std::thread::sleep(std::time::Duration::from_millis(33));
    }
    let first = echo.next_json();
    assert_eq!(first["fields"][0]["value"]["mean"], 7.0);
    // The newest message is never skipped.
    while echo.next_json()["sequence"] != "44" {}
    let stats = images.stats();
    assert_eq!((stats.published, stats.congested, stats.subscribers), (45, 0, 1), "{stats:?}");
    echo.interrupt();
    let ended = end(echo).with_code(0);
    assert!(!ended.stderr.contains("lost"), "{ended:?}");
}

/// Starts a publisher of dictionaries, and returns a function that sends one.
fn dictionaries(folder: &Folder) -> (cortex_std::Node, cortex_std::raw::RawPublisher) {
    let base = node(folder, "base");
    let fingerprint = cortex_std::wire::fingerprint::wire("cortex.messages.standard.DictMessage");
    let publisher = base.raw_publisher("/config", "DictMessage", fingerprint).expect("it binds");
    wait_until("it is registered", || publisher.registration() == Some(Registration::Registered));
    (base, publisher)
}

/// Sends MessagePack as the fields of a dictionary.
fn send(publisher: &cortex_std::raw::RawPublisher, sequence: u64, metadata: &[u8]) {
    let fingerprint = cortex_std::wire::fingerprint::wire("cortex.messages.standard.DictMessage");
    let header = Header { fingerprint, timestamp_ns: 1_700_000_000_000_000_000, sequence };
    let _ = publisher.send(&[b"/config", &header.encode(), metadata]).expect("it is sent");
}

#[test]
fn a_message_without_the_field_is_skipped_and_the_next_one_is_shown() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (_base, publisher) = dictionaries(&folder);
    let start = |flags: &[&str]| {
        let arguments = ["topic", "echo", "--field", "data.b", "-n", "3", "/config"];
        let echo = start_in(&folder, &[&arguments, flags].concat());
        publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
        // Every second message has {"b": n}, the others {"a": n}.
        for sequence in 0..6 {
            let key = if sequence % 2 == 0 { b'b' } else { b'a' };
            let value = u8::try_from(sequence).expect("a small one");
            send(&publisher, sequence, &[0x91, 0x81, 0xa1, key, value]);
        }
        let ended = end(echo).with_code(0);
        wait_until("it has left", || publisher.subscriber_count() == 0);
        ended
    };
    let text = start(&[]);
    assert_eq!(text.lines, ["0", "2", "4"]);
    assert_eq!(
        text.stderr,
        "cortex: message #1 has no data.b: no key b; it has a; messages without it are skipped\n\
         cortex: 2 messages on /config had no data.b\n"
    );
    let json = start(&["--json"]).json();
    assert_eq!(json[2]["fields"], json!([{ "name": "data.b", "value": 4 }]));
    let stamp = "1700000000000000000";
    assert_eq!(
        start(&["--csv"]).lines,
        [
            "timestamp_ns,sequence,node,data.b".to_owned(),
            format!("{stamp},0,base,0"),
            format!("{stamp},1,base,"),
            format!("{stamp},2,base,2"),
        ]
    );
}

#[test]
fn a_table_has_a_column_for_each_key_and_reports_keys_without_one() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (_base, publisher) = dictionaries(&folder);
    let echo = start_in(&folder, &["topic", "echo", "--csv", "-n", "3", "/config"]);
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
    // {"a": 1, "b": 2}, {"b": 3, "a": 4}, {"b": 5, "c": 6}
    send(&publisher, 0, b"\x91\x82\xa1a\x01\xa1b\x02");
    send(&publisher, 1, b"\x91\x82\xa1b\x03\xa1a\x04");
    send(&publisher, 2, b"\x91\x82\xa1b\x05\xa1c\x06");
    // Exit code 1: a value was left out.
    let ended = end(echo).with_code(1);
    let stamp = "1700000000000000000";
    assert_eq!(
        ended.lines,
        [
            "timestamp_ns,sequence,node,data.a,data.b".to_owned(),
            format!("{stamp},0,base,1,2"),
            format!("{stamp},1,base,4,3"),
            format!("{stamp},2,base,,5"),
        ]
    );
    assert!(ended.stderr.contains("the first message has no such values: data.c"), "{ended:?}");
}

#[test]
fn a_sender_whose_clock_is_not_set_is_reported_and_not_given_an_age() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let board = node(&folder, "board");
    let publisher = board.raw_publisher("/imu", "Imu", 7).expect("it binds");
    wait_until("it is registered", || publisher.registration() == Some(Registration::Registered));
    let mut echo = start_in(&folder, &["topic", "echo", "--once", "/imu"]);
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
    let header = Header { fingerprint: 7, timestamp_ns: 3_000_000_000, sequence: 5 };
    let _ = publisher.send(&[b"/imu", &header.encode(), b"\x91\x01"]).expect("it is sent");
    let heading = echo.next_line();
    assert!(
        heading.ends_with("1970-01-01T00:00:03.000000000Z  the sender's clock is not set"),
        "{heading}"
    );
    end(echo).with_code(0);
}

#[test]
fn an_invalid_path_and_conflicting_formats_are_wrong_usage() {
    let folder = Folder::new();
    for arguments in [
        &["topic", "echo", "--field", "a[", "/t"][..],
        &["topic", "echo", "--field", "a..b", "/t"],
        &["--json", "topic", "echo", "--raw", "/t"],
        &["topic", "echo", "--csv", "/t", "--json"],
    ] {
        run_in(&folder, arguments).with_code(2);
    }
}
