//! `cortex gateway`: a board on a serial line, or behind a TCP stream, as a node of the graph.

mod board;
mod feed;
mod port;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::wire::link::{Event, Hello, Receiver, Sender};

use crate::failure::{Failure, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::session::{Session, seconds};
use crate::tap::wall_ns;

use self::board::Board;
use self::feed::Feed;
use self::port::{Place, Port};
use self::report::Report;

/// How soon the end of the command, and what nothing wakes us for, is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// How often an absent line is tried.
const RETRY: Duration = Duration::from_millis(100);
/// Bytes that a message has beside its frames' bytes: a topic's name and the lengths.
const TOPIC: usize = 1024;

/// Make a microcontroller a node of the graph.
///
/// What it publishes is republished here, unchanged but for a timestamp of 0, which becomes the time
/// of arrival; what it subscribes to is sent to it. The board says which topics those are. It may be
/// reset, unplugged and plugged in again, and started before or after the gateway. With --timeout
/// the gateway ends when it has heard nothing for so long.
#[derive(Debug, Args)]
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
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(64..=1 << 30))]
    max_message: u32,
    /// Seconds between two reports of what went through.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    every: Duration,
}

#[derive(Debug, Args)]
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
    /// Runs until it is interrupted.
    pub(crate) fn run(&self, session: &Session) -> Result {
        let interrupt = Interrupt::get();
        let place = match (&self.place.serial, &self.place.tcp) {
            (Some(device), _) => Place::Serial { device: device.clone(), baud: self.baud },
            (None, Some(address)) => Place::Tcp { address: address.clone() },
            (None, None) => return Err(Failure::Usage("neither --serial nor --tcp".to_owned())),
        };
        let max_message = usize::try_from(self.max_message).unwrap_or(usize::MAX);
        let mut bridge = Bridge {
            board: Board::new(&session.discovery),
            feed: Feed::new(&session.discovery)?,
            receiver: Receiver::new(vec![0; max_message.saturating_add(TOPIC)]),
            sender: Sender::new(),
            hello: own_hello()?,
            report: Report::new(session.json, self.every),
            start: Instant::now(),
            heard: Instant::now(),
            patience: session.timeout,
            interrupt,
        };
        let mut is_told = false;
        while !bridge.is_over() {
            match place.open() {
                Ok(port) => {
                    is_told = false;
                    bridge.report.opened(&place)?;
                    if let Some(reason) = bridge.serve(port)? {
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
            if !bridge.is_over() {
                bridge.interrupt.wait(RETRY);
            }
        }
        bridge.tick_now()?;
        Ok(Outcome::found_if(bridge.interrupt.is_set()))
    }
}

/// What we say of ourselves: a name, and another number after each start.
fn own_hello() -> Result<Vec<u8>> {
    let mut out = [0; 64];
    let hello = Hello { node: "gateway", epoch: wall_ns(), topics: Default::default() };
    let hello = hello.encode(&mut out).map_err(|error| Failure::of(&error))?;
    Ok(hello.to_vec())
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
    /// When the board last said something.
    heard: Instant,
    /// How long it may say nothing.
    patience: Option<Duration>,
    interrupt: Interrupt,
}

impl Bridge {
    fn is_over(&self) -> bool {
        let is_silent = self.patience.is_some_and(|patience| self.heard.elapsed() >= patience);
        self.interrupt.is_set() || is_silent
    }

    /// Serves an open line until it fails, and says why it did; nothing where the command ends.
    fn serve(&mut self, mut port: Port) -> Result<Option<String>> {
        self.receiver.restart();
        self.sender.hello_soon();
        // What waited for a board that was not there is of no use to one that is.
        self.feed.discard();
        let mut bytes = [0; 4096];
        while !self.is_over() {
            let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut out = Vec::new();
            if self.sender.hello_is_due(now_ms) {
                self.sender.hello(&self.hello, |bytes| out.extend_from_slice(bytes));
            }
            // One at a time: the line is slow, and what it says must be heard meanwhile.
            if let Some(frames) = self.feed.take() {
                let parts: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                self.sender.message(&parts, |bytes| out.extend_from_slice(bytes));
                self.report.sent();
            }
            if let Err(error) = port.write(&out) {
                return Ok(Some(error.to_string()));
            }
            match port.read(&mut bytes, self.feed.wake(), LOOK) {
                Ok(0) => {}
                Ok(count) => self.take(&bytes[..count]),
                Err(error) => return Ok(Some(error.to_string())),
            }
            self.tick()?;
        }
        Ok(None)
    }

    /// Takes bytes from the line.
    fn take(&mut self, mut input: &[u8]) {
        while let Some(result) = self.receiver.receive(&mut input) {
            if result.is_ok() {
                self.heard = Instant::now();
            }
            match result {
                Ok(Event::Hello { hello, is_new }) => {
                    if is_new {
                        self.sender.hello_soon();
                        self.report.hello(&hello);
                    }
                    self.board.hello(&hello, is_new);
                    self.feed.follow(&hello, is_new);
                }
                Ok(Event::Message(message)) => self.report.received(self.board.publish(&message)),
                Err(error) => tracing::debug!(%error, "frame dropped"),
            }
        }
    }

    fn tick(&mut self) -> Result<()> {
        if self.report.is_due() { self.tick_now() } else { Ok(()) }
    }

    fn tick_now(&mut self) -> Result<()> {
        self.report.say(self.board.name(), self.receiver.stats(), self.feed.dropped())
    }
}
