//! Errors of writing, and damage that a reader finds.

use std::io;

use mcap::McapError;

use crate::MAX_MESSAGE_LEN;

/// Why a bag cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file or the disk refuses; after this the bag is closed, and what was written can be read.
    #[error("cannot write the bag")]
    Io(#[source] io::Error),
    /// An earlier write failed.
    #[error("the bag is closed, as an earlier write failed")]
    Closed,
    /// The format numbers at most 65535 channels and schemas.
    #[error("a bag holds at most 65535 channels")]
    TooManyChannels,
    /// The message is too long for a bag.
    #[error("a message has {len} bytes; a bag holds messages of at most {MAX_MESSAGE_LEN}")]
    TooLong {
        /// Bytes of the message.
        len: usize,
    },
    /// This build has no such compression.
    #[error("this build has no {0} compression: enable the feature")]
    NoCompression(&'static str),
    /// The format's library refuses.
    #[error("cannot write a record: {0}")]
    Format(String),
}

impl From<McapError> for WriteError {
    fn from(error: McapError) -> Self {
        match error {
            McapError::Io(error) => Self::Io(error),
            McapError::AttemptedWriteAfterFailure => Self::Closed,
            McapError::TooManyChannels | McapError::TooManySchemas => Self::TooManyChannels,
            error => Self::Format(error.to_string()),
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Damage of a bag, and where it begins.
#[derive(Debug, thiserror::Error)]
#[error("at byte {position}")]
pub struct ReadError {
    /// Bytes from the start of the file.
    pub position: u64,
    /// What is wrong there.
    #[source]
    pub damage: Damage,
}

/// What is wrong with a bag.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It does not begin as an MCAP file.
    #[error("the file is not an MCAP file")]
    NotABag,
    /// It ends within a record, or before its end marker: the recorder did not finish it.
    #[error("the file ends before its recording was finished{}", missing_text(*missing))]
    Truncated {
        /// Bytes of the last record that are missing; 0 where the file ends between records.
        missing: u64,
    },
    /// The records of a chunk cannot be read; the chunks after it can.
    #[error("a chunk of {len} bytes is damaged: {reason}")]
    Chunk {
        /// Bytes of the chunk.
        len: u64,
        /// What is wrong.
        reason: String,
    },
    /// The chunks have a compression that this build does not read; nothing after it is read.
    #[error("this build cannot read the compression {name:?}: enable the feature of that name")]
    Compression {
        /// Its name in the file.
        name: String,
    },
    /// A record outside of chunks cannot be read.
    #[error("a record is damaged: {reason}")]
    Record {
        /// What is wrong.
        reason: String,
    },
    /// Reading failed.
    #[error("cannot read the bag")]
    Io(#[source] io::Error),
}

/// The end of a text on a file that is cut off.
fn missing_text(missing: u64) -> String {
    match missing {
        0 => String::new(),
        missing => format!(", within a record that lacks {missing} bytes"),
    }
}
