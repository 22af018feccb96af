//! Peers that break the rules of shared memory, over a socket that is written by hand.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use cortex_std::Transport;
use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_std::wire::zmtp::{FrameHeader, Greeting, write_ready};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, wait_until};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::zmtp::expect_end;
use crate::{is_alone, run_alone};

const BUFFER: &[u8] = b"\x0fX-CORTEX-BUFFER";
const LEND: &[u8] = b"\x0dX-CORTEX-LEND";
const RETURN: &[u8] = b"\x0fX-CORTEX-RETURN";
/// Bytes of a buffer of these tests.
const LEN: usize = 256 * 1024;

fn command(name: &[u8], numbers: &[u8]) -> Vec<u8> {
    let len = (name.len() + numbers.len()) as u64;
    [&FrameHeader::command(len).encode()[..], name, numbers].concat()
}

fn buffer(id: u32, len: u64) -> Vec<u8> {
    command(BUFFER, &[&id.to_le_bytes()[..], &len.to_le_bytes()].concat())
}

fn lend(part: u32, lease: u32, id: u32, offset: u64, len: u64) -> Vec<u8> {
    let numbers = [part, lease, id].map(u32::to_le_bytes).concat();
    command(LEND, &[numbers, [offset, len].map(u64::to_le_bytes).concat()].concat())
}

fn returned(lease: u32) -> Vec<u8> {
    command(RETURN, &lease.to_le_bytes())
}

fn message(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        bytes.extend_from_slice(&FrameHeader::message(part.len() as u64, is_last).encode());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A message of which the last part is lent.
fn lent_message(number: u8) -> Vec<u8> {
    message(&[b"/t", &[number], b"", b""])
}

fn send_with(stream: &UnixStream, bytes: &[u8], passed: &[&OwnedFd]) -> std::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed: Vec<_> = passed.iter().map(|fd| fd.as_fd()).collect();
    assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    assert_eq!(sent, bytes.len());
    Ok(())
}

/// Reads once; returns the bytes and the descriptors that came with them.
fn receive(stream: &UnixStream) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut bytes = vec![0; 65_536];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let count =
        recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC).expect("in time").bytes;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let descriptors = rights.flatten().collect();
    bytes.truncate(count);
    (bytes, descriptors)
}

fn ready(socket_type: &[u8]) -> Vec<u8> {
    let mut bytes = Greeting::BYTES.to_vec();
    let properties = [("Socket-Type", socket_type), ("X-Cortex-Memory", b"1")];
    write_ready(&properties, |part| bytes.extend_from_slice(part));
    bytes
}

/// Reads until the bytes end with `end`.
fn read_until(stream: &mut UnixStream, end: &[u8]) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) {
        stream.read_exact(&mut byte).expect("in time");
        bytes.push(byte[0]);
    }
}

/// A publisher that is only a socket, and its one subscriber.
struct Publisher {
    listener: UnixListener,
    subscriber: RawSubscriber,
    _folder: Folder,
}

impl Publisher {
    fn new() -> Self {
        let folder = Folder::new();
        let address = folder.address("hostile");
        let path = address.strip_prefix("ipc://").expect("an ipc address");
        let listener = UnixListener::bind(path).expect("it binds");
        let subscriber = RawSubscriber::with_queue(0).expect("a subscriber");
        let mut subscriber = subscriber.transport(Transport::Local);
        subscriber.subscribe(b"/t").expect("it subscribes");
        subscriber.connect_also(&address).expect("it connects");
        Self { listener, subscriber, _folder: folder }
    }

    /// The next connection of the subscriber, after the handshake.
    fn accept(&mut self) -> UnixStream {
        let (mut stream, _) = self.listener.accept().expect("it connects");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.write_all(&ready(b"PUB")).expect("it accepts");
        read_until(&mut stream, b"SUBSCRIBE/t");
        stream
    }

    /// The subscriber receives, but no message.
    fn expect_nothing(&mut self) {
        let message = self.subscriber.recv_timeout(Duration::from_millis(20)).expect("no error");
        assert!(message.is_none());
    }

    /// The subscriber closes the connection and has delivered nothing of it.
    fn expect_closed(&mut self, mut stream: UnixStream, what: &str) {
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket");
        let mut bytes = [0; 4096];
        wait_until(&format!("{what}: it is closed"), || {
            self.expect_nothing();
            match stream.read(&mut bytes) {
                Ok(0) => true,
                Ok(_) => false,
                Err(error) => error.kind() == ErrorKind::ConnectionReset,
            }
        });
    }
}

