//! What the parts of a node share: its settings, its agent, its threads, and its shutdown.

pub(crate) mod callback;
pub(crate) mod part;
mod published;
mod shutdown;
pub(crate) mod signal;
pub(crate) mod tasks;
pub(crate) mod thread_options;
pub(crate) mod threads;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::discovery::Host;
use crate::discovery::agent::Agent;
use crate::endpoint::Endpoint;
use crate::error::CreateError;
use crate::stats::node::StatsRegistry;
use crate::transport::{Context, Transport};

pub(crate) use published::{PublishedTopic, PublishedTopics};

use part::Parts;
use shutdown::Shutdown;
use signal::Listener;
use threads::{STOP_TIMEOUT, Threads};

/// Settings of a [`Runtime`].
pub(crate) struct Settings {
    pub(crate) name: String,
    /// The daemon's address.
    pub(crate) endpoint: Endpoint,
    /// The folder with the sockets of topics.
    pub(crate) folder: PathBuf,
    /// Whether the node hosts the daemon where none runs.
    pub(crate) hosts: bool,
    /// Samples of each stage that subscribers keep unless their builder sets a number.
    pub(crate) trace_latency: usize,
    /// What carries messages at ipc addresses, where it is chosen.
    pub(crate) transport: Option<Transport>,
    /// Whether local sockets share memory; `None`: as the environment says.
    pub(crate) shared_memory: Option<bool>,
}

/// What the parts of a node share.
pub(crate) struct Runtime {
    pub(crate) name: String,
    pub(crate) context: Context,
    pub(crate) endpoint: Endpoint,
    pub(crate) folder: PathBuf,
    pub(crate) trace_latency: usize,
    /// The topics of publishers without a socket file.
    pub(crate) published: Arc<PublishedTopics>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) threads: Arc<Threads>,
    pub(crate) stats: Arc<StatsRegistry>,
    pub(crate) parts: Arc<Parts>,
    host: Option<Host>,
    shutdown: Shutdown,
}

impl Runtime {
    /// Starts the agent, and the host where the node hosts the daemon.
    ///
    /// # Errors
    ///
    /// When the system has no thread or socket left.
    pub(crate) fn start(settings: Settings) -> Result<Self, CreateError> {
        let Settings { name, endpoint, folder, hosts, trace_latency, .. } = settings;
        let context = Context::shared()?
            .with_transport(settings.transport)
            .with_shared_memory(settings.shared_memory);
        let host = match hosts {
            true => Host::start(&endpoint, &name)?,
            false => None,
        };
        let parts = Arc::<Parts>::default();
        let idle_parts = Arc::clone(&parts);
        let on_idle = move || idle_parts.on_idle();
        let agent = Agent::start(&context, &endpoint.to_string(), &name, on_idle)?;
        Ok(Self {
            name,
            context,
            endpoint,
            folder,
            trace_latency,
            published: Arc::default(),
            agent,
            threads: Arc::default(),
            stats: Arc::default(),
            parts,
            host,
            shutdown: Shutdown::default(),
        })
    }

    /// Closes the node once: unregisters its topics, ends its threads, closes its parts. Returns when that
    /// is done; on a thread of the node, or after two seconds, earlier.
    pub(crate) fn close(&self) {
        self.shutdown.close(self.threads.has_current(), || {
            self.stats.freeze();
            let parts = self.parts.close();
            let deadline = Instant::now() + STOP_TIMEOUT;
            self.threads.stop();
            // A thread that waits for room would not end.
            for part in &parts {
                part.interrupt();
            }
            // Unregistered first, so that no subscriber is sent to a socket that is closed.
            self.agent.shut_down();
            // The threads may publish until they end: a last command stops a motor.
            self.threads.join(deadline);
            let begun = Instant::now();
            for part in &parts {
                part.close(begun);
            }
            drop(parts);
            // Last: other nodes use the daemon until now, and the next one restores its registry.
            if let Some(host) = &self.host {
                host.shut_down();
            }
        });
    }

    /// Whether the node was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.parts.is_closed()
    }

    /// Whether the shutdown was requested or has begun.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_stopping(&self) -> bool {
        self.shutdown.is_requested()
    }

    /// Waits until the shutdown is requested or begins; may return early.
    #[cfg(feature = "tokio")]
    pub(crate) async fn shutdown_requested(&self) {
        self.shutdown.requested().await;
    }

    /// Blocks until the shutdown is requested or begins; false at the deadline.
    pub(crate) fn wait_for_shutdown(&self, deadline: Option<Instant>) -> bool {
        self.shutdown.wait_until(deadline)
    }
}

