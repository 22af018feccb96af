//! Encoding and decoding of a message's frames.

use crate::blob;
use crate::coding::decode::Decoder;
use crate::coding::encode::{Buffers, Encoder, NoBuffers};
use crate::coding::frames::{Frames, Source};
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::header::Header;
use crate::message::{Message, check_fingerprint, read_message};
use crate::msgpack::read::Reader;

/// Encodes a message's metadata into `out`, and appends its array buffers, borrowed, to `buffers`.
///
/// Returns the metadata. The frames of the message are the topic, a [`Header`], the metadata, and
/// the buffers in order.
///
/// # Errors
///
/// [`OutputFull`](crate::EncodeErrorKind::OutputFull) with the required length,
/// [`TooManyBuffers`](crate::EncodeErrorKind::TooManyBuffers), or a limit of the format.
///
/// Source: wire reference, "Metadata".
pub fn encode<'w, 'b, M: Message>(
    message: &'b M,
    out: &'w mut [u8],
    buffers: &mut (dyn Buffers<'b> + '_),
) -> Result<&'w [u8], EncodeError> {
    let mut encoder = Encoder::new(&mut *out, buffers);
    message.encode_fields(&mut encoder)?;
    let len = encoder.finish()?.len();
    Ok(out.get(..len).unwrap_or(&[]))
}

/// Encodes a message without arrays into `out`; returns the metadata.
///
/// Unlike [`encode`] it needs no list of buffers, so the message need not live longer than the call:
/// it may be a value that was just computed.
///
/// # Errors
///
/// As [`encode`]; `TooManyBuffers` if the message has an array.
///
/// # Examples
///
/// ```
/// use cortex_wire::{FloatMessage, encode_plain};
///
/// let mut out = [0; 16];
/// let metadata = encode_plain(&FloatMessage { data: 0.5 + 21.0 }, &mut out)?;
/// assert_eq!(metadata.len(), 10);
/// # Ok::<(), cortex_wire::EncodeError>(())
/// ```
pub fn encode_plain<'w, M: Message>(
    message: &M,
    out: &'w mut [u8],
) -> Result<&'w [u8], EncodeError> {
    let mut buffers = heapless::Vec::<&[u8], 0>::new();
    let mut encoder = Encoder::new(&mut *out, &mut buffers);
    message.encode_fields(&mut encoder)?;
    let len = encoder.finish()?.len();
    Ok(out.get(..len).unwrap_or(&[]))
}

/// The length of a message's metadata in bytes.
///
/// # Errors
///
/// A limit of the format.
pub fn encoded_len<M: Message>(message: &M) -> Result<usize, EncodeError> {
    let mut buffers = NoBuffers;
    let mut encoder = Encoder::new(&mut [], &mut buffers);
    message.encode_fields(&mut encoder)?;
    Ok(encoder.writer().len())
}

/// Decodes a message from its frames without the topic: header, metadata, buffers.
///
/// A single frame is decoded as a [blob]. Nothing is copied: the message borrows from the frames.
/// The fingerprint in the header is checked, each descriptor against its buffer, and the metadata
/// must end with its last field. Buffers that no descriptor names are ignored.
///
/// # Errors
///
/// The reason, with the byte offset in the metadata (header errors: in the header).
///
/// Source: wire reference, "One publish".
pub fn decode<'a, M: Message>(frames: &'a (dyn Frames + 'a)) -> Result<M::View<'a>, DecodeError> {
    let first = frames.frame(0).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
    if frames.frame(1).is_none() {
        return blob::decode::<M>(first).map(|(_, message)| message);
    }
    check_fingerprint::<M>(&Header::decode(first)?)?;
    read_message::<M>(Decoder::new(frames)?)
}

/// Decodes a message from its frames without a check of the fingerprint.
///
/// For renamed types. A message of another type is detected only by the number and types of its
/// fields.
///
/// # Errors
///
/// As [`decode`], except `Fingerprint`.
///
/// # Examples
///
/// ```
/// use cortex_wire::{Header, Message, StringMessage, decode, decode_ignoring_fingerprint, encode};
///
/// #[derive(Debug, PartialEq, Message)]
/// #[cortex(class = "robot.msgs.Note")]
/// struct Note<'a> {
///     text: &'a str,
/// }
///
/// let mut metadata = [0; 16];
/// let mut buffers = heapless::Vec::<&[u8], 0>::new();
/// let metadata = encode(&Note { text: "hi" }, &mut metadata, &mut buffers)?;
/// let header = Header { fingerprint: Note::FINGERPRINT, timestamp_ns: 0, sequence: 0 }.encode();
/// let frames: [&[u8]; 2] = [&header, metadata];
/// assert!(decode::<StringMessage>(&frames).is_err());
/// assert_eq!(decode_ignoring_fingerprint::<StringMessage>(&frames)?.data, "hi");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn decode_ignoring_fingerprint<'a, M: Message>(
    frames: &'a (dyn Frames + 'a),
) -> Result<M::View<'a>, DecodeError> {
    let first = frames.frame(0).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
    if frames.frame(1).is_none() {
        return blob::decode_ignoring_fingerprint::<M>(first).map(|(_, message)| message);
    }
    Header::decode(first)?;
    read_message::<M>(Decoder::new(frames)?)
}

/// Decodes a message from a bare field list: metadata and buffers, without a header.
///
/// For custom transports. A message of another type is detected only by the number and types of
/// its fields.
///
/// # Errors
///
/// As [`decode`].
///
/// Source: wire reference, "Bare field list".
pub fn decode_bare<'a, M: Message>(
    metadata: &'a [u8],
    buffers: &'a (dyn Frames + 'a),
) -> Result<M::View<'a>, DecodeError> {
    let source = Source::Frames { frames: buffers, first: 0 };
    read_message::<M>(Decoder::at(Reader::new(metadata), source))
}
