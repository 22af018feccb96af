//! The protocols over streams: the cores, and both on a stream of which nothing is known.

use core::hint::black_box;

use cortex_wire::discovery::{RequestExt, TopicInfo};
use cortex_wire::link::{self, Direction, Hello, Link, Topic};
use cortex_wire::zmtp::{self, Connection, Role, Socket};
use cortex_wire::{Header, ImageMessage, IntMessage, Multipart, decode};
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
}

fn message(message: Multipart<'_>) {
    used((message.topic(), message == black_box(message)));
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
