//! Message types and their run-time descriptions.

use crate::coding::decode::Decoder;
use crate::coding::encode::Encoder;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::fingerprint;
use crate::header::Header;
use crate::types::FieldInfo;

/// A message type: its name, its fields and its fingerprints.
///
/// Implemented by `#[derive(Message)]` for a plain struct. Sender and receiver use the same struct:
/// it borrows from the sender's data or from the received frames.
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
    /// The full name of the class in Python: `<module>.<qualname>`.
    const CLASS: &'static str;

    /// The fields in the order of the wire.
    const FIELDS: &'static [FieldInfo];

    /// The fingerprint in published headers.
    const FINGERPRINT: u64 = fingerprint::wire(Self::CLASS);

    /// Further fingerprints that are accepted when receiving.
    const ACCEPT: &'static [u64] = &[];

    /// Maximum bytes of the metadata, if each field has a maximum: numbers, `heapless` text and
    /// lists, arrays. `None` with borrowed text, bytes, lists and maps; [`encoded_len`] measures.
    ///
    /// ```
    /// use cortex_wire::{Message, TypedArray};
    ///
    /// #[derive(Message)]
    /// #[cortex(class = "robot.msgs.Wheels")]
    /// struct Wheels<'a> {
    ///     speeds: TypedArray<'a, f32>,
    ///     voltage: f32,
    /// }
    ///
    /// let scratch = [0; Wheels::MAX_METADATA_LEN.unwrap()];
    /// # assert_eq!(scratch.len(), 138);
    /// ```
    ///
    /// [`encoded_len`]: crate::encoded_len
    const MAX_METADATA_LEN: Option<usize> = None;

    /// The layout hash, by which Rust peers compare fields.
    const LAYOUT: u64 = fingerprint::layout(Self::CLASS, Self::FIELDS);

    /// The same message, borrowing for `'a`; for a type that borrows nothing, the type itself.
    type View<'a>: Message<View<'a> = Self::View<'a>> + Send + Sync;

    /// Writes the list of fields.
    ///
    /// # Errors
    ///
    /// As [`encode`](crate::encode).
    fn encode_fields<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError>;

    /// Reads the list of fields.
    ///
    /// # Errors
    ///
    /// As [`decode`](crate::decode).
    fn decode_fields<'a>(input: &mut Decoder<'a>) -> Result<Self::View<'a>, DecodeError>;
}

/// A description of a message type at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TypeInfo {
    /// The class's full name in Python.
    pub class: &'static str,
    /// The fields in order.
    pub fields: &'static [FieldInfo],
    /// The fingerprint in published headers.
    pub fingerprint: u64,
    /// Further fingerprints that are accepted.
    pub accept: &'static [u64],
    /// The layout hash, by which Rust peers compare fields.
    pub layout: u64,
}

impl TypeInfo {
    /// The description of `M`.
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

    /// The name of the class without its module, as discovery lists it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let dot = self.class.bytes().rposition(|byte| byte == b'.');
        dot.and_then(|dot| self.class.get(dot.saturating_add(1)..)).unwrap_or(self.class)
    }

    /// Whether the type accepts messages with this fingerprint.
    #[must_use]
    pub fn accepts(&self, fingerprint: u64) -> bool {
        self.fingerprint == fingerprint || self.accept.contains(&fingerprint)
    }
}

/// The type among `types` that has or accepts this fingerprint.
#[must_use]
pub fn find_type(types: &[TypeInfo], fingerprint: u64) -> Option<&TypeInfo> {
    types
        .iter()
        .find(|info| info.fingerprint == fingerprint)
        .or_else(|| types.iter().find(|info| info.accept.contains(&fingerprint)))
}

impl Header {
    /// The header of a message of type `M`.
    ///
    /// Units: nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn of<M: Message>(timestamp_ns: u64, sequence: u64) -> Self {
        Self { fingerprint: M::FINGERPRINT, timestamp_ns, sequence }
    }
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
pub(crate) fn read_message<'a, M: Message>(
    mut input: Decoder<'a>,
) -> Result<M::View<'a>, DecodeError> {
    let message = M::decode_fields(&mut input)?;
    input.finish()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use cortex_wire_derive::Message;

    use super::*;
    use crate::array::ArrayView;
    use crate::fingerprint::schema;

    #[derive(Message)]
    #[cortex(class = "m.C", accept = [7, u64::MAX], accept_schema)]
    struct Scan<'a> {
        ranges: Option<ArrayView<'a>>,
        seconds: f64,
        name: Option<&'a str>,
    }

    #[test]
    fn accept_schema_computes_the_fingerprint_and_accept_adds_others() {
        let fields =
            [("ranges", "numpy.ndarray | None"), ("seconds", "float"), ("name", "str | None")];
        assert_eq!(Scan::ACCEPT, [schema("m.C", &fields), 7, u64::MAX]);
    }
}
