//! Formats of Rust structs: rmp-serde, postcard, bitcode, serde_json.
//!
//! A struct has arrays of one form: borrowed bytes, owned bytes for bitcode, which cannot borrow, or
//! numbers for JSON, which has no bytes.

use std::hint::black_box;
use std::mem::take;

use bytemuck::cast_slice;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::contender::{Contender, Digest, Item};
use super::scene::{COUNT, ENCODING, FRAME_IDS, GAIN, Kind, NAME, POINTS, ROWS, Scene, WIDTH};

/// The items of an array.
trait Items<'s, T> {
    fn of(items: &'s [T]) -> Self;
    fn add_to(&self, digest: Digest, shape: &[u32]) -> Option<Digest>;
}

/// Items as borrowed bytes.
#[derive(Clone, Copy, Debug)]
struct Borrowed<'s>(&'s [u8]);

/// Items as owned bytes.
#[derive(Debug, bitcode::Encode, bitcode::Decode)]
struct Owned(Vec<u8>);

impl<'s, T: Item> Items<'s, T> for Borrowed<'s> {
    fn of(items: &'s [T]) -> Self {
        Self(cast_slice(items))
    }

    fn add_to(&self, digest: Digest, shape: &[u32]) -> Option<Digest> {
        digest.bytes::<T>(sizes(shape), self.0)
    }
}

impl<'s, T: Item> Items<'s, T> for Owned {
    fn of(items: &'s [T]) -> Self {
        Self(cast_slice(items).to_vec())
    }

    fn add_to(&self, digest: Digest, shape: &[u32]) -> Option<Digest> {
        digest.bytes::<T>(sizes(shape), &self.0)
    }
}

impl<'s, T: Item> Items<'s, T> for Vec<T> {
    fn of(items: &'s [T]) -> Self {
        items.to_vec()
    }

    fn add_to(&self, digest: Digest, shape: &[u32]) -> Option<Digest> {
        digest.items(sizes(shape), self)
    }
}

fn sizes(shape: &[u32]) -> impl Iterator<Item = usize> {
    shape.iter().map(|&size| size as usize)
}

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 's, 's> Deserialize<'de> for Borrowed<'s> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Borrows, as serde does for byte slices.
        <&'s [u8]>::deserialize(deserializer).map(Self)
    }
}

/// An array; its shape is a list of one, two or three numbers.
#[derive(Debug, Serialize, Deserialize, bitcode::Encode, bitcode::Decode)]
struct Array<'a, S, A> {
    dtype: &'a str,
    shape: S,
    items: A,
}

impl<'s, S: AsRef<[u32]>, A> Array<'s, S, A> {
    fn new<T: Item>(items: &'s [T], shape: S) -> Self
    where
        A: Items<'s, T>,
    {
        Self { dtype: T::DTYPE, shape, items: A::of(items) }
    }

    fn add_to<'a, T: Item>(&self, digest: Digest) -> Option<Digest>
    where
        A: Items<'a, T>,
    {
        (self.dtype == T::DTYPE).then(|| self.items.add_to(digest, self.shape.as_ref()))?
    }
}

/// A message that is created from a scene, and the digest of its values.
trait Form<'s> {
    fn of(scene: &'s Scene) -> Self;
    fn digest(&self) -> Option<Digest>;
}

#[derive(Debug, Serialize, Deserialize, bitcode::Encode, bitcode::Decode)]
struct Image<'a, A> {
    #[serde(borrow)]
    data: Array<'a, [u32; 3], A>,
    encoding: &'a str,
    width: u64,
    height: u64,
}

impl<'s, A: Items<'s, u8>> Form<'s> for Image<'s, A> {
    fn of(scene: &'s Scene) -> Self {
        Self {
            data: Array::new(&scene.pixels, [ROWS as u32, WIDTH as u32, 3]),
            encoding: ENCODING,
            width: WIDTH as u64,
            height: ROWS as u64,
        }
    }

    fn digest(&self) -> Option<Digest> {
        let Self { data, encoding, width, height } = self;
        data.add_to(Digest::default().text(encoding).number(*width as f64).number(*height as f64))
    }
}

#[derive(Debug, Serialize, Deserialize, bitcode::Encode, bitcode::Decode)]
struct Pose<'a, A> {
    #[serde(borrow)]
    position: Array<'a, [u32; 1], A>,
    #[serde(borrow)]
    orientation: Array<'a, [u32; 1], A>,
    frame_id: &'a str,
    child_frame_id: &'a str,
}

impl<'s, A: Items<'s, f64>> Form<'s> for Pose<'s, A> {
    fn of(scene: &'s Scene) -> Self {
        let [frame_id, child_frame_id] = FRAME_IDS;
        Self {
            position: Array::new(&scene.position, [3]),
            orientation: Array::new(&scene.orientation, [4]),
            frame_id,
            child_frame_id,
        }
    }

