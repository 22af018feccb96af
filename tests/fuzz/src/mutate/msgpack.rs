//! Mutations of MessagePack trees: of descriptors above all.

use rmpv::Value as Item;

use crate::input::{Input, joined};
use crate::oracle::dtype;
use crate::random::Random;

const DTYPES: &[&str] = &[
    "|u1", "<u2", ">u2", "<f4", "<f4", ">f4", "<f8", "|b1", "<c8", "|S3", "<U2", "|V5", "<M8[ns]",
    "<m8", "<u1", "|O", "<f3", "|u2", "<M8[0s]", "<i8", "<f16", "|S0", "",
];
const KEYS: &[&str] =
    &["__cortex_oob__", "buffer", "dtype", "shape", "device", "requires_grad", "k"];

/// Mutates metadata and buffers of an input in the form of [`Input`].
pub fn frames(data: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let input = Input::new(data);
    let mut buffers: Vec<_> = input.buffers.iter().map(|buffer| buffer.to_vec()).collect();
    let mut root = if random.one_in(40) {
        user(&mut buffers, random)
    } else {
        rmpv::decode::read_value(&mut &input.metadata[..]).ok()?
    };
    for _ in 0..=random.below(3) {
        if random.one_in(6) && !buffers.is_empty() {
            let at = random.below(buffers.len());
            resize(&mut buffers[at], random);
        } else {
            mutate(&mut root, &mut buffers, random);
        }
    }
    Some(joined(input.header, &packed(&root), &buffers))
}

/// Mutates a tree without buffers.
pub fn tree(data: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut root = rmpv::decode::read_value(&mut &data[..]).ok()?;
    for _ in 0..=random.below(3) {
        mutate(&mut root, &mut Vec::new(), random);
    }
    Some(packed(&root))
}

/// Mutates the tree behind a header and a tag, as in a blob, or behind a tag alone.
pub fn tagged(data: &[u8], start: usize, random: &mut Random) -> Option<Vec<u8>> {
    let content = tree(data.get(start + 5..)?, random)?;
    let mut out = data[..start].to_vec();
    let tag = match data[start] {
        tag if !random.one_in(8) => tag,
        _ => random.pick(&[0, 1, 4, 5, 6, 7]),
    };
    out.push(tag);
    out.extend((content.len() as u32).to_be_bytes());
    out.extend(content);
    Some(out)
}

/// The bytes of an item.
pub fn packed(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, item).expect("a vector takes everything");
    out
}

fn resize(buffer: &mut Vec<u8>, random: &mut Random) {
    let len = match random.below(4) {
        0 => buffer.len() + 1,
        1 => buffer.len().saturating_sub(1),
        2 => buffer.len() * 2,
        _ => random.below(64),
    };
    buffer.resize(len.min(300), 7);
}

fn mutate(root: &mut Item, buffers: &mut Vec<Vec<u8>>, random: &mut Random) {
    let count = count(root);
    let node = nth(root, &mut random.below(count)).expect("it is one of them");
    let is_descriptor = matches!(node, Item::Map(pairs)
        if pairs.iter().any(|(key, _)| key.as_str() == Some(KEYS[0])));
    match node {
        Item::Map(pairs) if is_descriptor && !random.one_in(5) => {
            change_descriptor(pairs, buffers, random);
        }
        node => match random.below(8) {
            0 | 1 => *node = scalar(random),
            2 | 3 => *node = descriptor(buffers, random),
            4 => {
                for _ in 0..random.pick(&[1, 1, 2, 126, 127, 128, 140]) {
                    let inner = std::mem::replace(node, Item::Nil);
                    *node = if random.one_in(2) {
                        Item::Array(vec![inner])
                    } else {
                        Item::Map(vec![("k".into(), inner)])
                    };
                }
            }
            _ => change_content(node, buffers, random),
        },
    }
}

/// Changes the items of a list, the pairs of a map, or a scalar.
fn change_content(node: &mut Item, buffers: &mut Vec<Vec<u8>>, random: &mut Random) {
    match node {
        Item::Array(items) => {
            let at = random.below(items.len() + 1);
            match random.below(3) {
                0 if at < items.len() => drop(items.remove(at)),
                1 if at < items.len() => items.insert(at, items[at].clone()),
                _ => {
                    let new =
                        if random.one_in(3) { descriptor(buffers, random) } else { scalar(random) };
                    items.insert(at, new);
                }
            }
        }
        Item::Map(pairs) => {
            let at = random.below(pairs.len() + 1);
            match random.below(3) {
                0 if at < pairs.len() => drop(pairs.remove(at)),
                1 if at < pairs.len() => pairs.insert(at, pairs[at].clone()),
                _ => {
                    let key = match random.below(6) {
                        0 => Item::Binary(b"k".to_vec()),
                        1 => scalar(random),
                        _ => random.pick(KEYS).into(),
                    };
                    pairs.insert(at, (key, scalar(random)));
                }
            }
        }
        node => *node = scalar(random),
    }
}