fn memory(len: usize, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("hostile", flags).expect("memory");
    ftruncate(&memory, len as u64).expect("memory");
    let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
    assert_eq!(rustix::io::pwrite(&memory, &bytes, 0), Ok(len));
    fcntl_add_seals(&memory, seals).expect("it is sealed");
    memory
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::FUTURE_WRITE);

#[test]
fn a_publisher_written_by_the_wire_reference_lends_and_gets_its_leases_back() {
    let mut publisher = Publisher::new();
    let mut stream = publisher.accept();
    send_with(&stream, &buffer(7, LEN as u64), &[&memory(LEN, SEALS)]).expect("it accepts");
    for number in 0..100_u32 {
        let offset = u64::from(number) * 1000;
        let bytes = [&lend(3, number, 7, offset, 100_000)[..], &lent_message(1)].concat();
        stream.write_all(&bytes).expect("it accepts");
        let message = publisher.subscriber.recv_timeout(DEADLINE).expect("no error");
        let message = message.expect("in time");
        let array = message.frame(3).expect("an array");
        assert_eq!(array.len(), 100_000);
        let start = offset as usize;
        assert!(array.iter().zip(start..).all(|(byte, index)| *byte == (index % 251) as u8));
        drop(message);
        let mut bytes = vec![0; returned(number).len()];
        stream.read_exact(&mut bytes).expect("in time");
        assert_eq!(bytes, returned(number));
    }
}

#[test]
fn a_publisher_that_passes_what_could_fault_or_change_is_disconnected() {
    let mut publisher = Publisher::new();
    let (pipe, _writer) = rustix::pipe::pipe().expect("a pipe");
    let file = OwnedFd::from(tempfile::tempfile().expect("a file"));
    ftruncate(&file, LEN as u64).expect("a file");
    for (what, descriptor) in [
        ("a pipe", pipe),
        ("a file", file),
        ("a socket", OwnedFd::from(UnixStream::pair().expect("sockets").0)),
        ("a directory", OwnedFd::from(File::open("/proc/self").expect("it is there"))),
        ("memory that is not sealed", memory(LEN, SealFlags::empty())),
        ("memory that can be written", memory(LEN, SealFlags::SHRINK)),
        ("memory that can shrink", memory(LEN, SealFlags::FUTURE_WRITE)),
        ("memory that is too short", memory(LEN - 1, SEALS)),
    ] {
        let stream = publisher.accept();
        send_with(&stream, &buffer(1, LEN as u64), &[&descriptor]).expect("it accepts");
        publisher.expect_closed(stream, what);
    }
    for (what, len) in [("2^63 bytes", 1 << 63), ("2^64 - 1 bytes", u64::MAX)] {
        let stream = publisher.accept();
        send_with(&stream, &buffer(1, len), &[&memory(LEN, SEALS)]).expect("it accepts");
        publisher.expect_closed(stream, what);
    }
    let mut stream = publisher.accept();
    stream.write_all(&buffer(1, LEN as u64)).expect("it accepts");
    publisher.expect_closed(stream, "no descriptor");
}

#[test]
fn a_publisher_that_lends_what_it_does_not_have_is_disconnected() {
    let mut publisher = Publisher::new();
    let (len, max) = (LEN as u64, u64::MAX);
    let whole = lend(3, 1, 1, 0, 1000);
    for (what, commands, parts) in [
        ("a buffer that is not there", lend(3, 1, 2, 0, 1000), &[&b"/t"[..], b"", b"", b""][..]),
        ("a byte beyond the end", lend(3, 1, 1, 1, len), &[b"/t", b"", b"", b""]),
        ("a start beyond the end", lend(3, 1, 1, len + 1, 0), &[b"/t", b"", b"", b""]),
        ("an end beyond every number", lend(3, 1, 1, max, 2), &[b"/t", b"", b"", b""]),
        ("the topic", lend(0, 1, 1, 0, 2), &[b"", b"", b"", b""]),
        ("the header", lend(1, 1, 1, 0, 2), &[b"/t", b"", b"", b""]),
        ("the metadata", lend(2, 1, 1, 0, 2), &[b"/t", b"", b"", b""]),
        ("a part that is not there", lend(4, 1, 1, 0, 2), &[b"/t", b"", b"", b""]),
        ("the last part of all", lend(u32::MAX, 1, 1, 0, 2), &[b"/t", b"", b"", b""]),
        ("a part that has bytes", whole.clone(), &[b"/t", b"", b"", b"x"]),
        ("a part twice", [&whole[..], &whole].concat(), &[b"/t", b"", b"", b""]),
        ("more parts than are lent", whole.repeat(65), &[b"/t", b"", b"", b""]),
    ] {
        let mut stream = publisher.accept();
        send_with(&stream, &buffer(1, len), &[&memory(LEN, SEALS)]).expect("it accepts");
        stream.write_all(&[&commands[..], &message(parts)].concat()).expect("it accepts");
        publisher.expect_closed(stream, what);
    }
    let mut stream = publisher.accept();
    send_with(&stream, &buffer(1, len), &[&memory(LEN, SEALS)]).expect("it accepts");
    stream.write_all(&[&buffer(1, 0)[..], &whole].concat()).expect("it accepts");
    publisher.expect_closed(stream, "a buffer that is no more");
    // An honest one is heard after all that.
    let mut stream = publisher.accept();
    stream.write_all(&message(&[b"/t", b"honest"])).expect("it accepts");
    let message = publisher.subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(message.frame(1), Some(&b"honest"[..]));
}

