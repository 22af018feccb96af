//! Reading a bag from its start: messages, and damage with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use mcap::records::{Record, op};
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use mcap::{MAGIC, parse_record};

use crate::channel::ChannelInfo;
use crate::error::{Damage, ReadError};
use crate::losses::{self, Losses};
use crate::message::Message;
use crate::{ENCODING, MAX_MESSAGE_LEN};

/// Bytes of a record before its content: opcode and length.
const HEAD_LEN: usize = 9;
/// Bytes of the longest chunk that is decompressed: one message and its channel.
const MAX_CHUNK_LEN: u64 = MAX_MESSAGE_LEN as u64 + (16 << 20);
/// Bytes of the longest record outside of chunks that is read; longer ones, attachments and indexes, are
/// skipped.
const MAX_RECORD_LEN: u64 = 16 << 20;

/// Reads a bag: an iterator over its messages in the order of the file.
///
/// Messages of other encodings are counted and skipped. A damaged chunk is an error, after which the
/// messages of the next chunk follow; all chunks are checked against their checksums before a message of them
/// is returned. A reader holds one chunk, and claimed lengths reserve no memory beyond the bytes that are
/// there; only a compressed chunk may unfold to [`MAX_MESSAGE_LEN`].
pub struct Reader<R> {
    input: R,
    /// Bytes of the file.
    len: u64,
    position: u64,
    channels: BTreeMap<u16, Arc<ChannelInfo>>,
    /// Names and data of schemas.
    schemas: BTreeMap<u16, (String, Vec<u8>)>,
    losses: BTreeMap<u16, Losses>,
    compression: String,
    /// Messages of other encodings.
    foreign: u64,
    /// Messages read, those of other encodings included.
    messages: u64,
    /// The messages of a finished recording, as its summary says.
    recorded: Option<u64>,
    is_damaged: bool,
    chunk: Option<Chunk>,
    skips_chunks: bool,
    state: State,
}

/// The channels of a file by their number, without reading its messages where the recording was finished.
///
/// # Errors
///
/// When the file cannot be read. A damaged one has the channels that can be read.
pub fn channels(path: &Path) -> io::Result<BTreeMap<u16, Arc<ChannelInfo>>> {
    let mut reader = Reader::open(path)?;
    reader.skips_chunks = true;
    reader.by_ref().for_each(drop);
    if !reader.is_complete() || reader.channels.is_empty() {
        reader = Reader::open(path)?;
        reader.by_ref().for_each(drop);
    }
    Ok(reader.channels)
}

/// A chunk that is being read.
struct Chunk {
    position: u64,
    /// The whole record.
    bytes: Vec<u8>,
    fed: usize,
    reader: LinearReader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Records,
    /// Behind the end marker.
    Complete,
    /// An error ended it.
    Broken,
}

impl Reader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read + Seek> Reader<R> {
    /// A reader of a bag.
    ///
    /// # Errors
    ///
    /// When the length cannot be determined.
    pub fn new(mut input: R) -> io::Result<Self> {
        let len = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        Ok(Self {
            input,
            len,
            position: 0,
            channels: BTreeMap::new(),
            schemas: BTreeMap::new(),
            losses: BTreeMap::new(),
            compression: String::new(),
            foreign: 0,
            messages: 0,
            recorded: None,
            is_damaged: false,
            chunk: None,
            skips_chunks: false,
            state: State::Start,
        })
    }

    /// The channels that were read so far, by their number in the file.
    #[must_use]
    pub fn channels(&self) -> &BTreeMap<u16, Arc<ChannelInfo>> {
        &self.channels
    }

    /// The losses of channels that were read so far.
    #[must_use]
    pub fn losses(&self) -> &BTreeMap<u16, Losses> {
        &self.losses
    }

    /// The compression of the last chunk: `lz4`, `zstd`, or nothing.
    #[must_use]
    pub fn compression(&self) -> &str {
        &self.compression
    }

