//! A graph of six nodes under random faults reconnects without intervention.
//!
//! `CORTEX_FAULTS` sets how many faults there are, `CORTEX_FAULTS_SEED` repeats a sequence;
//! ci/faults.sh runs the long form.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cortex_std::discovery::Client;
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, Program, Signal, golden, python};
use serde_json::Value;

/// How soon the Rust nodes are connected again after the last fault.
const PROMISE: Duration = Duration::from_secs(3);
/// The time after which a Python node is restarted: its requests take five seconds to fail, and it
/// repeats none.
const PYTHON_PATIENCE: Duration = Duration::from_secs(7);
const POLL: Duration = Duration::from_millis(10);

/// The topics of the Rust publishers, and of the Python one.
const TOPICS: [&str; 3] = ["/a", "/b", "/p"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Publishes one of the topics.
    Rust(usize),
    /// Listens to all topics.
    RustListener(usize),
    /// Publishes the last topic.
    Python,
    /// Listens to the first topic.
    PythonListener,
}

const ROLES: [Role; 6] = [
    Role::Rust(0),
    Role::Rust(1),
    Role::RustListener(0),
    Role::RustListener(1),
    Role::Python,
    Role::PythonListener,
];

struct Member {
    role: Role,
    program: Program,
    /// The send time of the last message received on each topic.
    received: [u64; 3],
}

