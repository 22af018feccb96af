// The first definition of a link counts: here these, which lead to the items; where the README
// stands alone its own, which lead to the files.
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
//! [`decode_lax`]: crate::decode_lax
//! [`discovery`]: crate::discovery
//! [`encode`]: crate::encode
//! [`encoded_len`]: crate::encoded_len
//! [`find_type`]: crate::find_type
//! [`link`]: crate::link
//! [`zmtp`]: crate::zmtp
#![doc = include_str!("../README.md")]
#![no_std]
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
#[cfg(any(test, doctest))]
extern crate std;

// The derive macro names this crate from outside and from inside alike.
extern crate self as cortex_wire;

mod array;
pub mod blob;
mod decode;
mod descriptor;
pub mod discovery;
mod dtype;
mod encode;
mod error;
pub mod fingerprint;
mod header;
mod items;
pub mod link;
mod list;
mod map;
mod message;
pub mod msgpack;
mod multipart;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "alloc")]
mod owned;
pub mod standard;
mod stream;
mod topics;
mod value;
mod walk;
pub mod zmtp;

pub use array::{ArrayError, ArrayView, Items, MAX_DIMS, Shape, TensorView, TypedArray};
pub use cortex_wire_derive::Message;
pub use decode::{Decode, Decoder, Fields, Frames};
pub use dtype::{ByteOrder, Dtype, DtypeKind, DtypeText, Element, TimeUnit};
pub use encode::{Buffers, Encode, Encoder, Field};
pub use error::{
    DecodeError, DecodeErrorKind, DescriptorKey, DiscoveryKey, DtypeError, EncodeError,
    EncodeErrorKind,
};
pub use fingerprint::{FieldInfo, Type};
pub use header::Header;
/// Fixed-capacity lists and strings, in the version that fits: [`Buffers`] is implemented for its
/// `Vec`.
pub use heapless;
pub use list::{List, ListIter};
pub use map::{Map, MapIter, MapOf, MapOfIter};
pub use message::{
    Message, TypeInfo, decode, decode_bare, decode_lax, encode, encoded_len, find_type,
};
pub use msgpack::{Int, IntRangeError};
pub use multipart::{MAX_PUBLISHED_FRAMES, Multipart, MultipartFrames};
#[cfg(feature = "alloc")]
pub use owned::{OwnedArray, OwnedKey, OwnedTensor, OwnedValue};
pub use standard::{
    ArrayMessage, BytesMessage, DictMessage, FloatMessage, HeaderMessage, ImageMessage, IntMessage,
    ListMessage, MultiArrayMessage, MultiTensorMessage, PointCloudMessage, PoseMessage,
    StringMessage, TensorMessage, TimestampMessage, TransformMessage,
};
pub use stream::StreamError;
pub use value::{Key, Value};
pub use walk::{Event, MAX_DEPTH, Walk};