impl Listener for Runtime {
    fn name(&self) -> &str {
        &self.name
    }

    fn request_shutdown(&self) {
        // Otherwise another node of this process would host the daemon for a moment.
        if let Some(host) = &self.host {
            host.withdraw();
        }
        self.shutdown.request();
    }

    fn close(&self) {
        Self::close(self);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::error::ThreadError;
    use crate::runtime::part::Part;
    use crate::runtime::thread_options::ThreadOptions;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn runtime(name: &str) -> Runtime {
        let settings = Settings {
            name: name.to_owned(),
            endpoint: format!("inproc://{name}").parse().unwrap(),
            folder: PathBuf::new(),
            hosts: false,
            trace_latency: 0,
            transport: None,
            shared_memory: None,
        };
        Runtime::start(settings).unwrap()
    }

    /// Reports the calls it receives.
    struct Probe(Mutex<mpsc::Sender<&'static str>>);

    use crate::mutex::Mutex;

    impl Probe {
        fn report(&self, call: &'static str) {
            let _ = self.0.lock().send(call);
        }
    }

    impl Part for Probe {
        fn close(&self, _begun: Instant) {
            self.report("close");
        }

        fn interrupt(&self) {
            self.report("interrupt");
        }

        fn on_idle(&self) {
            self.report("idle");
        }
    }

    #[test]
    fn a_shutdown_interrupts_parts_then_ends_threads_then_closes_parts() {
        let runtime = runtime("a-shutdown-has-an-order");
        let (sender, calls) = mpsc::channel();
        let part = Arc::new(Probe(Mutex::new(sender.clone())));
        runtime.parts.add(&part).unwrap();
        let thread = move |stop: crate::StopToken| {
            while !stop.wait_timeout(PATIENCE) {}
            sender.send("thread").unwrap();
        };
        runtime.threads.spawn(ThreadOptions::named("probe"), thread).unwrap();
        runtime.close();
        let mut calls: Vec<_> = calls.try_iter().filter(|call| *call != "idle").collect();
        // The thread ends on its own once it is stopped, so it may be faster than the interrupt.
        calls[..2].sort_unstable();
        assert_eq!(calls, ["interrupt", "thread", "close"]);
        assert!(runtime.is_closed());
    }

    #[test]
    fn a_closed_runtime_accepts_neither_parts_nor_threads() {
        let runtime = runtime("a-closed-runtime");
        runtime.close();
        let (sender, calls) = mpsc::channel();
        let part = Arc::new(Probe(Mutex::new(sender)));
        assert!(matches!(runtime.parts.add(&part), Err(CreateError::ShutDown)));
        let spawned = runtime.threads.spawn(ThreadOptions::default(), |_| ());
        assert!(matches!(spawned, Err(ThreadError::ShutDown)));
        runtime.close();
        assert_eq!(calls.try_recv(), Err(mpsc::TryRecvError::Empty));
    }

    #[test]
    fn a_thread_of_the_node_may_close_it() {
        let runtime = Arc::new(runtime("closed-from-within"));
        let inside = Arc::clone(&runtime);
        let (sender, closed) = mpsc::channel();
        let (spawned, start) = mpsc::channel();
        let body = move |_| {
            // A thread is refused if the node is closed before it is listed.
            start.recv().unwrap();
            inside.close();
            sender.send(()).unwrap();
        };
        runtime.threads.spawn(ThreadOptions::default(), body).unwrap();
        spawned.send(()).unwrap();
        closed.recv_timeout(PATIENCE).unwrap();
        assert!(runtime.is_closed());
    }

    #[test]
    fn parts_are_called_while_the_node_is_idle() {
        let runtime = runtime("an-idle-node");
        let (sender, calls) = mpsc::channel();
        let part = Arc::new(Probe(Mutex::new(sender)));
        runtime.parts.add(&part).unwrap();
        assert_eq!(calls.recv_timeout(PATIENCE), Ok("idle"));
    }

    #[test]
    fn a_signal_ends_the_wait_for_the_shutdown() {
        let runtime = Arc::new(runtime("a-signal"));
        let listener: Arc<dyn Listener> = runtime.clone();
        let signal = std::thread::spawn(move || listener.request_shutdown());
        assert!(runtime.wait_for_shutdown(None));
        signal.join().unwrap();
        assert!(!runtime.is_closed());
    }
}
