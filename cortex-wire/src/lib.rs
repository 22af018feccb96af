// Rustdoc uses these definitions, which refer to the items, as the first definition of a link
// counts. The README's own definitions refer to the files.
//! [`ArrayView`]: crate::ArrayView
//! [`DecodeError`]: crate::DecodeError
//! [`EncodeError`]: crate::EncodeError
//! [`Frames`]: crate::Frames
//! [`Int`]: crate::Int
//! [`List`]: crate::List
//! [`MAX_DEPTH`]: crate::MAX_DEPTH
//! [`MAX_DIMS`]: crate::MAX_DIMS
//! [`Map`]: crate::Map
//! [`MapOf`]: crate::MapOf
//! [`TensorView`]: crate::TensorView
//! [`TypedArray`]: crate::TypedArray
//! [`Value`]: crate::Value
//! [`Walk`]: crate::Walk
//! [`blob`]: crate::blob
//! [`decode`]: crate::decode
//! [`decode_bare`]: crate::decode_bare
//! [`decode_ignoring_fingerprint`]: crate::decode_ignoring_fingerprint
//! [`discovery`]: crate::discovery
//! [`encode`]: crate::encode
//! [`encoded_len`]: crate::encoded_len
//! [`find_type`]: crate::find_type
//! [`link`]: crate::link
//! [`zmtp`]: crate::zmtp
#![doc = include_str!("../README.md")]
#![no_std]
// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, doctest, fuzzing, feature = "std"))]
extern crate std;

// The derive macro's paths are valid outside and inside of this crate.
extern crate self as cortex_wire;

// Groups from top to bottom: a module uses modules of its own group and of those below.
mod stream;

pub mod blob;
#[cfg(test)]
mod bounds;
mod codec;
pub mod discovery;
pub mod standard;
mod topics;

mod message;
mod value;

mod array;
mod coding;
pub mod msgpack;
#[cfg(feature = "serde")]
mod serialization;

mod error;
pub mod fingerprint;
mod header;
mod limits;
mod sequence;
mod types;

pub use array::dtype::{ByteOrder, Dtype, DtypeKind, DtypeText, TimeUnit};
pub use array::element::Element;
pub use array::error::ArrayError;
#[cfg(feature = "alloc")]
pub use array::owned::{OwnedArray, OwnedTensor};
pub use array::shape::Shape;
pub use array::tensor::TensorView;
pub use array::typed::TypedArray;
pub use array::{ArrayView, Items};
pub use codec::{
    decode, decode_bare, decode_ignoring_fingerprint, encode, encode_plain, encoded_len,
};
pub use coding::decode::{Decode, Decoder, Fields};
pub use coding::encode::{Buffers, Encode, Encoder, Field};
pub use coding::frames::Frames;
#[doc(hidden)]
pub use coding::max_len::fields as max_fields_len;
pub use cortex_wire_derive::Message;
/// The traits of streams, in the version that [`link`] and [`zmtp`] take.
pub use embedded_io;
/// The traits of asynchronous streams, in the version that [`link`] and [`zmtp`] take.
#[cfg(feature = "async")]
pub use embedded_io_async;
pub use error::{
    DecodeError, DecodeErrorKind, DescriptorKey, DiscoveryKey, DtypeError, EncodeError,
    EncodeErrorKind,
};
/// Half-precision numbers, in the version for which [`Element`] is implemented.
#[cfg(feature = "f16")]
pub use half;
pub use header::Header;
/// Fixed-capacity lists and strings, in the version for whose `Vec` [`Buffers`] is implemented.
pub use heapless;
pub use limits::{MAX_DEPTH, MAX_DIMS};
pub use message::{Message, TypeInfo, find_type};
pub use msgpack::int::{Int, IntRangeError};
pub use msgpack::key::Key;
/// Array views, in the version of the conversions of [`ArrayView`].
#[cfg(feature = "ndarray")]
pub use ndarray;
/// Complex numbers, in the version for which [`Element`] is implemented.
#[cfg(feature = "complex")]
pub use num_complex;
pub use sequence::{SequenceTracker, Step};
pub use standard::{
    ArrayMessage, BytesMessage, DictMessage, FloatMessage, HeaderMessage, ImageMessage, IntMessage,
    ListMessage, MultiArrayMessage, MultiTensorMessage, PointCloudMessage, PoseMessage,
    StringMessage, TensorMessage, TimestampMessage, TransformMessage,
};
pub use stream::error::{ProtocolError, SendError, StreamError};
pub use stream::multipart::{MAX_PUBLISHED_FRAMES, Multipart, MultipartFrames};
pub use stream::{link, zmtp};
pub use types::{FieldInfo, Type};
pub use value::list::ListIter;
pub use value::map::MapIter;
pub use value::map_of::{MapOf, MapOfIter};
#[cfg(feature = "alloc")]
pub use value::owned::{OwnedKey, OwnedValue};
pub use value::walk::{Event, Walk};
pub use value::{List, Map, Value};
