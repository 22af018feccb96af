//! Suite codec: encoding and decoding of metadata, compared with rmp-serde on the same bytes.
//!
//! rmp-serde gets structs with the same fields, borrowed where possible; a descriptor is a struct
//! that is written as a map. Unlike cortex-wire it neither parses the dtype nor compares a descriptor
//! with its buffer.

use std::error::Error;
use std::hint::black_box;

use cortex_wire::standard::{DictMessage, ImageMessage, PointCloudMessage, PoseMessage};
use cortex_wire::{ArrayView, Map, Message, Value, decode_bare, encode};
use rmp_serde::Serializer;
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::check::twin_name;
use crate::contest::compete;
use crate::suite::{Better, Column, Suite};
use crate::suites::operation::Operation;

const OURS: &str = "cortex-wire";
const FLOOR: &str = "rmp-serde";
/// Buffer size that suffices for the metadata of every message here.
const MAX_LEN: usize = 1024;

/// The descriptor of an array; `S` is an array of dimensions.
#[derive(Debug, Serialize, Deserialize)]
struct Descriptor<'a, S> {
    #[serde(rename = "__cortex_oob__")]
    kind: &'a str,
    buffer: usize,
    dtype: &'a str,
    shape: S,
}

/// The fields of a message: a tuple struct, which rmp-serde writes as an array.
#[derive(Debug, Serialize, Deserialize)]
struct Image<'a>(#[serde(borrow)] Descriptor<'a, [usize; 3]>, &'a str, u64, u64);

#[derive(Debug, Serialize, Deserialize)]
struct Pose<'a>(
    #[serde(borrow)] Descriptor<'a, [usize; 1]>,
    #[serde(borrow)] Descriptor<'a, [usize; 1]>,
    &'a str,
    &'a str,
);

#[derive(Debug, Serialize, Deserialize)]
struct PointCloud<'a>(
    #[serde(borrow)] Descriptor<'a, [usize; 2]>,
    #[serde(borrow)] Option<Descriptor<'a, [usize; 2]>>,
    #[serde(borrow)] Option<Descriptor<'a, [usize; 1]>>,
    #[serde(borrow)] Option<Descriptor<'a, [usize; 2]>>,
    &'a str,
);

/// A dictionary, which is dynamic for cortex-wire and a static type for rmp-serde.
type Dict<'a> = (Robot<'a>,);

#[derive(Debug, Serialize, Deserialize)]
struct Robot<'a> {
    name: &'a str,
    count: u64,
    gain: f64,
    #[serde(borrow)]
    joints: Joints<'a>,
    #[serde(borrow)]
    frames: [Descriptor<'a, [usize; 2]>; 2],
}

#[derive(Debug, Serialize, Deserialize)]
struct Joints<'a> {
    #[serde(borrow)]
    position: Descriptor<'a, [usize; 1]>,
    #[serde(borrow)]
    velocity: Descriptor<'a, [usize; 1]>,
}

const fn numpy<S>(buffer: usize, dtype: &str, shape: S) -> Descriptor<'_, S> {
    Descriptor { kind: "numpy", buffer, dtype, shape }
}

