//! The recipes as a user starts them, each with its Python twin on the other side, both ways round.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use cortex_std::discovery::ADDRESS_VARIABLE;
use cortex_std::raw::RawPublisher;
use cortex_tests::graph::{Folder, assert_nothing_is_left, daemon};
use cortex_tests::{DEADLINE, Program, python};

/// How long a program may take to end after Ctrl-C.
const END: Duration = Duration::from_secs(2);
/// Rust to Python and Python to Rust.
const WAYS: [[Language; 2]; 2] =
    [[Language::Rust, Language::Python], [Language::Python, Language::Rust]];

#[derive(Debug, Clone, Copy)]
enum Language {
    Rust,
    Python,
}

impl Language {
    /// Starts a recipe; `binary` is the program of `script` that cargo built.
    fn start(self, binary: &str, script: &str, arguments: &[&str]) -> Program {
        match self {
            Self::Rust => Program::spawn(command(binary, arguments, &[])),
            Self::Python => python::peer(script, arguments),
        }
    }

    /// Starts a recipe that is a node, in a graph.
    fn start_node(self, binary: &str, script: &str, discovery: &str) -> Program {
        let variables = [(ADDRESS_VARIABLE, discovery)];
        match self {
            Self::Rust => Program::spawn(command(binary, &[], &variables)),
            Self::Python => python::peer_with(script, [""; 0], variables),
        }
    }
}

fn command(binary: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).envs(variables.iter().copied());
    command
}

fn interrupt(mut program: Program) {
    let start = Instant::now();
    program.interrupt();
    assert!(program.wait().success(), "{}", program.stderr());
    let took = start.elapsed();
    assert!(took < END, "it took {took:?} to end");
}

