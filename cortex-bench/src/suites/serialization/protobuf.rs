//! Protocol Buffers by prost, with derived messages.

use prost::Message;
use prost::bytes::Bytes;

use super::contender::{Contender, Digest, Item};
use super::scene::{COUNT, ENCODING, FRAME_IDS, GAIN, Kind, NAME, POINTS, ROWS, Scene, WIDTH};

#[derive(Clone, PartialEq, Message)]
struct Array {
    #[prost(string, tag = "1")]
    dtype: String,
    #[prost(uint32, repeated, tag = "2")]
    shape: Vec<u32>,
    #[prost(bytes = "bytes", tag = "3")]
    items: Bytes,
}

impl Array {
    fn new<T: Item>(items: &[T], shape: &[usize]) -> Option<Self> {
        let items = Bytes::copy_from_slice(bytemuck::cast_slice(items));
        let shape = shape.iter().map(|&size| size as u32).collect();
        Some(Self { dtype: T::DTYPE.into(), shape, items })
    }

    fn add_to<T: Item>(&self, digest: Digest) -> Option<Digest> {
        let shape = self.shape.iter().map(|&size| size as usize);
        (self.dtype == T::DTYPE).then(|| digest.bytes::<T>(shape, &self.items))?
    }
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(message, tag = "1")]
    data: Option<Array>,
    #[prost(string, tag = "2")]
    encoding: String,
    #[prost(uint64, tag = "3")]
    width: u64,
    #[prost(uint64, tag = "4")]
    height: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Pose {
    #[prost(message, tag = "1")]
    position: Option<Array>,
    #[prost(message, tag = "2")]
    orientation: Option<Array>,
    #[prost(string, tag = "3")]
    frame_id: String,
    #[prost(string, tag = "4")]
    child_frame_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct PointCloud {
    #[prost(message, tag = "1")]
    points: Option<Array>,
    #[prost(message, tag = "2")]
    colors: Option<Array>,
    #[prost(message, tag = "3")]
    intensity: Option<Array>,
    #[prost(message, tag = "4")]
    normals: Option<Array>,
    #[prost(string, tag = "5")]
    frame_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Dict {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    count: u64,
    #[prost(double, tag = "3")]
    gain: f64,
    #[prost(message, tag = "4")]
    joints: Option<Joints>,
    #[prost(message, repeated, tag = "5")]
    frames: Vec<Array>,
}

#[derive(Clone, PartialEq, Message)]
struct Joints {
    #[prost(message, tag = "1")]
    position: Option<Array>,
    #[prost(message, tag = "2")]
    velocity: Option<Array>,
}

pub(super) fn contender(scene: &Scene, kind: Kind) -> Contender<'_> {
    let [map, base] = FRAME_IDS.map(String::from);
    match kind {
        Kind::Image => {
            let message = Image {
                data: Array::new(&scene.pixels, &[ROWS, WIDTH, 3]),
                encoding: ENCODING.into(),
                width: WIDTH as u64,
                height: ROWS as u64,
            };
            of(message, |Image { data, encoding, width, height }| {
                let digest = Digest::default().text(encoding);
                data.as_ref()?.add_to::<u8>(digest.number(*width as f64).number(*height as f64))
            })
        }
        Kind::Pose => {
            let message = Pose {
                position: Array::new(&scene.position, &[3]),
                orientation: Array::new(&scene.orientation, &[4]),
                frame_id: map,
                child_frame_id: base,
            };
            of(message, |pose| {
                let digest = Digest::default().text(&pose.frame_id).text(&pose.child_frame_id);
                let digest = pose.position.as_ref()?.add_to::<f64>(digest)?;
                pose.orientation.as_ref()?.add_to::<f64>(digest)
            })
        }
        Kind::PointCloud => {
            let message = PointCloud {
                points: Array::new(&scene.points, &[POINTS, 3]),
                colors: Array::new(&scene.colors, &[POINTS, 3]),
                intensity: Array::new(&scene.intensity, &[POINTS]),
                normals: None,
                frame_id: map,
            };
            of(message, |cloud| {
                let digest = Digest::default().text(&cloud.frame_id);
                let digest = cloud.points.as_ref()?.add_to::<f32>(digest)?;
                let others = [&cloud.colors, &cloud.intensity, &cloud.normals];
                others
                    .into_iter()
                    .flatten()
                    .try_fold(digest, |digest, array| array.add_to::<f32>(digest))
            })
        }
        Kind::Dict => {
            let message = Dict {
                name: NAME.into(),
                count: COUNT,
                gain: GAIN,
                joints: Some(Joints {
                    position: Array::new(&scene.angles, &[6]),
                    velocity: Array::new(&scene.speeds, &[6]),
                }),
                frames: scene.frames.iter().filter_map(|f| Array::new(f, &[4, 4])).collect(),
            };
            of(message, |dict| {
                let digest = Digest::default().text(&dict.name);
                let digest = digest.number(dict.count as f64).number(dict.gain);
                let Joints { position, velocity } = dict.joints.as_ref()?;
                let digest = position.as_ref()?.add_to::<f64>(digest)?;
                let digest = velocity.as_ref()?.add_to::<f64>(digest)?;
                dict.frames.iter().try_fold(digest, |digest, array| array.add_to::<f64>(digest))
            })
        }
    }
}

fn of<'s, M: Message + Default + 's>(
    message: M,
    digest: fn(&M) -> Option<Digest>,
) -> Contender<'s> {
    let encoded = Bytes::from(message.encode_to_vec());
    let len = encoded.len();
    let mut out = Vec::with_capacity(len);
    let encode = move || {
        out.clear();
        // A vector grows, so this cannot fail.
        let _ = message.encode(&mut out);
        std::hint::black_box(&out);
    };
    // Arrays borrow from `encoded`, which is reference-counted.
    Contender::of("prost", len, encode, move || digest(&M::decode(encoded.clone()).ok()?))
}
