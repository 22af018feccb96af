//! What commands say where the daemon does not answer: one judgement, and advice that works.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use cortex_std::Registration;
use cortex_std::discovery::{Client, Topic};
use cortex_std::wire::StringMessage;
use cortex_std::wire::discovery::RequestExt;
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{DEADLINE, Program, Signal, wait_until};

use crate::{Ended, end, run_in, start};

/// A daemon as a program, once it listens.
fn daemon_program(folder: &Folder) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.env("CORTEX_DISCOVERY", folder.discovery());
    let mut program = Program::spawn(command);
    wait_until("it listens", || program.stderr().contains("listens"));
    program
}

/// What `topic list` and `doctor` say about the daemon.
fn reports(mut run: impl FnMut(&[&str]) -> Ended) -> [String; 2] {
    let list = run(&["topic", "list"]).with_code(1).stderr;
    let found = run(&["doctor", "--json"]).with_code(1).json();
    let finding = found.iter().find(|finding| finding["check"] == "daemon").expect("a finding");
    [list, format!("{} ({})", finding["text"], finding["advice"])]
}

/// Runs `cortex` below another program that changes its surroundings; `None` where the system refuses.
fn run_below(folder: &Folder, below: &[&str], arguments: &[&str]) -> Option<Ended> {
    let mut command = Command::new(below[0]);
    command.args(&below[1..]).arg(env!("CARGO_BIN_EXE_cortex")).args(arguments);
    command.env("CORTEX_DISCOVERY", folder.discovery()).env_remove("RUST_LOG");
    let ended = end(Program::spawn(command));
    let is_refused = ["unshare", "mount"]
        .iter()
        .any(|program| ended.stderr.lines().any(|line| line.starts_with(&format!("{program}: "))));
    (!is_refused).then_some(ended)
}

#[test]
fn a_stopped_daemon_is_called_stopped_with_the_command_that_continues_it() {
    let folder = Folder::new();
    let mut daemon = daemon_program(&folder);
    daemon.signal(Signal::STOP);
    let id = daemon.id();
    for report in reports(|arguments| run_in(&folder, arguments)) {
        assert!(report.contains(&format!("process {id} (cortex-discover")), "{report}");
        assert!(report.contains("is stopped"), "{report}");
        assert!(report.contains(&format!("kill -CONT {id}")), "{report}");
        assert!(!report.contains("start one"), "{report}");
    }
    // The advice works.
    daemon.signal(Signal::CONT);
    run_in(&folder, &["topic", "list"]).with_code(0);
}

#[test]
fn the_daemon_of_another_user_is_called_forbidden() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: becoming another user takes root");
        return;
    }
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("it is ours");
    let program = folder.path().join("cortex");
    std::fs::copy(env!("CARGO_BIN_EXE_cortex"), &program).expect("a copy");
    for report in reports(|arguments| {
        let mut command = Command::new(&program);
        command.args(arguments).env("CORTEX_DISCOVERY", folder.discovery()).uid(65_534).gid(65_534);
        end(Program::spawn(command))
    }) {
        assert!(report.contains("belongs to user root, who does not share it"), "{report}");
        assert!(report.contains("umask"), "{report}");
        assert!(!report.contains("start one"), "{report}");
    }
}

#[test]
fn a_daemon_under_umask_0_serves_every_user() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: becoming another user takes root");
        return;
    }
    let folder = Folder::new();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("it is ours");
    let mut command = Command::new("sh");
    command.arg("-c").arg("umask 000; exec \"$0\"").arg(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.env("CORTEX_DISCOVERY", folder.discovery());
    let mut daemon = Program::spawn(command);
    wait_until("it listens", || daemon.stderr().contains("listens"));
    let program = folder.path().join("cortex");
    std::fs::copy(env!("CARGO_BIN_EXE_cortex"), &program).expect("a copy");
    let as_other_user = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).env("CORTEX_DISCOVERY", folder.discovery());
        command.uid(65_534).gid(65_534);
        end(Program::spawn(command))
    };
    as_other_user(&["topic", "list"]).with_code(0);

    // The daemon is shared; a publisher under another umask is not.
    let node = node(&folder, "own");
    let publisher = node.publisher::<StringMessage>("/own").create().expect("it binds");
    wait_until("it is registered", || publisher.registration() == Registration::Registered);
    for arguments in [
        &["topic", "info", "/own"][..],
        &["topic", "echo", "--timeout", "0.5", "/own"],
        &["topic", "hz", "--duration", "0.5", "/own"],
        &["doctor"],
    ] {
        let ended = as_other_user(arguments);
        let text = format!("{}{}", ended.text(), ended.stderr);
        let is_named = text.contains("topics belongs to user root, who does not share it");
        let is_advised = text.contains("start its node under umask");
        assert!(is_named && is_advised, "{arguments:?}: {text}");
        assert!(!text.contains("all publishers alive"), "{arguments:?}: {text}");
    }
}

