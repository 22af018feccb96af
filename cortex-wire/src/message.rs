//! A type that travels, and one publish's frames.

use crate::decode::Source;
use crate::encode::NoBuffers;
use crate::msgpack::Reader;
use crate::{
    Buffers, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, FieldInfo, Frames,
    Header, blob, fingerprint,
};

/// A type that knows its name, its fields and its identity on the wire.
///
/// Made by `#[derive(Message)]` from a plain struct. The same struct is built by the sender and
/// handed to the receiver: what it borrows is the sender's data there, and the frames here.
///
/// # Examples
///
/// ```
/// use cortex_wire::{ArrayView, Header, Message, decode, encode};
///
/// #[derive(Debug, PartialEq, Message)]
/// #[cortex(class = "robot.msgs.Scan")]
/// struct Scan<'a> {
///     ranges: ArrayView<'a>,
///     frame_id: &'a str,
///     #[cortex(default)]
///     intensities: Option<ArrayView<'a>>,
/// }
///
/// let ranges = [1.0_f32, 2.5];
/// let scan = Scan {
///     ranges: ArrayView::from_slice(&ranges, &[2])?,
///     frame_id: "laser",
///     intensities: None,
/// };
///
/// let mut metadata = [0; 128];
/// let mut buffers = heapless::Vec::<&[u8], 4>::new();
/// let metadata = encode(&scan, &mut metadata, &mut buffers)?;
///
/// let header = Header { fingerprint: Scan::FINGERPRINT, timestamp_ns: 0, sequence: 0 }.encode();
/// let frames: [&[u8]; 3] = [&header, metadata, buffers[0]];
/// assert_eq!(decode::<Scan>(&frames)?, scan);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// Source: wire reference, "One publish".
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    note = "derive it: `#[derive(Message)] #[cortex(class = \"package.module.Class\")]`"
)]
pub trait Message: Sized {
    /// The class's full name in Python: `<module>.<qualname>`.
    const CLASS: &'static str;

    /// The fields in the order in which they travel.
    const FIELDS: &'static [FieldInfo];

    /// The fingerprint that is published.
    const FINGERPRINT: u64 = fingerprint::wire(Self::CLASS);

    /// Further fingerprints that are accepted when receiving.
    const ACCEPT: &'static [u64] = &[];

    /// The hash by which Rust peers compare fields.
    const LAYOUT: u64 = fingerprint::layout(Self::CLASS, Self::FIELDS);

    /// The same message borrowing for `'a`; of a type that borrows nothing, the type itself.
    type View<'a>: Message<View<'a> = Self::View<'a>> + Send + Sync;

    /// Writes the list of fields.
    ///
    /// # Errors
    ///
    /// As [`encode`].
    fn encode_fields<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError>;

    /// Reads the list of fields.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    fn decode_fields<'a>(input: &mut Decoder<'a>) -> Result<Self::View<'a>, DecodeError>;
}

/// What is known of a message type at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TypeInfo {
    /// The class's full name in Python.
    pub class: &'static str,
    /// The fields in order.
    pub fields: &'static [FieldInfo],
    /// The fingerprint that is published.
    pub fingerprint: u64,
    /// Further fingerprints that are accepted.
    pub accept: &'static [u64],
    /// The hash by which Rust peers compare fields.
    pub layout: u64,
}

impl TypeInfo {
    /// What is known of `M`.
    #[must_use]
    pub const fn of<M: Message>() -> Self {
        Self {
            class: M::CLASS,
            fields: M::FIELDS,
            fingerprint: M::FINGERPRINT,
            accept: M::ACCEPT,
            layout: M::LAYOUT,
        }
    }

    /// The class's name without its module, as discovery lists it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let dot = self.class.bytes().rposition(|byte| byte == b'.');
        dot.and_then(|dot| self.class.get(dot.saturating_add(1)..)).unwrap_or(self.class)
    }

    /// Whether a message with this fingerprint is one of the type.
    #[must_use]
    pub fn accepts(&self, fingerprint: u64) -> bool {
        self.fingerprint == fingerprint || self.accept.contains(&fingerprint)
    }
}