/// Changes one value of a descriptor, one of its keys, or their order.
fn change_descriptor(pairs: &mut Vec<(Item, Item)>, buffers: &[Vec<u8>], random: &mut Random) {
    let at = random.below(pairs.len());
    match random.below(8) {
        0 => drop(pairs.remove(at)),
        1 => pairs.push(pairs[at].clone()),
        2 => {
            let other = random.below(pairs.len());
            pairs.swap(at, other);
        }
        3 => pairs.insert(at, ("more".into(), scalar(random))),
        _ => {
            let value = match pairs[at].0.as_str() {
                Some("__cortex_oob__") => random.pick(&["numpy", "torch", "other"]).into(),
                Some("buffer") => random.below(buffers.len() + 2).into(),
                Some("dtype") => random.pick(DTYPES).into(),
                Some("shape") => shape(random),
                Some("device") => "cuda:0".into(),
                Some("requires_grad") => random.one_in(2).into(),
                _ => scalar(random),
            };
            pairs[at].1 = value;
        }
    }
}

fn shape(random: &mut Random) -> Item {
    let count = random.pick(&[0, 1, 1, 2, 2, 3, 8, 9]);
    let dim = |random: &mut Random| match random.below(20) {
        0 => u64::MAX,
        1 => 1 << 32,
        2 => 0,
        _ => random.below(5) as u64,
    };
    Item::Array((0..count).map(|_| dim(random).into()).collect())
}

/// A descriptor of a buffer, which it mostly fits.
fn descriptor(buffers: &mut Vec<Vec<u8>>, random: &mut Random) -> Item {
    let dtype = random.pick(DTYPES);
    let shape = shape(random);
    let dims = shape.as_array().into_iter().flatten().filter_map(Item::as_u64);
    let len = dims.fold(1, u64::saturating_mul);
    let len = len.saturating_mul(dtype::parse(dtype).map_or(1, |(_, len)| len)).min(200) as usize;
    let index = if buffers.len() < 4 && random.one_in(2) {
        buffers.push(vec![1; len]);
        buffers.len() - 1
    } else {
        let index = random.below(buffers.len() + 1);
        if let Some(buffer) = buffers.get_mut(index).filter(|_| !random.one_in(3)) {
            buffer.resize(len, 2);
        }
        index
    };
    let mut pairs: Vec<(Item, Item)> = vec![
        ("__cortex_oob__".into(), "numpy".into()),
        ("buffer".into(), index.into()),
        ("dtype".into(), dtype.into()),
        ("shape".into(), shape),
    ];
    if random.one_in(3) {
        pairs[0].1 = "torch".into();
        pairs.push(("device".into(), "cpu".into()));
        pairs.push(("requires_grad".into(), false.into()));
    }
    Item::Map(pairs)
}

/// The fields of the messages in `types.rs`.
fn user(buffers: &mut Vec<Vec<u8>>, random: &mut Random) -> Item {
    buffers.clear();
    buffers.push(vec![0; 8]);
    let array = |dtype: &str, dim: u64| {
        Item::Map(vec![
            ("__cortex_oob__".into(), "numpy".into()),
            ("buffer".into(), 0.into()),
            ("dtype".into(), dtype.into()),
            ("shape".into(), Item::Array(vec![dim.into()])),
        ])
    };
    let map = |value: Item| Item::Map(vec![("k".into(), value)]);
    Item::Array(if random.one_in(2) {
        vec![
            300.into(),
            "name".into(),
            Item::Array(vec![1.into(), 1.5.into(), Item::F32(2.0)]),
            Item::Array(vec![(-1).into(), 70_000.into()]),
            array("<f4", 2),
            array("|u1", 8),
            map(0.5.into()),
            Item::Array(vec![Item::Nil]),
            255.into(),
        ]
    } else {
        vec![
            "name".into(),
            Item::Array(vec![(-1).into(), i64::MAX.into()]),
            Item::Binary(vec![1, 2]),
            Item::Array(vec![array("<f4", 2), array("<f8", 1)]),
            Item::Nil,
            map(Item::Array(vec![array("<u2", 4), "x".into()])),
        ]
    })
}

fn scalar(random: &mut Random) -> Item {
    match random.below(9) {
        0 => Item::Nil,
        1 => random.one_in(2).into(),
        2 => (random.next() as i64 >> random.below(64)).into(),
        3 => (random.next() >> random.below(64)).into(),
        4 => Item::F64(f64::from_bits(random.next())),
        5 => Item::F32(f32::from_bits(random.next() as u32)),
        6 => "\u{e9}x".repeat(random.pick(&[0, 1, 10, 11, 90])).into(),
        7 => Item::Binary(random.bytes(40)),
        _ => Item::Ext(random.pick(&[1, 2, 5]), random.bytes(8)),
    }
}

/// Number of nodes, keys among them.
fn count(item: &Item) -> usize {
    1 + match item {
        Item::Array(items) => items.iter().map(count).sum(),
        Item::Map(pairs) => pairs.iter().map(|(key, value)| count(key) + count(value)).sum(),
        _ => 0_usize,
    }
}

fn nth<'t>(item: &'t mut Item, index: &mut usize) -> Option<&'t mut Item> {
    let Some(before) = index.checked_sub(1) else { return Some(item) };
    *index = before;
    match item {
        Item::Array(items) => items.iter_mut().find_map(|item| nth(item, index)),
        Item::Map(pairs) => {
            pairs.iter_mut().find_map(|(key, value)| nth(key, index).or_else(|| nth(value, index)))
        }
        _ => None,
    }
}
