//! `cortex gateway` with a simulated board on a pseudo terminal or a TCP stream.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cortex_std::{Node, Subscriber};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{DEADLINE, Program, wait_until};
use cortex_wire::link::{Direction, Event, Hello, Receiver, Sender, Topic};
use cortex_wire::{Header, IntMessage, decode, encode};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, tcgetattr, tcsetattr,
};

/// Promised time until data flows after a reset, or after the device is plugged in again.
const PROMISE: Duration = Duration::from_secs(2);

/// A board that publishes a count on `/board/count`, with the period in microseconds that it receives
/// on `/board/period`.
struct Board {
    is_stopping: Arc<AtomicBool>,
    period_us: Arc<AtomicI64>,
    commands: Arc<Mutex<Vec<(Header, i64)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Board {
    /// Starts the board on its end of the link, which must be non-blocking.
    fn start(mut line: impl Read + Write + Send + 'static) -> Self {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let period_us = Arc::new(AtomicI64::new(2000));
        let commands = Arc::new(Mutex::new(Vec::new()));
        let shared = (is_stopping.clone(), period_us.clone(), commands.clone());
        let thread = std::thread::spawn(move || {
            let (is_stopping, period_us, commands) = shared;
            let topics = [
                Topic::of::<IntMessage>(Direction::Published, "/board/count"),
                Topic::of::<IntMessage>(Direction::Subscribed, "/board/period"),
            ];
            let hello =
                Hello { node: "board", epoch: wall_ns(), topics: topics[..].into(), time_ns: None };
            let mut out = [0; 256];
            let hello = hello.encode(&mut out).expect("it fits");
            let (mut sender, mut receiver) = (Sender::new(), Receiver::new([0; 256]));
            let start = Instant::now();
            let mut next = start;
            let mut sequence = 0;
            while !is_stopping.load(Ordering::Relaxed) {
                let mut bytes = Vec::new();
                let now_ms = u64::try_from(start.elapsed().as_millis()).expect("it is short");
                if sender.hello_is_due(now_ms) {
                    sender.hello(hello, |piece| bytes.extend_from_slice(piece));
                }
                if Instant::now() >= next {
                    let period =
                        u64::try_from(period_us.load(Ordering::Relaxed)).expect("positive");
                    next += Duration::from_micros(period);
                    let header = Header::of::<IntMessage>(0, sequence).encode();
                    let message = IntMessage { data: i64::try_from(sequence).expect("few").into() };
                    let mut metadata = [0; 16];
                    let mut buffers = cortex_wire::heapless::Vec::<&[u8], 0>::new();
                    let metadata = encode(&message, &mut metadata, &mut buffers).expect("it fits");
                    sender.message(&[b"/board/count", &header, metadata], |piece| {
                        bytes.extend_from_slice(piece);
                    });
                    sequence += 1;
                }
                // Like a UART, drops bytes that do not fit.
                let _ = line.write(&bytes);
                let mut input = [0; 256];
                let count = line.read(&mut input).unwrap_or(0);
                let mut input = &input[..count];
                while let Some(event) = receiver.receive(&mut input) {
                    match event {
                        Ok(Event::Hello { is_new: true, .. }) => sender.make_hello_due(),
                        Ok(Event::Message(message)) => {
                            assert_eq!(message.topic(), b"/board/period");
                            let header = message.frames().nth(1).expect("a header");
                            let header = Header::decode(header).expect("a header");
                            let period = decode::<IntMessage>(&message).expect("a number").data;
                            let period = i64::try_from(period).expect("a small one");
                            period_us.store(period, Ordering::Relaxed);
                            commands.lock().expect("no panic").push((header, period));
                        }
                        _ => {}
                    }
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        Self { is_stopping, period_us, commands, thread: Some(thread) }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A pseudo terminal whose other end is at `device`, in place of a previous one.
fn plug_in(device: &Path) -> File {
    // CLOEXEC: a gateway that is started later would inherit it and keep the link open.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a pseudo terminal");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let slave = ptsname(&master, Vec::new()).expect("a name");
    let slave = PathBuf::from(slave.to_str().expect("a path"));
    let _ = std::fs::remove_file(device);
    symlink(slave, device).expect("a link");
    rustix::io::ioctl_fionbio(&master, true).expect("it need not wait");
    File::from(master)
}

fn gateway(folder: &Folder, arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex"));
    command
        .args(["gateway", "--json", "--discovery", &folder.discovery(), "--every", "0.2"])
        .args(arguments);
    Program::spawn(command)
}

fn serial_gateway(device: &Path, folder: &Folder) -> Program {
    gateway(folder, &["--serial", &device.display().to_string()])
}

fn counts(node: &Node) -> Subscriber<IntMessage> {
    node.subscriber("/board/count").create().expect("a subscriber")
}

fn wall_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    u64::try_from(now).expect("it is before 2554")
}

/// Header and count of the next message.
fn next(subscriber: &mut Subscriber<IntMessage>) -> (Header, u64) {
    let sample = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let count = u64::try_from(sample.message().expect("a number").data).expect("a count");
    (sample.header(), count)
}

/// Waits for a report of the gateway that satisfies `is_wanted`.
fn wait_for_report(gateway: &mut Program, is_wanted: impl Fn(&serde_json::Value) -> bool) {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        let said = gateway.next_json();
        if is_wanted(&said) {
            return;
        }
    }
    panic!("no such report of the gateway");
}

fn end(mut gateway: Program) {
    gateway.terminate();
    assert!(gateway.wait().success(), "{}", gateway.stderr());
}

/// Checks that messages of the board arrive in order and stamped, and that commands arrive unchanged.
fn check_messages_and_commands(folder: &Folder, board: &Board) {
    let listener = node(folder, "listener");
    let mut subscriber = counts(&listener);
    let (mut last, mut after_command) = (None, 0);
    let driver = node(folder, "driver");
    let period = driver.publisher::<IntMessage>("/board/period").create().expect("a publisher");
    wait_until("the gateway subscribes", || period.subscriber_count() > 0);
    for _ in 0..300 {
        let (header, count) = next(&mut subscriber);
        assert_eq!(header.sequence, count);
        assert!(header.timestamp_ns > 1_600_000_000_000_000_000, "{header:?}");
        assert_eq!(count, last.map_or(count, |last| last + 1));
        last = Some(count);
        if after_command == 0 {
            let command = IntMessage { data: 1000.into() };
            period.publish(&command).expect("it is sent");
        }
        after_command += 1;
    }
    wait_until("the board obeys", || board.period_us.load(Ordering::Relaxed) == 1000);
    let commands = board.commands.lock().expect("no panic").clone();
    assert_eq!(commands.len(), 1);
    assert_eq!((commands[0].1, commands[0].0.sequence), (1000, 0));
    assert!(commands[0].0.timestamp_ns > 1_600_000_000_000_000_000);
}

#[test]
fn a_board_on_a_serial_line_is_a_node_of_the_graph() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let device = folder.path().join("tty");
    let board = Board::start(plug_in(&device));
    let mut gateway = serial_gateway(&device, &folder);
    wait_for_report(&mut gateway, |said| {
        said["event"] == "hello"
            && said["node"] == "board"
            && said["publishes"][0] == "/board/count"
            && said["subscribes"][0] == "/board/period"
    });
    check_messages_and_commands(&folder, &board);
    wait_for_report(&mut gateway, |said| said["event"] == "stats" && said["sent"] == 1);
    end(gateway);
    drop(daemon);
}

#[test]
fn a_board_behind_a_tcp_stream_is_a_node_of_the_graph() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut gateway = gateway(&folder, &["--tcp", &address]);
    let stream = listener.accept().expect("the gateway").0;
    stream.set_nonblocking(true).expect("it need not wait");
    let board = Board::start(stream);
    wait_for_report(&mut gateway, |said| said["event"] == "hello");
    check_messages_and_commands(&folder, &board);
    end(gateway);
    drop(daemon);
}

#[test]
fn data_flows_again_after_a_reset_an_unplugged_line_and_a_new_gateway() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let device = folder.path().join("tty");
    let listener = node(&folder, "listener");
    let mut subscriber = counts(&listener);
    let mut board = Board::start(plug_in(&device));
    let mut gateway = serial_gateway(&device, &folder);
    next(&mut subscriber);

    let mut times = Vec::new();
    for round in 0..6 {
        match round % 3 {
            // A reset of the board, with the device absent for a moment.
            0 => {
                drop(board);
                wait_for_report(&mut gateway, |said| said["event"] == "closed");
                board = Board::start(plug_in(&device));
            }
            // A new gateway.
            1 => {
                end(gateway);
                gateway = serial_gateway(&device, &folder);
            }
            // Both; the gateway starts first.
            _ => {
                end(gateway);
                drop(board);
                gateway = serial_gateway(&device, &folder);
                board = Board::start(plug_in(&device));
            }
        }
        let (start, restarted_ns) = (Instant::now(), wall_ns());
        // Messages stamped before do not count.
        while next(&mut subscriber).0.timestamp_ns < restarted_ns {}
        times.push(start.elapsed());
    }
    times.sort();
    println!("data flowed again after {times:?}");
    // The median: a busy machine may be late once.
    assert!(times[times.len() / 2] < PROMISE, "{times:?}");
    end(gateway);
    drop(daemon);
}

#[test]
fn reports_invalid_arguments_an_absent_device_and_a_silent_board() {
    let folder = Folder::new();
    let mut nothing = gateway(&folder, &[]);
    assert_eq!(nothing.wait().code(), Some(2));
    assert!(nothing.stderr().contains("--serial"), "{}", nothing.stderr());
    let mut both = gateway(&folder, &["--serial", "/dev/null", "--tcp", "localhost:1"]);
    assert_eq!(both.wait().code(), Some(2));
    // The gateway waits for a device that does not exist yet.
    let mut absent = gateway(&folder, &["--serial", "/nowhere/tty"]);
    assert_eq!(absent.expect_event("absent")["place"], "/nowhere/tty (115200 baud)");
    end(absent);
    // With --timeout it ends with exit code 1 if no board sends anything.
    let mut silent = gateway(&folder, &["--tcp", "127.0.0.1:1", "--timeout", "0.1"]);
    assert_eq!(silent.wait().code(), Some(1));
}

#[test]
fn a_serial_line_is_set_completely_whatever_the_previous_program_left() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let device = folder.path().join("tty");
    let master = plug_in(&device);
    // The settings of the other end are those of the line.
    let mut left = tcgetattr(&master).expect("settings");
    left.control_modes |= ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB;
    left.input_modes |= InputModes::IXON | InputModes::IXOFF | InputModes::ICRNL;
    left.local_modes |= LocalModes::ECHO | LocalModes::ICANON;
    left.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
    tcsetattr(&master, OptionalActions::Now, &left).expect("they are taken");
    let found = tcgetattr(&master).expect("settings");
    assert!(found.control_modes.contains(ControlModes::CRTSCTS | ControlModes::CSTOPB));

    let arguments = ["--serial", &device.display().to_string(), "--baud", "921600"];
    let mut gateway = gateway(&folder, &arguments);
    gateway.expect_event("open");
    let found = tcgetattr(&master).expect("settings");
    let unwanted = ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB;
    assert!(!found.control_modes.intersects(unwanted), "{found:?}");
    assert_eq!(found.control_modes & ControlModes::CSIZE, ControlModes::CS8, "{found:?}");
    assert_eq!(found.input_modes, InputModes::empty(), "{found:?}");
    assert_eq!(found.local_modes, LocalModes::empty(), "{found:?}");
    assert_eq!(found.output_modes, OutputModes::empty(), "{found:?}");
    assert_eq!(found.output_speed(), 921_600);
    end(gateway);
}

#[test]
fn bytes_at_a_wrong_rate_are_reported_with_the_rate_as_the_likely_cause() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let device = folder.path().join("tty");
    let mut master = plug_in(&device);
    let mut gateway = serial_gateway(&device, &folder);
    gateway.expect_event("open");
    let is_stopping = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_stopping);
    // A UART at another rate receives bytes of all values.
    let noise = std::thread::spawn(move || {
        let mut state = 1_u32;
        while !stop.load(Ordering::Relaxed) {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            };
            let bytes: Vec<u8> = (0..64).map(|_| next()).collect();
            let _ = master.write(&bytes);
            let _ = master.read(&mut [0; 256]);
            std::thread::sleep(Duration::from_millis(5));
        }
        master
    });
    let garbled = gateway.expect_event("garbled");
    let text = garbled["text"].as_str().expect("text");
    assert!(text.contains("115200 baud") && text.contains("another rate (--baud)"), "{text}");
    wait_for_report(&mut gateway, |said| said["event"] == "stats" && said["state"] == "garbled");
    is_stopping.store(true, Ordering::Relaxed);
    let master = noise.join().expect("no panic");
    let silent = gateway.expect_event("silent");
    assert!(silent["text"].as_str().expect("text").contains("is the board powered"), "{silent}");
    // A board ends both.
    let board = Board::start(master);
    gateway.expect_event("receiving");
    drop(board);
    end(gateway);
}