/// The type among `types` that a header's fingerprint names.
#[must_use]
pub fn find_type(types: &[TypeInfo], fingerprint: u64) -> Option<&TypeInfo> {
    types
        .iter()
        .find(|info| info.fingerprint == fingerprint)
        .or_else(|| types.iter().find(|info| info.accept.contains(&fingerprint)))
}

/// Writes a message's metadata into `out`, and borrows its array buffers into `buffers`.
///
/// The message then consists of the topic, a [`Header`], the metadata returned, and the buffers
/// in order, each one frame. Buffers are appended to the list.
///
/// # Errors
///
/// [`OutputFull`](crate::EncodeErrorKind::OutputFull) with the length needed,
/// [`TooManyBuffers`](crate::EncodeErrorKind::TooManyBuffers), or what the format cannot say.
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

/// Bytes of a message's metadata.
///
/// # Errors
///
/// What the format cannot say.
pub fn encoded_len<M: Message>(message: &M) -> Result<usize, EncodeError> {
    let mut buffers = NoBuffers;
    let mut encoder = Encoder::new(&mut [], &mut buffers);
    message.encode_fields(&mut encoder)?;
    Ok(encoder.writer().len())
}

/// Reads a message from its frames: header, metadata, buffers; no topic.
///
/// A single frame is taken for a [blob]. Nothing is copied: the message borrows from the frames.
/// The header's fingerprint is checked, every descriptor against its buffer, and the metadata
/// must end with its last field. Buffers that no descriptor names are ignored.
///
/// # Errors
///
/// What is wrong, with its byte offset in the metadata (header errors: in the header).
///
/// Source: wire reference, "One publish".
pub fn decode<'a, M: Message>(frames: &'a (dyn Frames + 'a)) -> Result<M::View<'a>, DecodeError> {
    let first = frames.frame(0).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
    if frames.frame(1).is_none() {
        return blob::decode::<M>(first).map(|(_, message)| message);
    }
    check_fingerprint::<M>(&Header::decode(first)?)?;
    finished::<M>(Decoder::new(frames)?)
}

/// Reads a message from its frames whatever type the header's fingerprint names.
///
/// For types that were renamed, or receivers that asked for no check: only the fields tell a
/// message of another type, and fields of the same types pass for each other.
///
/// # Errors
///
/// As [`decode`], but for `Fingerprint`.
///
/// # Examples
///
/// ```
/// use cortex_wire::{Header, Message, StringMessage, decode, decode_lax, encode};
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
/// assert_eq!(decode_lax::<StringMessage>(&frames)?.data, "hi");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn decode_lax<'a, M: Message>(
    frames: &'a (dyn Frames + 'a),
) -> Result<M::View<'a>, DecodeError> {
    let first = frames.frame(0).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?;
    if frames.frame(1).is_none() {
        return blob::decode_lax::<M>(first).map(|(_, message)| message);
    }
    Header::decode(first)?;
    finished::<M>(Decoder::new(frames)?)
}

/// Reads a message from a bare field list: metadata and buffers, no header.
///
/// For transports of one's own. Nothing but the fields tells the type here.
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
    finished::<M>(Decoder::at(Reader::new(metadata), source))
}

pub(crate) fn check_fingerprint<M: Message>(header: &Header) -> Result<(), DecodeError> {
    let found = header.fingerprint;
    if found == M::FINGERPRINT || M::ACCEPT.contains(&found) {
        return Ok(());
    }
    let kind = DecodeErrorKind::Fingerprint { expected: M::FINGERPRINT, found };
    Err(DecodeError::new(kind, 0))
}

#[inline]
pub(crate) fn finished<'a, M: Message>(mut input: Decoder<'a>) -> Result<M::View<'a>, DecodeError> {
    let message = M::decode_fields(&mut input)?;
    input.finish()?;
    Ok(message)
}
