//! The sixteen messages of `cortex.messages.standard`.
//!
//! Fields are in the order of the wire; those missing at the end take Python's defaults. Each type
//! accepts its schema fingerprint besides the wire fingerprint.
//!
//! Source: wire reference, "Standard messages".

use cortex_wire_derive::Message;

use crate::array::ArrayView;
use crate::array::tensor::TensorView;
use crate::message::TypeInfo;
use crate::msgpack::int::Int;
use crate::value::map_of::MapOf;
use crate::value::{List, Map};

/// The standard types; [`find_type`](crate::find_type) finds one by its fingerprint.
pub const TYPES: &[TypeInfo] = &[
    TypeInfo::of::<StringMessage<'_>>(),
    TypeInfo::of::<IntMessage>(),
    TypeInfo::of::<FloatMessage>(),
    TypeInfo::of::<BytesMessage<'_>>(),
    TypeInfo::of::<DictMessage<'_>>(),
    TypeInfo::of::<ListMessage<'_>>(),
    TypeInfo::of::<ArrayMessage<'_>>(),
    TypeInfo::of::<MultiArrayMessage<'_>>(),
    TypeInfo::of::<TensorMessage<'_>>(),
    TypeInfo::of::<MultiTensorMessage<'_>>(),
    TypeInfo::of::<ImageMessage<'_>>(),
    TypeInfo::of::<PointCloudMessage<'_>>(),
    TypeInfo::of::<PoseMessage<'_>>(),
    TypeInfo::of::<TransformMessage<'_>>(),
    TypeInfo::of::<TimestampMessage>(),
    TypeInfo::of::<HeaderMessage<'_>>(),
];

/// Text.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.StringMessage", accept_schema)]
pub struct StringMessage<'a> {
    /// The text.
    pub data: &'a str,
}

/// An integer: any of Rust's of up to 64 bits converts into it, and out of it where it fits.
///
/// # Examples
///
/// ```
/// use cortex_wire::IntMessage;
///
/// let message = IntMessage { data: 5.into() };
/// assert_eq!(i64::try_from(message.data)?, 5);
/// assert!(u8::try_from(IntMessage { data: 300.into() }.data).is_err());
/// # Ok::<(), cortex_wire::IntRangeError>(())
/// ```
///
/// In a message of your own a field may have Rust's own type, such as `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.IntMessage", accept_schema)]
pub struct IntMessage {
    /// -2^63 to 2^64 - 1.
    pub data: Int,
}

/// A double.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.FloatMessage", accept_schema)]
pub struct FloatMessage {
    /// The value.
    pub data: f64,
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.BytesMessage", accept_schema)]
pub struct BytesMessage<'a> {
    /// The bytes.
    pub data: &'a [u8],
}

/// A dictionary of any values: lists, maps, arrays and tensors included.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.DictMessage", accept_schema)]
pub struct DictMessage<'a> {
    /// The dictionary.
    pub data: Map<'a>,
}

/// A list of any values: lists, maps, arrays and tensors included.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.ListMessage", accept_schema)]
pub struct ListMessage<'a> {
    /// The list.
    pub data: List<'a>,
}

/// An array with a name.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.ArrayMessage", accept_schema)]
pub struct ArrayMessage<'a> {
    /// The array, of any dtype and shape.
    pub data: ArrayView<'a>,
    /// Its name.
    #[cortex(default)]
    pub name: &'a str,
    /// Its coordinate frame.
    #[cortex(default)]
    pub frame_id: &'a str,
}

/// Several arrays by name.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.MultiArrayMessage", accept_schema)]
pub struct MultiArrayMessage<'a> {
    /// The arrays, of any dtype and shape.
    pub arrays: MapOf<'a, ArrayView<'a>>,
    /// Their coordinate frame.
    #[cortex(default)]
    pub frame_id: &'a str,
}

/// A tensor with a name.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.TensorMessage", accept_schema)]
pub struct TensorMessage<'a> {
    /// The tensor, of any dtype and shape.
    pub data: TensorView<'a>,
    /// Its name.
    #[cortex(default)]
    pub name: &'a str,
}