/// Ends all; then there may be no file.
fn end<const N: usize>(folder: &Folder, programs: [Program; N]) {
    programs.into_iter().for_each(interrupt);
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

#[test]
fn an_image_is_read_in_place_copied_before_it_is_changed_and_handed_to_a_thread() {
    for [from, to] in WAYS {
        let folder = Folder::new();
        let daemon = daemon(&folder);
        let discovery = &folder.discovery();
        let (camera, viewer) =
            (env!("CARGO_BIN_EXE_image_camera"), env!("CARGO_BIN_EXE_image_viewer"));
        let mut viewer = to.start_node(viewer, "image_viewer.py", discovery);
        viewer.expect_line("waiting for /cam/image");
        let mut camera = from.start_node(camera, "image_camera.py", discovery);
        camera.expect_line("publishing /cam/image");
        for _ in 0..5 {
            // [3] bayer_rggb8 320x240 first=250
            let line = viewer.expect_line(" bayer_rggb8 320x240 first=250");
            let number = line.split_once(' ').expect("a number").0.to_owned();
            viewer.expect_line(&format!("{number} negative: first=5"));
            viewer.expect_line(&format!("{number} elsewhere: brightest=250"));
        }
        interrupt(viewer);
        interrupt(camera);
        assert_nothing_is_left(&folder, daemon);
    }
}

#[test]
fn dictionaries_of_arrays_and_tensors_travel_in_a_custom_message() {
    for [from, to] in WAYS {
        let folder = Folder::new();
        let daemon = daemon(&folder);
        let discovery = &folder.discovery();
        let (sender, receiver) =
            (env!("CARGO_BIN_EXE_perception_sender"), env!("CARGO_BIN_EXE_perception_receiver"));
        let mut receiver = to.start_node(receiver, "perception_receiver.py", discovery);
        receiver.expect_line("waiting for /perception");
        let mut sender = from.start_node(sender, "perception_sender.py", discovery);
        sender.expect_line("publishing /perception");
        let device = match from {
            Language::Rust => "cuda:0",
            Language::Python => "cpu",
        };
        for _ in 0..3 {
            let features = format!("<f4 [1, 6] sum=3.0 on {device}, gradient: true");
            receiver.expect_line(&format!("] kitchen: {features}"));
            assert_eq!(receiver.next_line(), "  cup.box: <f4 [4] sum=10.0");
            assert_eq!(receiver.next_line(), "  cup.mask: |u1 [2, 3] sum=3.0");
            assert_eq!(receiver.next_line(), "  table.box: <f4 [4] sum=10.0");
        }
        interrupt(receiver);
        interrupt(sender);
        assert_nothing_is_left(&folder, daemon);
    }
}

#[test]
fn a_node_ported_from_python_receives_from_python_and_sends_to_it() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let discovery = &folder.discovery();
    let mut odometry = Language::Rust.start_node(env!("CARGO_BIN_EXE_odometry"), "", discovery);
    let mut wheels = Language::Python.start_node("", "wheels.py", discovery);
    wheels.expect_line("publishing /wheels");
    odometry.expect_line("] base 1.00 m/s");
    odometry.expect_line("] base 1.00 m/s");
    // A quarter of a metre with each message.
    loop {
        let line = wheels.expect_line("distance=");
        let distance: f64 = line.trim_start_matches("distance=").parse().expect("a number");
        assert_eq!(distance % 0.25, 0.0, "{line}");
        if distance > 0.0 {
            break;
        }
    }
    interrupt(wheels);
    interrupt(odometry);
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn json_and_arrays_travel_as_pyzmq_sends_them() {
    for [from, to] in WAYS {
        let folder = Folder::new();
        let address = &folder.address("pyzmq.sock");
        let (sender, receiver) =
            (env!("CARGO_BIN_EXE_pyzmq_sender"), env!("CARGO_BIN_EXE_pyzmq_receiver"));
        let mut receiver = to.start(receiver, "pyzmq_receiver.py", &[address]);
        receiver.expect_line("waiting for");
        let mut sender = from.start(sender, "pyzmq_sender.py", &[address]);
        sender.expect_line("sending at");

        let line = receiver.expect_line("json {");
        let number = line.split(['{', ':', ',']).nth(2).expect("a number");
        assert!(number.parse::<u32>().is_ok(), "{line}");
        let state = format!(
            r#"json {{"number":{number},"pose":{{"x":0.5,"frame":"map"}},"on":[true,null]}}"#
        );
        assert_eq!(line, state);
        assert_eq!(receiver.next_line(), "array/copy float32 [3, 4] sum=66.0");
        let sum: u64 = (0..480 * 640).map(|pixel| pixel % 251).sum();
        assert_eq!(receiver.next_line(), format!("array/nocopy uint8 [480, 640] sum={sum}.0"));
        end(&folder, [receiver, sender]);
    }
}

#[test]
fn an_array_that_does_not_fit_its_bytes_is_refused() {
    let folder = Folder::new();
    let sender = RawPublisher::bind(&folder.address("pyzmq.sock")).expect("it binds");
    let binary = env!("CARGO_BIN_EXE_pyzmq_receiver");
    let mut receiver = Language::Rust.start(binary, "", &[sender.address()]);
    sender.blocking_wait_for_subscribers(2, DEADLINE).expect("they subscribe");
    let head = |text: &'static str| text.as_bytes();
    let refused: [&[&[u8]]; 10] = [
        &[b"json"],
        &[b"json", b"{"],
        &[b"json", &[b'['; 1000]],
        &[b"array/x", b"[]", b""],
        &[b"array/x", head(r#"{"dtype": "uint8", "shape": [2, 2]}"#), b"123"],
        &[b"array/x", head(r#"{"dtype": "uint8", "shape": [-1]}"#), b"1"],
        &[b"array/x", head(r#"{"dtype": "object", "shape": [1]}"#), b"12345678"],
        &[b"array/x", head(r#"{"dtype": "float32", "shape": [4294967296, 4294967296]}"#), b""],
        &[b"array/x", head(r#"{"dtype": "uint8", "shape": [1, 1, 1, 1, 1, 1, 1, 1, 1]}"#), b"1"],
        &[b"array/x", b"{}", b"", b""],
    ];
    for frames in refused {
        sender.send(frames).expect("it is sent");
        receiver.expect_line("refused: ");
    }
    sender.send(&[b"json", b"[1]"]).expect("it is sent");
    assert_eq!(receiver.next_line(), "json [1]");
    drop(sender);
    end(&folder, [receiver]);
}

#[test]
fn plain_data_travels_as_a_pickle_and_as_a_compressed_one() {
    for [from, to] in WAYS {
        let folder = Folder::new();
        let address = &folder.address("pickle.sock");
        let (sender, receiver) =
            (env!("CARGO_BIN_EXE_pickle_sender"), env!("CARGO_BIN_EXE_pickle_receiver"));
        let mut receiver = to.start(receiver, "pickle_receiver.py", &[address]);
        receiver.expect_line("waiting for");
        let mut sender = from.start(sender, "pickle_sender.py", &[address]);
        sender.expect_line("sending at");

        let line = receiver.expect_line("pyobj {");
        assert!(
            line.starts_with(r#"pyobj {"joints":[0.5,-1.25],"name":"arm","number":"#),
            "{line}"
        );
        assert!(line.ends_with(r#","on":null}"#), "{line}");
        let state = line.strip_prefix("pyobj ").expect("the topic");
        let more = format!(r#"{{"name":"arm","big":1099511627776,"text":"{}"}}"#, "x".repeat(300));
        let expected = match from {
            Language::Rust => format!("zipped {state}"),
            Language::Python => format!("zipped [{state},{more}]"),
        };
        assert_eq!(receiver.next_line(), expected);
        end(&folder, [receiver, sender]);
    }
}

#[test]
fn a_pickle_that_would_run_code_is_refused_and_the_receiver_goes_on() {
    let folder = Folder::new();
    let address = &folder.address("pickle.sock");
    let mut sender = python::peer("pickle_sender.py", [address.as_str(), "--code"]);
    sender.expect_line("sending at");
    let binary = env!("CARGO_BIN_EXE_pickle_receiver");
    let mut receiver = Language::Rust.start(binary, "", &[address]);
    for _ in 0..2 {
        // STACK_GLOBAL, which would import `builtins.print`.
        let line = receiver.expect_line("pyobj/code");
        assert!(line.starts_with("pyobj/code refused: opcode 0x93 at byte "), "{line}");
        receiver.expect_line("zipped [");
    }
    assert!(!receiver.stdout().contains("this pickle ran code"));
    end(&folder, [receiver, sender]);
}

/// A pickle of `depth` lists in each other.
fn nested(depth: usize) -> Vec<u8> {
    let mut pickle = vec![b']'; depth];
    pickle.extend(vec![b'a'; depth - 1]);
    pickle.push(b'.');
    pickle
}

#[test]
fn every_hostile_pickle_is_refused() {
    let mut laughs = b"\x80\x04]\x94(".to_vec();
    for level in 0..30_u8 {
        // Each list holds the one before twice: a billion items at the end.
        laughs.extend([b'h', level, b'h', level, b'e', b']', 0x94, b'(']);
    }
    laughs.extend(b"e.");
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b'N'), 1 << 26), &mut zeros)
        .expect("it is compressed");
    let bomb = zeros.finish().expect("it is compressed");
    let refused: [(&[u8], &str, &[u8], &str); 14] = [
        (b"pyobj", "GLOBAL and REDUCE", b"cos\nsystem\n(S'true'\ntR.", "opcode 0x63 at byte 0"),
        (b"pyobj", "REDUCE", b"))R.", "opcode 0x52 at byte 2"),
        (b"pyobj", "INST", b"(S'true'\nios\nsystem\n.", "opcode 0x53 at byte 1"),
        (b"pyobj", "OBJ", b"(o.", "opcode 0x6f at byte 1"),
        (b"pyobj", "NEWOBJ", b"N)\x81.", "opcode 0x81 at byte 2"),
        (b"pyobj", "BUILD", b"N}b.", "opcode 0x62 at byte 2"),
        (b"pyobj", "EXT1", b"\x82\x01.", "opcode 0x82 at byte 0"),
        (b"pyobj", "PERSID", b"Px\n.", "opcode 0x50 at byte 0"),
        (b"pyobj", "a text without an end", b"X\xff\xff\xff\xffx.", "it ends early"),
        (b"pyobj", "nothing", b"", "it ends early"),
        (b"pyobj", "more than one", b"N.N.", "opcode 0x2e at byte 1"),
        (b"pyobj", "a billion laughs", &laughs, "opcode 0x68 at byte 5"),
        (b"pyobj", "too deep", &nested(1001), "more than 1000 containers"),
        (b"zipped", "a bomb", &bomb, "longer than 1048576 bytes"),
    ];
    let folder = Folder::new();
    let sender = RawPublisher::bind(&folder.address("pickle.sock")).expect("it binds");
    let binary = env!("CARGO_BIN_EXE_pickle_receiver");
    let mut receiver = Language::Rust.start(binary, "", &[sender.address()]);
    sender.blocking_wait_for_subscribers(2, DEADLINE).expect("they subscribe");
    for (topic, what, pickle, reason) in refused {
        sender.send(&[topic, pickle]).expect("it is sent");
        let line = receiver.expect_line("refused: ");
        assert!(line.contains(reason), "{what}: {line}");
    }
    // The deepest pickle that is allowed is read.
    sender.send(&[b"pyobj", &nested(1000)]).expect("it is sent");
    let line = receiver.next_line();
    assert_eq!(line, format!("pyobj {}{}", "[".repeat(1000), "]".repeat(1000)));
    drop(sender);
    end(&folder, [receiver]);
}

#[test]
fn a_dashboard_reads_flatbuffers_and_raw_images_from_two_publishers() {
    for [from, to] in WAYS {
        let folder = Folder::new();
        let [arm, left] = &["telemetry.sock", "raw_camera.sock"].map(|name| folder.address(name));
        let binary = env!("CARGO_BIN_EXE_dashboard");
        let mut dashboard = to.start(binary, "dashboard.py", &[arm, left]);
        dashboard.expect_line("waiting for");
        let binary = env!("CARGO_BIN_EXE_telemetry");
        let telemetry = from.start(binary, "telemetry.py", &[arm]);
        let camera = from.start(env!("CARGO_BIN_EXE_raw_camera"), "raw_camera.py", &[left]);

        let mut seen = [0; 2];
        while seen.iter().any(|&count| count < 5) {
            let line = dashboard.next_line();
            let number = |name| {
                let rest = line.split_once(name).unwrap_or_else(|| panic!("no {name}: {line}")).1;
                rest.split(' ').next().expect("a number").parse::<f64>().expect("a number")
            };
            if line.starts_with("cam/left ") {
                assert_eq!(number("mean="), number("frame_id=") % 256.0, "{line}");
                seen[0] += 1;
            } else {
                assert!(line.starts_with("telemetry/arm seq="), "{line}");
                assert!(line.ends_with(" msg=fine"), "{line}");
                assert_eq!(number("temp="), 36.5 + number("seq=") % 4.0 * 0.25, "{line}");
                assert!(number("ts=") > 1.7e9, "{line}");
                seen[1] += 1;
            }
        }
        end(&folder, [dashboard, telemetry, camera]);
    }
}

#[test]
fn a_dashboard_refuses_what_is_neither() {
    let folder = Folder::new();
    let sender = RawPublisher::bind(&folder.address("both.sock")).expect("it binds");
    let binary = env!("CARGO_BIN_EXE_dashboard");
    let mut dashboard = Language::Rust.start(binary, "", &[sender.address()]);
    sender.blocking_wait_for_subscribers(2, DEADLINE).expect("they subscribe");
    let refused: [&[&[u8]]; 7] = [
        &[b"cam/left"],
        &[b"cam/left", b"123", &[0; 240 * 320]],
        &[b"cam/left", b"1234", &[0; 240 * 320 - 1]],
        &[b"telemetry/arm"],
        &[b"telemetry/arm", b""],
        &[b"telemetry/arm", &[0xff; 64]],
        &[b"telemetry/arm", b"\x08\0\0\0\x04\0\x08\0\xfc\xff\xff\x7f"],
    ];
    for frames in refused {
        sender.send(frames).expect("it is sent");
        let line = dashboard.expect_line(" refused: ");
        assert!(line.as_bytes().starts_with(frames[0]), "{line}");
    }
    drop(sender);
    end(&folder, [dashboard]);
}

#[test]
fn a_file_of_values_and_messages_is_read_by_either_language() {
    const READ: &str = r#"value nil
value -7
value 2.5
value "text"
value {"frame": "map", "joints": <f8 [3] [00, 00, 00, 00, 00, 00, e0, 3f, 00, 00, 00, 00, 00, 00, f4, bf, 00, 00, 00, 00, 00, 00, 08, 40]}
message cortex.messages.standard.ImageMessage sequence=41 at 1700000000000000000
  data = |u1 [2, 3] [0a, 14, 1e, 28, 32, 3c]
  encoding = "mono8"
  width = 3
  height = 2
message robot.msgs.Battery sequence=42 at 1700000000500000000
  volts = 8.1
  cells = <f4 [2] [33, 33, 83, 40, 00, 00, 80, 40]
  name = "left"
"#;
    let folder = Folder::new();
    let languages = [Language::Rust, Language::Python];
    let files = languages.map(|language| {
        let file = folder.path().join(format!("{language:?}"));
        let path = file.to_str().expect("text");
        let binary = env!("CARGO_BIN_EXE_archive_write");
        let mut writer = language.start(binary, "archive_write.py", &[path]);
        assert!(writer.wait().success(), "{}", writer.stderr());
        file
    });
    // Not only readable by both: the same bytes.
    let [ours, theirs] = files.each_ref().map(|file| std::fs::read(file).expect("it was written"));
    assert_eq!(ours, theirs);
    for language in languages {
        let path = files[0].to_str().expect("text");
        let binary = env!("CARGO_BIN_EXE_archive_read");
        let mut reader = language.start(binary, "archive_read.py", &[path]);
        for line in READ.lines() {
            assert_eq!(reader.next_line(), line);
        }
        assert!(reader.wait().success(), "{}", reader.stderr());
        assert_eq!(reader.stdout(), READ);
    }
}

#[test]
fn the_table_of_views_says_what_copies() {
    let rust = [
        ("ArrayView::from_slice", "no copy"),
        ("encode: the array's frame", "no copy"),
        ("send_from: what the socket gets", "no copy"),
        ("decode: the array", "no copy"),
        ("as_slice", "no copy"),
        ("a slice of it", "no copy"),
        ("to_vec", "copy"),
        ("OwnedArray::from", "copy"),
        ("iter, collected", "copy"),
        ("a message sent to a thread", "no copy"),
    ];
    let python = [
        ("memoryview(array)", "no copy"),
        ("array.tobytes()", "copy"),
        ("ascontiguousarray(array)", "no copy"),
        ("ascontiguousarray(array[:, ::2])", "copy"),
        ("send(copy=False)", "no copy"),
        ("send(copy=True)", "copy"),
        ("frame.buffer", "no copy"),
        ("frame.bytes", "copy"),
        ("memoryview[640:1280]", "no copy"),
        ("bytes(memoryview)", "copy"),
        ("bytes[640:1280]", "copy"),
        ("numpy.frombuffer", "no copy"),
        ("array.reshape", "no copy"),
        ("array[640:1280]", "no copy"),
        ("array.copy()", "copy"),
        ("array.astype(float)", "copy"),
    ];
    for (language, table) in [(Language::Rust, &rust[..]), (Language::Python, &python[..])] {
        let mut views = language.start(env!("CARGO_BIN_EXE_views"), "views.py", &[]);
        for (what, result) in table {
            assert_eq!(views.next_line(), format!("{what:<34} {result}"));
        }
        assert!(views.wait().success(), "{}", views.stderr());
    }
}
