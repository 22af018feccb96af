//! Errors of encoding and decoding.

use core::fmt;

use crate::limits::{HEADER_LEN, MAX_DEPTH, MAX_DIMS};
use crate::types::Type;

/// An error in decoded input, and its position.
///
/// `offset` counts bytes from the start of the metadata frame, blob or body; for errors of another
/// frame, which the kind names, from the start of that frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DecodeError {
    /// The reason.
    pub kind: DecodeErrorKind,
    /// Byte offset of the invalid item.
    pub offset: usize,
}

impl DecodeError {
    /// An error of `kind` at byte `offset`.
    pub const fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }
}

/// The reason of a [`DecodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends inside an item, or a count exceeds the bytes left.
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes left.
        available: usize,
    },
    /// `0xc1`, which MessagePack never uses.
    ReservedMarker,
    /// An item whose type is not that of the field.
    WrongType {
        /// The type of the field.
        expected: Type,
        /// The type of the item.
        found: Type,
    },
    /// An integer that the field's type cannot hold.
    IntegerRange,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// A map key that is neither a string nor bytes.
    MapKey {
        /// The type of the item.
        found: Type,
    },
    /// Lists and maps nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
    /// Bytes after the last item.
    TrailingBytes {
        /// Their number.
        count: usize,
    },
    /// A number of fields that the message does not have.
    FieldCount {
        /// Fields without a default.
        required: usize,
        /// All fields.
        total: usize,
        /// Fields in the metadata.
        found: u32,
    },
    /// A number of items that differs from that of a fixed-size list or byte array.
    ItemCount {
        /// Items of the field's type.
        expected: usize,
        /// Items in the input.
        found: usize,
    },
    /// More items or bytes than a fixed-capacity field can hold.
    Capacity {
        /// Capacity of the field.
        capacity: usize,
        /// Items or bytes in the input.
        found: usize,
    },
    /// An array descriptor lacks a key.
    DescriptorKeyMissing(DescriptorKey),
    /// An array descriptor has a key twice.
    DescriptorKeyDuplicate(DescriptorKey),
    /// A descriptor's `__cortex_oob__` is neither `numpy` nor `torch`.
    DescriptorKind,
    /// A descriptor where a plain map is expected, or the reserved key `__cortex_oob__` in a map
    /// that cannot be a descriptor.
    ReservedKey,
    /// A dtype that is invalid or not supported.
    Dtype(DtypeError),
    /// A dtype that is valid but not that of the typed array.
    DtypeMismatch,
    /// More dimensions than [`MAX_DIMS`](crate::MAX_DIMS).
    TooManyDimensions {
        /// Dimensions in the input.
        found: u32,
    },
    /// The product of the dimensions and the item size does not fit into `usize`.
    ShapeOverflow,
    /// A descriptor names a buffer that does not exist.
    BufferMissing {
        /// Index of the buffer.
        index: u64,
    },
    /// A buffer whose length differs from that given by its descriptor's shape and dtype.
    BufferLength {
        /// Bytes given by shape and dtype.
        expected: usize,
        /// Bytes of the buffer.
        found: usize,
    },
    /// The owned arrays of a message take more bytes than allowed, because several descriptors name
    /// the same buffer; see [`Decoder::with_copy_limit`](crate::Decoder::with_copy_limit).
    CopyLimit {
        /// Bytes that are allowed.
        limit: usize,
    },
    /// The header frame is not 24 bytes long.
    HeaderLength {
        /// Bytes of the frame.
        found: usize,
    },
    /// The header's fingerprint is not one that the type accepts.
    Fingerprint {
        /// The type's own fingerprint.
        expected: u64,
        /// The header's.
        found: u64,
    },
    /// A message without a frame.
    NoFrames,
    /// Multipart frames where a blob is expected: header and metadata joined are not a blob.
    MultipartFrames,
    /// A tagged value with an unknown tag.
    Tag {
        /// The tag.
        found: u8,
    },
    /// A discovery body lacks a key, or has it twice.
    DiscoveryKey(DiscoveryKey),
}