#[test]
fn an_address_that_no_program_reaches_is_wrong_usage() {
    for (address, expected) in [
        ("inproc://graph", "exists within one process only"),
        ("tcp://*:5555", "an address to listen at: give the daemon's host"),
    ] {
        for arguments in [
            &["topic", "list"][..],
            &["topic", "pub", "--once", "-w", "0", "/x", "IntMessage", "1"],
            &["node", "list"],
            &["graph"],
            &["doctor"],
            &["gateway", "--tcp", "127.0.0.1:1"],
        ] {
            let ended = end(start(arguments, &[("CORTEX_DISCOVERY", address)])).with_code(2);
            assert!(ended.stderr.contains(expected), "{arguments:?}: {ended:?}");
        }
    }
    let ended = end(start(&["discovery", "--address", "inproc://graph"], &[])).with_code(1);
    assert!(ended.stderr.contains("exists within one process only"), "{ended:?}");
    // The advice of doctor is not to run doctor.
    let ended = end(start(&["doctor", "--discovery", "ipc://@no-such-daemon"], &[])).with_code(1);
    assert!(ended.text().contains("cortex-discovery --address ipc://@no-such-daemon"), "{ended:?}");
    assert!(!ended.text().contains("run `cortex doctor`"), "{ended:?}");
}

#[test]
fn a_folder_that_is_read_only_or_full_is_named() {
    let folder = Folder::new();
    let path = folder.path().display().to_string();
    for (options, expected) in [("ro", "read-only"), ("nr_inodes=1", "is full")] {
        let script = format!("mount -t tmpfs -o {options} tmpfs '{path}' && exec \"$0\" \"$@\"");
        let below = ["unshare", "--mount", "--map-root-user", "sh", "-c", &script];
        for arguments in [["topic", "list"], ["doctor", "--json"]] {
            let Some(ended) = run_below(&folder, &below, &arguments) else {
                println!("SKIPPED: this system mounts nothing for tests");
                return;
            };
            let text = format!("{}{}", ended.text(), ended.stderr);
            assert!(text.contains(expected) && text.contains(&path), "{options}: {text}");
            assert!(!text.contains("start one"), "{options}: {text}");
        }
    }
}

#[test]
fn a_process_of_another_namespace_is_not_named() {
    let folder = Folder::new();
    let mut daemon = daemon_program(&folder);
    daemon.signal(Signal::STOP);
    let below = ["unshare", "--pid", "--fork", "--mount-proc", "--map-root-user"];
    for arguments in [["topic", "list"], ["doctor", "--json"]] {
        let Some(ended) = run_below(&folder, &below, &arguments) else {
            println!("SKIPPED: this system makes no namespaces");
            return;
        };
        let text = format!("{}{}", ended.text(), ended.stderr);
        assert!(text.contains("an unknown process listens there"), "{text}");
        assert!(text.contains("in another container"), "{text}");
        assert!(!text.contains("process 1") && !text.contains(&daemon.id().to_string()), "{text}");
    }
    daemon.signal(Signal::CONT);
}

#[test]
fn a_socket_that_a_child_inherited_is_said_to_be_the_childs() {
    let folder = Folder::new();
    let path = folder.path().join("discovery.sock");
    let script = "\
import os, socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
child = os.fork()
if child:
    print(child, flush=True)
    os._exit(0)
time.sleep(60)
";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(&path);
    let mut parent = Program::spawn(command);
    let child = parent.next_line();
    assert!(parent.wait().success());
    let reports = reports(|arguments| run_in(&folder, arguments));
    let id = child.parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(id, Signal::KILL).expect("it runs");
    for report in reports {
        assert!(report.contains(&format!("process {child} (python3")), "{report}");
    }
}

#[test]
fn an_unknown_host_is_called_unknown() {
    let address = "tcp://no-such-host.invalid:5555";
    for report in reports(|arguments| end(start(arguments, &[("CORTEX_DISCOVERY", address)]))) {
        assert!(report.contains("the name no-such-host.invalid is unknown"), "{report}");
    }
}

