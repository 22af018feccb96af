//! Encodes lists and maps that were decoded.

use crate::array::ArrayView;
use crate::coding::decode::Decoder;
use crate::coding::encode::Encoder;
use crate::coding::frames::Source;
use crate::error::{DecodeError, EncodeError, EncodeErrorKind};
use crate::msgpack::key::Key;
use crate::value::Value;
use crate::value::items::WireItems;
use crate::value::walk::Event;

/// Writes a received list or map in its smallest form, with arrays in the encoder's form: item by
/// item, without recursion.
pub(crate) fn rewrite<'b>(
    wire: &WireItems<'b>,
    is_map: bool,
    out: &mut Encoder<'_, 'b>,
) -> Result<(), EncodeError> {
    write_head(wire.count, is_map, out)?;
    let mut walk = wire.walk(is_map);
    loop {
        let offset = walk.offset();
        let Some(event) = walk.step() else { break };
        match event.map_err(|error| EncodeError::new(EncodeErrorKind::Source(error.kind)))? {
            Event::Key(Key::Str(key)) => {
                out.check_key(key)?;
                out.writer().write_str(key)?;
            }
            Event::Key(Key::Bytes(key)) => out.writer().write_bytes(key)?,
            Event::List { count } => write_head(count, false, out)?,
            Event::Map { count } => write_head(count, true, out)?,
            Event::End => out.leave(),
            Event::Value(value) => match value {
                Value::Nil | Value::List(_) | Value::Map(_) => out.writer().write_nil(),
                Value::Bool(value) => out.writer().write_bool(value),
                Value::Int(value) => out.writer().write_int(value),
                Value::Float(value) => out.writer().write_f64(value),
                Value::Str(value) => out.writer().write_str(value)?,
                Value::Bytes(value) => out.writer().write_bytes(value)?,
                Value::Array(value) => {
                    count_copy(&value, wire.source, offset, out)?;
                    out.write_array(&value)?;
                }
                Value::Tensor(value) => {
                    count_copy(&value.array, wire.source, offset, out)?;
                    out.write_tensor(&value)?;
                }
            },
        }
    }
    Ok(())
}

/// Writes a received map of arrays or tensors, as [`rewrite`] does. As when it was decoded, the keys of
/// a descriptor may have any order.
pub(crate) fn rewrite_arrays<'b>(
    wire: &WireItems<'b>,
    out: &mut Encoder<'_, 'b>,
) -> Result<(), EncodeError> {
    let changed = |error: DecodeError| EncodeError::new(EncodeErrorKind::Source(error.kind));
    write_head(wire.count, true, out)?;
    let mut input = Decoder::at(wire.reader, wire.source);
    for _ in 0..wire.count {
        let key = input.read_text_key().map_err(changed)?;
        out.check_key(key)?;
        out.writer().write_str(key)?;
        let offset = input.reader.offset();
        if input.reader.read_nil().is_ok() {
            out.writer().write_nil();
        } else if let Ok(array) = input.read_array() {
            count_copy(&array, wire.source, offset, out)?;
            out.write_array(&array)?;
        } else {
            let tensor = input.read_tensor().map_err(changed)?;
            count_copy(&tensor.array, wire.source, offset, out)?;
            out.write_tensor(&tensor)?;
        }
    }
    out.leave();
    Ok(())
}

fn count_copy(
    array: &ArrayView<'_>,
    source: Source<'_>,
    offset: usize,
    out: &mut Encoder<'_, '_>,
) -> Result<(), EncodeError> {
    out.copies
        .take(array.data().len(), source)
        .map_err(|limit| EncodeError::new(EncodeErrorKind::CopyLimit { limit, offset }))
}

fn write_head(count: u32, is_map: bool, out: &mut Encoder<'_, '_>) -> Result<(), EncodeError> {
    out.enter()?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if is_map { out.writer().write_map(count) } else { out.writer().write_list(count) }
}
