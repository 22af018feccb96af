//! Writing a bag: channels, messages, losses, whole chunks.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cortex_std::wire::Header;
use mcap::records::{MessageHeader, op};
use mcap::write::{Metadata, NoSeek};
use mcap::{MAGIC, WriteOptions};

use crate::channel::ChannelInfo;
use crate::error::WriteError;
use crate::losses::{self, Losses};
use crate::message;
use crate::output::{Counted, Output};
use crate::{ENCODING, MAX_MESSAGE_LEN};

/// Bytes of messages after which a chunk ends.
const CHUNK_LEN: usize = 1 << 20;
/// Ends of chunks that are remembered, to make room for the end of the file on a full disk.
const REMEMBERED_ENDS: usize = 16;

/// The compression of chunks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// None: the fastest, and a damaged byte costs the least.
    #[default]
    None,
    /// LZ4: fast.
    Lz4,
    /// Zstandard: small.
    Zstd,
}

/// Settings of a [`Writer`].
#[derive(Debug, Default, Clone)]
#[must_use]
pub struct WriterOptions {
    compression: Compression,
}

impl WriterOptions {
    /// Sets the compression of chunks; the default is none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    fn mcap(&self) -> Result<WriteOptions, WriteError> {
        let compression = match self.compression {
            Compression::None => None,
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Some(mcap::Compression::Lz4),
            #[cfg(not(feature = "lz4"))]
            Compression::Lz4 => return Err(WriteError::NoCompression("lz4")),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(mcap::Compression::Zstd),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => return Err(WriteError::NoCompression("zstd")),
        };
        // Seeking would leave the length of the last chunk open until it ends. This writer ends chunks
        // itself, and each chunk has its own checksum.
        let options = WriteOptions::new()
            .profile("cortex")
            .library(concat!("cortex-bag ", env!("CARGO_PKG_VERSION")))
            .compression(compression)
            .chunk_size(None)
            .disable_seeking(true)
            .calculate_data_section_crc(false);
        #[cfg(feature = "zstd")]
        let options = options.compression_threads(0);
        Ok(options)
    }
}

/// A channel of a [`Writer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelId(u16);

impl ChannelId {
    /// The number of the channel in the file.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Writes a bag.
///
/// Messages are collected in a chunk of a megabyte, or one message if that is longer. A program that dies
/// loses the chunk that it collects; [`flush`](Self::flush) ends it. When a write fails, the file is cut to
/// its last whole chunk and completed there, as far as the disk allows: it remains a valid bag.
pub struct Writer<W: Output> {
    /// `None` once it is finished or a write has failed.
    inner: Option<mcap::Writer<NoSeek<Counted<W>>>>,
    written: Arc<AtomicU64>,
    /// Bytes written when the last chunks ended.
    ends: VecDeque<u64>,
    /// Bytes of messages in the chunk that is collected.
    collected: usize,
    channels: BTreeMap<ChannelInfo, ChannelId>,
    losses: BTreeMap<u16, Losses>,
    has_new_losses: bool,
    body: Vec<u8>,
}

impl Writer<File> {
    /// Creates a file, or replaces it.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or written.
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, WriteError> {
        Self::new(File::create(path)?, options)
    }
}

impl<W: Output> Writer<W> {
    /// A writer to an empty output.
    ///
    /// # Errors
    ///
    /// When the output refuses, or this build lacks the compression.
    pub fn new(output: W, options: &WriterOptions) -> Result<Self, WriteError> {
        let written = Arc::<AtomicU64>::default();
        let counted = Counted { output, written: Arc::clone(&written) };
        let inner = options.mcap()?.create(NoSeek::new(counted))?;
        let mut writer = Self {
            inner: Some(inner),
            written,
            ends: VecDeque::new(),
            collected: 0,
            channels: BTreeMap::new(),
            losses: BTreeMap::new(),
            has_new_losses: false,
            body: Vec::new(),
        };
        writer.remember_end();
        Ok(writer)
    }

    /// The channel of a publisher, which is added unless it exists.
    ///
    /// # Errors
    ///
    /// `TooManyChannels`, and when the bag cannot be written.
    pub fn channel(&mut self, info: &ChannelInfo) -> Result<ChannelId, WriteError> {
        if let Some(id) = self.channels.get(info) {
            return Ok(*id);
        }
        let id = self.write_with(|inner| {
            let schema = inner.add_schema(&info.class, ENCODING, &info.schema())?;
            Ok(inner.add_channel(schema, &info.topic, ENCODING, &info.metadata())?)
        })?;
        self.channels.insert(info.clone(), ChannelId(id));
        Ok(ChannelId(id))
    }

