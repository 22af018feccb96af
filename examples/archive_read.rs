//! Reads a file of values and messages that `archive_write` or its Python twin wrote. Finds the type
//! of a message by its fingerprint, in a list of known types.
//!
//! Terminal: `cargo run --release --bin archive_write` and then
//! `cargo run --release --bin archive_read`
//!
//! Another file: `cargo run --release --bin archive_read /tmp/mine`.
//! Python twin: `archive_read.py` in tests/peers; `archive_write.py` writes such a file.

use std::error::Error;

use cortex_std::wire::{ArrayView, Key, Message, TypeInfo, Value, blob, find_type, standard};

const PATH: &str = "cortex.archive";

#[derive(Message)]
#[cortex(class = "robot.msgs.Battery")]
struct Battery<'a> {
    volts: f64,
    cells: ArrayView<'a>,
    name: &'a str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or(PATH.into());
    let bytes = std::fs::read(path)?;
    let own = [TypeInfo::of::<Battery>()];
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        // The value borrows from `bytes`; `len` is its encoded length.
        let (value, len) = blob::decode_value(rest)?;
        rest = rest.get(len..).unwrap_or_default();
        let Value::Bytes(message) = value else {
            println!("value {}", text(&value)?);
            continue;
        };
        let (header, fields) = blob::decode_any(message)?;
        let known = find_type(standard::TYPES, header.fingerprint);
        let known = known.or_else(|| find_type(&own, header.fingerprint));
        let Some(info) = known else {
            println!("message of unknown type {:#018x}", header.fingerprint);
            continue;
        };
        println!("message {} sequence={} at {}", info.class, header.sequence, header.timestamp_ns);
        for (field, value) in info.fields.iter().zip(fields) {
            println!("  {} = {}", field.name, text(&value)?);
        }
    }
    Ok(())
}

fn text(value: &Value<'_>) -> Result<String, Box<dyn Error>> {
    Ok(match value {
        Value::Nil => "nil".into(),
        Value::Int(number) => i64::try_from(*number)?.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Str(text) => format!("{text:?}"),
        Value::Array(array) => {
            format!("{} {:?} {:02x?}", array.dtype(), array.shape(), array.data())
        }
        Value::Map(map) => {
            let key = |key: Key<'_>| format!("{:?}", key.as_str().unwrap_or("(bytes)"));
            let pair = |(k, value)| Ok(format!("{}: {}", key(k), text(&value)?));
            let pairs: Result<Vec<_>, Box<dyn Error>> = map.iter().map(pair).collect();
            format!("{{{}}}", pairs?.join(", "))
        }
        other => format!("{other:?}"),
    })
}
