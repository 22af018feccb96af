//! cortex-wire: metadata, and arrays that stay in place.

use std::hint::black_box;

use cortex_wire::standard::{DictMessage, ImageMessage, PointCloudMessage, PoseMessage};
use cortex_wire::{ArrayView, Element, Map, Message, Value, decode_bare, encode};

use super::contender::{Contender, Digest};
use super::scene::{COUNT, ENCODING, FRAME_IDS, GAIN, Kind, NAME, POINTS, ROWS, Scene, WIDTH};

/// Buffer size that suffices for the metadata of every message here.
const MAX_LEN: usize = 1024;

type Buffers<'b> = heapless::Vec<&'b [u8], 8>;

pub(super) fn contender<'s>(name: &'static str, scene: &'s Scene, kind: Kind) -> Contender<'s> {
    let [map, base] = FRAME_IDS;
    match kind {
        Kind::Image => {
            let message = ImageMessage::new(array(&scene.pixels, &[ROWS, WIDTH, 3]), ENCODING);
            of(name, scene.arrays(kind), move |out| write(&message, out), image)
        }
        Kind::Pose => {
            let message = PoseMessage {
                position: array(&scene.position, &[3]),
                orientation: array(&scene.orientation, &[4]),
                frame_id: map,
                child_frame_id: base,
            };
            of(name, scene.arrays(kind), move |out| write(&message, out), pose)
        }
        Kind::PointCloud => {
            let message = PointCloudMessage {
                points: array(&scene.points, &[POINTS, 3]),
                colors: Some(array(&scene.colors, &[POINTS, 3])),
                intensity: Some(array(&scene.intensity, &[POINTS])),
                normals: None,
                frame_id: map,
            };
            of(name, scene.arrays(kind), move |out| write(&message, out), cloud)
        }
        Kind::Dict => {
            let (angles, speeds) = (array(&scene.angles, &[6]), array(&scene.speeds, &[6]));
            let frames = scene.frames.each_ref().map(|frame| array(frame, &[4, 4]));
            // A dictionary borrows its values, so it is created each time.
            let encode = move |out: &mut [u8]| {
                let joints = [("position", Value::from(angles)), ("velocity", Value::from(speeds))];
                let frames = frames.map(Value::from);
                let pairs = [
                    ("name", Value::from(NAME)),
                    ("count", Value::from(COUNT)),
                    ("gain", Value::from(GAIN)),
                    ("joints", Value::from(&joints)),
                    ("frames", Value::from(&frames)),
                ];
                write(&DictMessage { data: Map::from(&pairs) }, out)
            };
            of(name, scene.arrays(kind), encode, dict)
        }
    }
}

fn of<'s>(
    name: &'static str,
    arrays: Vec<&'s [u8]>,
    encode: impl Fn(&mut [u8]) -> usize + 's,
    decode: fn(&[u8], &Buffers<'_>) -> Option<Digest>,
) -> Contender<'s> {
    let mut out = [0; MAX_LEN];
    let len = encode(&mut out);
    let metadata = out[..len].to_vec();
    let len = len + arrays.iter().map(|array| array.len()).sum::<usize>();
    // Each array arrives as a frame.
    let buffers: Buffers<'_> = arrays.into_iter().collect();
    let encode = move || {
        black_box(encode(&mut out));
    };
    Contender::of(name, len, encode, move || decode(black_box(&metadata), black_box(&buffers)))
}

/// The length of the metadata in bytes; 0 if encoding fails.
fn write<M: Message>(message: &M, out: &mut [u8]) -> usize {
    let mut buffers = Buffers::new();
    let len = encode(black_box(message), out, &mut buffers).map_or(0, <[u8]>::len);
    black_box(&buffers);
    len
}

fn array<'s, T: Element>(items: &'s [T], shape: &[usize]) -> ArrayView<'s> {
    ArrayView::from_slice(items, shape).expect("there are as many items")
}

fn items<T: Element + Into<f64>>(digest: Digest, array: &ArrayView<'_>) -> Option<Digest> {
    digest.items(array.shape().iter().copied(), array.as_slice::<T>().ok()?)
}

fn image(metadata: &[u8], buffers: &Buffers<'_>) -> Option<Digest> {
    let ImageMessage { data, encoding, width, height } =
        decode_bare::<ImageMessage<'_>>(metadata, buffers).ok()?;
    let digest = Digest::default().text(encoding).number(width as f64).number(height as f64);
    items::<u8>(digest, &data)
}

fn pose(metadata: &[u8], buffers: &Buffers<'_>) -> Option<Digest> {
    let pose = decode_bare::<PoseMessage<'_>>(metadata, buffers).ok()?;
    let digest = Digest::default().text(pose.frame_id).text(pose.child_frame_id);
    items::<f64>(items::<f64>(digest, &pose.position)?, &pose.orientation)
}

fn cloud(metadata: &[u8], buffers: &Buffers<'_>) -> Option<Digest> {
    let cloud = decode_bare::<PointCloudMessage<'_>>(metadata, buffers).ok()?;
    let digest = items::<f32>(Digest::default().text(cloud.frame_id), &cloud.points)?;
    let others = [cloud.colors, cloud.intensity, cloud.normals];
    others.iter().flatten().try_fold(digest, items::<f32>)
}

/// Reads a dictionary in one pass over its pairs, since each lookup searches from the beginning.
fn dict(metadata: &[u8], buffers: &Buffers<'_>) -> Option<Digest> {
    let dict = decode_bare::<DictMessage<'_>>(metadata, buffers).ok()?.data;
    let mut digest = Digest::default();
    for (key, value) in dict {
        digest = match key.as_str()? {
            "name" => digest.text(value.as_str()?),
            "count" => digest.number(value.as_u64()? as f64),
            "gain" => digest.number(value.as_f64()?),
            "joints" => value
                .as_map()?
                .iter()
                .try_fold(digest, |digest, (_, joint)| items::<f64>(digest, &joint.as_array()?))?,
            "frames" => value
                .as_list()?
                .iter()
                .try_fold(digest, |digest, frame| items::<f64>(digest, &frame.as_array()?))?,
            _ => return None,
        };
    }
    Some(digest)
}
