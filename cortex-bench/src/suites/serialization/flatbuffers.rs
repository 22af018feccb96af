//! FlatBuffers, put together and read as compilers would do it of this schema:
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

use super::contender::{Contender, Item, Seen};
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
    look: fn(&Fields<'_>) -> Option<Seen>,
) -> Contender<'s> {
    let mut fb = Builder::new();
    let root = write(&mut fb);
    fb.finish(root, None);
    let encoded = fb.finished_data().to_vec();
    let len = encoded.len();
    // The builder keeps its memory.
    let encode = move || {
        fb.reset();
        let root = write(&mut fb);
        fb.finish(root, None);
        black_box(fb.finished_data());
    };
    let decode = move || {
        let buffer = SliceWithStartOffset { buffer: black_box(&encoded), offset_from_start: 0 };
        look(&Fields(Table::from_buffer(buffer, 0).ok()?))
    };
    Contender::of("flatbuffers", len, encode, decode)
}

/// Where field `n` of a table stands.
const fn slot(n: u16) -> u16 {
    4 + 2 * n
}

fn write_array<T: Item>(fb: &mut Builder, items: &[T], shape: &[usize]) -> Written {
    let dtype = fb.create_string(T::DTYPE);
    let shape = fb.create_vector_from_iter(shape.iter().map(|&size| size as u32));
    // Copied at once, other than a vector of numbers; ends in a zero that does not count.
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

/// A table whose offsets are checked when they are followed.
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

    fn text(&self, n: usize, seen: Seen) -> Option<Seen> {
        Some(seen.text(self.field(n)?))
    }

    fn array<T: Item>(&self, n: usize, seen: Seen) -> Option<Seen> {
        let array: Self = self.field(n)?;
        let shape: Vector<'_, u32> = array.field(1)?;
        let shape = shape.iter().map(|size| size as usize);
        (array.field::<&str>(0)? == T::DTYPE).then(|| seen.bytes::<T>(shape, array.field(2)?))?
    }
}

fn image(image: &Fields<'_>) -> Option<Seen> {
    let seen = image.text(1, Seen::default())?;
    let seen = seen.number(image.field::<u64>(2)? as f64).number(image.field::<u64>(3)? as f64);
    image.array::<u8>(0, seen)
}

fn pose(pose: &Fields<'_>) -> Option<Seen> {
    let seen = pose.text(3, pose.text(2, Seen::default())?)?;
    pose.array::<f64>(1, pose.array::<f64>(0, seen)?)
}

fn cloud(cloud: &Fields<'_>) -> Option<Seen> {
    let mut seen = cloud.array::<f32>(0, cloud.text(4, Seen::default())?)?;
    for n in 1..4 {
        if cloud.field::<Fields<'_>>(n).is_some() {
            seen = cloud.array::<f32>(n, seen)?;
        }
    }
    Some(seen)
}

fn dict(dict: &Fields<'_>) -> Option<Seen> {
    let seen = dict.text(0, Seen::default())?;
    let mut seen = seen.number(dict.field::<u64>(1)? as f64).number(dict.field(2)?);
    for n in [3, 4] {
        let pair: Fields<'_> = dict.field(n)?;
        seen = pair.array::<f64>(1, pair.array::<f64>(0, seen)?)?;
    }
    Some(seen)
}
