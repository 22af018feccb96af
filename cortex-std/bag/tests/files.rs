//! Bags as files: round trips, truncation at every byte, every byte flipped, full disks.

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use cortex_bag::{
    ChannelInfo, Compression, Damage, Output, Reader, WriteError, Writer, WriterOptions, repair,
};
use cortex_std::wire::Header;

/// Messages of three channels: arrival, topic, frames.
type Sent = (u64, String, Vec<Vec<u8>>);

const COMPRESSIONS: &[Compression] = &[
    Compression::None,
    Compression::Lz4,
    #[cfg(feature = "zstd")]
    Compression::Zstd,
];

fn sent(count: u64, len: usize) -> Vec<Sent> {
    let message = |number: u64| {
        let topic = format!("/topic_{}", number % 3);
        let header = Header { fingerprint: number % 3, timestamp_ns: 7 + number, sequence: number };
        let data: Vec<u8> = (0..len).map(|at| (at as u64 * 31 + number) as u8).collect();
        (1000 + number, topic, vec![header.encode().to_vec(), vec![0x91, 1], data, vec![]])
    };
    (0..count).map(message).collect()
}

fn options(compression: Compression) -> WriterOptions {
    WriterOptions::default().compression(compression)
}

fn write<W: Output>(writer: &mut Writer<W>, sent: &[Sent]) -> Result<(), WriteError> {
    for (arrival_ns, topic, frames) in sent {
        let fingerprint = Header::decode(&frames[0]).expect("a header").fingerprint;
        let channel = writer.channel(&ChannelInfo::new(topic, "node", "Own", fingerprint))?;
        writer.write(channel, *arrival_ns, frames.iter().map(Vec::as_slice))?;
        if arrival_ns % 10 == 0 {
            writer.flush()?;
        }
    }
    Ok(())
}

fn bag(sent: &[Sent], compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &options(compression)).expect("a writer");
    write(&mut writer, sent).expect("it is written");
    writer.finish().expect("it is finished").0
}

/// The messages and the damage of a bag.
fn read(bytes: &[u8]) -> (Vec<Sent>, Vec<(u64, Damage)>, bool) {
    let mut reader = Reader::new(Cursor::new(bytes)).expect("a reader");
    let (mut messages, mut damage) = (Vec::new(), Vec::new());
    for next in reader.by_ref() {
        match next {
            Ok(message) => {
                let frames = message.frames().map(<[u8]>::to_vec).collect();
                assert_eq!(message.publish_ns, message.header().expect("a header").timestamp_ns);
                messages.push((message.arrival_ns, message.channel.topic.clone(), frames));
            }
            Err(error) => damage.push((error.position, error.damage)),
        }
    }
    (messages, damage, reader.is_complete())
}

#[test]
fn messages_are_read_as_they_were_written() {
    let sent = sent(50, 300);
    for compression in COMPRESSIONS {
        let (messages, damage, is_complete) = read(&bag(&sent, *compression));
        assert_eq!(messages, sent, "{compression:?}");
        assert!(damage.is_empty() && is_complete, "{damage:?}");
    }
}

#[test]
fn a_message_longer_than_a_chunk_is_kept_whole() {
    let sent = sent(3, 5 << 20);
    assert!(read(&bag(&sent, Compression::Lz4)).0 == sent);
}

#[test]
fn a_file_that_is_cut_off_at_any_byte_can_be_read_up_to_there() {
    let sent = sent(30, 20);
    for compression in COMPRESSIONS {
        let whole = bag(&sent, *compression);
        let mut found = 0;
        for len in 0..whole.len() {
            let (messages, damage, is_complete) = read(&whole[..len]);
            assert!(!is_complete && damage.len() == 1, "{len}: {damage:?}");
            let (position, Damage::Truncated { .. }) = &damage[0] else { panic!("{damage:?}") };
            assert!(*position <= len as u64);
            assert_eq!(messages, sent[..messages.len()], "{len}");
            // More bytes never give fewer messages.
            assert!(messages.len() >= found, "{len}");
            found = messages.len();
        }
        assert_eq!(found, sent.len());
    }
}

#[test]
fn a_flipped_byte_is_no_panic_and_changes_no_message_that_is_returned() {
    let sent = sent(20, 20);
    for compression in COMPRESSIONS {
        let whole = bag(&sent, *compression);
        for at in 0..whole.len() {
            for bit in [0, 7] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let (messages, damage, _) = read(&bytes);
                // What follows the messages, such as the index, is not needed.
                assert!(messages.len() == sent.len() || !damage.is_empty(), "{at}");
                assert!(messages.iter().all(|message| sent.contains(message)), "{at}");
            }
        }
    }
}

