//! FlatBuffers, written and read like code generated from this schema:
//!
//! ```text
//! table Array { dtype: string; shape: [uint]; items: [ubyte]; }
//! table Image { data: Array; encoding: string; width: ulong; height: ulong; }
//! table Pose { position: Array; orientation: Array; frame_id: string; child_frame_id: string; }
//! table PointCloud {
//!   points: Array; colors: Array; intensity: Array; normals: Array; frame_id: string;
//! }
//! table Pair { first: Array; second: Array; }
//! table Dict { name: string; count: ulong; gain: double; joints: Pair; frames: Pair; }
//! ```

use std::hint::black_box;

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};
use planus::table_reader::Table;
use planus::{SliceWithStartOffset, TableRead, Vector};

use super::contender::{Contender, Digest, Item};
use super::scene::{COUNT, ENCODING, FRAME_IDS, GAIN, Kind, NAME, POINTS, ROWS, Scene, WIDTH};

type Builder = FlatBufferBuilder<'static>;
type Written = WIPOffset<TableFinishedWIPOffset>;

pub(super) fn contender(scene: &Scene, kind: Kind) -> Contender<'_> {
    match kind {
        Kind::Image => of(|fb| write_image(fb, scene), image),
        Kind::Pose => of(|fb| write_pose(fb, scene), pose),
        Kind::PointCloud => of(|fb| write_cloud(fb, scene), cloud),
        Kind::Dict => of(|fb| write_dict(fb, scene), dict),
    }
}

fn of<'s>(
    write: impl Fn(&mut Builder) -> Written + 's,
    digest: fn(&Fields<'_>) -> Option<Digest>,
) -> Contender<'s> {
    let mut fb = Builder::new();
    let root = write(&mut fb);
    fb.finish(root, None);
    let encoded = fb.finished_data().to_vec();
    let len = encoded.len();
    // The builder reuses its memory.
    let encode = move || {
        fb.reset();
        let root = write(&mut fb);
        fb.finish(root, None);
        black_box(fb.finished_data());
    };
    let decode = move || {
        let buffer = SliceWithStartOffset { buffer: black_box(&encoded), offset_from_start: 0 };
        digest(&Fields(Table::from_buffer(buffer, 0).ok()?))
    };
    Contender::of("flatbuffers", len, encode, decode)
}

/// The vtable offset of field `n`.
const fn slot(n: u16) -> u16 {
    4 + 2 * n
}

fn write_array<T: Item>(fb: &mut Builder, items: &[T], shape: &[usize]) -> Written {
    let dtype = fb.create_string(T::DTYPE);
    let shape = fb.create_vector_from_iter(shape.iter().map(|&size| size as u32));
    // Copied with one memcpy, unlike a vector of numbers. The string ends with a zero byte, which is
    // not part of its length.
    let items = fb.create_byte_string(bytemuck::cast_slice(items));
    let table = fb.start_table();
    fb.push_slot_always(slot(0), dtype);
    fb.push_slot_always(slot(1), shape);
    fb.push_slot_always(slot(2), items);
    fb.end_table(table)
}

fn write_pair(fb: &mut Builder, [first, second]: [Written; 2]) -> Written {
    let table = fb.start_table();
    fb.push_slot_always(slot(0), first);
    fb.push_slot_always(slot(1), second);
    fb.end_table(table)
}

fn write_image(fb: &mut Builder, scene: &Scene) -> Written {
    let data = write_array(fb, &scene.pixels, &[ROWS, WIDTH, 3]);
    let encoding = fb.create_string(ENCODING);
    let table = fb.start_table();
    fb.push_slot_always(slot(0), data);
    fb.push_slot_always(slot(1), encoding);
    fb.push_slot(slot(2), WIDTH as u64, 0);
    fb.push_slot(slot(3), ROWS as u64, 0);
    fb.end_table(table)
}

