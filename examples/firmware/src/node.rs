//! The board as a node, over any stream: its publications and its command. `ci/size.sh` measures it.

use cortex_wire::link::{Direction, Event, Hello, Link, Topic, WallClock};
use cortex_wire::{ArrayView, EncodeError, Header, ImageMessage, IntMessage, Message, decode};
use embedded_io::{Read, ReadReady, Write};

use crate::sensors;

const IMU: &str = "/imu";
const IMAGE: &str = "/camera";
const RATE: &str = "/board/rate";

/// One reading.
#[derive(Message)]
#[cortex(class = "robot.msgs.Imu")]
struct Imu<'a> {
    acceleration: ArrayView<'a>,
    angular_velocity: ArrayView<'a>,
    temperature: f32,
    /// Time by the board's counter, which starts at 0.
    sampled_ms: u64,
    frame_id: &'a str,
}

/// All memory that codec and link need in addition to their own state and the stack.
pub(crate) struct Buffers {
    /// The hello: the node's name and topics.
    hello: [u8; 192],
    /// Metadata of the message that is being sent. Arrays are sent without a buffer.
    metadata: [u8; 224],
    /// The frame that is being received.
    frame: [u8; 128],
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { hello: [0; 192], metadata: [0; 224], frame: [0; 128] }
    }
}

/// The node.
pub(crate) struct Node<'a, S> {
    link: Link<S, &'a mut [u8]>,
    /// The gateway's time.
    clock: WallClock,
    hello: &'a [u8],
    metadata: &'a mut [u8],
    unsent: u32,
}

impl<'a, S: Read + ReadReady + Write> Node<'a, S> {
    /// A node that has sent nothing yet; `epoch` differs after each start.
    pub(crate) fn new(line: S, epoch: u64, buffers: &'a mut Buffers) -> Result<Self, EncodeError> {
        let topics = [
            Topic::of::<Imu>(Direction::Published, IMU),
            Topic::of::<ImageMessage>(Direction::Published, IMAGE),
            Topic::of::<IntMessage>(Direction::Subscribed, RATE),
        ];
        let hello = Hello { node: "board", epoch, topics: topics[..].into(), time_ns: None };
        let hello = hello.encode(&mut buffers.hello)?;
        let link = Link::new(line, &mut buffers.frame[..]);
        Ok(Self {
            link,
            clock: WallClock::new(),
            hello,
            metadata: &mut buffers.metadata,
            unsent: 0,
        })
    }

    /// Sends the hello if it is due.
    pub(crate) fn send_hello_if_due(&mut self, now_ms: u64) {
        // A hello that is not sent is repeated a second later.
        let sent = self.link.send_hello_if_due(self.hello, now_ms);
        self.count(sent.is_ok());
    }

    /// Publishes a reading.
    pub(crate) fn publish_reading(&mut self, number: u64, sampled_ms: u64) {
        let (acceleration, angular_velocity) = sensors::imu(number);
        let (Ok(acceleration), Ok(angular_velocity)) = (
            ArrayView::from_slice(&acceleration, &[3]),
            ArrayView::from_slice(&angular_velocity, &[3]),
        ) else {
            return;
        };
        let temperature = sensors::temperature(number);
        let imu = Imu { acceleration, angular_velocity, temperature, sampled_ms, frame_id: "imu" };
        // 0 before the first hello of a gateway, which then sets the time of arrival.
        let time_ns = self.clock.time_ns(sampled_ms.saturating_mul(1_000_000));
        let header = Header::of::<Imu>(time_ns, number);
        let sent = self.link.publish(IMU, &header, &imu, self.metadata);
        self.count(sent.is_ok());
    }

    /// Publishes an image of 32 lines of 32 pixels.
    pub(crate) fn publish_image(&mut self, number: u64, pixels: &[u8; 32 * 32]) {
        let Ok(data) = ArrayView::from_slice(pixels, &[32, 32]) else { return };
        let header = Header::of::<ImageMessage>(0, number);
        let image = ImageMessage::new(data, "mono8");
        let sent = self.link.publish(IMAGE, &header, &image, self.metadata);
        self.count(sent.is_ok());
    }

    /// Hellos and messages that the line did not take.
    pub(crate) fn unsent(&self) -> u32 {
        self.unsent
    }

    fn count(&mut self, is_sent: bool) {
        self.unsent = self.unsent.wrapping_add(u32::from(!is_sent));
    }

    /// The requested readings per second, if a command has arrived.
    pub(crate) fn command(&mut self, now_ns: u64) -> Option<u64> {
        // A damaged frame is counted, and the next one is received.
        let message = match self.link.poll() {
            Ok(Some(Event::Message(message))) => message,
            Ok(Some(Event::Hello { hello, .. })) => {
                self.clock.set_by(&hello, now_ns);
                return None;
            }
            _ => return None,
        };
        if message.topic() != RATE.as_bytes() {
            return None;
        }
        let rate = decode::<IntMessage>(&message).ok()?.data;
        u64::try_from(rate).ok().filter(|rate| (1..=1000).contains(rate))
    }
}
