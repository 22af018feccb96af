//! Structs in their memory layout, followed by arrays of any length. Both sides must agree on the
//! layout by hand.

use bytemuck::{Pod, Zeroable, bytes_of, try_from_bytes};

use super::contender::{Contender, Digest};
use super::scene::{COUNT, ENCODING, FRAME_IDS, GAIN, Kind, NAME, POINTS, ROWS, Scene, WIDTH};

/// Text that ends at the first zero byte or at the end.
type Text = [u8; 16];

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Image {
    shape: [u64; 3],
    width: u64,
    height: u64,
    encoding: Text,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Pose {
    position: [f64; 3],
    orientation: [f64; 4],
    frame_id: Text,
    child_frame_id: Text,
}

/// The number of points in each array; 0 if the array is missing.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct PointCloud {
    points: u32,
    colors: u32,
    intensity: u32,
    normals: u32,
    frame_id: Text,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Dict {
    name: Text,
    count: u64,
    gain: f64,
    position: [f64; 6],
    velocity: [f64; 6],
    frames: [[f64; 16]; 2],
}

pub(super) fn contender(scene: &Scene, kind: Kind) -> Contender<'_> {
    let [frame_id, child_frame_id] = FRAME_IDS.map(padded);
    match kind {
        Kind::Image => {
            let (width, height) = (WIDTH as u64, ROWS as u64);
            let shape = [height, width, 3];
            of(
                Image { shape, width, height, encoding: padded(ENCODING) },
                scene.arrays(kind),
                image,
            )
        }
        Kind::Pose => {
            let Scene { position, orientation, .. } = *scene;
            of(Pose { position, orientation, frame_id, child_frame_id }, vec![], pose)
        }
        Kind::PointCloud => {
            let [points, colors, intensity] = [POINTS as u32; 3];
            let cloud = PointCloud { points, colors, intensity, normals: 0, frame_id };
            of(cloud, scene.arrays(kind), cloud_seen)
        }
        Kind::Dict => {
            let Scene { angles: position, speeds: velocity, frames, .. } = *scene;
            let name = padded(NAME);
            of(Dict { name, count: COUNT, gain: GAIN, position, velocity, frames }, vec![], dict)
        }
    }
}

/// A contender of a struct that arrays follow.
fn of<'s, M: Pod>(
    message: M,
    arrays: Vec<&'s [u8]>,
    digest: fn(&M, &[u8]) -> Option<Digest>,
) -> Contender<'s> {
    let encode = move |out: &mut Vec<u8>| {
        out.extend_from_slice(bytes_of(&message));
        arrays.iter().for_each(|array| out.extend_from_slice(array));
    };
    Contender::new("raw struct", encode, move |bytes| {
        let (message, rest) = bytes.split_at_checked(size_of::<M>())?;
        digest(try_from_bytes(message).ok()?, rest)
    })
}

fn padded(text: &str) -> Text {
    let mut padded = Text::default();
    padded[..text.len()].copy_from_slice(text.as_bytes());
    padded
}

fn text(padded: &Text) -> Option<&str> {
    let len = padded.iter().position(|&byte| byte == 0).unwrap_or(padded.len());
    str::from_utf8(&padded[..len]).ok()
}

fn image(image: &Image, pixels: &[u8]) -> Option<Digest> {
    let digest = Digest::default().text(text(&image.encoding)?);
    let digest = digest.number(image.width as f64).number(image.height as f64);
    digest.bytes::<u8>(image.shape.map(|size| size as usize), pixels)
}

fn pose(pose: &Pose, _: &[u8]) -> Option<Digest> {
    let digest = Digest::default().text(text(&pose.frame_id)?).text(text(&pose.child_frame_id)?);
    digest.items([3], &pose.position)?.items([4], &pose.orientation)
}

fn cloud_seen(cloud: &PointCloud, mut rest: &[u8]) -> Option<Digest> {
    let mut digest = Digest::default().text(text(&cloud.frame_id)?);
    let PointCloud { points, colors, intensity, normals, .. } = *cloud;
    for (count, width) in [(points, 3), (colors, 3), (intensity, 1), (normals, 3)] {
        let count = count as usize;
        let (items, others) = rest.split_at_checked(count * width * size_of::<f32>())?;
        rest = others;
        if count > 0 {
            digest = digest.bytes::<f32>([count, width], items)?;
        }
    }
    Some(digest)
}

fn dict(dict: &Dict, _: &[u8]) -> Option<Digest> {
    let digest = Digest::default().text(text(&dict.name)?);
    let mut digest = digest.number(dict.count as f64).number(dict.gain);
    for joint in [&dict.position, &dict.velocity] {
        digest = digest.items([6], joint)?;
    }
    dict.frames.iter().try_fold(digest, |digest, frame| digest.items([4, 4], frame))
}
