//! The examples as a user starts them: each in its own process.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cortex_std::Node;
use cortex_std::discovery::{ADDRESS_VARIABLE, Client, Daemon, DaemonHandle};
use cortex_std::wire::StringMessage;
use cortex_tests::{DEADLINE, Program, python, wait_until};

/// How long a program may take to end after Ctrl-C.
const END: Duration = Duration::from_secs(2);

struct Graph {
    folder: tempfile::TempDir,
    daemon: DaemonHandle,
}

impl Graph {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("ipc://{}/discovery.sock", folder.path().display());
        let daemon = Daemon::bind(&address).expect("it binds").spawn().expect("it starts");
        Self { folder, daemon }
    }

    fn start(&self, binary: &str) -> Program {
        let mut command = Command::new(binary);
        command.env(ADDRESS_VARIABLE, self.daemon.address());
        Program::spawn(command)
    }

    /// Ends the daemon; then nothing but empty folders may be left.
    fn end(self) {
        self.daemon.stop();
        assert_eq!(files_below(self.folder.path()), Vec::<String>::new());
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(
            |path| {
                if path.is_dir() { files_below(&path) } else { vec![path.display().to_string()] }
            },
        )
        .collect()
}

fn interrupt(program: &mut Program) {
    let start = Instant::now();
    program.interrupt();
    assert!(program.wait().success(), "{}", program.stderr());
    let took = start.elapsed();
    assert!(took < END, "it took {took:?} to end");
    let output = program.stdout() + &program.stderr();
    assert!(!output.contains('\x1b'), "colours in a pipe: {output:?}");
}

#[test]
fn camera_reaches_viewer_and_both_end_on_ctrl_c() {
    let graph = Graph::new();
    let mut camera = graph.start(env!("CARGO_BIN_EXE_camera"));
    let mut viewer = graph.start(env!("CARGO_BIN_EXE_viewer"));
    camera.expect_line("publishing /cam/frame");
    let mut last = None;
    for _ in 0..10 {
        // [12] f12 mean=12.0
        let line = viewer.expect_line("mean=");
        let (sequence, rest) = line[1..].split_once("] ").expect("a sequence");
        let sequence: u64 = sequence.parse().expect("a number");
        assert_eq!(rest, format!("f{sequence} mean={:.1}", (sequence % 256) as f64));
        assert!(last.is_none_or(|last| sequence == last + 1), "{line} after {last:?}");
        last = Some(sequence);
    }
    interrupt(&mut viewer);
    let summary = viewer.stdout();
    assert!(summary.lines().any(|line| line.ends_with("lost 0")), "{summary}");
    interrupt(&mut camera);
    let mut client = Client::connect(graph.daemon.address(), END).expect("a client");
    assert_eq!(client.list().expect("an answer"), []);
    graph.end();
}

#[test]
fn a_python_subscriber_sees_the_camera() {
    let graph = Graph::new();
    let mut camera = graph.start(env!("CARGO_BIN_EXE_camera"));
    let discovery = graph.daemon.address();
    let arguments = ["--discovery", discovery, "--topic", "/cam/frame", "--count", "3", "--digest"];
    let message = ["--message", "ArrayMessage"];
    let mut viewer = python::peer("subscriber.py", arguments.into_iter().chain(message));
    for _ in 0..3 {
        let message = viewer.expect_event("message");
        let fields = &message["fields"];
        assert_eq!(fields[0]["value"]["array"]["dtype"], "|u1");
        assert_eq!(fields[0]["value"]["array"]["shape"], serde_json::json!([480, 640, 3]));
        let name = format!("f{}", message["sequence"]);
        assert_eq!(fields[1]["value"]["str"], *name);
        assert_eq!(fields[2]["value"]["str"], "camera");
    }
    interrupt(&mut camera);
    graph.end();
}

