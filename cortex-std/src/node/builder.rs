//! Creating a node.

use std::path::{Path, PathBuf};

use super::Node;
use crate::discovery::default_address;
use crate::endpoint::Endpoint;
use crate::error::CreateError;
use crate::name::check_name;
use crate::runtime::{Runtime, Settings};
use crate::stats::latency;
use crate::transport::Transport;

/// The folder of sockets for a daemon without a socket file, as in Python.
const DEFAULT_FOLDER: &str = "/tmp/cortex";

/// Builder for [`Node`].
#[derive(Debug)]
#[must_use]
pub struct NodeBuilder {
    name: String,
    discovery: Option<String>,
    folder: Option<PathBuf>,
    hosts: bool,
    trace_latency: Option<usize>,
    transport: Option<Transport>,
    shared_memory: Option<bool>,
}

impl NodeBuilder {
    /// The address of the daemon; by default `CORTEX_DISCOVERY` or the default address.
    pub fn discovery(mut self, address: &str) -> Self {
        self.discovery = Some(address.to_owned());
        self
    }

    /// The folder for the sockets of topics; by default that of the daemon's socket.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Whether this node hosts the discovery daemon while none listens at an ipc address of this machine;
    /// true by default.
    ///
    /// The daemon runs on dedicated threads. When the node ends, another node takes over with the same
    /// registrations. A tcp address is never hosted: run `cortex-discovery` there.
    pub fn host_discovery(mut self, hosts: bool) -> Self {
        self.hosts = hosts;
        self
    }

    /// How many times of each stage the subscribers keep; by default `CORTEX_TRACE_LATENCY` or none.
    /// See [`SubscriberBuilder::trace_latency`](crate::SubscriberBuilder::trace_latency).
    pub fn trace_latency(mut self, samples: usize) -> Self {
        self.trace_latency = Some(samples);
        self
    }

    /// What carries the messages of this node's publishers and subscribers at ipc addresses; by default
    /// `CORTEX_TRANSPORT` (`local` or `zmq`) or [`Transport::Local`].
    ///
    /// Peers need not choose the same: both transports speak the same protocol. tcp and inproc always use
    /// libzmq, and a daemon that the node hosts follows `CORTEX_TRANSPORT` alone.
    ///
    /// # Examples
    ///
    /// ```
    /// use cortex_std::{Node, Transport, wire::StringMessage};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    ///
    /// let node =
    ///     Node::builder("arm").discovery(&address).transport(Transport::Zmq).create()?;
    /// let notes = node.publisher::<StringMessage>("/notes").create()?;
    /// assert_eq!(notes.transport(), Transport::Zmq);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Whether this node's publishers and subscribers at ipc addresses exchange long arrays in shared
    /// memory; by default they do, unless `CORTEX_SHARED_MEMORY` is `off`.
    ///
    /// It is used between two Cortex peers of which both allow it. Every other peer, such as one in Python,
    /// gets the same messages through its socket.
    pub fn shared_memory(mut self, shares: bool) -> Self {
        self.shared_memory = Some(shares);
        self
    }

    /// Creates the node. The daemon need not run yet.
    ///
    /// # Errors
    ///
    /// When the name or the address is invalid, or the system has no thread or socket left.
    pub fn create(self) -> Result<Node, CreateError> {
        check_name("node", &self.name)?;
        let discovery = self.discovery.unwrap_or_else(default_address);
        let endpoint: Endpoint = discovery.parse()?;
        let beside = endpoint.file_path().and_then(Path::parent);
        let folder = self.folder.or(beside.map(Path::to_owned));
        let runtime = Runtime::start(Settings {
            name: self.name,
            folder: folder.unwrap_or_else(|| DEFAULT_FOLDER.into()),
            endpoint,
            hosts: self.hosts,
            trace_latency: self.trace_latency.unwrap_or_else(latency::from_environment),
            transport: self.transport,
            shared_memory: self.shared_memory,
        })?;
        Ok(Node::new(runtime))
    }
}

impl Node {
    /// Builder for a node of this name. Names identify publishers: running nodes must have different ones.
    pub fn builder(name: &str) -> NodeBuilder {
        NodeBuilder {
            name: name.to_owned(),
            discovery: None,
            folder: None,
            hosts: true,
            trace_latency: None,
            transport: None,
            shared_memory: None,
        }
    }
}