#[test]
fn a_silent_board_behind_a_tcp_stream_is_reported_instead_of_the_last_counts() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut gateway = gateway(&folder, &["--tcp", &address]);
    let stream = listener.accept().expect("the gateway").0;
    stream.set_nonblocking(true).expect("it need not wait");
    let held = stream.try_clone().expect("a descriptor");
    let board = Board::start(stream);
    gateway.expect_event("hello");
    drop(board);
    // The stream stays open, as that of a board without power does.
    let silent = gateway.expect_event("silent");
    assert!(silent["silent_s"].as_f64().expect("a time") >= 3.0, "{silent}");
    wait_for_report(&mut gateway, |said| {
        said["event"] == "stats" && said["state"] == "silent" && said["node"] == "board"
    });
    // The gateway cannot connect again.
    drop(listener);
    drop(held);
    gateway.expect_event("closed");
    wait_for_report(&mut gateway, |said| said["event"] == "stats" && said["state"] == "closed");
    end(gateway);
}

#[test]
fn a_device_that_is_no_serial_line_and_invalid_rates_are_refused() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for device in [file.as_path(), Path::new("/dev/null"), folder.path()] {
        let mut refused = serial_gateway(device, &folder);
        let absent = refused.expect_event("absent");
        let reason = absent["reason"].as_str().expect("a reason");
        assert!(reason.contains("not a serial line"), "{absent}");
        end(refused);
    }
    // Another reason is reported as well.
    let device = folder.path().join("tty");
    let mut changing = serial_gateway(&device, &folder);
    let absent = changing.expect_event("absent");
    assert!(absent["reason"].as_str().expect("a reason").contains("No such file"), "{absent}");
    std::fs::write(&device, "").expect("a file");
    let absent = changing.expect_event("absent");
    assert!(absent["reason"].as_str().expect("a reason").contains("not a serial line"), "{absent}");
    end(changing);
    for arguments in [
        &["--serial", "/dev/ttyS0", "--baud", "0"][..],
        &["--serial", "/dev/ttyS0", "--baud", "4294967295"],
        &["--tcp", "192.168.1.7"],
        &["--tcp", ":4000"],
        &["--tcp", "board:0"],
        &["--tcp", "tcp://192.168.1.7:4000"],
    ] {
        let mut refused = gateway(&folder, arguments);
        assert_eq!(refused.wait().code(), Some(2), "{arguments:?}");
        let said = refused.stderr();
        assert!(said.contains("not HOST:PORT") || said.contains("50..=50000000"), "{said}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex"));
    command.args(["gateway", "--tcp", "localhost:1", "--every", "0"]);
    let mut refused = Program::spawn(command);
    assert_eq!(refused.wait().code(), Some(2));
    assert!(refused.stderr().contains("not at least 0.01 seconds"), "{}", refused.stderr());
}

#[test]
fn messages_dropped_for_a_stopped_subscriber_are_counted() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let device = folder.path().join("tty");
    let board = Board::start(plug_in(&device));
    board.period_us.store(300, Ordering::Relaxed);
    let mut gateway = serial_gateway(&device, &folder);
    wait_for_report(&mut gateway, |said| said["event"] == "hello");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex"));
    command.args(["topic", "echo", "--timeout", "30", "/board/count"]);
    command.args(["--discovery", &folder.discovery()]);
    let mut echo = Program::spawn(command);
    echo.next_line();
    echo.signal(cortex_tests::Signal::STOP);
    wait_for_report(&mut gateway, |said| said["congested"].as_u64().is_some_and(|count| count > 0));
    echo.kill();
    end(gateway);
}