#[test]
fn the_viewer_shows_a_python_camera() {
    let graph = Graph::new();
    let mut viewer = graph.start(env!("CARGO_BIN_EXE_viewer"));
    viewer.expect_line("waiting for /cam/frame");
    let golden = cortex_tests::golden::path("messages.json");
    let topics = graph.folder.path().join("topics");
    let mut camera = python::peer(
        "publisher.py",
        [
            "--discovery".as_ref(),
            graph.daemon.address().as_ref(),
            "--node".as_ref(),
            "python_camera".as_ref(),
            "--topic".as_ref(),
            "/cam/frame".as_ref(),
            "--ipc-dir".as_ref(),
            topics.as_os_str(),
            "--golden".as_ref(),
            golden.as_os_str(),
            "--names".as_ref(),
            "array_|u1".as_ref(),
        ],
    );
    camera.expect_event("ready");
    // The golden array is 00 17 ef 09 f5 fb or the like; its mean is computed here.
    let case = cortex_tests::golden::message("array_|u1");
    let data = case["fields"][0]["value"]["array"]["data"].as_str().expect("hex digits");
    let bytes = cortex_tests::golden::unhex(data);
    let mean = bytes.iter().map(|&b| f64::from(b)).sum::<f64>() / bytes.len() as f64;
    viewer.expect_line(&format!("mean={mean:.1}"));
    camera.terminate();
    assert!(camera.wait().success());
    interrupt(&mut viewer);
    graph.end();
}

