//! The field values of a message, from the text that a user gives.

use std::io::Read;

use cortex_cli::typed_json::ValueError;
use cortex_std::wire::{Int, OwnedValue, Type, TypeInfo};
use serde_json::Value as Json;

use crate::file::{self, Loaded};
use crate::input;
use crate::plain_json;

/// The class of images, whose encoding and size follow from their data.
pub(crate) const IMAGE: &str = "cortex.messages.standard.ImageMessage";

/// The fields of a class: name, type, and whether null is allowed. Empty if they are unknown.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Type, bool)>);

impl Fields {
    pub(crate) fn of(info: &TypeInfo) -> Self {
        let field =
            |field: &cortex_std::wire::FieldInfo| (field.name.to_owned(), field.ty, field.optional);
        Self(info.fields.iter().map(field).collect())
    }

    /// Parses a list of fields such as `left:float,note:str?`.
    pub(crate) fn parse(text: &str) -> Result<Self, ValueError> {
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
                Some(_) => Err(ValueError::new("a field has no name")),
                None => {
                    let names = known.map(Type::as_str).join(", ");
                    Err(ValueError::new(format!("{name}: {ty:?} is not one of {names}")))
                }
            }
        };
        text.split(',').map(field).collect::<Result<_, _>>().map(Self)
    }
}

/// Parses the values of all fields, in order.
///
/// # Errors
/// If the text is not JSON, a file that it names cannot be read, or the value of a field is missing
/// or invalid.
pub(crate) fn parse(
    text: &str,
    fields: &Fields,
    is_image: bool,
) -> Result<Vec<OwnedValue>, ValueError> {
    if let Some(path) = file::path(text) {
        let Loaded { array, encoding } = file::read(path)?;
        let mut values = vec![OwnedValue::Array(array)];
        if let Some(encoding) = encoding.filter(|_| is_image) {
            values.push(OwnedValue::Str(encoding.to_owned()));
        }
        return with_defaults(values, fields, is_image);
    }
    let json = read(text, fields)?;
    let Json::Object(object) = &json else {
        return first_field(&json, fields, is_image);
    };
    let is_field = |name: &String| fields.0.iter().any(|(field, ..)| field == name);
    if fields.0.is_empty() {
        let value = |(name, value): (&String, &Json)| {
            plain_json::from_json(value, Type::Any).map_err(|error| error.inside(name))
        };
        return object.iter().map(value).collect();
    }
    if let Some(name) = object.keys().find(|name| !is_field(name)) {
        // The object may be the value of the first field: a map, or an array, whose entry `data` is
        // also the name of a field of many messages.
        let is_array = matches!(fields.0[0].1, Type::Array | Type::Tensor);
        if (is_array && object.contains_key("dtype") || !object.keys().any(is_field))
            && let Ok(values) = first_field(&json, fields, is_image)
        {
            return Ok(values);
        }
        let names: Vec<_> = fields.0.iter().map(|(name, ..)| name.as_str()).collect();
        let reason = format!("no field {name:?}; the fields are {}", names.join(", "));
        return Err(ValueError::new(reason));
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
            Some(json) => plain_json::from_json(json, *ty).map_err(|error| error.inside(name))?,
        });
    }
    with_defaults(values, fields, is_image)
}

/// The JSON in a text, or in the file that it names. If the first field is text, other text is its
/// value.
fn read(text: &str, fields: &Fields) -> Result<Json, ValueError> {
    let from = |path: &str| {
        let mut content = String::new();
        let read = match path {
            "-" => std::io::stdin().read_to_string(&mut content),
            path => {
                std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut content))
            }
        };
        read.map_err(|error| ValueError::new(format!("{path}: {error}")))?;
        input::parse_json(&content)
    };
    match text.strip_prefix('@') {
        Some(path) if path == "-" || path.ends_with(".json") => from(path),
        _ => input::parse_json(text).or_else(|error| match fields.0.first() {
            Some((_, Type::Str, _)) if !text.starts_with(['{', '"']) => Ok(text.into()),
            _ => Err(error),
        }),
    }
}

/// The values of a message whose first field is `json`.
fn first_field(
    json: &Json,
    fields: &Fields,
    is_image: bool,
) -> Result<Vec<OwnedValue>, ValueError> {
    let Some((name, ty, _)) = fields.0.first() else {
        return Err(ValueError::new("the fields are unknown: give a JSON object"));
    };
    let value = plain_json::from_json(json, *ty).map_err(|error| error.inside(name))?;
    with_defaults(vec![value], fields, is_image)
}