    /// The number of messages of other encodings, which were skipped.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Whether the end of a finished recording was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Bytes of the file.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the file that were read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    fn next_message(&mut self) -> Result<Option<Message>, ReadError> {
        loop {
            if self.chunk.is_some() {
                match self.next_in_chunk()? {
                    Some(message) => return Ok(Some(message)),
                    None => self.chunk = None,
                }
            }
            match self.state {
                State::Start => self.read_magic()?,
                State::Records => {
                    if let Some(message) = self.next_record()? {
                        return Ok(Some(message));
                    }
                }
                State::Complete | State::Broken => return Ok(None),
            }
        }
    }

    /// Reads the channels that the summary repeats: those of a damaged chunk are needed by later ones.
    fn read_ahead(&mut self) -> Result<(), ReadError> {
        let position = self.position;
        self.skips_chunks = true;
        // What is damaged there is found again in its turn.
        while self.state == State::Records && self.next_record().is_ok() {}
        self.skips_chunks = false;
        self.state = State::Records;
        match self.input.seek(SeekFrom::Start(position)) {
            Ok(_) => {
                self.position = position;
                Ok(())
            }
            Err(error) => Err(self.end_with(position, Damage::Io(error))),
        }
    }

    /// The bytes that are left.
    fn left(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.position = self.position.saturating_add(bytes.len() as u64);
                Ok(())
            }
            Err(error) => Err(self.end_with(self.position, Damage::Io(error))),
        }
    }

    /// An error after which nothing can be read.
    fn end_with(&mut self, position: u64, damage: Damage) -> ReadError {
        self.state = State::Broken;
        ReadError { position, damage }
    }

    fn read_magic(&mut self) -> Result<(), ReadError> {
        let mut magic = [0; MAGIC.len()];
        if self.left() < MAGIC.len() as u64 {
            let missing = (MAGIC.len() as u64).saturating_sub(self.left());
            return Err(self.end_with(0, Damage::Truncated { missing }));
        }
        self.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(self.end_with(0, Damage::NotABag));
        }
        self.state = State::Records;
        Ok(())
    }

    /// Reads a record outside of chunks.
    fn next_record(&mut self) -> Result<Option<Message>, ReadError> {
        let position = self.position;
        let truncated = |missing| Damage::Truncated { missing };
        let Some(missing) = (HEAD_LEN as u64).checked_sub(self.left()).filter(|len| *len > 0)
        else {
            return self.next_record_at(position);
        };
        // A file that ends between records lacks no byte of one.
        let missing = if missing == HEAD_LEN as u64 { 0 } else { missing };
        Err(self.end_with(position, truncated(missing)))
    }

    fn next_record_at(&mut self, position: u64) -> Result<Option<Message>, ReadError> {
        let mut head = [0; HEAD_LEN];
        self.read_exact(&mut head)?;
        let [opcode, len @ ..] = head;
        let len = u64::from_le_bytes(len);
        if opcode == 0 {
            let reason = "a record of type 0".to_owned();
            return Err(self.end_with(position, Damage::Record { reason }));
        }
        if let Some(missing) = len.checked_sub(self.left()).filter(|missing| *missing > 0) {
            return Err(self.end_with(position, Damage::Truncated { missing }));
        }
        let is_read = matches!(
            opcode,
            op::SCHEMA
                | op::CHANNEL
                | op::MESSAGE
                | op::CHUNK
                | op::METADATA
                | op::STATISTICS
                | op::FOOTER
        );
        let is_long = !matches!(opcode, op::CHUNK | op::MESSAGE) && len > MAX_RECORD_LEN;
        let is_skipped = opcode == op::CHUNK && self.skips_chunks;
        if !is_read || is_long || is_skipped {
            let skipped = i64::try_from(len).unwrap_or(i64::MAX);
            if let Err(error) = self.input.seek_relative(skipped) {
                return Err(self.end_with(position, Damage::Io(error)));
            }
            self.position = self.position.saturating_add(len);
            return Ok(None);
        }
        // The file has this many bytes.
        let mut bytes = head.to_vec();
        let read = (&mut self.input).take(len).read_to_end(&mut bytes);
        match read {
            Ok(_) if bytes.len().saturating_sub(HEAD_LEN) as u64 == len => {
                self.position = self.position.saturating_add(len);
            }
            Ok(_) => return Err(self.end_with(position, Damage::Truncated { missing: len })),
            Err(error) => return Err(self.end_with(position, Damage::Io(error))),
        }
        match opcode {
            op::CHUNK => self.open_chunk(position, bytes).map(|()| None),
            op::FOOTER => self.read_end().map(|()| None),
            opcode => self
                .record(opcode, bytes.get(HEAD_LEN..).unwrap_or_default())
                .map_err(|reason| ReadError { position, damage: Damage::Record { reason } }),
        }
    }

    fn read_end(&mut self) -> Result<(), ReadError> {
        let position = self.position;
        if self.left() < MAGIC.len() as u64 {
            let missing = (MAGIC.len() as u64).saturating_sub(self.left());
            return Err(self.end_with(position, Damage::Truncated { missing }));
        }
        let mut magic = [0; MAGIC.len()];
        self.read_exact(&mut magic)?;
        if magic != *MAGIC {
            let reason = "the end marker is wrong".to_owned();
            return Err(self.end_with(position, Damage::Record { reason }));
        }
        self.state = State::Complete;
        // A damaged chunk is told already; one that is not even recognized is missing here.
        let recorded = self.recorded.filter(|_| !self.is_damaged && !self.skips_chunks);
        match recorded.and_then(|recorded| recorded.checked_sub(self.messages)) {
            None | Some(0) => Ok(()),
            Some(missing) => {
                let reason = format!("{missing} messages of the recording are missing");
                Err(ReadError { position, damage: Damage::Record { reason } })
            }
        }
    }

    fn open_chunk(&mut self, position: u64, bytes: Vec<u8>) -> Result<(), ReadError> {
        let len = bytes.len() as u64;
        let damaged = |reason| ReadError { position, damage: Damage::Chunk { len, reason } };
        let record = parse_record(op::CHUNK, bytes.get(HEAD_LEN..).unwrap_or_default())
            .map_err(|error| damaged(error.to_string()))?;
        let Record::Chunk { header, data } = record else {
            return Err(damaged("it is no chunk".to_owned()));
        };
        match header.compression.as_str() {
            "" => {}
            "lz4" if cfg!(feature = "lz4") => {}
            "zstd" if cfg!(feature = "zstd") => {}
            "lz4" | "zstd" => {
                let damage = Damage::Compression { name: header.compression };
                return Err(self.end_with(position, damage));
            }
            name => return Err(damaged(format!("the unknown compression {name:?}"))),
        }
        if header.compressed_size != data.len() as u64 {
            return Err(damaged("its length is wrong".to_owned()));
        }
        if header.compression.is_empty() && header.uncompressed_size != header.compressed_size {
            return Err(damaged("its two lengths differ".to_owned()));
        }
        if header.uncompressed_size > MAX_CHUNK_LEN {
            return Err(damaged(format!("it claims {} bytes", header.uncompressed_size)));
        }
        // No record of it is longer than the chunk.
        let limit = header.uncompressed_size.max(len);
        let options = LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_skip_end_magic(true)
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(usize::try_from(limit).unwrap_or(usize::MAX));
        self.compression = header.compression;
        let reader = LinearReader::new_with_options(options);
        self.chunk = Some(Chunk { position, bytes, fed: 0, reader });
        Ok(())
    }

    /// The next message of the chunk; `None` at its end.
    fn next_in_chunk(&mut self) -> Result<Option<Message>, ReadError> {
        let Some(mut chunk) = self.chunk.take() else { return Ok(None) };
        loop {
            let result = match chunk.reader.next_event() {
                None => return Ok(None),
                Some(Ok(LinearReadEvent::ReadRequest(len))) => {
                    let rest = chunk.bytes.get(chunk.fed..).unwrap_or_default();
                    let part = rest.get(..len).unwrap_or(rest);
                    // An empty part is the end.
                    if let Some(place) = chunk.reader.insert(part.len()).get_mut(..part.len()) {
                        place.copy_from_slice(part);
                    }
                    chunk.reader.notify_read(part.len());
                    chunk.fed = chunk.fed.saturating_add(part.len());
                    continue;
                }
                Some(Ok(LinearReadEvent::Record { opcode, data })) => self.record(opcode, data),
                Some(Err(error)) => Err(error.to_string()),
            };
            match result {
                Ok(None) => {}
                Ok(message) => {
                    self.chunk = Some(chunk);
                    return Ok(message);
                }
                Err(reason) => {
                    let len = chunk.bytes.len() as u64;
                    let damage = Damage::Chunk { len, reason };
                    return Err(ReadError { position: chunk.position, damage });
                }
            }
        }
    }

    /// Reads a record, which may be a message.
    fn record(&mut self, opcode: u8, data: &[u8]) -> Result<Option<Message>, String> {
        if !matches!(opcode, op::SCHEMA | op::CHANNEL | op::MESSAGE | op::METADATA | op::STATISTICS)
        {
            return Ok(None);
        }
        match parse_record(opcode, data).map_err(|error| error.to_string())? {
            Record::Schema { header, data } if header.encoding == ENCODING => {
                self.schemas.insert(header.id, (header.name, data.into_owned()));
            }
            Record::Channel(channel) if channel.message_encoding == ENCODING => {
                let (class, schema) = match self.schemas.get(&channel.schema_id) {
                    Some((class, schema)) => (class.as_str(), schema.as_slice()),
                    None => ("", &[][..]),
                };
                let info = ChannelInfo::parse(channel.topic, &channel.metadata, class, schema);
                // Repeated in the summary.
                if self.channels.get(&channel.id).is_none_or(|known| **known != info) {
                    self.channels.insert(channel.id, Arc::new(info));
                }
            }
            Record::Statistics(statistics) => self.recorded = Some(statistics.message_count),
            Record::Message { header, data } => {
                self.messages = self.messages.saturating_add(1);
                let Some(channel) = self.channels.get(&header.channel_id) else {
                    self.foreign = self.foreign.saturating_add(1);
                    return Ok(None);
                };
                let times = (header.log_time, header.publish_time);
                let message = Message::parse(Arc::clone(channel), header.channel_id, times, &data);
                return match message {
                    Some(message) => Ok(Some(message)),
                    None => Err(format!("a message of {} has no frames", channel.topic)),
                };
            }
            Record::Metadata(metadata) if metadata.name == losses::RECORD => {
                self.losses = losses::parse(&metadata.metadata);
            }
            _ => {}
        }
        Ok(None)
    }
}

impl<R: Read + Seek> Iterator for Reader<R> {
    type Item = Result<Message, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_message();
        if let Err(ReadError { damage: Damage::Chunk { .. }, .. }) = next
            && !std::mem::replace(&mut self.is_damaged, true)
            && let Err(error) = self.read_ahead()
        {
            return Some(Err(error));
        }
        next.transpose()
    }
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("position", &self.position)
            .field("len", &self.len)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