#[test]
fn the_demo_ends_with_a_summary_and_a_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let png = folder.path().join("last.png");
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--frames", "45", "--png"]).arg(&png).env("TMPDIR", folder.path());
    let mut demo = Program::spawn(command);
    assert!(demo.wait().success(), "{}", demo.stderr());
    let said = demo.stdout();
    assert!(said.contains("received 45 frames of 640 x 480"), "{said}");
    assert!(said.contains("0 lost, 0 rejected"), "{said}");
    assert!(said.contains("fps   latency p50"), "{said}");

    let file = std::io::BufReader::new(std::fs::File::open(&png).expect("the picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("a frame");
    assert_eq!((info.width, info.height, info.color_type), (640, 480, png::ColorType::Rgb));
    let pixel = |x: usize, y: usize| &pixels[(y * 640 + x) * 3..][..3];
    // The sun, the sky and the road of frame 44.
    assert_eq!(pixel(520, 90), [255, 226, 120]);
    assert!(pixel(10, 10)[2] > 200 && pixel(10, 10)[0] < 150);
    assert_eq!(pixel(10, 470), [96, 100, 104]);
    // And the robot, where it is after 44 frames: 44 / 30 s x 120 px/s - 100 px.
    assert_eq!(pixel(76 - 40, 310), [235, 120, 40]);

    std::fs::remove_file(&png).expect("it is ours");
    assert_eq!(files_below(folder.path()), Vec::<String>::new());
}

#[test]
fn the_control_loop_prints_its_jitter_and_draws_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let png = folder.path().join("jitter.png");
    let mut command = Command::new(env!("CARGO_BIN_EXE_control_loop"));
    command.args(["--seconds", "1", "--period", "2000", "--png"]).arg(&png);
    // No daemon runs: the program needs none.
    let address = format!("ipc://{}/discovery.sock", folder.path().display());
    command.env(ADDRESS_VARIABLE, address);
    let mut program = Program::spawn(command);
    assert!(program.wait().success(), "{}", program.stderr());
    let said = program.stdout();
    assert!(said.starts_with("500 ticks of 2ms\ncalled "), "{said}");
    for line in ["late p50 ", "late p99.9", "late max", "saved as "] {
        assert!(said.contains(line), "{said}");
    }

    let file = std::io::BufReader::new(std::fs::File::open(&png).expect("the picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("a frame");
    assert_eq!((info.width, info.height), (800, 420));
    // Axes in black, and bars.
    let pixel = |x: usize, y: usize| pixels[y * 800 + x];
    assert_eq!((pixel(90, 200), pixel(400, 370), pixel(799, 0)), (0, 0, 255));
    let bars = pixels.iter().filter(|&&shade| shade == 90).count();
    assert!(bars > 500, "{bars} pixels");
}

#[test]
fn ctrl_c_and_sigterm_end_the_demo_and_its_viewer() {
    for signal in [cortex_tests::Signal::INT, cortex_tests::Signal::TERM] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let png = folder.path().join("last.png");
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(["--frames", "0", "--png"]).arg(&png).env("TMPDIR", folder.path());
        let mut demo = Program::spawn(command);
        demo.expect_line("fps");
        let start = Instant::now();
        demo.signal(signal);
        assert!(demo.wait().success(), "{}", demo.stderr());
        assert!(start.elapsed() < END, "it took {:?} to end", start.elapsed());
        // Its stdout is closed, so the viewer is gone as well.
        demo.expect_line("last frame saved as");
        while demo.try_next_line(END).is_some() {}
        std::fs::remove_file(&png).expect("it was saved");
        assert_eq!(files_below(folder.path()), Vec::<String>::new());
    }
}

/// Waits for `count` lines of the logger's file that name `topic`; returns their columns.
fn logged(folder: &Path, topic: &str, count: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    wait_until(&format!("{count} lines of {topic}"), || {
        let text = std::fs::read_to_string(folder.join("climate.csv")).unwrap_or_default();
        // The last line may be incomplete.
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        rows = complete.lines().map(split).filter(|row| row[2] == topic).collect();
        rows.len() >= count
    });
    rows
}

#[test]
fn the_system_logs_the_dew_points_of_its_measurements_in_one_process_and_in_three() {
    for nodes in [&[""][..], &["logger", "processor", "sensor"]] {
        let (graph, folder) = (Graph::new(), tempfile::tempdir().expect("a temporary folder"));
        let start = |node: &&str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_system"));
            command.args((!node.is_empty()).then_some(node)).current_dir(folder.path());
            command.env(ADDRESS_VARIABLE, graph.daemon.address());
            Program::spawn(command)
        };
        let mut programs: Vec<_> = nodes.iter().map(start).collect();
        let dew_points = logged(folder.path(), "/dew_point", 20);
        for row in &dew_points {
            let value: f64 = row[3].parse().expect("a number");
            assert!((5.0..15.0).contains(&value) && row[4] == "C", "{row:?}");
        }
        wait_until("a dew point has the time of its temperature", || {
            let temperatures = logged(folder.path(), "/temperature", 20);
            let is_measured = |row: &Vec<String>| temperatures.iter().any(|at| at[0] == row[0]);
            logged(folder.path(), "/dew_point", 20).iter().any(is_measured)
        });
        programs.iter_mut().for_each(interrupt);
        let mut client = Client::connect(graph.daemon.address(), END).expect("a client");
        assert_eq!(client.list().expect("an answer"), []);
        graph.end();
    }
}

#[test]
fn a_process_with_three_nodes_that_ends_does_not_host_the_daemon_again() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_system"));
        let address = format!("ipc://{}/discovery.sock", folder.path().display());
        command.env(ADDRESS_VARIABLE, &address).current_dir(folder.path());
        let mut system = Program::spawn(command);
        logged(folder.path(), "/dew_point", 1);
        interrupt(&mut system);
        let said = system.stderr();
        assert_eq!(said.matches("hosting it").count(), 1, "{said}");
    }
}

