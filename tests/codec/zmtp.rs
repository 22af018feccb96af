//! A board's ZMTP against libzmq, in both roles.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cortex_std::discovery::{Client, Daemon};
use cortex_std::{Node, wire};
use cortex_tests::{DEADLINE, python, wait_until};
use cortex_wire::discovery::{RequestExt, Status, TopicInfo};
use cortex_wire::zmtp::{Event, Role, Socket, register};
use cortex_wire::{ArrayView, Header, ImageMessage, IntMessage, Message, TypeInfo};

/// A TCP stream like that of a board: written bytes are sent by `flush`.
struct Tcp {
    stream: TcpStream,
    out: Vec<u8>,
}

impl Tcp {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, out: Vec::new() }
    }
}

impl embedded_io::ErrorType for Tcp {
    type Error = io::Error;
}

impl embedded_io::Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl embedded_io::ReadReady for Tcp {
    fn read_ready(&mut self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => other.map(|_| true),
        }
    }
}

impl embedded_io::Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp://{}", listener.local_addr().expect("an address"));
    (listener, address)
}

fn accept(listener: &TcpListener) -> Tcp {
    Tcp::new(listener.accept().expect("a peer connects").0)
}

/// Connects to a libzmq socket, whose address begins with `tcp://`.
fn connect(address: &str) -> Tcp {
    let address = address.strip_prefix("tcp://").expect("a tcp address");
    Tcp::new(TcpStream::connect(address).expect("it listens"))
}

/// A socket of libzmq that takes no code of ours.
fn libzmq(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
    let socket = context.socket(kind).expect("a socket");
    let timeout = i32::try_from(DEADLINE.as_millis()).expect("it is short");
    socket.set_rcvtimeo(timeout).expect("an option");
    socket.set_sndtimeo(timeout).expect("an option");
    socket.set_rcvhwm(0).expect("an option");
    socket.set_sndhwm(0).expect("an option");
    socket.set_linger(0).expect("an option");
    socket
}

/// The frames of message `number`; some are empty, some have a long length.
fn frames(number: u64) -> [Vec<u8>; 4] {
    let header = Header::of::<IntMessage>(number.wrapping_mul(977), number).encode();
    let len = usize::try_from(number % 700).expect("it is short");
    [b"/board".to_vec(), header.to_vec(), vec![], vec![number as u8; len]]
}

const COUNT: u64 = 100_000;

#[test]
fn libzmq_receives_a_hundred_thousand_messages_of_a_board_unchanged() {
    let (listener, address) = listen();
    let board = thread::spawn(move || {
        let role = Role::Pub { topic: "/board" };
        let mut socket = Socket::new(accept(&listener), role, [0; 128]).expect("room enough");
        while !socket.connection().is_subscribed() {
            socket.receive().expect("no error");
        }
        for number in 0..COUNT {
            socket.poll().expect("the peer is there");
            let frames = frames(number);
            let parts = frames.each_ref().map(Vec::as_slice);
            assert!(socket.send(&parts).expect("it is sent"), "{number} has no subscriber");
        }
        // Until the peer has gone.
        while socket.receive().is_ok() {}
    });
    let context = zmq::Context::new();
    let subscriber = libzmq(&context, zmq::SUB);
    subscriber.connect(&address).expect("it connects");
    subscriber.set_subscribe(b"/board").expect("it subscribes");
    for number in 0..COUNT {
        let message = subscriber.recv_multipart(0).expect("a message");
        assert_eq!(message, frames(number), "message {number}");
    }
    drop(subscriber);
    board.join().expect("the board is well");
}