fn write_pose(fb: &mut Builder, scene: &Scene) -> Written {
    let position = write_array(fb, &scene.position, &[3]);
    let orientation = write_array(fb, &scene.orientation, &[4]);
    let [map, base] = FRAME_IDS.map(|id| fb.create_string(id));
    let table = fb.start_table();
    fb.push_slot_always(slot(0), position);
    fb.push_slot_always(slot(1), orientation);
    fb.push_slot_always(slot(2), map);
    fb.push_slot_always(slot(3), base);
    fb.end_table(table)
}

fn write_cloud(fb: &mut Builder, scene: &Scene) -> Written {
    let points = write_array(fb, &scene.points, &[POINTS, 3]);
    let colors = write_array(fb, &scene.colors, &[POINTS, 3]);
    let intensity = write_array(fb, &scene.intensity, &[POINTS]);
    let frame_id = fb.create_string(FRAME_IDS[0]);
    let table = fb.start_table();
    fb.push_slot_always(slot(0), points);
    fb.push_slot_always(slot(1), colors);
    fb.push_slot_always(slot(2), intensity);
    fb.push_slot_always(slot(4), frame_id);
    fb.end_table(table)
}

fn write_dict(fb: &mut Builder, scene: &Scene) -> Written {
    let joints = [&scene.angles, &scene.speeds].map(|array| write_array(fb, array, &[6]));
    let joints = write_pair(fb, joints);
    let frames = scene.frames.each_ref().map(|array| write_array(fb, array, &[4, 4]));
    let frames = write_pair(fb, frames);
    let name = fb.create_string(NAME);
    let table = fb.start_table();
    fb.push_slot_always(slot(0), name);
    fb.push_slot(slot(1), COUNT, 0);
    fb.push_slot(slot(2), GAIN, 0.0);
    fb.push_slot_always(slot(3), joints);
    fb.push_slot_always(slot(4), frames);
    fb.end_table(table)
}

/// A table whose offsets are checked on access.
struct Fields<'b>(Table<'b>);

impl<'b> TableRead<'b> for Fields<'b> {
    fn from_buffer(
        buffer: SliceWithStartOffset<'b>,
        offset: usize,
    ) -> Result<Self, planus::errors::ErrorKind> {
        Table::from_buffer(buffer, offset).map(Self)
    }
}

impl<'b> Fields<'b> {
    fn field<T: TableRead<'b>>(&self, n: usize) -> Option<T> {
        self.0.access(n, "", "").ok()?
    }

    fn text(&self, n: usize, digest: Digest) -> Option<Digest> {
        Some(digest.text(self.field(n)?))
    }

    fn array<T: Item>(&self, n: usize, digest: Digest) -> Option<Digest> {
        let array: Self = self.field(n)?;
        let shape: Vector<'_, u32> = array.field(1)?;
        let shape = shape.iter().map(|size| size as usize);
        (array.field::<&str>(0)? == T::DTYPE).then(|| digest.bytes::<T>(shape, array.field(2)?))?
    }
}

fn image(image: &Fields<'_>) -> Option<Digest> {
    let digest = image.text(1, Digest::default())?;
    let digest = digest.number(image.field::<u64>(2)? as f64).number(image.field::<u64>(3)? as f64);
    image.array::<u8>(0, digest)
}

fn pose(pose: &Fields<'_>) -> Option<Digest> {
    let digest = pose.text(3, pose.text(2, Digest::default())?)?;
    pose.array::<f64>(1, pose.array::<f64>(0, digest)?)
}

fn cloud(cloud: &Fields<'_>) -> Option<Digest> {
    let mut digest = cloud.array::<f32>(0, cloud.text(4, Digest::default())?)?;
    for n in 1..4 {
        if cloud.field::<Fields<'_>>(n).is_some() {
            digest = cloud.array::<f32>(n, digest)?;
        }
    }
    Some(digest)
}

fn dict(dict: &Fields<'_>) -> Option<Digest> {
    let digest = dict.text(0, Digest::default())?;
    let mut digest = digest.number(dict.field::<u64>(1)? as f64).number(dict.field(2)?);
    for n in [3, 4] {
        let pair: Fields<'_> = dict.field(n)?;
        digest = pair.array::<f64>(1, pair.array::<f64>(0, digest)?)?;
    }
    Some(digest)
}