/// Several tensors by name.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.MultiTensorMessage", accept_schema)]
pub struct MultiTensorMessage<'a> {
    /// The tensors, of any dtype and shape.
    pub tensors: MapOf<'a, TensorView<'a>>,
}

/// An image.
///
/// Shape: `[height, width]` or `[height, width, channels]`; any dtype.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(
    class = "cortex.messages.standard.ImageMessage",
    accept_schema,
    after_decode = ImageMessage::size_from_data,
)]
pub struct ImageMessage<'a> {
    /// The pixels.
    pub data: ArrayView<'a>,
    /// The pixel format: `rgb8`, `bgr8`, `mono8`, or any text that both sides agree on.
    #[cortex(default = "rgb8")]
    pub encoding: &'a str,
    /// Pixels in a row.
    #[cortex(default)]
    pub width: u64,
    /// Rows.
    #[cortex(default)]
    pub height: u64,
}

impl<'a> ImageMessage<'a> {
    /// An image whose width and height are those of its data.
    #[must_use]
    pub fn new(data: ArrayView<'a>, encoding: &'a str) -> Self {
        let mut image = Self { data, encoding, width: 0, height: 0 };
        image.size_from_data();
        image
    }

    /// Sets width and height from the shape if the width is 0, as Python does on both sides.
    pub fn size_from_data(&mut self) {
        if self.width == 0
            && let [height, width] | [height, width, _] = self.data.shape()
        {
            self.height = *height as u64;
            self.width = *width as u64;
        }
    }
}

/// A point cloud.
///
/// Shape: `points`, `colors` and `normals` `[n, 3]`, `intensity` `[n]` or `[n, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.PointCloudMessage", accept_schema)]
pub struct PointCloudMessage<'a> {
    /// Coordinates.
    pub points: ArrayView<'a>,
    /// A colour for each point.
    #[cortex(default)]
    pub colors: Option<ArrayView<'a>>,
    /// An intensity for each point.
    #[cortex(default)]
    pub intensity: Option<ArrayView<'a>>,
    /// A normal for each point.
    #[cortex(default)]
    pub normals: Option<ArrayView<'a>>,
    /// The coordinate frame of the points.
    #[cortex(default)]
    pub frame_id: &'a str,
}

/// A position and an orientation.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.PoseMessage", accept_schema)]
pub struct PoseMessage<'a> {
    /// x, y, z. Shape: `[3]`.
    pub position: ArrayView<'a>,
    /// Quaternion x, y, z, w. Shape: `[4]`.
    pub orientation: ArrayView<'a>,
    /// The frame of reference of the pose.
    #[cortex(default)]
    pub frame_id: &'a str,
    /// The frame whose pose it is.
    #[cortex(default)]
    pub child_frame_id: &'a str,
}

/// A transform between two coordinate frames.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.TransformMessage", accept_schema)]
pub struct TransformMessage<'a> {
    /// A homogeneous matrix. Shape: `[4, 4]`.
    pub matrix: ArrayView<'a>,
    /// The frame that is transformed into.
    #[cortex(default)]
    pub frame_id: &'a str,
    /// The frame that is transformed from.
    #[cortex(default)]
    pub child_frame_id: &'a str,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.TimestampMessage", accept_schema)]
pub struct TimestampMessage {
    /// Whole seconds.
    pub sec: i64,
    /// Nanoseconds after the whole second.
    pub nanosec: i64,
}

impl TimestampMessage {
    /// The time of this machine's wall clock, since the Unix epoch.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn now() -> Self {
        let now = std::time::SystemTime::now();
        // Zero for a clock that is set before the epoch.
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let sec = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Self { sec, nanosec: since.subsec_nanos().into() }
    }
}

/// A time stamp, a coordinate frame and a sequence number, like the header of a ROS message.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cortex(class = "cortex.messages.standard.HeaderMessage", accept_schema)]
pub struct HeaderMessage<'a> {
    /// Whole seconds.
    pub stamp_sec: i64,
    /// Nanoseconds after the whole second.
    pub stamp_nanosec: i64,
    /// A coordinate frame.
    #[cortex(default)]
    pub frame_id: &'a str,
    /// A sequence number.
    #[cortex(default)]
    pub sequence: u64,
}