/// Appends the defaults of the fields that follow, and fills in the size of an image.
fn with_defaults(
    mut values: Vec<OwnedValue>,
    fields: &Fields,
    is_image: bool,
) -> Result<Vec<OwnedValue>, ValueError> {
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
        set_image_size(&mut values);
    }
    Ok(values)
}

/// The default of a field.
fn default(name: &str, ty: Type, is_optional: bool) -> Result<OwnedValue, ValueError> {
    Ok(match ty {
        _ if is_optional => OwnedValue::Nil,
        Type::Bool => OwnedValue::Bool(false),
        Type::Int => OwnedValue::Int(Int::from(0_u8)),
        Type::Float => OwnedValue::Float(0.0),
        Type::Str => OwnedValue::Str(String::new()),
        _ => return Err(ValueError::new(format!("field {name} of type {ty} is missing"))),
    })
}

/// Sets width and height of an image from the shape of its data, unless they are given.
fn set_image_size(values: &mut [OwnedValue]) {
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

    fn parsed(name: &str, text: &str) -> Result<Vec<OwnedValue>, String> {
        let info = types::by_name(name).unwrap();
        parse(text, &Fields::of(info), info.class == IMAGE).map_err(|error| error.to_string())
    }

    fn text(text: &str) -> OwnedValue {
        OwnedValue::Str(text.to_owned())
    }

    #[test]
    fn the_first_field_needs_no_name() {
        assert_eq!(parsed("StringMessage", "\"hi\""), Ok(vec![text("hi")]));
        assert_eq!(parsed("StringMessage", "hi there"), Ok(vec![text("hi there")]));
        assert_eq!(parsed("FloatMessage", "3"), Ok(vec![OwnedValue::Float(3.0)]));
        let map = parsed("DictMessage", "{\"gain\": 1}").unwrap();
        assert_eq!(map[0].get("gain"), Some(&OwnedValue::Int(1.into())));
        assert_eq!(parsed("DictMessage", "{\"data\": {\"gain\": 1}}"), Ok(map));
        let array = parsed("ArrayMessage", "{\"dtype\": \"|u1\", \"data\": [1, 2]}").unwrap();
        assert_eq!(array[1..], [text(""), text("")]);
    }

    #[test]
    fn missing_fields_get_defaults_and_images_their_size() {
        let image = r#"{"data": {"dtype": "|u1", "shape": [2, 3], "data": "000000000000"}}"#;
        let image = parsed("ImageMessage", image).unwrap();
        assert_eq!(
            image[1..],
            [text("rgb8"), OwnedValue::Int(3.into()), OwnedValue::Int(2.into())]
        );
        let cloud = parsed("PointCloudMessage", "[[1, 2, 3]]").unwrap();
        assert_eq!(cloud[1..], [OwnedValue::Nil, OwnedValue::Nil, OwnedValue::Nil, text("")]);
    }

    #[test]
    fn errors_name_the_field_and_the_reason() {
        for (name, value, expected) in [
            ("StringMessage", "3", "data: 3 is not of type str"),
            ("StringMessage", "{\"date\": \"x\"}", "no field \"date\"; the fields are data"),
            ("ImageMessage", "{\"encoding\": \"mono8\"}", "field data of type array is missing"),
            ("IntMessage", "{\"data\": null}", "data: null is not of type int"),
        ] {
            assert_eq!(parsed(name, value), Err(expected.to_owned()));
        }
        assert!(parsed("IntMessage", "seven").unwrap_err().starts_with("not JSON: "));
    }

    #[test]
    fn fields_of_any_class_are_given_or_follow_the_value() {
        let fields = Fields::parse("left:float, right:float?,note:str").unwrap();
        let read = |text| parse(text, &fields, false);
        let expected = vec![OwnedValue::Float(1.0), OwnedValue::Nil, text("")];
        assert_eq!(read("{\"left\": 1}"), Ok(expected));
        assert!(Fields::parse("left:double").is_err());
        let unknown = parse("{\"b\": 1, \"a\": 2.5}", &Fields::default(), false);
        assert_eq!(unknown, Ok(vec![OwnedValue::Int(1.into()), OwnedValue::Float(2.5)]));
    }
}
