//! `cortex gateway`: a board on a serial line, or behind a TCP stream, as a node of the graph.

mod board;
mod feed;
mod port;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cortex_std::wire::link::{Event, Hello, Receiver, Sender};

use self::board::Board;
use self::feed::Feed;
use self::port::{Place, Port};
use self::report::Report;

/// How soon the end of the command, and what nothing wakes us for, is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// How often an absent device is tried.
const RETRY: Duration = Duration::from_millis(100);

/// Make a board a node of the graph: what it publishes is republished here, unchanged but for a
/// timestamp of 0, and what it subscribes to is sent to it.
///
/// The board says by itself which topics those are. It may be reset, unplugged and plugged in again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cortex gateway --serial /dev/ttyACM0\n  \
    cortex gateway --serial /dev/ttyUSB0 --baud 921600\n  \
    cortex gateway --tcp 192.168.1.7:4000 --json")]
pub(crate) struct Gateway {
    #[command(flatten)]
    place: Connection,
    /// Bits per second on the serial line.
    #[arg(long, default_value_t = 115_200, requires = "serial")]
    baud: u32,
    /// Bytes of the longest message that the board may send.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_message: usize,
    /// Seconds between two reports of what went through.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    every: f64,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Connection {
    /// The serial line: /dev/ttyACM0, for example.
    #[arg(long, value_name = "DEVICE")]
    serial: Option<PathBuf>,
    /// The same link over a TCP stream.
    #[arg(long, value_name = "HOST:PORT")]
    tcp: Option<String>,
}

impl Gateway {
    /// Runs until `is_over`; reports go to stdout.
    ///
    /// # Errors
    /// When there is no thread or socket left, or nobody reads the reports.
    pub(crate) fn run(
        &self,
        discovery: &str,
        is_json: bool,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let place = match (&self.place.serial, &self.place.tcp) {
            (Some(device), _) => Place::Serial { device: device.clone(), baud: self.baud },
            (None, Some(address)) => Place::Tcp { address: address.clone() },
            (None, None) => return Err("neither --serial nor --tcp".into()),
        };
        let every = Duration::try_from_secs_f64(self.every)?;
        let mut bridge = Bridge {
            board: Board::new(discovery),
            feed: Feed::new(discovery)?,
            receiver: Receiver::new(vec![0; self.max_message.saturating_add(1024)]),
            sender: Sender::new(),
            hello: own_hello()?,
            report: Report::new(is_json, every),
            start: Instant::now(),
        };
        let mut is_told = false;
        while !is_over() {
            match place.open() {
                Ok(port) => {
                    is_told = false;
                    bridge.report.opened(&place)?;
                    let reason = bridge.serve(port, is_over)?;
                    if !is_over() {
                        bridge.report.closed(&place, &reason)?;
                    }
                }
                Err(error) => {
                    if !is_told {
                        bridge.report.absent(&place, &error)?;
                        is_told = true;
                    }
                    bridge.tick()?;
                }
            }
            if !is_over() {
                std::thread::sleep(RETRY);
            }
        }
        bridge.tick_now()
    }
}

/// What we say of ourselves: a name, and another number after each start.
fn own_hello() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = [0; 64];
    let hello = Hello { node: "gateway", epoch: wall_ns(), topics: Default::default() };
    Ok(hello.encode(&mut out)?.to_vec())
}

/// All between the line and the graph.
struct Bridge {
    board: Board,
    feed: Feed,
    receiver: Receiver<Vec<u8>>,
    sender: Sender,
    hello: Vec<u8>,
    report: Report,
    start: Instant,
}

impl Bridge {
    /// Serves an open line until it fails; returns why it did.
    fn serve(
        &mut self,
        mut port: Port,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, Box<dyn Error>> {
        self.receiver.restart();
        self.sender.hello_soon();
        // What waited for a board that was not there is of no use to one that is.
        self.feed.discard();
        let mut bytes = [0; 4096];
        while !is_over() {
            let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut out = Vec::new();
            if self.sender.hello_is_due(now_ms) {
                self.sender.hello(&self.hello, |bytes| out.extend_from_slice(bytes));
            }
            // One at a time: the line is slow, and what it says must be heard meanwhile.
            if let Some(frames) = self.feed.take() {
                let parts: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                self.sender.message(&parts, |bytes| out.extend_from_slice(bytes));
                self.report.sent(&parts);
            }
            if let Err(error) = port.write(&out) {
                return Ok(error.to_string());
            }
            match port.read(&mut bytes, self.feed.wake(), LOOK) {
                Ok(0) => {}
                Ok(count) => self.take(&bytes[..count]),
                Err(error) => return Ok(error.to_string()),
            }
            self.tick()?;
        }
        Ok("the gateway ends".to_owned())
    }

    /// Takes bytes from the line.
    fn take(&mut self, mut input: &[u8]) {
        while let Some(result) = self.receiver.receive(&mut input) {
            match result {
                Ok(Event::Hello { hello, is_new }) => {
                    if is_new {
                        self.sender.hello_soon();
                        self.report.hello(&hello);
                    }
                    self.board.hello(&hello);
                    self.feed.follow(&hello);
                }
                Ok(Event::Message(message)) => self.report.received(self.board.publish(&message)),
                Err(error) => tracing::debug!(%error, "frame dropped"),
            }
        }
    }

    fn tick(&mut self) -> Result<(), Box<dyn Error>> {
        if self.report.is_due() { self.tick_now() } else { Ok(()) }
    }

    fn tick_now(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.report.say(self.board.name(), self.receiver.stats(), self.feed.dropped())?)
    }
}

/// Nanoseconds since the Unix epoch, by this machine's clock.
fn wall_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
