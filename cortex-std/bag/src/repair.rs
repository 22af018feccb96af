//! A complete bag from what is left of a damaged one.

use std::io::{Read, Seek};

use crate::error::{ReadError, WriteError};
use crate::output::Output;
use crate::reader::Reader;
use crate::writer::Writer;

/// What a repair found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Repaired {
    /// Messages that were copied.
    pub messages: u64,
    /// Messages of other encodings, which are not copied.
    pub foreign: u64,
    /// Each damage; none for a complete bag.
    pub damage: Vec<ReadError>,
}

/// Copies every readable message of a bag, with channels and losses, and completes the copy.
///
/// # Errors
///
/// When the copy cannot be written.
pub fn repair<R: Read + Seek, W: Output>(
    mut reader: Reader<R>,
    mut writer: Writer<W>,
) -> Result<Repaired, WriteError> {
    let mut repaired = Repaired { messages: 0, foreign: 0, damage: Vec::new() };
    for next in reader.by_ref() {
        match next {
            Ok(message) => {
                let channel = writer.channel(&message.channel)?;
                let frames: Vec<&[u8]> = message.frames().collect();
                writer.write(channel, message.arrival_ns, frames)?;
                repaired.messages = repaired.messages.saturating_add(1);
            }
            Err(error) => repaired.damage.push(error),
        }
    }
    for (id, losses) in reader.losses() {
        if let Some(info) = reader.channels().get(id) {
            let channel = writer.channel(info)?;
            writer.add_losses(channel, *losses);
        }
    }
    repaired.foreign = reader.foreign();
    writer.finish()?;
    Ok(repaired)
}