#[test]
fn a_snapshot_is_the_half_of_an_image_of_the_camera() {
    let (graph, folder) = (Graph::new(), tempfile::tempdir().expect("a temporary folder"));
    let mut camera = graph.start(env!("CARGO_BIN_EXE_image_camera"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapshots"));
    command.env(ADDRESS_VARIABLE, graph.daemon.address()).current_dir(folder.path());
    let mut snapshots = Program::spawn(command);
    for _ in 0..3 {
        // [7] snapshot.png 160x120 mean=7.0
        let line = snapshots.expect_line("snapshot.png 160x120 mean=");
        let (sequence, rest) = line[1..].split_once("] ").expect("a sequence");
        let mean: f64 = rest.rsplit('=').next().expect("a mean").parse().expect("a number");
        let shade = sequence.parse::<f64>().expect("a number") % 200.0;
        assert!((mean - shade).abs() < 0.1, "{line}");
    }
    interrupt(&mut snapshots);
    interrupt(&mut camera);

    let file = std::fs::File::open(folder.path().join("snapshot.png")).expect("the picture");
    let file = std::io::BufReader::new(file);
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("a frame");
    assert_eq!((info.width, info.height), (160, 120));
    assert_eq!(info.color_type, png::ColorType::Grayscale);
    // The first pixel of the camera is bright, all others have one shade.
    assert_eq!(pixels[0], 250);
    assert!(pixels[1..].iter().all(|&pixel| pixel == pixels[1]));
    graph.end();
}

#[test]
fn a_log_that_is_redirected_has_no_colours() {
    let graph = Graph::new();
    let mut viewer = graph.start(env!("CARGO_BIN_EXE_viewer"));
    let node = Node::builder("text").discovery(graph.daemon.address()).create().expect("a node");
    // Another type on the viewer's topic.
    let texts = node.publisher::<StringMessage>("/cam/frame").create().expect("it binds");
    texts.blocking_wait_for_subscribers(1, DEADLINE).expect("the viewer subscribes");
    texts.publish(&StringMessage { data: "no picture" }).expect("it is sent");
    wait_until("the viewer logs it", || viewer.stderr().contains("message rejected"));
    interrupt(&mut viewer);
    drop(node);
    graph.end();
}

#[test]
fn a_custom_message_of_an_old_sender_gets_the_default() {
    let graph = Graph::new();
    let mut program = graph.start(env!("CARGO_BIN_EXE_custom_messages"));
    assert!(program.wait().success(), "{}", program.stderr());
    let said = program.stdout();
    assert!(
        said.contains(r#"name: "dock", waypoints: [[0.0, 0.0, 0.0], [1.5, 0.0, 0.25]]"#),
        "{said}"
    );
    assert!(said.contains("speed: 0.5"), "{said}");
    graph.end();
}

#[test]
fn a_tensor_keeps_device_shape_and_gradients_here_and_in_python() {
    let graph = Graph::new();
    let mut tensors = graph.start(env!("CARGO_BIN_EXE_tensors"));
    for _ in 0..3 {
        let line = tensors.expect_line("layer0");
        let (sequence, rest) = line[1..].split_once("] ").expect("a sequence");
        let updates: u32 = sequence.parse::<u32>().expect("a number") + 1;
        let sum = f64::from(updates) * 0.5 * 12.0;
        assert_eq!(rest, format!("layer0 [3, 4] on cuda:0, gradients: true, sum {sum}"));
    }
    let discovery = graph.daemon.address();
    let arguments = ["--discovery", discovery, "--topic", "/policy/weights", "--count", "1"];
    let message = ["--message", "TensorMessage"];
    let mut viewer = python::peer("subscriber.py", arguments.into_iter().chain(message));
    let fields = &viewer.expect_event("message")["fields"];
    let tensor = &fields[0]["value"]["tensor"];
    assert_eq!(tensor["device"], "cuda:0", "{fields}");
    assert_eq!(tensor["requires_grad"], true, "{fields}");
    interrupt(&mut tensors);
    graph.end();
}

#[test]
fn a_blocking_program_publishes_receives_and_ends_on_ctrl_c() {
    let graph = Graph::new();
    let mut program = graph.start(env!("CARGO_BIN_EXE_blocking"));
    program.expect_line("all [");
    program.expect_line("latest [");
    program.expect_line("all [");
    interrupt(&mut program);
    let said = program.stdout();
    let summary = said.lines().last().expect("a summary");
    assert!(summary.starts_with("received ") && summary.ends_with(" as the latest"), "{said}");
    graph.end();
}
