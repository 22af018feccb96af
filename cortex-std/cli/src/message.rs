//! A decoded message of any type, with the field names of the standard types.

use std::borrow::Cow;

use cortex_cli::typed_json::{self, hex};
use cortex_std::wire::standard::TYPES;
use cortex_std::wire::{
    Decode, DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder, Frames, Header,
    OwnedValue, Type, TypeInfo, Value, blob, find_type,
};
use serde_json::{Map, Value as Json, json};

use crate::plain_json::{self, Arrays};

/// A decoded message.
#[derive(Debug)]
pub(crate) struct AnyMessage<'a> {
    pub(crate) header: Header,
    /// The type, if it is a standard one.
    pub(crate) info: Option<&'static TypeInfo>,
    /// The name of another type, where a publisher registered the fingerprint with it.
    pub(crate) registered: Option<String>,
    /// Field names and values; the name of a field is its number if the type is unknown.
    pub(crate) fields: Vec<(Cow<'static, str>, Value<'a>)>,
}

/// The JSON form of values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Typed JSON, which is lossless.
    Typed,
    /// Plain JSON, which is easy to read for people and programs.
    Plain(Arrays),
}

impl<'a> AnyMessage<'a> {
    /// Decodes header, metadata and buffers, or a single-blob message of one frame.
    pub(crate) fn decode(frames: &'a (dyn Frames + 'a)) -> Result<Self, DecodeError> {
        let (header, values) = match (frames.frame(0), frames.frame(1)) {
            (Some(first), None) if first.len() > Header::LEN => {
                let (header, values) = blob::decode_any(first)?;
                (header, values.iter().collect())
            }
            (first, _) => {
                let header = Header::decode(first.unwrap_or_default())?;
                let mut input = Decoder::new(frames)?;
                let values = Vec::<Value<'a>>::decode(&mut input)?;
                input.finish()?;
                (header, values)
            }
        };
        let info = find_type(TYPES, header.fingerprint);
        let names = info.map_or(&[][..], |info| info.fields);
        let name = |at: usize| match names.get(at) {
            Some(field) => Cow::Borrowed(field.name),
            None => Cow::Owned(at.to_string()),
        };
        let fields = values.into_iter().enumerate().map(|(at, value)| (name(at), value)).collect();
        Ok(Self { header, info, registered: None, fields })
    }

    /// The name of the class without its module, or the fingerprint of a type that is not registered.
    pub(crate) fn type_name(&self) -> Cow<'_, str> {
        match (self.info, &self.registered) {
            (Some(info), _) => info.name().into(),
            (None, Some(name)) => name.into(),
            (None, None) => fingerprint_text(self.header.fingerprint).into(),
        }
    }

    /// The message as a JSON object.
    pub(crate) fn to_json(&self, topic: Option<&str>, form: Form) -> Json {
        let field_type = |name: &str| {
            let fields = self.info.map_or(&[][..], |info| info.fields);
            fields.iter().find(|field| field.name == name).map_or(Type::Any, |field| field.ty)
        };
        let field = |(name, value): &(Cow<'static, str>, Value<'a>)| {
            let value = match form {
                Form::Typed => typed_json::to_json(&OwnedValue::from(*value)),
                Form::Plain(arrays) => plain_json::field_to_json(*value, field_type(name), arrays),
            };
            let entries = [("name".to_owned(), json!(name)), ("value".to_owned(), value)];
            Json::Object(Map::from_iter(entries))
        };
        let mut object = Map::new();
        if let Some(topic) = topic {
            object.insert("topic".to_owned(), json!(topic));
        }
        object.insert("message".to_owned(), json!(self.info.map(TypeInfo::name)));
        object.insert("class".to_owned(), json!(self.info.map(|info| info.class)));
        object.insert("fingerprint".to_owned(), json!(fingerprint_text(self.header.fingerprint)));
        object.insert("timestamp_ns".to_owned(), json!(self.header.timestamp_ns.to_string()));
        object.insert("sequence".to_owned(), json!(self.header.sequence.to_string()));
        object.insert("fields".to_owned(), self.fields.iter().map(field).collect());
        Json::Object(object)
    }
}

pub(crate) fn fingerprint_text(fingerprint: u64) -> String {
    format!("{fingerprint:#018x}")
}

/// Frames as a line of hex, with one space between them.
pub(crate) fn frames_line<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> String {
    frames.into_iter().map(hex).collect::<Vec<_>>().join(" ")
}

/// Encodes the fields of a message and calls `use_frames` with the metadata and the buffers.
pub(crate) fn with_frames<T>(
    fields: &Vec<OwnedValue>,
    use_frames: impl FnOnce(&[u8], &[&[u8]]) -> T,
) -> Result<T, EncodeError> {
    let mut out = vec![0; 1024];
    loop {
        let mut buffers = Vec::new();
        let mut encoder = Encoder::new(&mut out, &mut buffers);
        fields.encode(&mut encoder)?;
        let needed = match encoder.finish() {
            Ok(metadata) => {
                let len = metadata.len();
                return Ok(use_frames(out.get(..len).unwrap_or_default(), &buffers));
            }
            Err(error) if error.kind == EncodeErrorKind::OutputFull => error.needed,
            Err(error) => return Err(error),
        };
        out = vec![0; needed];
    }
}

/// Calls `use_value` with a value as a message of it is decoded.
#[cfg(test)]
pub(crate) fn with_decoded<T>(value: &OwnedValue, use_value: impl FnOnce(Value<'_>) -> T) -> T {
    let header = Header { fingerprint: 0, timestamp_ns: 0, sequence: 0 }.encode();
    let decode = |metadata: &[u8], buffers: &[&[u8]]| {
        let frames = [&header[..], metadata].into_iter().chain(buffers.iter().copied());
        let frames: Vec<Vec<u8>> = frames.map(Vec::from).collect();
        let message = AnyMessage::decode(&frames).expect("a message");
        use_value(message.fields[0].1)
    };
    with_frames(&vec![value.clone()], decode).expect("it is encoded")
}