#[test]
fn a_publisher_that_reads_nothing_that_is_returned_is_disconnected() {
    let mut publisher = Publisher::new();
    let mut stream = publisher.accept();
    send_with(&stream, &buffer(1, LEN as u64), &[&memory(LEN, SEALS)]).expect("it accepts");
    let mut sent = 0_u32;
    while stream
        .write_all(&[&lend(3, sent, 1, 0, 1000)[..], &lent_message(1)].concat())
        .is_ok_and(|()| publisher.subscriber.recv_timeout(DEADLINE).expect("no error").is_some())
    {
        sent += 1;
        assert!(sent < 100_000, "what is returned waits without a limit");
    }
    assert!(sent > 1000, "{sent}");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("it is ours").count()
}

/// The mappings of memory that these tests made.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it is ours");
    maps.lines().filter(|line| line.contains("memfd:hostile")).count()
}

#[test]
fn a_flood_of_descriptors_and_buffers_is_bounded() {
    if !is_alone() {
        return run_alone("hostile_memory::a_flood_of_descriptors_and_buffers_is_bounded");
    }
    let mut publisher = Publisher::new();
    let mut stream = publisher.accept();
    let memory = memory(LEN, SEALS);
    let before = descriptors();
    // With messages, which need none.
    for number in 0..1000_u32 {
        let bytes = message(&[b"/t", &number.to_le_bytes()]);
        send_with(&stream, &bytes, &[&memory; 16]).expect("it accepts");
        let message = publisher.subscriber.recv_timeout(DEADLINE).expect("no error");
        assert_eq!(message.expect("in time").frame(1), Some(&number.to_le_bytes()[..]));
        assert!(descriptors() <= before + 16, "{} descriptors", descriptors());
    }
    // Mapped and forgotten again and again; the descriptors that wait are named first.
    for id in 0..20_000_u32 {
        let bytes = [buffer(id, LEN as u64), buffer(id, 0)].concat();
        send_with(&stream, &bytes, &[&memory]).expect("it accepts");
        if id.is_multiple_of(10) {
            publisher.expect_nothing_now();
            assert!(mappings() <= 16 && descriptors() <= before + 16);
        }
    }
    // More buffers than a publisher may have.
    for id in 0..1025_u32 {
        if send_with(&stream, &buffer(id, LEN as u64), &[&memory]).is_err() {
            break;
        }
        publisher.expect_nothing_now();
        assert!(mappings() <= 1024);
    }
    publisher.expect_closed(stream, "1025 buffers");
    wait_until("nothing is mapped", || mappings() == 0);
    // A million commands that name no descriptor end with the first.
    stream = publisher.accept();
    let many = buffer(1, LEN as u64).repeat(1_000_000);
    stream.set_nonblocking(true).expect("a socket");
    let _ = stream.write(&many);
    stream.set_nonblocking(false).expect("a socket");
    publisher.expect_closed(stream, "no descriptors");
    drop(publisher.accept());
    wait_until("no descriptor is left", || {
        publisher.expect_nothing_now();
        descriptors() <= before
    });
}

impl Publisher {
    fn expect_nothing_now(&mut self) {
        let message = self.subscriber.recv_timeout(Duration::ZERO).expect("no error");
        assert!(message.is_none());
    }
}

/// A subscriber that is only a socket and says that it maps shared memory.
fn subscriber(publisher: &RawPublisher) -> UnixStream {
    let path = publisher.address().strip_prefix("ipc://").expect("an ipc address");
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream.write_all(&ready(b"SUB")).expect("it accepts");
    stream.write_all(&command(b"\x09SUBSCRIBE", b"/t")).expect("it accepts");
    read_until(&mut stream, b"X-Cortex-Memory\0\0\0\x011");
    stream
}

fn pattern(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 239) as u8 ^ number).collect()
}

