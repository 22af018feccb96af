//! The recorder: it never waits for the disk, and counts what is missing.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cortex_bag::{ChannelInfo, Limits, Losses, Output, Reader, Recorder, Source, WriterOptions};
use cortex_std::raw::{RawMessage, RawPublisher, RawSubscriber};
use cortex_std::wire::Header;

const DEADLINE: Duration = Duration::from_secs(30);

/// Messages with these sequence numbers, as they arrive.
fn received(folder: &Path, sequences: impl IntoIterator<Item = u64>) -> Vec<RawMessage> {
    let address = format!("ipc://{}/t.sock", folder.display());
    let publisher = RawPublisher::bind(&address).expect("it binds");
    let mut subscriber = RawSubscriber::connect(&address).expect("it connects");
    subscriber.subscribe(b"/t").expect("it subscribes");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it is connected");
    let receive = |sequence| {
        let header = Header { fingerprint: 1, timestamp_ns: sequence, sequence };
        publisher.send(&[b"/t", &header.encode(), b"\x90", &[7; 1000]]).expect("it is sent");
        subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time")
    };
    sequences.into_iter().map(receive).collect()
}

fn source(recorder: &Recorder) -> Arc<Source> {
    recorder.source(ChannelInfo::new("/t", "node", "Own", 1))
}

/// The sequence numbers in a file, and its losses.
fn read(path: &Path) -> (Vec<u64>, Losses) {
    let mut reader = Reader::open(path).expect("it opens");
    let messages: Vec<_> = reader.by_ref().map(|next| next.expect("no damage")).collect();
    assert!(reader.is_complete());
    let sequences = messages.iter().map(|message| message.header().expect("a header").sequence);
    (sequences.collect(), reader.losses().values().copied().next().unwrap_or_default())
}

fn files(folder: &Path) -> (PathBuf, impl FnMut(u32) -> io::Result<File> + use<>) {
    let folder = folder.to_owned();
    let name = move |number: u32| folder.join(format!("{number}.mcap"));
    (name(0), move |number| File::create(name(number)))
}

#[test]
fn gaps_and_restarts_are_counted_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, open) = files(folder.path());
    let recorder = Recorder::start(&WriterOptions::default(), Limits::default(), open);
    let recorder = recorder.expect("it starts");
    let source = source(&recorder);
    let sequences = [5, 6, 9, 10, 0, 1, 4];
    for message in received(folder.path(), sequences) {
        assert!(recorder.record(&source, 1, message));
    }
    let stats = recorder.finish().expect("it is written");
    let (found, losses) = read(&path);
    assert_eq!(found, sequences);
    assert_eq!((losses.lost, losses.dropped, losses.restarts), (4, 0, 1));
    assert_eq!((stats.messages, stats.losses), (7, losses));
    assert_eq!(stats.file_bytes, path.metadata().expect("a file").len());
}

/// A disk whose writes wait until the test lets them go.
struct SlowDisk {
    kept: Arc<Mutex<Vec<u8>>>,
    go: Receiver<()>,
    is_free: bool,
}

impl Write for SlowDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_free {
            // Disconnected: the disk is fast from now on.
            self.is_free = self.go.recv().is_err();
        }
        self.kept.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for SlowDisk {
    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_disk_delays_no_receiver_and_what_does_not_fit_is_counted_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (let_go, go) = channel();
    let kept = Arc::<Mutex<Vec<u8>>>::default();
    let mut disk = Some(SlowDisk { kept: Arc::clone(&kept), go, is_free: false });
    // The magic and the header of the file, in a few writes.
    (0..6).for_each(|_| let_go.send(()).expect("it is there"));
    let limits = Limits::default().queue_len(20_000);
    let open = move |_| disk.take().ok_or_else(|| io::ErrorKind::NotFound.into());
    let recorder = Recorder::start(&WriterOptions::default(), limits, open).expect("it starts");
    let source = source(&recorder);
    let messages = received(folder.path(), 0..3000);
    let accepted = messages.into_iter().filter(|message| message.count() == 4);
    let accepted = accepted.map(|message| recorder.record(&source, 1, message));
    let accepted = accepted.filter(|is_accepted| *is_accepted).count() as u64;
    let before = recorder.stats();
    assert_eq!(before.losses.dropped, 3000 - accepted);
    assert!(before.losses.dropped > 0 && before.waiting <= 20_000, "{before:?}");
    drop(let_go);
    let stats = recorder.finish().expect("it is written");
    assert_eq!((stats.messages, stats.losses.dropped), (accepted, 3000 - accepted));
    let path = folder.path().join("kept.mcap");
    std::fs::write(&path, &*kept.lock().expect("no panic")).expect("it is written");
    let (found, losses) = read(&path);
    assert_eq!((found.len() as u64, losses.dropped, losses.lost), (accepted, 3000 - accepted, 0));
}

#[test]
fn a_split_recording_has_every_message_in_one_of_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, open) = files(folder.path());
    let limits = Limits::default().file_len(Some(20_000)).split(true);
    let recorder = Recorder::start(&WriterOptions::default(), limits, open).expect("it starts");
    let source = source(&recorder);
    for message in received(folder.path(), 0..100) {
        assert!(recorder.record(&source, 1, message));
    }
    let stats = recorder.finish().expect("it is written");
    assert!(stats.files > 3, "{stats:?}");
    let paths = (0..stats.files).map(|number| folder.path().join(format!("{number}.mcap")));
    let bytes: u64 = paths.clone().map(|path| path.metadata().expect("a file").len()).sum();
    assert_eq!(bytes, stats.file_bytes);
    assert!(paths.flat_map(|path| read(&path).0).eq(0..100));
}

#[test]
fn a_limit_without_splitting_ends_the_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, open) = files(folder.path());
    let limits = Limits::default().file_len(Some(20_000));
    let recorder = Recorder::start(&WriterOptions::default(), limits, open).expect("it starts");
    let source = source(&recorder);
    let messages = received(folder.path(), 0..100);
    let end = Instant::now() + DEADLINE;
    for message in messages {
        recorder.record(&source, 1, message);
    }
    while !recorder.has_ended() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
    recorder.finish().expect("it is written");
    let (found, _) = read(&path);
    assert!((15..40).contains(&found.len()), "{}", found.len());
}

#[test]
fn an_output_that_cannot_be_opened_is_an_error_at_once() {
    let open = |_| File::create("/nonexistent/bag.mcap");
    assert!(Recorder::start(&WriterOptions::default(), Limits::default(), open).is_err());
}
