//! The protocols over streams: the cores, and both on a stream of which nothing is known.

use core::hint::black_box;

use cortex_wire::discovery::{RequestExt, TopicInfo};
use cortex_wire::link::{self, Direction, Hello, Link, Topic};
use cortex_wire::zmtp::{self, Connection, Role, Socket};
use cortex_wire::{
    EncodeError, EncodeErrorKind, Header, ImageMessage, IntMessage, Multipart, StreamError, decode,
};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};

use crate::used;

/// Takes and gives what the compiler cannot know, and that as wrongly as it can.
struct Line;

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        black_box(&mut *out);
        black_box(Ok(out.len()))
    }
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        black_box(Ok(true))
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        black_box(Ok(black_box(bytes).len()))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        black_box(Ok(()))
    }
}

/// Calls every function of `link` and `zmtp`.
pub(crate) fn streams(input: &[u8], image: &ImageMessage<'_>) {
    link_cores(input);
    link_on_a_stream(input, image);
    zmtp_core(input);
    zmtp_on_a_stream(input, image);
    zmtp_parts(input);
}

/// What other roles of ZMTP are made of.
fn zmtp_parts(input: &[u8]) {
    let mut greeting = zmtp::Greeting::new();
    used(greeting.receive(black_box(0xff)));
    if let Ok(Some((header, len))) = zmtp::FrameHeader::decode(input) {
        used((len, header.len(), header.has_more(), header.is_command(), header.encode()));
    }
    used(zmtp::FrameHeader::message(black_box(7), black_box(true)));
    used(zmtp::FrameHeader::command(black_box(7)));
    if let Ok(zmtp::Command::Ready(properties)) = zmtp::Command::decode(input) {
        used((properties.get(input), properties.socket_type()));
    }
    used(zmtp::Command::decode_message(input));
    zmtp::write_ready(&[(black_box("a"), input)], |bytes| used(bytes));
    used(zmtp::subscription_head(black_box(1), black_box(7), black_box(true)));
    used(zmtp::pong_head(black_box(7)));
}

fn message(message: Multipart<'_>) {
    used((message.topic(), message == black_box(message), message.header()));
    used(message.frames().size_hint());
    for frame in message {
        used(frame);
    }
    used(decode::<IntMessage>(&message).is_ok());
}

fn hello(hello: Hello<'_>) {
    used((hello.topics.len(), hello.topics.is_empty(), hello == black_box(hello)));
    for topic in hello.topics {
        used((topic, hello.topics.into_iter().size_hint()));
    }
    let mut out = [0; 64];
    used(hello.encode(black_box(&mut out[..])));
    let mut clock = link::WallClock::new();
    clock.set_by(&hello, black_box(7));
    clock.set_by(&hello, black_box(8));
    used(clock.time_ns(black_box(9)));
}

fn link_cores(mut input: &[u8]) {
    let mut sender = link::Sender::new();
    used(sender.hello_is_due(black_box(5)));
    sender.make_hello_due();
    sender.hello(input, |bytes| used(bytes));
    sender.message(black_box(&[input, input][..]), |bytes| used(bytes));
    used(link::line_len(black_box(7)));
    for mut frame in [sender.start_hello(), sender.start_message()] {
        let mut piece = input;
        while let Some(bytes) = frame.push(&mut piece) {
            used(bytes);
        }
        used(frame.finish());
        used(frame.push(&mut &input[..]));
        used(frame.finish());
    }
    if let Ok(each) = Hello::decode(input) {
        hello(each);
    }
    let mut buffer = [0; 64];
    let mut receiver = link::Receiver::new(black_box(&mut buffer[..]));
    while let Some(result) = receiver.receive(&mut input) {
        match result {
            Ok(link::Event::Hello { hello: each, is_new }) => {
                used(is_new);
                hello(each);
            }
            Ok(link::Event::Message(each)) => message(each),
            Ok(_) => {}
            Err(error) => used((error.kind.is_damage(), error)),
        }
    }
    used(receiver.stats());
    receiver.restart();
}

fn link_on_a_stream(input: &[u8], image: &ImageMessage<'_>) {
    let topics = [
        Topic::of::<ImageMessage<'_>>(Direction::Published, "/image"),
        Topic::of::<IntMessage>(Direction::Subscribed, "/rate"),
    ];
    hello(Hello { node: "board", epoch: black_box(1), topics: topics[..].into(), time_ns: None });
    let mut link = Link::new(Line, [0; 64]);
    let mut scratch = [0; 64];
    let header = Header::of::<ImageMessage<'_>>(0, black_box(1));
    used(link.send_hello_if_due(input, black_box(5)));
    used(link.send(black_box(&[input, input][..])));
    used(link.publish(black_box("/image"), &header, image, black_box(&mut scratch[..])));
    let mut writer = link.start_message();
    used(writer.frame(input));
    used(writer.start_frame(black_box(7)));
    used(writer.write(input));
    used(writer.finish());
    if let Ok(Some(link::Event::Message(each))) = link.receive() {
        message(each);
    }
    used(link.poll().is_ok());
    used((link.stats(), link.stream().flush()));
    link.restart();
    used(link.into_inner());
    let (mut writer, mut reader) = Link::new(Line, [0; 64]).into_halves(|line| (line, Line));
    writer.make_hello_due();
    used(writer.send_hello_if_due(input, black_box(5)));
    used(writer.send(black_box(&[input, input][..])));
    used(writer.publish(black_box("/image"), &header, image, black_box(&mut scratch[..])));
    used(writer.start_message().finish());
    used((reader.receive().is_ok(), reader.poll().is_ok(), reader.stats()));
    reader.restart();
    used((writer.into_inner(), reader.into_inner()));
    used(link::payload_len(black_box(&[1, 2])));
    errors();
}

