//! The field values of a message that a user wrote down.

use std::io::Read;

use cortex_cli::notation::NotationError;
use cortex_std::wire::{Int, OwnedValue, Type, TypeInfo};
use serde_json::Value as Json;

use crate::file::{self, Loaded};
use crate::line;
use crate::plain;

/// The class of images, which tell how large they are.
pub(crate) const IMAGE: &str = "cortex.messages.standard.ImageMessage";

/// The fields of a class, if anybody told: names, types, and whether null may stand there.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Type, bool)>);

impl Fields {
    pub(crate) fn of(info: &TypeInfo) -> Self {
        let field =
            |field: &cortex_std::wire::FieldInfo| (field.name.to_owned(), field.ty, field.optional);
        Self(info.fields.iter().map(field).collect())
    }

    /// Reads `left:float,note:str?`.
    pub(crate) fn parse(text: &str) -> Result<Self, NotationError> {
        let field = |text: &str| {
            let (name, ty) = text.trim().split_once(':').unwrap_or((text.trim(), "any"));
            let (ty, is_optional) = match ty.strip_suffix('?') {
                Some(ty) => (ty, true),
                None => (ty, false),
            };
            let known = [
                Type::Bool,
                Type::Int,
                Type::Float,
                Type::Str,
                Type::Bytes,
                Type::List,
                Type::Map,
                Type::Array,
                Type::Tensor,
                Type::Any,
            ];
            match known.into_iter().find(|known| known.as_str() == ty) {
                Some(ty) if !name.is_empty() => Ok((name.to_owned(), ty, is_optional)),
                Some(_) => Err(NotationError::new("a field without a name")),
                None => {
                    let names = known.map(Type::as_str).join(", ");
                    Err(NotationError::new(format!("{name}: {ty:?} is none of {names}")))
                }
            }
        };
        text.split(',').map(field).collect::<Result<_, _>>().map(Self)
    }
}

/// The values of all fields, in order.
///
/// # Errors
/// What is wrong with the text, with a file it names, or with the value of a field.
pub(crate) fn values(
    text: &str,
    fields: &Fields,
    is_image: bool,
) -> Result<Vec<OwnedValue>, NotationError> {
    if let Some(path) = file::path(text) {
        let Loaded { array, encoding } = file::read(path)?;
        let mut values = vec![OwnedValue::Array(array)];
        if let Some(encoding) = encoding.filter(|_| is_image) {
            values.push(OwnedValue::Str(encoding.to_owned()));
        }
        return complete(values, fields, is_image);
    }
    let json = read(text, fields)?;
    let Json::Object(object) = &json else {
        return single(&json, fields, is_image);
    };
    let is_field = |name: &String| fields.0.iter().any(|(field, ..)| field == name);
    if fields.0.is_empty() {
        let value = |(name, value): (&String, &Json)| {
            plain::from_json(value, Type::Any).map_err(|error| error.inside(name))
        };
        return object.iter().map(value).collect();
    }
    if let Some(name) = object.keys().find(|name| !is_field(name)) {
        // The map or array of a message that needs nothing else; both the notation of an array and many
        // messages have something called data.
        let is_array = matches!(fields.0[0].1, Type::Array | Type::Tensor);
        if (is_array && object.contains_key("dtype") || !object.keys().any(is_field))
            && let Ok(values) = single(&json, fields, is_image)
        {
            return Ok(values);
        }
        let names: Vec<_> = fields.0.iter().map(|(name, ..)| name.as_str()).collect();
        let problem = format!("there is no field {name:?}, but {}", names.join(", "));
        return Err(NotationError::new(problem));
    }
    let mut encoding = None;
    let mut values = Vec::new();
    for (name, ty, is_optional) in &fields.0 {
        let json = object.get(name);
        if let Some(Json::String(text)) = json
            && let Some(path) = file::path(text)
        {
            let loaded = file::read(path)?;
            encoding = loaded.encoding;
            values.push(loaded.into_value()?);
            continue;
        }
        values.push(match json {
            None if is_image && name == "encoding" => {
                OwnedValue::Str(encoding.unwrap_or("rgb8").to_owned())
            }
            None => default(name, *ty, *is_optional)?,
            Some(Json::Null) if *is_optional => OwnedValue::Nil,
            Some(json) => plain::from_json(json, *ty).map_err(|error| error.inside(name))?,
        });
    }
    complete(values, fields, is_image)
}

/// JSON, from a file or as it stands; a text that is none for a message of text.
fn read(text: &str, fields: &Fields) -> Result<Json, NotationError> {
    let from = |path: &str| {
        let mut content = String::new();
        let read = match path {
            "-" => std::io::stdin().read_to_string(&mut content),
            path => {
                std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut content))
            }
        };
        read.map_err(|error| NotationError::new(format!("{path}: {error}")))?;
        line::json(&content)
    };
    match text.strip_prefix('@') {
        Some(path) if path == "-" || path.ends_with(".json") => from(path),
        _ => line::json(text).or_else(|error| match fields.0.first() {
            Some((_, Type::Str, _)) if !text.starts_with(['{', '"']) => Ok(text.into()),
            _ => Err(error),
        }),
    }
}

