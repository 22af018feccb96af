//! Benchmarks of the codec alone, for its development: `cargo bench -p cortex-bench -- decode/Pose`.
//!
//! Compares with the previous run on the same machine. The suites `codec` and `serialization` of the
//! program compare with other formats.

use std::hint::black_box;

use cortex_wire::standard::{DictMessage, ImageMessage, PointCloudMessage, PoseMessage};
use cortex_wire::{ArrayView, Element, Header, Map, Message, Value, decode, decode_bare, encode};
use criterion::{Criterion, criterion_group, criterion_main};

/// Buffer size that suffices for the metadata of every message here.
const MAX_LEN: usize = 1024;

type Buffers<'b> = heapless::Vec<&'b [u8], 8>;

fn codec(criterion: &mut Criterion) {
    let pixels = vec![1_u8; 480 * 640 * 3];
    both(criterion, "Image", &ImageMessage::new(array(&pixels, &[480, 640, 3]), "rgb8"));

    let pose = PoseMessage {
        position: array(&[1.0, 2.0, 3.0], &[3]),
        orientation: array(&[0.0, 0.0, 0.0, 1.0], &[4]),
        frame_id: "map",
        child_frame_id: "base_link",
    };
    both(criterion, "Pose", &pose);

    let floats = vec![0.5_f32; 30_000];
    let cloud = PointCloudMessage {
        points: array(&floats, &[10_000, 3]),
        colors: Some(array(&floats, &[10_000, 3])),
        intensity: Some(array(&floats[..10_000], &[10_000])),
        normals: None,
        frame_id: "lidar",
    };
    both(criterion, "PointCloud", &cloud);

    let (vector, matrix) = (array(&[0.5; 6], &[6]), array(&[0.5; 16], &[4, 4]));
    let joints = [("position", Value::from(vector)), ("velocity", Value::from(vector))];
    let frames = [Value::from(matrix), Value::from(matrix)];
    let pairs = [
        ("name", Value::from("arm")),
        ("count", Value::from(6)),
        ("joints", Value::from(&joints)),
        ("frames", Value::from(&frames)),
    ];
    let dict = DictMessage { data: Map::from(&pairs) };
    both(criterion, "Dict", &dict);
    walk(criterion, &dict);
}

/// Encodes and decodes one message, without and with its header.
fn both<M: Message>(criterion: &mut Criterion, name: &str, message: &M) {
    let mut out = [0; MAX_LEN];
    criterion.bench_function(&format!("encode/{name}"), |bencher| {
        bencher.iter(|| {
            let mut buffers = Buffers::new();
            let len = encode(black_box(message), &mut out, &mut buffers).map(<[u8]>::len);
            black_box((len.is_ok(), buffers.len()))
        });
    });
    let (metadata, buffers) = written(message);
    criterion.bench_function(&format!("decode/{name}"), |bencher| {
        bencher.iter(|| black_box(decode_bare::<M>(black_box(&metadata), &buffers).is_ok()));
    });
    let header = Header::of::<M>(1, 2).encode();
    let mut frames: Buffers<'_> = [&header[..], &metadata].into_iter().collect();
    frames.extend(buffers);
    criterion.bench_function(&format!("decode with header/{name}"), |bencher| {
        bencher.iter(|| black_box(decode::<M>(black_box(&frames)).is_ok()));
    });
}

/// Looks up a value and walks over all values of a received dictionary.
fn walk(criterion: &mut Criterion, dict: &DictMessage<'_>) {
    let (metadata, buffers) = written(dict);
    let dict = decode_bare::<DictMessage<'_>>(&metadata, &buffers).expect("it was written");
    criterion.bench_function("look up/Dict", |bencher| {
        bencher.iter(|| black_box(black_box(dict.data).get("frames")));
    });
    criterion.bench_function("walk/Dict", |bencher| {
        bencher.iter(|| black_box(dict.data).iter().map(black_box).count());
    });
}

fn written<M: Message>(message: &M) -> (Vec<u8>, Buffers<'_>) {
    let (mut out, mut buffers) = ([0; MAX_LEN], Buffers::new());
    let metadata = encode(message, &mut out, &mut buffers).expect("there is room").to_vec();
    (metadata, buffers)
}

fn array<'a, T: Element>(items: &'a [T], shape: &[usize]) -> ArrayView<'a> {
    ArrayView::from_slice(items, shape).expect("there are as many items")
}

criterion_group!(benches, codec);
criterion_main!(benches);
