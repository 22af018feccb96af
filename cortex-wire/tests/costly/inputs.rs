//! Inputs whose reading costs most for their length, and every way to read them.
//!
//! The unit tests of this crate count steps, and `tests/nostd` counts instructions on a board, so
//! this file needs no allocator.

use cortex_wire::discovery::{Request, Response};
use cortex_wire::link::{Hello, Receiver, Sender};
use cortex_wire::zmtp::{Connection, FrameHeader, Greeting, Role, write_ready};
use cortex_wire::{
    Buffers, Decoder, Encode, Encoder, Frames, MapOf, MultiArrayMessage, Value, Walk, blob,
    decode_ignoring_fingerprint, link, zmtp,
};

/// Bytes that a generator writes; what does not fit is dropped.
pub(crate) struct Out<'s> {
    space: &'s mut [u8],
    len: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let place = self.space.get_mut(self.len..).unwrap_or_default();
        for (place, &byte) in place.iter_mut().zip(bytes) {
            *place = byte;
        }
        self.len = self.space.len().min(self.len.saturating_add(bytes.len()));
        self
    }

    fn repeat(&mut self, bytes: &[u8], count: usize) -> &mut Self {
        for _ in 0..count {
            self.put(bytes);
        }
        self
    }

    /// A marker and a length of four bytes.
    fn head(&mut self, marker: u8, count: usize) -> &mut Self {
        self.put(&[marker]).put(&(count as u32).to_be_bytes())
    }

    fn list(&mut self, count: usize) -> &mut Self {
        self.head(0xdd, count)
    }

    fn map(&mut self, count: usize) -> &mut Self {
        self.head(0xdf, count)
    }

    fn text(&mut self, len: usize) -> &mut Self {
        self.head(0xdb, len).repeat(b"x", len)
    }
}

const KEY: &[u8] = b"\xa1k";
const ENTRY: &[u8] = b"\xa1k\xc0";
const KIND: &[u8] = b"\xae__cortex_oob__";
/// The maximum depth, less the list of fields and the inner values.
const DEEP: usize = 124;

