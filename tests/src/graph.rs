//! A separate graph for each test: a folder for sockets and the address of a daemon in it.

use std::path::{Path, PathBuf};

use cortex_std::discovery::{Client, Daemon, DaemonHandle};
use cortex_std::wire::{Message, StringMessage};
use cortex_std::{Node, Publisher, Registration};

use crate::{DEADLINE, wait_until};

/// A fresh folder, deleted at the end.
#[derive(Debug)]
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// Makes the folder.
    ///
    /// # Panics
    /// If a temporary folder cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// An ipc address in the folder.
    #[must_use]
    pub fn address(&self, name: &str) -> String {
        format!("ipc://{}/{name}", self.path().display())
    }

    /// Where the daemon of this graph listens.
    #[must_use]
    pub fn discovery(&self) -> String {
        self.address("discovery.sock")
    }

    /// Every file below the folder: none should be left after the nodes and the daemon have ended.
    ///
    /// # Panics
    /// If the folder cannot be read.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(self.path())
    }
}

/// A daemon for this graph.
///
/// # Panics
/// If it cannot listen.
#[must_use]
pub fn daemon(folder: &Folder) -> DaemonHandle {
    Daemon::bind(&folder.discovery()).expect("it binds").spawn().expect("it starts")
}

/// A node of this graph.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn node(folder: &Folder, name: &str) -> Node {
    Node::builder(name).discovery(&folder.discovery()).create().expect("a node")
}

/// A node of this graph that never hosts the daemon.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn guest(folder: &Folder, name: &str) -> Node {
    let node = Node::builder(name).discovery(&folder.discovery()).host_discovery(false);
    node.create().expect("a node")
}

/// A publisher of text on `/t`, once the daemon knows of it.
///
/// # Panics
/// If it cannot be made, or is not registered in time.
#[must_use]
pub fn registered(node: &Node) -> Publisher<StringMessage<'static>> {
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    wait_until("it is registered", || notes.registration() == Registration::Registered);
    notes
}

/// Checks that no topic is registered and that no file is left once the daemon has stopped.
///
/// # Panics
/// If anything is left.
pub fn assert_nothing_is_left(folder: &Folder, daemon: DaemonHandle) {
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    assert_eq!(client.list().expect("an answer"), []);
    daemon.stop();
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

/// Receives, and so connects, until the publisher knows of `count` subscribers.
///
/// # Panics
/// If a message comes meanwhile, or it takes too long.
pub fn connect<M: Message + 'static, N>(
    subscriber: &mut cortex_std::Subscriber<M>,
    publisher: &Publisher<N>,
    count: usize,
) {
    wait_until("the subscriber is connected", || {
        let pause = std::time::Duration::from_millis(1);
        assert!(subscriber.recv_timeout(pause).expect("no error").is_none());
        publisher.subscriber_count() >= count
    });
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}
