//! `cortex gateway`: connects a board on a serial line or TCP stream to the graph.

mod board;
mod feed;
mod line;
mod liveness;
mod port;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::wire::link::{Event, Hello, Receiver, Sender};

use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::session::{Session, seconds};
use crate::time::wall_ns;

use self::board::Board;
use self::feed::Feed;
use self::liveness::Liveness;
use self::port::{Port, PortAddress};
use self::report::Report;

/// Longest time between an interrupt and the end of a read.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two attempts to open the port.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of a message on the link beside header, metadata and buffers: the topic's name and the
/// lengths of the frames.
const TOPIC_LEN: usize = 1024;

/// Make a microcontroller a node of the graph.
///
/// The gateway republishes the messages of the board unchanged, except that a timestamp of 0 becomes
/// the time of arrival, and sends the board the topics that it subscribes to. The board lists these
/// topics itself. It may be reset, unplugged and plugged in again, and started before or after the
/// gateway. A serial line is set to 8N1 without flow control. A board that falls silent, bytes at a
/// wrong rate, and messages dropped for slow subscribers are reported. With --timeout the gateway ends if the board sends nothing for so many seconds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex gateway --serial /dev/ttyACM0\n  \
    cortex gateway --serial /dev/ttyUSB0 --baud 921600\n  \
    cortex gateway --tcp 192.168.1.7:4000 --json")]
pub(crate) struct Gateway {
    #[command(flatten)]
    connection: Connection,
    /// Bits per second on the serial line.
    #[arg(long, default_value_t = 115_200, requires = "serial", value_parser = clap::value_parser!(u32).range(50..=50_000_000))]
    baud: u32,
    /// Longest message that the board may send, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(64..=1 << 30))]
    max_message: u32,
    /// Seconds between two reports of message counts.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = interval)]
    every: Duration,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Connection {
    /// Serial device, such as /dev/ttyACM0.
    #[arg(long, value_name = "DEVICE")]
    serial: Option<PathBuf>,
    /// Address of a TCP stream instead of a serial device.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    tcp: Option<String>,
}

/// Parses the time between two reports.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    match interval < Duration::from_millis(10) {
        true => Err("not at least 0.01 seconds".to_owned()),
        false => Ok(interval),
    }
}

/// Checks the address of a TCP stream; its name is resolved at each attempt to connect.
fn host_and_port(text: &str) -> Result<String, String> {
    let is_address = |(host, port): (&str, &str)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    match text.rsplit_once(':').is_some_and(is_address) && !text.contains("//") {
        true => Ok(text.to_owned()),
        false => Err("not HOST:PORT, such as 192.168.1.7:4000".to_owned()),
    }
}

impl Gateway {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let address = match (&self.connection.serial, &self.connection.tcp) {
            (Some(device), _) => PortAddress::Serial { device: device.clone(), baud: self.baud },
            (None, Some(address)) => PortAddress::Tcp { address: address.clone() },
            (None, None) => {
                return Err(Failure::Usage("--serial or --tcp is missing".to_owned()));
            }
        };
        let max_message = usize::try_from(self.max_message).unwrap_or(usize::MAX);
        let mut bridge = Bridge {
            board: Board::new(&session.discovery),
            feed: Feed::new(&session.discovery)?,
            receiver: Receiver::new(vec![0; max_message.saturating_add(TOPIC_LEN)]),
            sender: Sender::new(),
            epoch: wall_ns(),
            report: Report::new(session.json, self.every, &address),
            liveness: Liveness::new(Instant::now()),
            start: Instant::now(),
            last_received: Instant::now(),
            timeout: session.timeout,
            interrupt,
        };
        // The reason that was reported last, for which the port cannot be opened.
        let mut reported = None;
        while !bridge.is_stopping() {
            match address.open() {
                Ok(port) => {
                    reported = None;
                    bridge.report.opened()?;
                    bridge.liveness.opened(Instant::now());
                    let reason = bridge.serve(port)?;
                    bridge.liveness.closed();
                    if let Some(reason) = reason {
                        bridge.report.closed(&reason)?;
                    }
                }
                Err(error) => {
                    let reason = error.to_string();
                    if reported.as_ref() != Some(&reason) {
                        bridge.report.absent(&reason)?;
                        reported = Some(reason);
                    }
                    bridge.report_if_due()?;
                }
            }
            if !bridge.is_stopping() {
                bridge.interrupt.wait(RETRY_INTERVAL);
            }
        }
        bridge.report_counts()?;
        Ok(Outcome::found_if(bridge.interrupt.is_set()))
    }
}