impl Member {
    fn start(role: Role, folder: &Folder) -> Self {
        let discovery = folder.discovery();
        let rust = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_graph"));
            command.args(arguments).env("CORTEX_DISCOVERY", &discovery);
            Program::spawn(command)
        };
        let program = match role {
            Role::Rust(topic) => rust(&["publish", &format!("talker-{topic}"), TOPICS[topic]]),
            Role::RustListener(number) => {
                rust(&[&["listen", &format!("listener-{number}")][..], &TOPICS[..]].concat())
            }
            Role::Python => {
                let golden = golden::path("messages.json").display().to_string();
                let topics = folder.path().join("topics").display().to_string();
                let arguments = [
                    ["--discovery", &discovery],
                    ["--node", "python"],
                    ["--topic", TOPICS[2]],
                    ["--ipc-dir", &topics],
                    ["--golden", &golden],
                    ["--names", "string_2"],
                ];
                python::peer("publisher.py", arguments.concat())
            }
            Role::PythonListener => {
                let arguments = [
                    ["--discovery", &*discovery],
                    ["--topic", TOPICS[0]],
                    ["--message", "StringMessage"],
                    ["--count", "1000000000"],
                    ["--timeout", "100000"],
                ];
                python::peer("subscriber.py", arguments.concat())
            }
        };
        Self { role, program, received: [0; 3] }
    }

    /// Reads its output so far.
    fn listen(&mut self) {
        while let Some(line) = self.program.try_next_line(Duration::ZERO) {
            let Ok(said) = serde_json::from_str::<Value>(&line) else { continue };
            match self.role {
                Role::RustListener(_) => {
                    for (received, time) in
                        self.received.iter_mut().zip(said.as_array().into_iter().flatten())
                    {
                        *received = time.as_u64().unwrap_or_default();
                    }
                }
                Role::PythonListener => {
                    self.received[0] = said["timestamp_ns"].as_u64().unwrap_or(self.received[0]);
                }
                Role::Rust(_) | Role::Python => {}
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// SIGKILL of the daemon: a node that hosts it, or a daemon process.
    KillDaemon,
    Kill(Role),
    /// SIGSTOP for so many milliseconds.
    StopDaemon(u64),
    Stop(Role, u64),
    DeleteSocket,
    StaleSocket,
    SecondDaemon,
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn role(&mut self) -> Role {
        ROLES[usize::try_from(self.below(6)).expect("small")]
    }

    fn fault(&mut self) -> Fault {
        match self.below(10) {
            0..=2 => Fault::KillDaemon,
            3 | 4 => Fault::Kill(self.role()),
            5 => Fault::StopDaemon(self.below(1500)),
            6 => Fault::Stop(self.role(), self.below(1500)),
            7 => Fault::DeleteSocket,
            8 => Fault::StaleSocket,
            _ => Fault::SecondDaemon,
        }
    }
}

struct Graph {
    folder: Folder,
    members: Vec<Member>,
    /// Daemon processes; most of them end at once, since another daemon runs.
    daemons: Vec<Program>,
}

impl Graph {
    fn new() -> Self {
        let folder = Folder::new();
        let members = ROLES.iter().map(|role| Member::start(*role, &folder)).collect();
        Self { folder, members, daemons: Vec::new() }
    }

    fn member(&mut self, role: Role) -> &mut Member {
        self.members.iter_mut().find(|member| member.role == role).expect("it is one of six")
    }

    /// Kills a node and restarts it, as a supervisor would.
    fn restart(&mut self, role: Role) {
        self.member(role).program.kill();
        let member = Member::start(role, &self.folder);
        *self.member(role) = member;
    }

    /// The process that is the daemon now.
    fn daemon(&mut self) -> Option<Daemon<'_>> {
        let lock = self.folder.path().join("discovery.sock.lock");
        let id: u32 = fs::read_to_string(lock).ok()?.trim().parse().ok()?;
        if let Some(member) = self.members.iter_mut().find(|member| member.program.id() == id) {
            return Some(Daemon::Hosted(member));
        }
        self.daemons.iter_mut().find(|daemon| daemon.id() == id).map(Daemon::Started)
    }

    fn commit(&mut self, fault: Fault) {
        let socket = self.folder.path().join("discovery.sock");
        match fault {
            Fault::KillDaemon => match self.daemon() {
                Some(Daemon::Hosted(member)) => {
                    let role = member.role;
                    self.restart(role);
                }
                Some(Daemon::Started(program)) => program.kill(),
                None => {}
            },
            Fault::Kill(role) => self.restart(role),
            Fault::StopDaemon(millis) => match self.daemon() {
                Some(Daemon::Hosted(member)) => pause(&mut member.program, millis),
                Some(Daemon::Started(program)) => pause(program, millis),
                None => {}
            },
            Fault::Stop(role, millis) => pause(&mut self.member(role).program, millis),
            Fault::DeleteSocket => {
                let _ = fs::remove_file(socket);
            }
            Fault::StaleSocket => {
                let _ = fs::remove_file(&socket);
                // Fails where the daemon is faster.
                drop(UnixListener::bind(&socket));
            }
            Fault::SecondDaemon => {
                self.daemons.retain_mut(Program::is_running);
                let mut command = Command::new(env!("CARGO_BIN_EXE_graph"));
                command.arg("daemon").env("CORTEX_DISCOVERY", self.folder.discovery());
                self.daemons.push(Program::spawn(command));
            }
        }
    }

    /// Whether a new client finds these topics.
    fn is_found(&self, topics: &[&str]) -> bool {
        let client = Client::connect(&self.folder.discovery(), Duration::from_millis(300));
        let mut client = client.expect("a client");
        topics.iter().all(|topic| matches!(client.look_up(topic), Ok(Some(_))))
    }

    /// Whether the Rust listeners have received messages that the Rust publishers sent after `time`,
    /// and a new client would find their topics.
    fn is_connected(&mut self, time: u64) -> bool {
        self.members.iter_mut().for_each(Member::listen);
        let mut listeners =
            self.members.iter().filter(|member| matches!(member.role, Role::RustListener(_)));
        listeners.all(|member| member.received[..2].iter().all(|received| *received > time))
            && self.is_found(&TOPICS[..2])
    }

    /// Whether every listener receives from the Python publisher, and whether the Python listener
    /// receives.
    fn python(&mut self, time: u64) -> [(Role, bool); 2] {
        self.members.iter_mut().for_each(Member::listen);
        let mut listeners =
            self.members.iter().filter(|member| matches!(member.role, Role::RustListener(_)));
        let is_heard =
            listeners.all(|member| member.received[2] > time) && self.is_found(&TOPICS[2..]);
        let receives = self.member(Role::PythonListener).received[0] > time;
        [(Role::Python, is_heard), (Role::PythonListener, receives)]
    }

    /// Waits for the Python nodes and restarts those that do not reconnect; returns the number of
    /// restarts.
    fn wait_for_python(&mut self, time: u64) -> u32 {
        let end = Instant::now() + DEADLINE * 2;
        let mut restarts = 0;
        let mut patience = Instant::now() + PYTHON_PATIENCE;
        loop {
            let states = self.python(time);
            if states.iter().all(|(_, is_well)| *is_well) {
                return restarts;
            }
            assert!(Instant::now() < end, "the Python nodes are not connected: {states:?}");
            for (role, is_well) in states {
                let is_running = self.member(role).program.is_running();
                if !is_running || (!is_well && Instant::now() > patience) {
                    self.restart(role);
                    restarts += 1;
                    patience = Instant::now() + PYTHON_PATIENCE;
                }
            }
            thread::sleep(POLL);
        }
    }

    /// Ends everything in order: no socket or lock file is left.
    fn end(mut self) {
        for role in [Role::PythonListener, Role::Python] {
            self.member(role).program.terminate();
            self.member(role).program.wait();
        }
        self.daemons.iter_mut().for_each(Program::kill);
        for member in &mut self.members {
            member.program.terminate();
        }
        for member in &mut self.members {
            let status = member.program.wait();
            let is_python = matches!(member.role, Role::Python | Role::PythonListener);
            assert!(is_python || status.success(), "{status}");
        }
        for name in ["discovery.sock", "discovery.sock.lock"] {
            // A daemon that was killed last leaves its files to the next.
            let is_stale = !self.daemons.is_empty();
            assert!(is_stale || !self.folder.path().join(name).exists(), "{name} is left");
        }
    }
}

enum Daemon<'g> {
    Hosted(&'g mut Member),
    Started(&'g mut Program),
}

fn pause(program: &mut Program, millis: u64) {
    program.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(millis));
    program.signal(Signal::CONT);
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

/// Measures for how long this machine ran no thread of this process: no node can reconnect then.
fn measure_stalls() -> Arc<AtomicU64> {
    let total = Arc::new(AtomicU64::new(0));
    let weak = Arc::downgrade(&total);
    thread::spawn(move || {
        while let Some(total) = weak.upgrade() {
            let start = Instant::now();
            thread::sleep(POLL);
            let late = start.elapsed().saturating_sub(POLL * 2);
            total.fetch_add(u64::try_from(late.as_micros()).unwrap_or(0), Ordering::SeqCst);
        }
    });
    total
}

#[test]
fn a_graph_heals_within_three_seconds_of_any_fault() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>());
    let count = number("CORTEX_FAULTS").map_or(8, |count| count.expect("a number of faults"));
    let seed = number("CORTEX_FAULTS_SEED").map_or(now_ns() | 1, |seed| seed.expect("a seed"));
    println!("CORTEX_FAULTS={count} CORTEX_FAULTS_SEED={seed}");
    let mut random = Random(seed);

    let _ = python::interpreter();
    let stalls = measure_stalls();
    let mut graph = Graph::new();
    let start = Instant::now();
    while !graph.is_connected(0) {
        assert!(start.elapsed() < DEADLINE, "the graph did not connect");
        thread::sleep(POLL);
    }
    let mut python_restarts = graph.wait_for_python(0);
    let mut worst = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let burst: Vec<_> = (0..left.min(1 + random.below(3))).map(|_| random.fault()).collect();
        left -= u64::try_from(burst.len()).expect("small");
        for fault in &burst {
            graph.commit(*fault);
        }
        let (time, start) = (now_ns(), Instant::now());
        let stalled = stalls.load(Ordering::SeqCst);
        while !graph.is_connected(time) {
            let stall = Duration::from_micros(stalls.load(Ordering::SeqCst) - stalled);
            assert!(
                start.elapsed() < PROMISE + stall,
                "not connected after {:?}, of which no thread ran for {stall:?}: {burst:?}, seed {seed}",
                start.elapsed(),
            );
            thread::sleep(POLL);
        }
        let healed = start.elapsed();
        worst = worst.max(healed);
        let restarts = graph.wait_for_python(time);
        python_restarts += restarts;
        println!("{healed:>12.3?}, Python {:>12.3?} (+{restarts}): {burst:?}", start.elapsed());
    }
    println!("{count} faults, the worst healed in {worst:?}, {python_restarts} Python restarts");
    graph.end();
}
