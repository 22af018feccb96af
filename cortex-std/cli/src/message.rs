//! A message of any type: what its frames say without knowing it, and names where it is known.

use std::borrow::Cow;

use cortex_cli::notation::{hex, notate};
use cortex_std::wire::standard::TYPES;
use cortex_std::wire::{
    Decode, DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder, Frames, Header,
    OwnedValue, TypeInfo, Value, blob, find_type,
};
use serde_json::{Map, Value as Json, json};

use crate::plain::{self, Arrays};

/// A message whose metadata was read and checked.
#[derive(Debug)]
pub(crate) struct AnyMessage<'a> {
    pub(crate) header: Header,
    /// The type, if it is one of the standard ones.
    pub(crate) info: Option<&'static TypeInfo>,
    /// The values with their names; numbers where the type does not tell.
    pub(crate) fields: Vec<(Cow<'static, str>, Value<'a>)>,
}

/// How values are written as JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// In the notation that loses nothing.
    Typed,
    /// As JSON that programs read with ease.
    Plain(Arrays),
}

impl<'a> AnyMessage<'a> {
    /// Reads header, metadata and buffers; a single frame is a blob.
    pub(crate) fn read(frames: &'a (dyn Frames + 'a)) -> Result<Self, DecodeError> {
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
        Ok(Self { header, info, fields })
    }

    /// The bare name of the class, or its fingerprint.
    pub(crate) fn type_name(&self) -> Cow<'static, str> {
        match self.info {
            Some(info) => info.name().into(),
            None => fingerprint_text(self.header.fingerprint).into(),
        }
    }

    /// The message as one JSON object.
    pub(crate) fn to_json(&self, topic: Option<&str>, form: Form) -> Json {
        let field = |(name, value): &(Cow<'static, str>, Value<'a>)| {
            let value = match form {
                Form::Typed => notate(&OwnedValue::from(*value)),
                Form::Plain(arrays) => plain::to_json(*value, arrays),
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

/// A line of frames: hex, with one space between them.
pub(crate) fn frames_line<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> String {
    frames.into_iter().map(hex).collect::<Vec<_>>().join(" ")
}

/// Calls `use_frames` with the metadata and the buffers of a list of values.
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