/// A key of an array descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DescriptorKey {
    /// `__cortex_oob__`: numpy or torch.
    Kind,
    /// `buffer`: index of the buffer frame.
    Buffer,
    /// `dtype`.
    Dtype,
    /// `shape`.
    Shape,
    /// `device`, of a tensor.
    Device,
    /// `requires_grad`, of a tensor.
    RequiresGrad,
}

impl DescriptorKey {
    /// The key as encoded.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "__cortex_oob__",
            Self::Buffer => "buffer",
            Self::Dtype => "dtype",
            Self::Shape => "shape",
            Self::Device => "device",
            Self::RequiresGrad => "requires_grad",
        }
    }
}

/// A key of a discovery body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DiscoveryKey {
    /// `command`, of a request.
    Command,
    /// `topic_name`, of a request.
    TopicName,
    /// `topic_info`, of a request or response.
    TopicInfo,
    /// `status`, of a response.
    Status,
    /// `message`, of a response.
    Message,
    /// `topics`, of a response.
    Topics,
    /// `ext`, our extension.
    Ext,
    /// `name`, of a topic.
    Name,
    /// `address`, of a topic.
    Address,
    /// `message_type`, of a topic.
    MessageType,
    /// `fingerprint`, of a topic.
    Fingerprint,
    /// `publisher_node`, of a topic.
    PublisherNode,
}

impl DiscoveryKey {
    /// The key as encoded.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::TopicName => "topic_name",
            Self::TopicInfo => "topic_info",
            Self::Status => "status",
            Self::Message => "message",
            Self::Topics => "topics",
            Self::Ext => "ext",
            Self::Name => "name",
            Self::Address => "address",
            Self::MessageType => "message_type",
            Self::Fingerprint => "fingerprint",
            Self::PublisherNode => "publisher_node",
        }
    }
}

/// Why a dtype string is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DtypeError {
    /// Not in numpy's `dtype.str` form: byte order, kind, size.
    Syntax,
    /// Python objects (`O`).
    Object,
    /// Items of zero bytes.
    ZeroSize,
    /// A size that does not exist for the kind, such as `<f3`.
    Size,
    /// No byte order for items of several bytes.
    ByteOrder,
}

impl fmt::Display for DtypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "dtype is not of the form byte order, kind, size",
            Self::Object => "dtype object is not supported",
            Self::ZeroSize => "dtype has items of zero bytes",
            Self::Size => "dtype has a size that does not exist for its kind",
            Self::ByteOrder => "dtype lacks a byte order",
        })
    }
}

