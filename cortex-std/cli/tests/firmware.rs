//! The example firmware in QEMU, as `ci/firmware.sh` builds it: `CORTEX_FIRMWARE` names the file.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cortex_std::raw::RawSubscriber;
use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{DEADLINE, Program, python, wait_until};
use cortex_wire::Header;

/// Promised time until data flows after a reset.
const PROMISE: Duration = Duration::from_secs(2);

/// A board in QEMU whose UART is a TCP port that QEMU listens at.
fn board(port: u16) -> Program {
    let firmware = std::env::var_os("CORTEX_FIRMWARE").expect("CORTEX_FIRMWARE names the firmware");
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-serial", &format!("tcp:127.0.0.1:{port},server,nowait")])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(firmware);
    Program::spawn(command)
}

fn gateway(folder: &Folder, port: u16) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex"));
    command.args(["gateway", "--json", "--every", "0.5", "--discovery", &folder.discovery()]);
    command.args(["--tcp", &format!("127.0.0.1:{port}")]);
    Program::spawn(command)
}

/// A port that is free at this moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn wall_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    u64::try_from(now).expect("it is before 2554")
}

/// Waits for a reading that the gateway has stamped after `since_ns`.
fn wait_for_data(folder: &Folder, readings: &mut Readings, since_ns: u64) {
    wait_until("data flows again", || readings.next(folder).is_some_and(|stamp| stamp > since_ns));
}

/// A subscriber of `/imu` that follows changes of its address.
struct Readings {
    subscriber: RawSubscriber,
    address: String,
}

impl Readings {
    /// The timestamp of the next reading, if one arrives in time.
    fn next(&mut self, folder: &Folder) -> Option<u64> {
        let mut client =
            cortex_std::discovery::Client::connect(&folder.discovery(), DEADLINE).ok()?;
        let found = client.look_up("/imu").ok()??;
        if found.topic.address != self.address {
            self.address = found.topic.address;
            self.subscriber.connect_also(&self.address).ok()?;
        }
        let message = self.subscriber.recv_timeout(Duration::from_millis(20)).ok()??;
        Some(Header::decode(message.frame(1)?).ok()?.timestamp_ns)
    }
}

/// The board as a node: a Python peer receives 1,000 readings and 100 images in order and with the
/// computed values, and changes the rate by a command; data flows again after every reset.
#[test]
#[ignore = "needs QEMU and the firmware: ci/firmware.sh"]
fn the_firmware_is_a_node_of_the_graph() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let port = free_port();
    let mut emulator = board(port);
    let mut bridge = gateway(&folder, port);

    // The Python peer checks all messages before it reports "done".
    let discovery = folder.discovery();
    let arguments = ["--discovery", &discovery, "--imu", "1000", "--images", "100"];
    let mut peer = python::peer("board.py", arguments);
    peer.expect_event("receiving");
    let said = peer.expect_event("done");
    println!("{said}");
    assert!(said["readings"].as_u64() >= Some(1000), "{said}");
    assert!(said["images"].as_u64() >= Some(100), "{said}");
    assert_eq!((&said["first_period_ms"], &said["last_period_ms"]), (&20.into(), &5.into()));
    assert!(peer.wait().success(), "{}", peer.stderr());
    let mut stats = bridge.expect_event("stats");
    while stats["sent"] == 0 {
        stats = bridge.expect_event("stats");
    }
    // The gateway may have started in the middle of a frame.
    assert!(stats["lost"] == 0 && stats["damaged"].as_u64() <= Some(1), "{stats}");

    let subscriber = RawSubscriber::with_queue(1000).expect("a subscriber");
    let mut readings = Readings { subscriber, address: String::new() };
    readings.subscriber.subscribe(b"/imu").expect("it subscribes");
    let mut times = Vec::new();
    for round in 0..6 {
        match round % 3 {
            0 => {
                emulator.kill();
                emulator = board(port);
            }
            1 => {
                bridge.terminate();
                assert!(bridge.wait().success(), "{}", bridge.stderr());
                bridge = gateway(&folder, port);
            }
            _ => {
                bridge.kill();
                emulator.kill();
                bridge = gateway(&folder, port);
                emulator = board(port);
            }
        }
        let (start, since_ns) = (Instant::now(), wall_ns());
        wait_for_data(&folder, &mut readings, since_ns);
        times.push(start.elapsed());
    }
    times.sort();
    println!("data flowed again after {times:?}");
    // The median: a busy machine may be late once.
    assert!(times[times.len() / 2] < PROMISE, "{times:?}");
    bridge.terminate();
    assert!(bridge.wait().success(), "{}", bridge.stderr());
    daemon.stop();
}