/// Conversions between errors.
fn errors() {
    let encode = black_box(EncodeError::new(EncodeErrorKind::TooLong));
    let line = black_box(link::LinkError { kind: link::LinkErrorKind::Frames, offset: 1 });
    let peer = black_box(zmtp::ZmtpError { kind: zmtp::ZmtpErrorKind::Command, offset: 1 });
    used(link::PublishError::<ErrorKind>::from(encode));
    used(link::PublishError::<ErrorKind>::from(line));
    used(link::PublishError::<ErrorKind>::from(StreamError::from(line)));
    used(zmtp::RegisterError::<ErrorKind>::from(encode));
    used(zmtp::RegisterError::<ErrorKind>::from(peer));
    used(zmtp::RegisterError::<ErrorKind>::from(StreamError::from(peer)));
    used(zmtp::RegisterError::<ErrorKind>::from(zmtp::SendError::from(encode)));
}

fn zmtp_core(input: &[u8]) {
    for role in black_box([Role::Pub { topic: "/image" }, Role::Sub, Role::Req]) {
        let mut buffer = [0; 128];
        let Ok(mut connection) = Connection::new(role, black_box(&mut buffer[..])) else { return };
        let mut input = input;
        while let Ok(Some(event)) = connection.receive(&mut input) {
            if let zmtp::Event::Message(each) = event {
                message(each);
            }
        }
        used(connection.receive(&mut &input[..]).is_ok());
        used((connection.role(), connection.is_ready(), connection.is_subscribed()));
        used(connection.pending());
        connection.written(black_box(7));
        used(connection.message_head(black_box(7), black_box(true)));
        used(connection.subscription_head(black_box(7), black_box(true)));
    }
}

fn zmtp_on_a_stream(input: &[u8], image: &ImageMessage<'_>) {
    let mut scratch = [0; 128];
    for role in black_box([Role::Pub { topic: "/image" }, Role::Sub, Role::Req]) {
        let Ok(mut socket) = Socket::new(Line, role, [0; 128]) else { return };
        used(socket.handshake());
        used(socket.poll().is_ok());
        used(socket.receive().is_ok());
        used(socket.subscribe(input, black_box(true)));
        used(socket.send(black_box(&[input, input][..])));
        let header = Header::of::<ImageMessage<'_>>(0, black_box(1));
        used(socket.publish(&header, image, black_box(&mut scratch[..])));
        let topic = TopicInfo {
            name: black_box("/image"),
            address: black_box("tcp://10.0.0.1:1"),
            message_type: "ImageMessage",
            fingerprint: 7,
            publisher_node: black_box("board"),
        };
        let scratch = black_box(&mut scratch[..]);
        used(zmtp::register(&mut socket, &topic, RequestExt::default(), scratch));
        used((socket.connection().is_ready(), socket.stream().flush()));
    }
}

/// The same on asynchronous streams; each future is polled.
#[cfg(feature = "analysed")]
pub(crate) mod asynchronous {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Waker};

    use super::*;

    impl embedded_io_async::Read for Line {
        async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
            Read::read(self, out)
        }
    }

    impl embedded_io_async::Write for Line {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            Write::write(self, bytes)
        }

        async fn flush(&mut self) -> Result<(), ErrorKind> {
            Write::flush(self)
        }
    }

    fn polled<T>(future: impl Future<Output = T>) {
        let mut future = pin!(future);
        used(future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    }

    pub(crate) fn streams(input: &[u8], image: &ImageMessage<'_>) {
        let header = Header::of::<ImageMessage<'_>>(0, black_box(1));
        let (topic, frames) = (black_box("/image"), black_box([input, input]));
        let mut scratch = [0; 64];
        let mut link = Link::new(Line, [0; 64]);
        polled(link.send_hello_if_due_async(input, black_box(5)));
        polled(link.send_async(&frames));
        polled(link.publish_async(topic, &header, image, &mut scratch));
        polled(async { used(link.receive_async().await.is_ok()) });
        let (mut writer, mut reader) = link.into_halves(|line| (line, Line));
        polled(writer.send_hello_if_due_async(input, black_box(5)));
        polled(writer.send_async(&frames));
        polled(writer.publish_async(topic, &header, image, &mut scratch));
        polled(async { used(reader.receive_async().await.is_ok()) });
        for role in black_box([Role::Pub { topic: "/image" }, Role::Sub, Role::Req]) {
            let Ok(mut socket) = Socket::new(Line, role, [0; 128]) else { return };
            polled(socket.subscribe_async(input, black_box(true)));
            polled(socket.send_async(&frames));
            polled(socket.publish_async(&header, image, &mut scratch));
            polled(async { used(socket.receive_async().await.is_ok()) });
        }
    }
}