#[test]
fn doctor_tells_a_deleted_socket_file_from_a_dead_publisher() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let path = folder.path().join("python.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).expect("it binds");
    let topic = Topic {
        name: "/deleted".to_owned(),
        address: format!("ipc://{}", path.display()),
        message_type: "X".to_owned(),
        fingerprint: 1,
        publisher_node: "python".to_owned(),
    };
    std::fs::remove_file(&path).expect("it is deleted");
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    client.register(&topic, RequestExt::default()).expect("it is registered");
    let text = run_in(&folder, &["doctor"]).with_code(1).text();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!(
        "of /deleted was deleted, its publisher python runs in process {}",
        std::process::id()
    );
    assert!(text.contains(&expected), "{text}");
    assert!(!text.contains("died"), "{text}");
    let info = run_in(&folder, &["topic", "info", "/deleted"]).text();
    assert!(info.contains("the socket file was deleted, process"), "{info}");
}

#[test]
fn a_daemon_listens_at_a_host_name() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.args(["--address", "tcp://localhost:*"]);
    let mut daemon = Program::spawn(command);
    wait_until("it listens", || daemon.stderr().contains("listens address=\"tcp://127.0.0.1:"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.args(["--address", "tcp://no-such-host.invalid:5557"]);
    let refused = end(Program::spawn(command)).with_code(1);
    assert!(refused.stderr.contains("the host name \"no-such-host.invalid\" is unknown"));
}

#[test]
fn nodes_and_commands_use_a_host_name_that_has_only_an_ipv6_address() {
    let folder = Folder::new();
    let hosts = folder.path().join("hosts").display().to_string();
    std::fs::write(&hosts, "127.0.0.1 localhost\n::1 six.example\n").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.args(["--address", "tcp://[::1]:*"]);
    let mut daemon = Program::spawn(command);
    let listens = "listens address=\"tcp://[::1]:";
    wait_until("it listens or refuses", || {
        daemon.stderr().contains(listens) || !daemon.is_running()
    });
    let log = daemon.stderr();
    let Some((_, port)) = log.split_once(listens) else {
        println!("SKIPPED: this system has no IPv6");
        return;
    };
    let port = port.split('"').next().expect("a port");
    let discovery = format!("tcp://six.example:{port}");
    let script = format!("mount --bind '{hosts}' /etc/hosts && exec \"$0\" \"$@\"");
    let below = ["unshare", "--mount", "--map-root-user", "sh", "-c", &script];
    let publish = ["topic", "pub", "--discovery", &discovery, "-w", "0", "--keep-alive", "30"];
    let mut command = Command::new(below[0]);
    command.args(&below[1..]).arg(env!("CARGO_BIN_EXE_cortex")).args(publish);
    command.args(["--once", "/six", "StringMessage", "hi"]);
    let mut publisher = Program::spawn(command);
    wait_until("it publishes or ends", || {
        publisher.stdout().contains("#0") || !publisher.is_running()
    });
    if publisher.stderr().contains("unshare: ") || publisher.stderr().contains("mount: ") {
        println!("SKIPPED: this system mounts nothing for tests");
        return;
    }
    let listed =
        run_below(&folder, &below, &["topic", "list", "--json", "--discovery", &discovery]);
    let listed = listed.expect("it mounts").with_code(0).json();
    let address = listed[0]["address"].as_str().expect("text");
    assert!(address.starts_with("tcp://[::1]:"), "{listed:?} {}", publisher.stderr());
    publisher.interrupt();
}

#[test]
fn a_daemon_of_a_network_logs_loopback_addresses_and_nodes_of_one_name_on_two_machines() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.args(["--address", "tcp://0.0.0.0:*"]);
    let mut daemon = Program::spawn(command);
    let listens = "listens address=\"tcp://0.0.0.0:";
    wait_until("it listens", || daemon.stderr().contains(listens));
    let log = daemon.stderr();
    let port = log.split(listens).nth(1).and_then(|rest| rest.split('"').next()).expect("a port");
    let mut client =
        Client::connect(&format!("tcp://127.0.0.1:{port}"), DEADLINE).expect("a client");
    let mut register = |address: &str| {
        let topic = Topic {
            name: "/cam".to_owned(),
            address: address.to_owned(),
            message_type: "X".to_owned(),
            fingerprint: 1,
            publisher_node: "camera".to_owned(),
        };
        client.register(&topic, RequestExt::default()).expect("it is registered");
    };
    register("tcp://192.0.2.1:20000");
    // A restart at another port of the same machine is usual.
    register("tcp://192.0.2.1:20001");
    let log = daemon.stderr();
    assert!(!log.contains("cannot reach") && !log.contains("took over"), "{log}");
    register("tcp://192.0.2.2:20001");
    wait_until("it is logged", || {
        daemon.stderr().contains("a node of this name on another machine took over the topic")
    });
    register("tcp://127.0.0.1:20001");
    wait_until("it is logged", || {
        daemon.stderr().contains("other machines cannot reach a publisher")
    });
}