/// The value of the first field alone.
fn single(json: &Json, fields: &Fields, is_image: bool) -> Result<Vec<OwnedValue>, NotationError> {
    let Some((name, ty, _)) = fields.0.first() else {
        return Err(NotationError::new("an object of fields is needed"));
    };
    let value = plain::from_json(json, *ty).map_err(|error| error.inside(name))?;
    complete(vec![value], fields, is_image)
}

/// With the defaults of the fields that are missing at the end.
fn complete(
    mut values: Vec<OwnedValue>,
    fields: &Fields,
    is_image: bool,
) -> Result<Vec<OwnedValue>, NotationError> {
    if fields.0.is_empty() {
        return Ok(values);
    }
    for (name, ty, is_optional) in fields.0.iter().skip(values.len()) {
        values.push(match (is_image, name.as_str()) {
            (true, "encoding") => OwnedValue::Str("rgb8".to_owned()),
            _ => default(name, *ty, *is_optional)?,
        });
    }
    if is_image {
        with_size(&mut values);
    }
    Ok(values)
}

/// What stands where nothing was given.
fn default(name: &str, ty: Type, is_optional: bool) -> Result<OwnedValue, NotationError> {
    Ok(match ty {
        _ if is_optional => OwnedValue::Nil,
        Type::Bool => OwnedValue::Bool(false),
        Type::Int => OwnedValue::Int(Int::from(0_u8)),
        Type::Float => OwnedValue::Float(0.0),
        Type::Str => OwnedValue::Str(String::new()),
        _ => return Err(NotationError::new(format!("the field {name} of type {ty} is missing"))),
    })
}

/// Width and height of an image from its data, unless given.
fn with_size(values: &mut [OwnedValue]) {
    let zero = OwnedValue::Int(Int::from(0_u8));
    if let [OwnedValue::Array(data), _, width, height] = values
        && *width == zero
        && let [rows, columns] | [rows, columns, _] = data.view().shape()
    {
        *height = OwnedValue::Int(Int::from(*rows));
        *width = OwnedValue::Int(Int::from(*columns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types;

    fn composed(name: &str, text: &str) -> Result<Vec<OwnedValue>, String> {
        let info = types::by_name(name).unwrap();
        values(text, &Fields::of(info), info.class == IMAGE).map_err(|error| error.to_string())
    }

    fn text(text: &str) -> OwnedValue {
        OwnedValue::Str(text.to_owned())
    }

    #[test]
    fn a_single_field_needs_no_name() {
        assert_eq!(composed("StringMessage", "\"hi\""), Ok(vec![text("hi")]));
        assert_eq!(composed("StringMessage", "hi there"), Ok(vec![text("hi there")]));
        assert_eq!(composed("FloatMessage", "3"), Ok(vec![OwnedValue::Float(3.0)]));
        let map = composed("DictMessage", "{\"gain\": 1}").unwrap();
        assert_eq!(map[0].get("gain"), Some(&OwnedValue::Int(1.into())));
        assert_eq!(composed("DictMessage", "{\"data\": {\"gain\": 1}}"), Ok(map));
        let array = composed("ArrayMessage", "{\"dtype\": \"|u1\", \"data\": [1, 2]}").unwrap();
        assert_eq!(array[1..], [text(""), text("")]);
    }

    #[test]
    fn missing_fields_have_defaults_and_images_their_size() {
        let image = r#"{"data": {"dtype": "|u1", "shape": [2, 3], "data": "000000000000"}}"#;
        let image = composed("ImageMessage", image).unwrap();
        assert_eq!(
            image[1..],
            [text("rgb8"), OwnedValue::Int(3.into()), OwnedValue::Int(2.into())]
        );
        let cloud = composed("PointCloudMessage", "[[1, 2, 3]]").unwrap();
        assert_eq!(cloud[1..], [OwnedValue::Nil, OwnedValue::Nil, OwnedValue::Nil, text("")]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (name, value, told) in [
            ("StringMessage", "3", "data: 3 is no str"),
            ("StringMessage", "{\"date\": \"x\"}", "there is no field \"date\", but data"),
            (
                "ImageMessage",
                "{\"encoding\": \"mono8\"}",
                "the field data of type array is missing",
            ),
            ("IntMessage", "{\"data\": null}", "data: null is no int"),
        ] {
            assert_eq!(composed(name, value), Err(told.to_owned()));
        }
        assert!(composed("IntMessage", "seven").unwrap_err().starts_with("not JSON: "));
    }

    #[test]
    fn any_class_has_the_fields_that_are_told() {
        let fields = Fields::parse("left:float, right:float?,note:str").unwrap();
        let read = |text| values(text, &fields, false);
        let expected = vec![OwnedValue::Float(1.0), OwnedValue::Nil, text("")];
        assert_eq!(read("{\"left\": 1}"), Ok(expected));
        assert!(Fields::parse("left:double").is_err());
        let untold = values("{\"b\": 1, \"a\": 2.5}", &Fields::default(), false);
        assert_eq!(untold, Ok(vec![OwnedValue::Int(1.into()), OwnedValue::Float(2.5)]));
    }
}