impl core::error::Error for DtypeError {}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { needed, available } => {
                write!(f, "truncated: {needed} bytes needed, {available} left")
            }
            Self::ReservedMarker => f.write_str("invalid marker 0xc1"),
            Self::WrongType { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            Self::IntegerRange => f.write_str("integer does not fit the field"),
            Self::InvalidUtf8 => f.write_str("string is not UTF-8"),
            Self::MapKey { found } => write!(f, "map key is {found}, not a string"),
            Self::TooDeep => {
                write!(f, "lists and maps nested deeper than {MAX_DEPTH}")
            }
            Self::TrailingBytes { count } => write!(f, "{count} trailing bytes"),
            Self::FieldCount { required, total, found } if required == total => {
                write!(f, "expected {total} fields, found {found}")
            }
            Self::FieldCount { required, total, found } => {
                write!(f, "expected {required} to {total} fields, found {found}")
            }
            Self::ItemCount { expected, found } => {
                write!(f, "expected {expected} items, found {found}")
            }
            Self::Capacity { capacity, found } => {
                write!(f, "{found} items exceed the capacity of {capacity}")
            }
            Self::DescriptorKeyMissing(key) => {
                write!(f, "array descriptor lacks `{}`", key.as_str())
            }
            Self::DescriptorKeyDuplicate(key) => {
                write!(f, "array descriptor has `{}` twice", key.as_str())
            }
            Self::DescriptorKind => {
                f.write_str("array descriptor is neither of numpy nor of torch")
            }
            Self::ReservedKey => f.write_str("reserved key `__cortex_oob__` in a plain map"),
            Self::Dtype(error) => error.fmt(f),
            Self::DtypeMismatch => f.write_str("dtype of the array is not that of the field"),
            Self::TooManyDimensions { found } => {
                write!(f, "{found} dimensions, at most {MAX_DIMS} are supported")
            }
            Self::ShapeOverflow => f.write_str("size of the array overflows usize"),
            Self::BufferMissing { index } => write!(f, "buffer {index} does not exist"),
            Self::BufferLength { expected, found } => {
                write!(f, "shape and dtype need {expected} bytes, buffer has {found}")
            }
            Self::CopyLimit { limit } => {
                write!(f, "copies of the arrays take more than {limit} bytes")
            }
            Self::HeaderLength { found } => {
                write!(f, "header has {found} bytes, not {HEADER_LEN}")
            }
            Self::Fingerprint { expected, found } => {
                write!(f, "fingerprint is {found:#018x}, expected {expected:#018x}")
            }
            Self::NoFrames => f.write_str("message has no frames"),
            Self::MultipartFrames => f.write_str("joined multipart frames instead of a blob"),
            Self::Tag { found } => write!(f, "unknown tag {found}"),
            Self::DiscoveryKey(key) => {
                write!(f, "key `{}` is missing or duplicate", key.as_str())
            }
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for DecodeError {}

/// A value that cannot be encoded, or an output that is too small for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EncodeError {
    /// The reason.
    pub kind: EncodeErrorKind,
    /// Required size of the output: bytes, or buffers for
    /// [`TooManyBuffers`](EncodeErrorKind::TooManyBuffers); 0 for other kinds.
    pub needed: usize,
    /// Its actual size; 0 for other kinds.
    pub available: usize,
}

impl EncodeError {
    /// An error that does not depend on the size of the output.
    pub const fn new(kind: EncodeErrorKind) -> Self {
        Self { kind, needed: 0, available: 0 }
    }
}

/// The reason of an [`EncodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The output is too small; `needed` is the size that suffices.
    OutputFull,
    /// The list of buffers is full; `needed` is the count up to this buffer.
    TooManyBuffers,
    /// A string, list or map longer than the format's limit, 2^32 - 1.
    TooLong,
    /// Lists and maps nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
    /// A map contains the reserved key `__cortex_oob__`, which marks arrays.
    ReservedKey,
    /// A decoded dynamic value no longer decodes: its frames were changed.
    Source(DecodeErrorKind),
    /// The arrays of a decoded dynamic value are encoded to more than four times the bytes of its
    /// buffers, and to more than 64 KiB, because several descriptors name the same buffer.
    CopyLimit {
        /// Bytes that are allowed.
        limit: usize,
        /// Offset in the metadata of the array that exceeds them.
        offset: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EncodeErrorKind::OutputFull => {
                write!(f, "output has {} bytes, {} are needed", self.available, self.needed)
            }
            EncodeErrorKind::TooManyBuffers => write!(
                f,
                "list has room for {} buffers, at least {} are needed",
                self.available, self.needed
            ),
            EncodeErrorKind::TooLong => f.write_str("longer than 2^32 - 1"),
            EncodeErrorKind::TooDeep => {
                write!(f, "lists and maps nested deeper than {MAX_DEPTH}")
            }
            EncodeErrorKind::ReservedKey => {
                f.write_str("key `__cortex_oob__` is reserved for arrays")
            }
            EncodeErrorKind::Source(kind) => write!(f, "value does not decode: {kind}"),
            EncodeErrorKind::CopyLimit { limit, offset } => write!(
                f,
                "arrays of the decoded value take more than {limit} bytes (at byte {offset})"
            ),
        }
    }
}

impl core::error::Error for EncodeError {}