/// A publisher, and an honest subscriber that gets what is sent.
fn served(folder: &Folder) -> (RawPublisher, impl FnMut(&RawPublisher, u8)) {
    let options = RawOptions::default().transport(Transport::Local).queue(4);
    let publisher = RawPublisher::bind_with(&folder.address("served"), &options).expect("it binds");
    let friend = RawSubscriber::with_queue(0).expect("a subscriber");
    let mut friend = friend.transport(Transport::Local);
    friend.subscribe(b"/t").expect("it subscribes");
    friend.connect_also(publisher.address()).expect("it connects");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    let serve = move |publisher: &RawPublisher, number: u8| {
        let array = pattern(number, LEN);
        publisher.send(&[b"/t", &[number], b"", &array]).expect("it is sent");
        let message = friend.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(message.frame(1), Some(&[number][..]));
        assert!(message.frame(3) == Some(&array), "other bytes");
    };
    (publisher, serve)
}

#[test]
fn a_subscriber_cannot_change_what_others_read() {
    let folder = Folder::new();
    let (publisher, mut serve) = served(&folder);
    let stream = subscriber(&publisher);
    publisher.blocking_wait_for_subscribers(2, DEADLINE).expect("it subscribes");
    serve(&publisher, 1);
    let (bytes, descriptors) = receive(&stream);
    assert!(bytes.starts_with(&buffer(0, 0)[..18]), "a buffer comes first");
    let [descriptor] = <[OwnedFd; 1]>::try_from(descriptors).expect("one descriptor");
    let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&descriptor));
    let again = File::options().read(true).write(true).open(again);
    for file in [Ok(File::from(descriptor)), again] {
        // Whether it can be opened again to write is the system's choice.
        let Ok(file) = file else { continue };
        assert!(file.metadata().expect("a file").len() >= LEN as u64);
        for len in [0, 1, LEN as u64 - 1, 1 << 30] {
            assert!(file.set_len(len).is_err(), "{len} bytes");
        }
        assert!(file.write_at(b"x", 0).is_err());
        let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
        let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | keep;
        assert!(rustix::fs::fallocate(&file, punch, 0, 4096).is_err());
        let mut bytes = vec![0; LEN];
        file.read_exact_at(&mut bytes, 0).expect("it reads");
        assert!(bytes == pattern(1, LEN), "other bytes");
    }
    serve(&publisher, 2);
}

#[test]
fn a_subscriber_that_returns_what_it_does_not_hold_frees_nothing_of_others() {
    let folder = Folder::new();
    let (publisher, mut serve) = served(&folder);
    let mut stream = subscriber(&publisher);
    publisher.blocking_wait_for_subscribers(2, DEADLINE).expect("it subscribes");
    let mut hostile = Vec::new();
    for lease in (0..1000).chain([u32::MAX]) {
        hostile.extend(returned(lease));
        hostile.extend(returned(lease));
        // A command of a publisher, and one that is cut off.
        hostile.extend(lend(3, lease, 1, 0, 1));
        hostile.extend(command(RETURN, b"\0"));
    }
    for number in 0..100 {
        stream.write_all(&hostile).expect("it accepts");
        serve(&publisher, number);
        let reads = std::thread::scope(|scope| scope.spawn(|| receive(&stream).0.len()).join());
        assert!(reads.expect("it reads") > 0);
    }
    let lent = publisher.stats().shared.lent;
    assert!((101..=200).contains(&lent), "{lent}");
    drop(stream);
    wait_until("it is gone", || publisher.subscriber_count() == 1);
    wait_until("nothing is held", || publisher.stats().shared.held == 0);
}

#[test]
fn a_subscriber_that_returns_nothing_is_lent_a_bounded_number() {
    let folder = Folder::new();
    let (publisher, mut serve) = served(&folder);
    let mut stream = subscriber(&publisher);
    publisher.blocking_wait_for_subscribers(2, DEADLINE).expect("it subscribes");
    std::thread::scope(|scope| {
        let reading = stream.try_clone().expect("a socket");
        let (mut reading, publisher) = (reading, &publisher);
        scope.spawn(move || expect_end(&mut reading, "it reads"));
        for number in 0..200 {
            serve(publisher, number);
        }
        let stats = publisher.stats();
        assert!(stats.shared.held <= 64 + 1 && stats.shared.held >= 64, "{stats:?}");
        assert!(stats.shared.through_socket > 0, "{stats:?}");
        stream.write_all(b"\x09").expect("it accepts");
        wait_until("it is disconnected", || publisher.subscriber_count() == 1);
    });
    wait_until("nothing is held", || publisher.stats().shared.held == 0);
    serve(&publisher, 7);
}