/// Passes a hello of the gateway to `write`: its name, an epoch that differs after each start, and the
/// time, by which the board sets its clock.
fn send_hello(sender: &mut Sender, epoch: u64, write: impl FnMut(&[u8])) -> Result<()> {
    let mut out = [0; 64];
    let time_ns = Some(wall_ns());
    let hello = Hello { node: "gateway", epoch, topics: Default::default(), time_ns };
    let hello = hello.encode(&mut out).map_err(|error| Failure::of(&error))?;
    sender.hello(hello, write);
    Ok(())
}

/// The state between the link and the graph.
struct Bridge {
    board: Board,
    feed: Feed,
    receiver: Receiver<Vec<u8>>,
    sender: Sender,
    epoch: u64,
    report: Report,
    liveness: Liveness,
    start: Instant,
    /// When the last valid frame arrived.
    last_received: Instant,
    /// The gateway ends if the board sends nothing for so long.
    timeout: Option<Duration>,
    interrupt: Interrupt,
}

impl Bridge {
    fn is_stopping(&self) -> bool {
        let is_silent = self.timeout.is_some_and(|timeout| self.last_received.elapsed() >= timeout);
        self.interrupt.is_set() || is_silent
    }

    /// Serves an open port until it fails, and returns the reason; `None` if the command ends.
    fn serve(&mut self, mut port: Port) -> Result<Option<String>> {
        self.receiver.restart();
        self.sender.make_hello_due();
        // Messages queued while the board was absent are outdated.
        self.feed.discard();
        let mut bytes = [0; 4096];
        while !self.is_stopping() {
            let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut out = Vec::new();
            if self.sender.hello_is_due(now_ms) {
                send_hello(&mut self.sender, self.epoch, |bytes| out.extend_from_slice(bytes))?;
            }
            // One message at a time: the link is slow, and the board's bytes must be read meanwhile.
            if let Some(frames) = self.feed.take() {
                let parts: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                self.sender.message(&parts, |bytes| out.extend_from_slice(bytes));
                self.report.sent();
            }
            if let Err(error) = port.write(&out) {
                return Ok(Some(error.to_string()));
            }
            match port.read(&mut bytes, self.feed.wake(), POLL_INTERVAL) {
                Ok(0) => {}
                Ok(count) => self.receive(&bytes[..count]),
                Err(error) => return Ok(Some(error.to_string())),
            }
            let now = Instant::now();
            self.liveness.observe(self.receiver.stats(), now);
            self.report.state(self.liveness.state(now))?;
            self.report_if_due()?;
        }
        Ok(None)
    }

    /// Handles bytes from the board.
    fn receive(&mut self, mut input: &[u8]) {
        while let Some(result) = self.receiver.receive(&mut input) {
            if result.is_ok() {
                self.last_received = Instant::now();
            }
            match result {
                Ok(Event::Hello { hello, is_new }) => {
                    if is_new {
                        self.sender.make_hello_due();
                        self.report.hello(&hello);
                    }
                    self.board.update(&hello, is_new);
                    self.feed.update(&hello, is_new);
                }
                Ok(Event::Message(message)) => self.report.received(self.board.publish(&message)),
                // An event of a later version of the link.
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "invalid frame dropped"),
            }
        }
    }

    fn report_if_due(&mut self) -> Result<()> {
        if self.report.is_due() { self.report_counts() } else { Ok(()) }
    }

    fn report_counts(&mut self) -> Result<()> {
        let state = self.liveness.state(Instant::now());
        let (link, dropped) = (self.receiver.stats(), self.feed.dropped());
        self.report.counts(self.board.name(), state, link, dropped)
    }
}
