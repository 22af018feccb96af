//! Serialization options for ZeroMQ: whole messages, their arrays included.
//!
//! Everybody begins with the same data in memory, as a struct of its own kind that is filled already,
//! and ends with bytes that can be sent: one buffer, or for cortex-wire metadata and the arrays where
//! they are. Reading ends with what can be used: every text checked, every array as a slice of its
//! type with its shape. Buffers are used again and again, and so mapped; whoever can read in place
//! does.

mod contender;
mod flatbuffers;
mod protobuf;
mod raw;
mod scene;
mod structs;
mod wire;

use std::error::Error;

use crate::Bench;
use crate::contest::compete;
use crate::reach::again;
use crate::report::{Better, Column, Facts, Suite};
use crate::suites::operation::Operation;
use contender::Contender;
use scene::{Kind, Scene};

/// Whom the others are compared with.
const OURS: &str = "cortex-wire";

/// What is known without measuring: schema, other languages, no copy of arrays, describes itself.
const FACTS: [(&str, [&str; 4]); 8] = [
    (OURS, ["Rust or Python class, checked", "Rust, Python", "writing, reading", "types, shapes"]),
    ("rmp-serde", ["none", "many", "reading", "types"]),
    ("postcard", ["Rust type", "few", "reading", "no"]),
    ("bitcode", ["Rust type, one version", "no", "no", "no"]),
    ("prost", [".proto or Rust type", "many", "reading", "field numbers"]),
    ("flatbuffers", [".fbs and a compiler", "many", "reading", "no"]),
    ("serde_json", ["none", "all", "no", "names, not widths"]),
    ("raw struct", ["layout, by hand", "by hand", "reading", "no"]),
];

/// Measures every message in both directions.
pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let columns = vec![
        Column::new("time", "ns", Better::Lower),
        Column::new("allocations", "", Better::Neither),
        Column::new("size", "B", Better::Neither),
    ];
    let question = "whole messages with their arrays, from structs to bytes and to usable values";
    let mut suite = Suite::new("serialization", question, OURS, columns);
    let scene = Scene::new();
    for kind in Kind::ALL {
        measure(&scene, kind, bench, &mut suite)?;
    }
    suite.facts = Some(Facts::new(
        &["schema", "languages", "arrays not copied when", "describes itself"],
        &FACTS,
    ));
    suite.notes = [
        "memcpy: of all arrays into memory that is mapped, what one copy costs",
        "sending copies once more what lies in one buffer, unless a new one is allocated each time",
        "arrays are bytes with dtype and shape where a format has bytes, numbers in JSON",
        "all but cortex-wire are told the form of the Dict; it walks through any dictionary",
        "read in place where the format allows it: f32 and f64 are copied where they are not aligned",
        "prost: arrays are reference-counted Bytes; a struct may be sent as it is if data is made in it",
        "Cap'n Proto is not here: its crate needs code that the schema compiler writes",
    ]
    .map(String::from)
    .into();
    Ok(suite)
}

fn contenders(scene: &Scene, kind: Kind) -> Vec<Contender<'_>> {
    let mut contenders = vec![wire::contender(OURS, scene, kind)];
    // The same once more, to be compared with itself.
    contenders.push(wire::contender(OURS, scene, kind));
    contenders.extend(structs::contenders(scene, kind));
    contenders.push(protobuf::contender(scene, kind));
    contenders.push(flatbuffers::contender(scene, kind));
    contenders.push(raw::contender(scene, kind));
    contenders
}

fn measure(
    scene: &Scene,
    kind: Kind,
    bench: &Bench,
    suite: &mut Suite,
) -> Result<(), Box<dyn Error>> {
    let contenders = contenders(scene, kind);
    let seen = contenders[0].decode_once()?;
    let (mut encode, mut decode) = (Vec::new(), Vec::new());
    for (index, contender) in contenders.into_iter().enumerate() {
        if contender.decode_once()? != seen {
            return Err(format!("{} reads another {}", contender.name, kind.name()).into());
        }
        let name = if index == 1 { again(OURS) } else { contender.name.to_owned() };
        encode.push((name.clone(), Operation::new(bench, contender.len, contender.encode)));
        decode.push((name, Operation::new(bench, contender.len, contender.decode)));
    }
    let arrays = scene.arrays(kind);
    let len = arrays.iter().map(|array| array.len()).sum();
    for operations in [&mut encode, &mut decode] {
        let mut copy = Vec::with_capacity(len);
        let arrays = arrays.clone();
        let work = move || {
            copy.clear();
            arrays.iter().for_each(|array| copy.extend_from_slice(std::hint::black_box(array)));
            std::hint::black_box(&copy);
        };
        operations.push(("memcpy".to_owned(), Operation::new(bench, len, work)));
    }
    bench.progress.expect(encode.len() + decode.len());
    compete(suite, bench, &format!("encode {}", kind.name()), encode, Operation::sample)?;
    compete(suite, bench, &format!("decode {}", kind.name()), decode, Operation::sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_reads_what_it_wrote() {
        let scene = Scene::new();
        for kind in Kind::ALL {
            let seen = contenders(&scene, kind)[0].decode_once().unwrap();
            for contender in contenders(&scene, kind) {
                assert_eq!(contender.decode_once().unwrap(), seen, "{} {kind:?}", contender.name);
            }
        }
    }

    #[test]
    fn every_contender_has_facts() {
        for contender in contenders(&Scene::new(), Kind::Pose) {
            assert!(FACTS.iter().any(|(name, _)| *name == contender.name), "{}", contender.name);
        }
    }
}