    fn digest(&self) -> Option<Digest> {
        let digest = Digest::default().text(self.frame_id).text(self.child_frame_id);
        self.orientation.add_to(self.position.add_to(digest)?)
    }
}

#[derive(Debug, Serialize, Deserialize, bitcode::Encode, bitcode::Decode)]
struct PointCloud<'a, A> {
    #[serde(borrow)]
    points: Array<'a, [u32; 2], A>,
    #[serde(borrow)]
    colors: Option<Array<'a, [u32; 2], A>>,
    #[serde(borrow)]
    intensity: Option<Array<'a, [u32; 1], A>>,
    #[serde(borrow)]
    normals: Option<Array<'a, [u32; 2], A>>,
    frame_id: &'a str,
}

impl<'s, A: Items<'s, f32>> Form<'s> for PointCloud<'s, A> {
    fn of(scene: &'s Scene) -> Self {
        let count = POINTS as u32;
        Self {
            points: Array::new(&scene.points, [count, 3]),
            colors: Some(Array::new(&scene.colors, [count, 3])),
            intensity: Some(Array::new(&scene.intensity, [count])),
            normals: None,
            frame_id: FRAME_IDS[0],
        }
    }

    fn digest(&self) -> Option<Digest> {
        let mut digest = self.points.add_to(Digest::default().text(self.frame_id))?;
        for array in [&self.colors, &self.normals].into_iter().flatten() {
            digest = array.add_to(digest)?;
        }
        match &self.intensity {
            Some(array) => array.add_to(digest),
            None => Some(digest),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, bitcode::Encode, bitcode::Decode)]
struct Dict<'a, A> {
    name: &'a str,
    count: u64,
    gain: f64,
    #[serde(borrow)]
    joints: Joints<'a, A>,
    #[serde(borrow)]
    frames: [Array<'a, [u32; 2], A>; 2],
}

#[derive(Debug, Serialize, Deserialize, bitcode::Encode, bitcode::Decode)]
struct Joints<'a, A> {
    #[serde(borrow)]
    position: Array<'a, [u32; 1], A>,
    #[serde(borrow)]
    velocity: Array<'a, [u32; 1], A>,
}

impl<'s, A: Items<'s, f64>> Form<'s> for Dict<'s, A> {
    fn of(scene: &'s Scene) -> Self {
        let position = Array::new(&scene.angles, [6]);
        let velocity = Array::new(&scene.speeds, [6]);
        let joints = Joints { position, velocity };
        let frames = scene.frames.each_ref().map(|frame| Array::new(frame, [4, 4]));
        Self { name: NAME, count: COUNT, gain: GAIN, joints, frames }
    }

    fn digest(&self) -> Option<Digest> {
        let mut digest =
            Digest::default().text(self.name).number(self.count as f64).number(self.gain);
        for array in [&self.joints.position, &self.joints.velocity] {
            digest = array.add_to(digest)?;
        }
        self.frames.iter().try_fold(digest, |digest, array| array.add_to(digest))
    }
}

/// The contenders of all formats for one message.
macro_rules! formats {
    ($scene:expr, $form:ident, $item:ty) => {{
        let borrowed = <$form<'_, Borrowed<'_>>>::of($scene);
        let rmp = Contender::new(
            "rmp-serde",
            move |out| drop(rmp_serde::encode::write(out, &borrowed)),
            |bytes| rmp_serde::from_slice::<$form<'_, Borrowed<'_>>>(bytes).ok()?.digest(),
        );
        let borrowed = <$form<'_, Borrowed<'_>>>::of($scene);
        let postcard = Contender::new(
            "postcard",
            move |out| *out = postcard::to_extend(&borrowed, take(out)).unwrap_or_default(),
            |bytes| postcard::from_bytes::<$form<'_, Borrowed<'_>>>(bytes).ok()?.digest(),
        );
        let owned = <$form<'_, Owned>>::of($scene);
        let encoded = bitcode::encode(&owned);
        let len = encoded.len();
        let mut buffer = bitcode::Buffer::new();
        let bitcode = Contender::of(
            "bitcode",
            len,
            move || {
                black_box(buffer.encode(&owned));
            },
            move || bitcode::decode::<$form<'_, Owned>>(&encoded).ok()?.digest(),
        );
        let numbers = <$form<'_, Vec<$item>>>::of($scene);
        let json = Contender::new(
            "serde_json",
            move |out| drop(serde_json::to_writer(out, &numbers)),
            |bytes| serde_json::from_slice::<$form<'_, Vec<$item>>>(bytes).ok()?.digest(),
        );
        vec![rmp, postcard, bitcode, json]
    }};
}

pub(super) fn contenders(scene: &Scene, kind: Kind) -> Vec<Contender<'_>> {
    match kind {
        Kind::Image => formats!(scene, Image, u8),
        Kind::Pose => formats!(scene, Pose, f64),
        Kind::PointCloud => formats!(scene, PointCloud, f32),
        Kind::Dict => formats!(scene, Dict, f64),
    }
}