#[test]
fn chunks_after_a_damaged_one_are_read() {
    let sent = sent(30, 20);
    let mut bytes = bag(&sent, Compression::None);
    let text = [7 * 31 + 3_u8, 8 * 31_u64 as u8 + 3];
    let at = bytes.windows(2).position(|window| window == text).expect("a buffer");
    bytes[at] ^= 1;
    let (messages, damage, is_complete) = read(&bytes);
    assert!(matches!(damage[..], [(_, Damage::Chunk { .. })]), "{damage:?}");
    // A chunk of ten messages, in which two of the three channels begin.
    assert!(is_complete && messages.len() == 20, "{}", messages.len());
    assert_eq!(messages.last(), sent.last());
}

#[test]
fn repair_returns_every_message_of_a_whole_chunk() {
    let sent = sent(30, 20);
    let whole = bag(&sent, Compression::Lz4);
    let kept = Kept::default();
    for len in (0..whole.len()).step_by(7) {
        kept.bytes.lock().expect("no panic").clear();
        let reader = Reader::new(Cursor::new(&whole[..len])).expect("a reader");
        let writer = Writer::new(kept.clone(), &options(Compression::None)).expect("a writer");
        let repaired = repair(reader, writer).expect("it is repaired");
        let (messages, damage, is_complete) = read(&kept.bytes.lock().expect("no panic"));
        assert!(is_complete && damage.is_empty(), "{len}: {damage:?}");
        assert_eq!(messages, read(&whole[..len]).0);
        assert_eq!((repaired.messages, repaired.damage.len()), (messages.len() as u64, 1));
    }
}

/// Bytes that the test keeps, on a disk with so many bytes.
#[derive(Clone)]
struct Kept {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { bytes: Arc::default(), room: usize::MAX }
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.bytes.lock().expect("no panic");
        match self.room.saturating_sub(kept.len()).min(bytes.len()) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            len => {
                kept.extend_from_slice(&bytes[..len]);
                Ok(len)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Kept {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.bytes.lock().expect("no panic").truncate(usize::try_from(len).expect("short"));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_a_complete_file_whatever_its_size() {
    let sent = sent(40, 50);
    let whole = bag(&sent, Compression::None).len();
    for room in (150..whole).step_by(11) {
        let kept = Kept { room, ..Kept::default() };
        let mut writer = Writer::new(kept.clone(), &options(Compression::None)).expect("it fits");
        let result = write(&mut writer, &sent).and_then(|()| writer.finish().map(drop));
        let Err(WriteError::Io(error)) = result else { panic!("{room}: {result:?}") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let bytes = kept.bytes.lock().expect("no panic").clone();
        assert!(bytes.len() <= room);
        let (messages, damage, is_complete) = read(&bytes);
        assert!(is_complete && damage.is_empty(), "{room} of {whole}: {damage:?}");
        assert_eq!(messages, sent[..messages.len()]);
    }
}

#[test]
fn a_writer_whose_disk_is_full_writes_nothing_more() {
    let kept = Kept { room: 300, ..Kept::default() };
    let mut writer = Writer::new(kept.clone(), &options(Compression::None)).expect("it fits");
    assert!(matches!(write(&mut writer, &sent(30, 100)), Err(WriteError::Io(_))));
    let len = kept.bytes.lock().expect("no panic").len();
    assert!(matches!(write(&mut writer, &sent(30, 100)), Err(WriteError::Closed)));
    assert_eq!(kept.bytes.lock().expect("no panic").len(), len);
}

#[test]
fn a_file_of_another_format_is_refused() {
    let (messages, damage, _) = read(b"PK\x03\x04 a zip file");
    assert!(messages.is_empty() && matches!(damage[..], [(0, Damage::NotABag)]), "{damage:?}");
}

#[test]
fn any_byte_of_a_chunk_without_a_checksum_may_be_wrong() {
    let sent = sent(20, 20);
    for compression in COMPRESSIONS {
        let mut whole = bag(&sent, *compression);
        // Opcode and length, two times and a length are before the checksum of a chunk.
        let mut at = 8;
        while let Some(head) = whole[at..].first_chunk::<9>() {
            let len = u64::from_le_bytes(head[1..].try_into().expect("eight bytes"));
            if head[0] == 6 {
                whole[at + 33..at + 37].fill(0);
            }
            at += 9 + usize::try_from(len).expect("it is short");
        }
        assert_eq!(read(&whole).0, sent);
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                // It ends, without a panic.
                read_any(&bytes);
            }
        }
    }
}

/// Reads all that can be read.
fn read_any(bytes: &[u8]) {
    let reader = Reader::new(Cursor::new(bytes)).expect("a reader");
    assert!(reader.take(10_000).count() < 10_000);
}