type Generate = fn(&mut Out<'_>, usize);

/// Items of about the given length.
const ITEMS: &[(&str, Generate)] = &[
    ("flat list", |out, n| _ = out.list(n).repeat(b"\xc0", n)),
    ("flat map", |out, n| _ = out.map(n / 3).repeat(ENTRY, n / 3)),
    ("text", |out, n| _ = out.text(n)),
    ("flat list inside lists", |out, n| {
        out.repeat(b"\x91", DEEP).list(n).repeat(b"\xc0", n);
    }),
    ("flat map inside lists", |out, n| {
        out.repeat(b"\x91", DEEP).map(n / 3).repeat(ENTRY, n / 3);
    }),
    ("flat list inside maps", |out, n| {
        out.repeat(b"\x81\xa1k", DEEP).list(n).repeat(b"\xc0", n);
    }),
    ("flat map inside maps", |out, n| {
        out.repeat(b"\x81\xa1k", DEEP).map(n / 3).repeat(ENTRY, n / 3);
    }),
    ("text inside maps", |out, n| _ = out.repeat(b"\x81\xa1k", DEEP).text(n)),
    ("nested lists", |out, n| _ = out.repeat(b"\x91", n)),
    ("nested maps", |out, n| _ = out.repeat(b"\x81\xa1k", n / 3)),
    ("list of small maps", |out, n| {
        out.list(n / 10).repeat(b"\x82\xa1k\xc0\xa1k\x92\x01\x02", n / 10);
    }),
    ("list of small lists", |out, n| _ = out.list(n / 3).repeat(b"\x92\x01\x02", n / 3)),
    ("flat lists on every level", |out, n| {
        for _ in 0..DEEP {
            out.put(b"\x82").put(KEY).list(n / DEEP).repeat(b"\xc0", n / DEEP).put(KEY);
        }
        out.put(b"\xc0");
    }),
    ("late keys on every level", |out, n| {
        // Every map ends with the key of a descriptor, behind something nested.
        let levels = DEEP.min(n / 20);
        out.repeat(b"\x82\xa1k", levels).put(b"\x91\xc0");
        for _ in 0..levels {
            out.put(KIND).put(b"\xc0");
        }
    }),
    ("late keys behind flat lists", |out, n| {
        out.list(n / 160);
        for _ in 0..n / 160 {
            out.put(b"\x82\xa1k").list(100).repeat(b"\xc0", 100).put(KIND).put(b"\xa5numpy");
        }
    }),
    ("descriptors inside descriptors", |out, n| {
        for _ in 0..n / 24 {
            out.put(b"\x82").put(KIND).put(b"\xa5numpy").put(KEY);
        }
        out.put(b"\xc0");
    }),
    ("map of flat maps", |out, n| {
        out.map(n / 48);
        for _ in 0..n / 48 {
            out.put(KEY).put(b"\x8f").repeat(ENTRY, 15);
        }
    }),
    ("claimed counts", |out, n| {
        for _ in 0..n / 5 {
            out.list(n);
        }
    }),
];

/// A list of descriptors of buffer `index`, which has four bytes, in canonical form or not.
fn descriptors(out: &mut Out<'_>, count: usize, index: usize, is_canonical: bool) {
    out.list(count);
    for _ in 0..count {
        if is_canonical {
            out.put(b"\x84").put(KIND).put(b"\xa5numpy\xa6buffer").head(0xce, index);
            out.put(b"\xa5dtype\xa3<u2\xa5shape\x91\x02");
        } else {
            out.put(b"\x84\xa6buffer").head(0xce, index).put(KIND).put(b"\xa5numpy");
            out.put(b"\xa5shape\x91\x02\xa5dtype\xa3<u2");
        }
    }
}

/// What is measured: the input, the way to read it, and the reading.
pub(crate) type Measure<'m> = &'m mut dyn FnMut(&'static str, &'static str, &mut dyn FnMut());

/// Drops its buffers.
struct Nowhere;

impl<'b> Buffers<'b> for Nowhere {
    fn push(&mut self, _: &'b [u8]) -> Result<(), &'b [u8]> {
        Ok(())
    }
}

/// Measures every reading of inputs of about `len` bytes; `space` holds an input and a receiver's
/// buffer, of twice as many bytes and some each.
pub(crate) fn measure_all(len: usize, space: &mut [u8], measure: Measure<'_>) {
    let (space, buffer) = space.split_at_mut(space.len() / 2);
    for &(name, generate) in ITEMS {
        let mut out = Out { space, len: 0 };
        generate(out.put(b"\x91"), len);
        let metadata = &out.space[..out.len];
        message(name, &[&[0; 24], metadata, &[0; 4]], buffer, measure);
        bodies(name, metadata, measure);
        in_one_piece(name, metadata, buffer, measure);
    }
    for (name, is_canonical) in [("descriptors", true), ("descriptors in another order", false)] {
        // Half of it frames without content, half descriptors of the last.
        let (empty, count) = (len / 8, len / 104);
        let mut out = Out { space, len: 0 };
        out.put(b"\x91");
        descriptors(&mut out, count, empty, is_canonical);
        let metadata = &out.space[..out.len];
        let mut frames = [&[][..]; MAX_FRAMES];
        frames[0] = &[0; 24];
        frames[1] = metadata;
        frames[2 + empty] = &[0; 4];
        message(name, &frames[..empty + 3], buffer, measure);
    }
    lists(len, space, measure);
}

/// Room for the frames of the longest message.
const MAX_FRAMES: usize = 5000;

/// A message as every implementation of `Frames`.
fn message(name: &'static str, frames: &[&[u8]], buffer: &mut [u8], measure: Measure<'_>) {
    read_frames(
        name,
        ["slice: walk", "slice: value", "slice: types", "slice: copy"],
        &frames,
        measure,
    );
    if let [header, metadata, data] = frames {
        let array = [*header, *metadata, *data];
        read_frames(
            name,
            ["array: walk", "array: value", "array: types", "array: copy"],
            &array,
            measure,
        );
        let mut list = cortex_wire::heapless::Vec::<&[u8], 3>::new();
        let _ = list.extend_from_slice(&array);
        read_frames(
            name,
            ["list: walk", "list: value", "list: types", "list: copy"],
            &list,
            measure,
        );
    }
    // Over a line and over ZMTP; receiving is measured as well.
    let mut receiver = Receiver::new(&mut *buffer);
    let mut sender = Sender::new();
    let mut is_received = false;
    measure(name, "link: receive", &mut || {
        let mut frame = sender.start_message();
        let mut receive = |mut bytes: &[u8]| {
            while let Some(event) = receiver.receive(&mut bytes) {
                is_received = matches!(event, Ok(link::Event::Message(_)));
            }
        };
        for bytes in [&b"/t"[..]].iter().chain(frames) {
            for mut piece in [&(bytes.len() as u32).to_be_bytes()[..], bytes] {
                while let Some(bytes) = frame.push(&mut piece) {
                    receive(bytes);
                }
            }
        }
        receive(frame.finish());
    });
    assert!(is_received, "{name} over the link");
    // The last frame again, as the message borrows from the receiver.
    let mut connection = Connection::new(Role::Sub, &mut *buffer).expect("it is large enough");
    let mut greet = |mut bytes: &[u8]| _ = connection.receive(&mut bytes);
    greet(&Greeting::BYTES);
    write_ready(&[("Socket-Type", b"PUB")], greet);
    measure(name, "zmtp: receive", &mut || {
        for bytes in [&b"/t"[..]].iter().chain(frames.iter().take(frames.len() - 1)) {
            let head = FrameHeader::message(bytes.len() as u64, false).encode();
            for mut piece in [&head[..], bytes] {
                assert_eq!(connection.receive(&mut piece), Ok(None));
            }
        }
    });
    let mut last: &[u8] = frames.last().copied().unwrap_or_default();
    let head = FrameHeader::message(last.len() as u64, true).encode();
    assert_eq!(connection.receive(&mut &head[..]), Ok(None));
    let Ok(Some(zmtp::Event::Message(message))) = connection.receive(&mut last) else {
        panic!("{name} over ZMTP")
    };
    read_frames(
        name,
        ["zmtp: walk", "zmtp: value", "zmtp: types", "zmtp: copy"],
        &message,
        measure,
    );
}

fn read_frames(
    name: &'static str,
    [walk, value, types, copy]: [&'static str; 4],
    frames: &(dyn Frames + '_),
    measure: Measure<'_>,
) {
    measure(name, walk, &mut || _ = Walk::new(frames).map(Iterator::count));
    let mut decoded = None;
    measure(name, value, &mut || {
        let Ok(mut input) = Decoder::new(frames) else { return };
        let Ok(mut fields) = input.fields(1, 1) else { return };
        decoded = fields.next::<Value<'_>>().ok();
    });
    measure(name, types, &mut || {
        let _ = decode_ignoring_fingerprint::<MultiArrayMessage<'_>>(frames).map(drop);
        let Ok(mut input) = Decoder::new(frames) else { return };
        let Ok(mut fields) = input.fields(1, 1) else { return };
        let _ = fields.next::<MapOf<'_, Value<'_>>>().map(drop);
    });
    let Some(decoded) = decoded else { return };
    measure(name, copy, &mut || {
        let mut buffers = Nowhere;
        let mut encoder = Encoder::new(&mut [], &mut buffers);
        assert_eq!(decoded.encode(&mut encoder), Ok(()));
        match decoded {
            Value::List(list) => assert_eq!(list.iter().count(), list.len()),
            Value::Map(map) => assert_eq!(map.iter().count(), map.len()),
            _ => {}
        }
        #[cfg(feature = "alloc")]
        drop(cortex_wire::OwnedValue::from(decoded));
    });
}

/// Any item as a body of discovery or of a hello; unknown keys are skipped.
fn bodies(name: &'static str, item: &[u8], measure: Measure<'_>) {
    measure(name, "request", &mut || _ = Request::decode(item));
    measure(name, "response", &mut || _ = Response::decode(item));
    measure(name, "hello", &mut || _ = Hello::decode(item));
    measure(name, "item", &mut || {
        let mut reader = cortex_wire::msgpack::Reader::new(item);
        let _ = reader.skip();
    });
}

/// Any item in a blob and as a tagged value.
fn in_one_piece(name: &'static str, item: &[u8], space: &mut [u8], measure: Measure<'_>) {
    let mut out = Out { space, len: 0 };
    out.put(&[0; 24]).head(5, item.len()).put(item);
    let bytes = &out.space[..out.len];
    measure(name, "blob", &mut || _ = blob::decode_any(bytes));
    measure(name, "tagged value", &mut || _ = blob::decode_value(bytes.get(24..).unwrap_or(&[])));
}

/// Long bodies that are valid.
fn lists(len: usize, space: &mut [u8], measure: Measure<'_>) {
    let topic: &[u8] = b"\xc4\x40\x85\xa4name\xa2/t\xa7address\xa1a\xacmessage_type\xa1m\
        \xabfingerprint\x01\xaepublisher_node\xa1n";
    let mut out = Out { space, len: 0 };
    out.put(b"\x82\xa6status\x00\xa6topics").list(len / topic.len());
    out.repeat(topic, len / topic.len());
    let body = &out.space[..out.len];
    measure("topics", "response", &mut || {
        let response = Response::decode(body).expect("it is valid");
        assert_eq!(response.topics.into_iter().count(), len / topic.len());
    });
    let mut out = Out { space, len: 0 };
    out.put(b"\x94\x01\xa1n\x07").list(len / 9).repeat(b"\x95\x00\xa2/t\xa1T\x01\x02", len / 9);
    let body = &out.space[..out.len];
    measure("topics", "hello", &mut || {
        let hello = Hello::decode(body).expect("it is valid");
        assert_eq!(hello.topics.into_iter().count(), len / 9);
    });
}

/// Compares the cost of inputs of one length with that of four times the length.
///
/// `cost` returns the cost of a reading. The names of those that cost more than 4.4 times as much
/// are passed to `report`.
pub(crate) fn compare(
    len: usize,
    space: &mut [u8],
    cost: &mut dyn FnMut(&mut dyn FnMut()) -> u64,
    report: &mut dyn FnMut(&'static str, &'static str, u64, u64),
) -> usize {
    let mut costs = [0; 1000];
    let mut count = 0;
    measure_all(len, space, &mut |_, _, work| {
        costs[count] = cost(work);
        count += 1;
    });
    let mut next = costs.iter();
    measure_all(4 * len, space, &mut |name, way, work| {
        let (before, after) = (*next.next().unwrap_or(&0), cost(work));
        // A few steps do not tell a rate.
        if before > 100 && after * 10 > before * 44 {
            report(name, way, before, after);
        }
    });
    count
}