    /// Writes a message that arrived at this time: its frames after the topic, which are header, metadata and
    /// buffers.
    ///
    /// Units: nanoseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// `TooLong`, which changes nothing; `Closed`, and when the bag cannot be written.
    pub fn write<'f>(
        &mut self,
        channel: ChannelId,
        arrival_ns: u64,
        frames: impl IntoIterator<Item = &'f [u8], IntoIter: Clone>,
    ) -> Result<(), WriteError> {
        let frames = frames.into_iter();
        let lens = frames.clone().map(|frame| frame.len().saturating_add(4));
        let len = lens.fold(0, usize::saturating_add);
        if len > MAX_MESSAGE_LEN {
            return Err(WriteError::TooLong { len });
        }
        let header = frames.clone().next().and_then(|frame| Header::decode(frame).ok());
        let mut body = std::mem::take(&mut self.body);
        // The length was checked above.
        message::encode(frames, &mut body);
        let record = MessageHeader {
            channel_id: channel.0,
            // The low bits: the format has 32, and the header in the message has all.
            sequence: header.map_or(0, |header| header.sequence as u32),
            log_time: arrival_ns,
            publish_time: header.map_or(arrival_ns, |header| header.timestamp_ns),
        };
        let result = self.write_with(|inner| Ok(inner.write_to_known_channel(&record, &body)?));
        self.body = body;
        result?;
        self.collected = self.collected.saturating_add(len);
        if self.collected >= CHUNK_LEN { self.end_chunk() } else { Ok(()) }
    }

    /// Adds losses to those of a channel; the file has them after the next [`flush`](Self::flush).
    pub fn add_losses(&mut self, channel: ChannelId, losses: Losses) {
        if losses != Losses::default() {
            self.losses.entry(channel.0).or_default().add(losses);
            self.has_new_losses = true;
        }
    }

    /// Ends the current chunk, and writes the losses where they have changed. What was written survives the
    /// end of this process.
    ///
    /// # Errors
    ///
    /// When the bag cannot be written.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.end_chunk()?;
        if self.has_new_losses {
            let name = losses::RECORD.to_owned();
            let metadata = Metadata { name, metadata: losses::record(&self.losses) };
            self.write_with(|inner| Ok(inner.write_metadata(&metadata)?))?;
            self.has_new_losses = false;
            self.remember_end();
        }
        Ok(())
    }

    /// Completes the file and waits until it is on the disk; returns the output and its bytes.
    ///
    /// # Errors
    ///
    /// When the bag cannot be written.
    pub fn finish(mut self) -> Result<(W, u64), WriteError> {
        self.flush()?;
        self.write_with(|inner| Ok(inner.finish()?))?;
        let inner = self.inner.take().ok_or(WriteError::Closed)?;
        let mut output = inner.into_inner().into_inner().output;
        output.flush()?;
        output.sync()?;
        Ok((output, self.written()))
    }

    /// Bytes written so far, without the chunk that is collected.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Bytes written, and those of the messages that are collected.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.written().saturating_add(self.collected as u64)
    }

    /// Whether it has no message yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    fn end_chunk(&mut self) -> Result<(), WriteError> {
        self.write_with(|inner| Ok(inner.flush()?))?;
        self.collected = 0;
        self.remember_end();
        Ok(())
    }

    fn remember_end(&mut self) {
        if self.ends.len() == REMEMBERED_ENDS {
            self.ends.pop_front();
        }
        self.ends.push_back(self.written());
    }

    /// Writes; where the output fails, closes the file behind its last whole chunk.
    fn write_with<T>(
        &mut self,
        write: impl FnOnce(&mut mcap::Writer<NoSeek<Counted<W>>>) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let result = write(self.inner.as_mut().ok_or(WriteError::Closed)?);
        if let Err(WriteError::Io(_) | WriteError::Closed) = result
            && let Some(inner) = self.inner.take()
        {
            let mut output = inner.into_inner().into_inner().output;
            // The reason of the failure is returned; a file without an end is readable as well.
            while let Some(end) = self.ends.pop_back() {
                if output.truncate(end).is_err() {
                    break;
                }
                if output.write_all(&end_of_file()).and_then(|()| output.flush()).is_ok() {
                    break;
                }
            }
        }
        result
    }
}

/// The end of a file without a summary.
fn end_of_file() -> Vec<u8> {
    let mut end = Vec::new();
    for (opcode, len) in [(op::DATA_END, 4_u64), (op::FOOTER, 20)] {
        end.push(opcode);
        end.extend_from_slice(&len.to_le_bytes());
        // No checksum, no summary.
        end.extend((0..len).map(|_| 0));
    }
    end.extend_from_slice(MAGIC);
    end
}

impl<W: Output> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("written", &self.written())
            .field("channels", &self.channels.len())
            .finish_non_exhaustive()
    }
}
