//! The example firmware in QEMU, as `ci/firmware.sh` builds it: `CORTEX_FIRMWARE` names the file.

use std::process::Command;
use std::time::{Duration, Instant};

use cortex_std::wire::IntMessage;
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{DEADLINE, Program, python, wait_until};

/// What is promised after a reset.
const PROMISE: Duration = Duration::from_secs(2);

/// A board whose UART is at a unix socket made a TCP port by nobody: QEMU listens on `port`.
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

/// A port that nobody uses at this moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
#[ignore = "needs QEMU and the firmware: ci/firmware.sh"]
fn the_firmware_is_a_node_of_the_graph() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let port = free_port();
    let mut emulator = board(port);
    let mut bridge = gateway(&folder, port);

    // The Python peer checks every reading and every image, and ends well only after all of them.
    let discovery = folder.discovery();
    let arguments = ["--discovery", &discovery, "--imu", "1000", "--images", "100"];
    let mut peer = python::peer("board.py", arguments);
    let driver = node(&folder, "driver");
    let rate = driver.publisher::<IntMessage>("/board/rate").create().expect("a publisher");
    peer.expect_event("receiving");
    wait_until("the gateway subscribes", || rate.subscriber_count() > 0);
    let _ = rate.publish(&IntMessage { data: 200.into() }).expect("it is sent");
    let said = peer.expect_event("done");
    println!("{said}");
    // 50 a second before the command.
    let rate = said["fastest_hz"].as_f64().expect("a rate");
    assert!(rate > 75.0, "{said}");
    assert!(peer.wait().success(), "{}", peer.stderr());

    let listener = node(&folder, "listener");
    let mut readings =
        listener.subscriber::<IntMessage>("/imu").strict(false).create().expect("a subscriber");
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
        let start = Instant::now();
        while readings.recv_timeout(Duration::ZERO).expect("no error").is_some() {}
        assert!(readings.recv_timeout(DEADLINE).expect("no error").is_some());
        times.push(start.elapsed());
    }
    times.sort();
    println!("data flowed again after {times:?}");
    // The middle one: a busy machine may be late once.
    assert!(times[times.len() / 2] < PROMISE, "{times:?}");
    bridge.terminate();
    assert!(bridge.wait().success(), "{}", bridge.stderr());
    daemon.stop();
}