#[test]
fn a_board_receives_a_hundred_thousand_messages_of_libzmq_unchanged() {
    let context = zmq::Context::new();
    let publisher = libzmq(&context, zmq::XPUB);
    publisher.bind("tcp://127.0.0.1:*").expect("it binds");
    let address = publisher.get_last_endpoint().expect("an option").expect("an address");
    let board = thread::spawn(move || {
        let mut socket = Socket::new(connect(&address), Role::Sub, [0; 1024]).expect("room");
        socket.handshake().expect("a handshake");
        assert!(socket.subscribe(b"/bo", true).expect("it is sent"));
        let mut number = 0;
        while number < COUNT {
            match socket.receive().expect("the peer is well") {
                Some(Event::Message(message)) => {
                    assert!(message.frames().eq(frames(number).iter()), "message {number}");
                    number += 1;
                }
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
        assert!(socket.subscribe(b"/bo", false).expect("it is sent"));
        // Until the peer has gone.
        while socket.receive().is_ok() {}
    });
    assert_eq!(publisher.recv_bytes(0).expect("a subscription"), b"\x01/bo");
    for number in 0..COUNT {
        let [topic, header, metadata, data] = frames(number);
        if number % 10 == 0 {
            publisher.send_multipart([b"/other".to_vec()], 0).expect("it is sent");
        }
        publisher.send_multipart([topic, header, metadata, data], 0).expect("it is sent");
    }
    assert_eq!(publisher.recv_bytes(0).expect("an end of it"), b"\x00/bo");
    drop(publisher);
    board.join().expect("the board is well");
}

#[test]
fn a_board_sends_only_to_subscribers_of_its_topic() {
    let (listener, address) = listen();
    let (request, requests) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel();
    let board = thread::spawn(move || {
        let role = Role::Pub { topic: "/board" };
        let mut socket = Socket::new(accept(&listener), role, [0; 128]).expect("room enough");
        socket.handshake().expect("a handshake");
        while requests.recv().is_ok() {
            while socket.poll().expect("the peer is there").is_some() {}
            let is_sent = socket.send(&[b"/board", b"x"]).expect("it is sent");
            assert!(!socket.send(&[b"/another", b"x"]).expect("it is not"));
            answer.send(is_sent).expect("the receiver exists");
        }
    });
    let is_sent = || {
        request.send(()).expect("the board is well");
        answers.recv_timeout(DEADLINE).expect("the board is well")
    };
    let context = zmq::Context::new();
    let subscriber = libzmq(&context, zmq::SUB);
    subscriber.connect(&address).expect("it connects");
    subscriber.set_subscribe(b"/other").expect("it subscribes");
    subscriber.set_subscribe(b"/board/longer").expect("it subscribes");
    assert!(!is_sent());
    // libzmq sends the third subscription after the first two.
    subscriber.set_subscribe(b"/b").expect("it subscribes");
    wait_until("the board has received the subscription", is_sent);
    assert_eq!(subscriber.recv_multipart(0).expect("a message"), [&b"/board"[..], b"x"]);
    subscriber.set_subscribe(b"").expect("it subscribes");
    subscriber.set_unsubscribe(b"/b").expect("it unsubscribes");
    assert!(is_sent());
    subscriber.set_unsubscribe(b"").expect("it unsubscribes");
    wait_until("the board has received the subscription", || !is_sent());
    drop(request);
    board.join().expect("the board is well");
}

#[test]
fn pings_of_libzmq_are_answered() {
    let (listener, address) = listen();
    let context = zmq::Context::new();
    let subscriber = libzmq(&context, zmq::SUB);
    subscriber.set_heartbeat_ivl(20).expect("an option");
    subscriber.set_heartbeat_timeout(2000).expect("an option");
    subscriber.set_subscribe(b"").expect("it subscribes");
    subscriber.connect(&address).expect("it connects");
    let role = Role::Pub { topic: "/board" };
    let mut socket = Socket::new(accept(&listener), role, [0; 128]).expect("room enough");
    let end = std::time::Instant::now() + Duration::from_millis(2600);
    while std::time::Instant::now() < end {
        // Returns for each PING; without PONGs libzmq would close the connection.
        socket.receive().expect("the peer stays");
    }
    assert!(socket.send(&[b"/board", b"still here"]).expect("it is sent"));
    assert_eq!(subscriber.recv_multipart(0).expect("a message")[1], b"still here");
}

/// A board that registers its image topic with a daemon and serves `peers` subscribers one after
/// another with the same images.
fn image_board(daemon: &str, peers: usize) -> thread::JoinHandle<()> {
    let (listener, address) = listen();
    let mut client = Socket::new(connect(daemon), Role::Req, [0; 256]).expect("room enough");
    thread::spawn(move || {
        let info = TopicInfo {
            name: "/board/image",
            address: &address,
            message_type: TypeInfo::of::<ImageMessage<'_>>().name(),
            fingerprint: ImageMessage::FINGERPRINT,
            publisher_node: "board",
        };
        let ext = RequestExt { layout: Some(ImageMessage::LAYOUT), ..RequestExt::default() };
        // Again on the same connection, as a board does every few seconds.
        for _ in 0..3 {
            let status = register(&mut client, &info, ext, &mut [0; 512]);
            assert_eq!(status.expect("the daemon answers"), Status::Ok);
        }
        for _ in 0..peers {
            let role = Role::Pub { topic: "/board/image" };
            let mut socket = Socket::new(accept(&listener), role, [0; 128]).expect("room enough");
            let mut sequence = 0;
            while sequence < 20 {
                if !socket.connection().is_subscribed() {
                    socket.receive().expect("no error");
                    continue;
                }
                let pixels = pixels(sequence);
                let data = ArrayView::from_slice(&pixels, &[8, 8]).expect("64 pixels");
                let image = ImageMessage::new(data, "mono8");
                let header = Header::of::<ImageMessage<'_>>(1 + sequence, sequence);
                let sent = socket.publish(&header, &image, &mut [0; 128]).expect("it is sent");
                sequence += u64::from(sent);
            }
            while socket.receive().is_ok() {}
        }
    })
}

fn pixels(sequence: u64) -> [u8; 64] {
    std::array::from_fn(|at| (at as u64 * 3 + sequence) as u8)
}

#[test]
fn a_board_registers_itself_and_rust_and_python_subscribers_receive_its_images() {
    let daemon = Daemon::bind("tcp://127.0.0.1:*").expect("it binds").spawn().expect("it starts");
    let address = daemon.address().to_owned();
    let board = image_board(&address, 2);
    let mut client = Client::connect(&address, DEADLINE).expect("a client");
    wait_until("the topic is listed", || client.list().expect("an answer").len() == 1);
    let found = client.look_up("/board/image").expect("an answer").expect("the topic");
    assert_eq!(found.layout, Some(ImageMessage::LAYOUT));

    let node = Node::builder("viewer").discovery(&address).create().expect("a node");
    let mut subscriber =
        node.subscriber::<ImageMessage<'static>>("/board/image").create().expect("a subscriber");
    for sequence in 0..20 {
        let sample = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let image = wire::decode::<ImageMessage<'_>>(&sample).expect("an image");
        assert_eq!(image.data.data(), pixels(sequence));
        assert_eq!((image.width, image.height, image.encoding), (8, 8, "mono8"));
    }
    drop(subscriber);
    drop(node);

    let mut python = python::peer(
        "subscriber.py",
        ["--discovery", &address, "--topic", "/board/image", "--message", "ImageMessage"]
            .into_iter()
            .chain(["--count", "20"]),
    );
    python.expect_event("connected");
    for sequence in 0..20 {
        let message = python.expect_event("message");
        assert_eq!(message["sequence"], sequence);
        let hex: String = pixels(sequence).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(message["fields"][0]["value"]["array"]["data"], hex);
    }
    python.expect_event("done");
    assert!(python.wait().success());
    board.join().expect("the board is well");
    daemon.stop();
}

#[test]
fn a_board_registers_itself_with_a_python_daemon() {
    let mut daemon = python::peer("daemon.py", ["--address", "tcp://127.0.0.1:*"]);
    let address = daemon.expect_event("ready")["address"].as_str().expect("a text").to_owned();
    let board = image_board(&address, 0);
    board.join().expect("the board is well");
    let mut client = Client::connect(&address, DEADLINE).expect("a client");
    let found = client.look_up("/board/image").expect("an answer").expect("the topic");
    assert_eq!((&*found.topic.publisher_node, found.layout), ("board", None));
    daemon.terminate();
    assert!(daemon.wait().success(), "{}", daemon.stderr());
}