/// Measures every message in both directions.
pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("time", "ns", Better::Lower),
        Column::new("allocations", "", Better::Neither),
        Column::new("size", "B", Better::Neither),
    ];
    let question = "metadata of a message, from and to the same bytes; arrays stay where they are";
    let mut suite = Suite::new("codec", question, FLOOR, columns);

    let pixels = vec![0_u8; 480 * 640 * 3];
    let image = ImageMessage::new(ArrayView::from_slice(&pixels, &[480, 640, 3])?, "rgb8");
    let same = Image(numpy(0, "|u1", [480, 640, 3]), "rgb8", 640, 480);
    measure(
        "Image",
        &image,
        &same,
        |bytes| drop(black_box(rmp_serde::from_slice::<Image<'_>>(bytes))),
        bench,
        &mut suite,
    )?;

    let (position, orientation) = ([1.0_f64, 2.0, 3.0], [0.0_f64, 0.0, 0.0, 1.0]);
    let pose = PoseMessage {
        position: ArrayView::from_slice(&position, &[3])?,
        orientation: ArrayView::from_slice(&orientation, &[4])?,
        frame_id: "map",
        child_frame_id: "base_link",
    };
    let same = Pose(numpy(0, "<f8", [3]), numpy(1, "<f8", [4]), "map", "base_link");
    measure(
        "Pose",
        &pose,
        &same,
        |bytes| drop(black_box(rmp_serde::from_slice::<Pose<'_>>(bytes))),
        bench,
        &mut suite,
    )?;

    let floats = vec![0.0_f32; 30_000];
    let triples = ArrayView::from_slice(&floats, &[10_000, 3])?;
    let cloud = PointCloudMessage {
        points: triples,
        colors: Some(triples),
        intensity: Some(ArrayView::from_slice(&floats[..10_000], &[10_000])?),
        normals: None,
        frame_id: "lidar",
    };
    let same = PointCloud(
        numpy(0, "<f4", [10_000, 3]),
        Some(numpy(1, "<f4", [10_000, 3])),
        Some(numpy(2, "<f4", [10_000])),
        None,
        "lidar",
    );
    measure(
        "PointCloud",
        &cloud,
        &same,
        |bytes| drop(black_box(rmp_serde::from_slice::<PointCloud<'_>>(bytes))),
        bench,
        &mut suite,
    )?;

    let angles = [0.5_f64; 16];
    let vector = ArrayView::from_slice(&angles[..6], &[6])?;
    let matrix = ArrayView::from_slice(&angles, &[4, 4])?;
    let joints = [("position", Value::from(vector)), ("velocity", Value::from(vector))];
    let frames = [Value::from(matrix), Value::from(matrix)];
    let pairs = [
        ("name", Value::from("arm")),
        ("count", Value::from(6)),
        ("gain", Value::from(0.5)),
        ("joints", Value::from(&joints[..])),
        ("frames", Value::from(&frames[..])),
    ];
    let dict = DictMessage { data: Map::from(&pairs[..]) };
    let same: Dict<'_> = (Robot {
        name: "arm",
        count: 6,
        gain: 0.5,
        joints: Joints { position: numpy(0, "<f8", [6]), velocity: numpy(1, "<f8", [6]) },
        frames: [numpy(2, "<f8", [4, 4]), numpy(3, "<f8", [4, 4])],
    },);
    measure(
        "Dict",
        &dict,
        &same,
        |bytes| drop(black_box(rmp_serde::from_slice::<Dict<'_>>(bytes))),
        bench,
        &mut suite,
    )?;
    suite.notes.push(
        "unlike cortex-wire, rmp-serde neither parses the dtype nor compares a descriptor with its \
         buffer"
            .into(),
    );
    Ok(suite)
}

/// Measures one message in both directions; both contenders use the same bytes.
fn measure<M: Message, S: Serialize>(
    name: &str,
    message: &M,
    same: &S,
    deserialize: impl Fn(&[u8]),
    bench: &Bench,
    suite: &mut Suite,
) -> Result<(), Box<dyn Error>> {
    let mut out = [0; MAX_LEN];
    let mut buffers = heapless::Vec::<&[u8], 8>::new();
    let metadata = encode(message, &mut out, &mut buffers)?.to_vec();
    let mut theirs = Vec::with_capacity(MAX_LEN);
    same.serialize(&mut Serializer::new(&mut theirs).with_struct_map())?;
    if metadata != theirs {
        return Err(format!("{name}: the contenders write different bytes").into());
    }

    let mut ours_out = [0; MAX_LEN];
    let ours = Operation::new(bench, metadata.len(), || {
        let mut buffers = heapless::Vec::<&[u8], 8>::new();
        let written = encode(black_box(message), &mut ours_out, &mut buffers);
        black_box((written.is_ok(), buffers.len()));
    });
    let theirs = || {
        let mut out = Vec::with_capacity(MAX_LEN);
        Operation::new(bench, metadata.len(), move || {
            out.clear();
            let mut serializer = Serializer::new(&mut out).with_struct_map();
            black_box(black_box(same).serialize(&mut serializer).is_ok());
        })
    };
    let contenders = named(theirs(), theirs(), ours);
    bench.progress.expect(contenders.len());
    compete(suite, bench, &format!("encode {name}"), contenders, Operation::sample)?;

    let ours = Operation::new(bench, metadata.len(), || {
        let message = decode_bare::<M>(black_box(&metadata), &buffers);
        black_box(&message);
    });
    let theirs = || Operation::new(bench, metadata.len(), || deserialize(black_box(&metadata)));
    let contenders = named(theirs(), theirs(), ours);
    bench.progress.expect(contenders.len());
    compete(suite, bench, &format!("decode {name}"), contenders, Operation::sample)
}

fn named<'w>(
    floor: Operation<'w>,
    twin: Operation<'w>,
    ours: Operation<'w>,
) -> Vec<(String, Operation<'w>)> {
    vec![(FLOOR.into(), floor), (twin_name(FLOOR), twin), (OURS.into(), ours)]
}
