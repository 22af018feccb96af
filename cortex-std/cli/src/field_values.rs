//! The field values of a message, from the text that a user gives.

use cortex_cli::typed_json::ValueError;
use cortex_std::wire::{FieldInfo, Int, OwnedValue, Type, TypeInfo};
use serde_json::{Map, Value as Json};

use crate::file::{self, Reference};
use crate::input::read_text;
use crate::plain_json::{self, Files};
use crate::{image, strict_json, types};

/// The class of images, whose encoding and size follow from their data.
const IMAGE: &str = "cortex.messages.standard.ImageMessage";

/// The fields of a class. Empty if they are unknown.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    class: String,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    ty: Type,
    /// The type of the values in a map.
    value_type: Type,
    /// Whether null is allowed, which is then the default.
    is_optional: bool,
    /// Whether the field has another default: the empty text, 0, or the encoding of the image.
    has_default: bool,
}

impl Fields {
    pub(crate) fn of(info: &TypeInfo) -> Self {
        let required = types::required_count(info);
        let field = |(at, field): (usize, &FieldInfo)| Field {
            name: field.name.to_owned(),
            ty: field.ty,
            value_type: if at == 0 { types::map_value_type(info.class) } else { Type::Any },
            is_optional: field.optional,
            has_default: at >= required,
        };
        let fields = info.fields.iter().enumerate().map(field).collect();
        Self { class: info.class.to_owned(), fields }
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
                Some(ty) if !name.is_empty() => {
                    let name = name.to_owned();
                    Ok(Field { name, ty, value_type: Type::Any, is_optional, has_default: false })
                }
                Some(_) => Err(ValueError::new("a field has no name")),
                None => {
                    let names = known.map(Type::as_str).join(", ");
                    Err(ValueError::new(format!("{name}: {ty:?} is not one of {names}")))
                }
            }
        };
        let fields: Vec<Field> = text.split(',').map(field).collect::<Result<_, _>>()?;
        for (at, field) in fields.iter().enumerate() {
            if fields.iter().take(at).any(|other| other.name == field.name) {
                return Err(ValueError::new(format!("the field {:?} is given twice", field.name)));
            }
        }
        Ok(Self { class: String::new(), fields })
    }

    fn is_image(&self) -> bool {
        self.class == IMAGE
    }

    fn names(&self) -> String {
        self.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The content of the text that a user gives.
enum Content {
    Json(Json),
    /// The value of the first field.
    Value(OwnedValue),
}

/// Parses the values of all fields, in order.
///
/// # Errors
/// If the text is not JSON, a file that it names cannot be read, or the value of a field is missing
/// or invalid.
pub(crate) fn parse(text: &str, fields: &Fields) -> Result<Vec<OwnedValue>, ValueError> {
    let json = match read(text, fields)? {
        Content::Json(json) => json,
        Content::Value(value) => return first_value(value, fields),
    };
    let Json::Object(object) = &json else { return first_field(&json, fields) };
    if fields.fields.is_empty() {
        let value = |(name, value): (&String, &Json)| {
            plain_json::from_json(value, Type::Any, Files::Read).map_err(|error| error.inside(name))
        };
        return object.iter().map(value).collect();
    }
    let is_field = |name: &String| fields.fields.iter().any(|field| field.name == *name);
    if let Some(name) = object.keys().find(|name| !is_field(name)) {
        // The object may be the value of the first field: a map, or an array, whose entry `data` is
        // also the name of a field of many messages.
        let is_map = fields.fields[0].ty == Type::Map && !object.keys().any(is_field);
        if is_map || plain_json::is_notation(object) {
            return first_field(&json, fields);
        }
        let reason = format!("no field {name:?}; the fields are {}", fields.names());
        return Err(ValueError::new(reason));
    }
    let value = |field: &Field| {
        let value = value_of(field, object.get(&field.name))?;
        let range = types::integer_range(&fields.class, &field.name);
        match value {
            OwnedValue::Int(number) if !range.contains(&i128::from(number)) => {
                let reason = format!("{number} is not from {} to {}", range.start(), range.end());
                Err(ValueError::new(reason).inside(&field.name))
            }
            value => Ok(value),
        }
    };
    let values = fields.fields.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    completed(values, object, fields)
}

/// The value of a field from its JSON, or its default.
fn value_of(field: &Field, json: Option<&Json>) -> Result<OwnedValue, ValueError> {
    match json {
        None => default(field),
        Some(Json::Null) if field.is_optional => Ok(OwnedValue::Nil),
        Some(Json::Object(object)) if field.value_type != Type::Any => {
            plain_json::map(object, field.value_type, Files::Read)
                .map_err(|error| error.inside(&field.name))
        }
        Some(json) => plain_json::from_json(json, field.ty, Files::Read)
            .map_err(|error| error.inside(&field.name)),
    }
}

/// The content of a text, or of the file that it names. If the first field is text, other text is its
/// value; if it is a float, so are `NaN` and `inf`.
fn read(text: &str, fields: &Fields) -> Result<Content, ValueError> {
    let from = |path: &str| {
        let content = match path {
            "-" => read_text(std::io::stdin()),
            path => std::fs::File::open(path).and_then(read_text),
        };
        let inside = |reason: String| ValueError::new(format!("{path}: {reason}"));
        let content = content.map_err(|error| inside(error.to_string()))?;
        strict_json::parse(&content).map_err(|error| inside(error.to_string()))
    };
    let first = fields.fields.first();
    let first_type = first.map_or(Type::Any, |field| field.ty);
    match file::reference(text) {
        Some(Reference::File(path)) if path == "-" || file::is_json(path) => {
            return from(path).map(Content::Json);
        }
        Some(_) => {
            let value = plain_json::from_json(&text.into(), first_type, Files::Read)?;
            return Ok(Content::Value(value));
        }
        None => {}
    }
    let special = match text {
        "NaN" | "nan" => Some(f64::NAN),
        "Infinity" | "inf" => Some(f64::INFINITY),
        "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    if let (Some(value), Type::Float) = (special, first_type) {
        return Ok(Content::Value(OwnedValue::Float(value)));
    }
    strict_json::parse(text).map(Content::Json).or_else(|error| match first_type {
        Type::Str if !text.starts_with(['{', '"']) => {
            Ok(Content::Value(OwnedValue::Str(text.to_owned())))
        }
        Type::Any => Err(error),
        ty => Err(ValueError::new(format!("{error}{}", plain_json::hint(ty)))),
    })
}

/// The values of a message whose first field is `json`.
fn first_field(json: &Json, fields: &Fields) -> Result<Vec<OwnedValue>, ValueError> {
    let Some(field) = fields.fields.first() else {
        return Err(ValueError::new("the fields are unknown: give a JSON object"));
    };
    first_value(value_of(field, Some(json))?, fields)
}

/// The values of a message with this first field; the others get their defaults.
fn first_value(first: OwnedValue, fields: &Fields) -> Result<Vec<OwnedValue>, ValueError> {
    if fields.fields.is_empty() {
        return Ok(vec![first]);
    }
    let defaults = fields.fields.iter().skip(1).map(default);
    let values = std::iter::once(Ok(first)).chain(defaults).collect::<Result<Vec<_>, _>>()?;
    completed(values, &Map::new(), fields)
}

/// The default of a field.
fn default(field: &Field) -> Result<OwnedValue, ValueError> {
    let Field { name, ty, .. } = field;
    Ok(match ty {
        _ if field.is_optional => OwnedValue::Nil,
        Type::Int if field.has_default => OwnedValue::Int(Int::from(0_u8)),
        Type::Str if field.has_default => OwnedValue::Str(String::new()),
        _ => return Err(ValueError::new(format!("field {name} of type {ty} is missing"))),
    })
}

/// Completes an image from its data: encoding, width and height, unless they are given.
fn completed(
    mut values: Vec<OwnedValue>,
    given: &Map<String, Json>,
    fields: &Fields,
) -> Result<Vec<OwnedValue>, ValueError> {
    if fields.is_image()
        && let [OwnedValue::Array(data), encoding, width, height] = &mut values[..]
    {
        let view = data.view();
        if !given.contains_key("encoding") {
            let found = image::encoding(&view).ok_or_else(|| {
                let (dtype, shape) = (view.dtype().as_text(), view.shape());
                ValueError::new(format!(
                    "an image of dtype {dtype} and shape {shape:?} has no usual pixel format: give \
                     {{\"data\": .., \"encoding\": NAME}}"
                ))
                .inside("encoding")
            })?;
            *encoding = OwnedValue::Str(found);
        }
        if let [rows, columns] | [rows, columns, _] = view.shape() {
            for (name, size, found) in [("width", width, columns), ("height", height, rows)] {
                if !given.contains_key(name) {
                    *size = OwnedValue::Int(Int::from(*found));
                }
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types;

    fn parsed(name: &str, text: &str) -> Result<Vec<OwnedValue>, String> {
        let info = types::by_name(name).unwrap();
        parse(text, &Fields::of(info)).map_err(|error| error.to_string())
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
            [text("mono8"), OwnedValue::Int(3.into()), OwnedValue::Int(2.into())]
        );
        let cloud = parsed("PointCloudMessage", "[[1, 2, 3]]").unwrap();
        assert_eq!(cloud[1..], [OwnedValue::Nil, OwnedValue::Nil, OwnedValue::Nil, text("")]);
    }

    #[test]
    fn errors_name_the_field_and_the_reason() {
        for (name, value, expected) in [
            ("StringMessage", "3", "data: 3 is not of type str: give text in double quotes"),
            ("StringMessage", "{\"date\": \"x\"}", "no field \"date\"; the fields are data"),
            ("ImageMessage", "{\"encoding\": \"mono8\"}", "field data of type array is missing"),
            ("IntMessage", "{\"data\": null}", "data: null is not of type int"),
        ] {
            assert_eq!(parsed(name, value), Err(expected.to_owned()));
        }
        assert!(parsed("IntMessage", "seven").unwrap_err().starts_with("not JSON: "));
        let error = parsed("BytesMessage", "abc").unwrap_err();
        assert!(error.ends_with(": give {\"bytes\": HEX} or a list of numbers"), "{error}");
        for (name, value, expected) in [
            (
                "ImageMessage",
                "{\"data\": [[1]], \"width\": -3}",
                "width: -3 is not from 0 to 18446744073709551615",
            ),
            (
                "TimestampMessage",
                "{\"sec\": 9223372036854775808, \"nanosec\": 0}",
                "sec: 9223372036854775808 is not from -9223372036854775808 to 9223372036854775807",
            ),
        ] {
            assert_eq!(parsed(name, value), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_field_without_a_default_is_never_invented() {
        for (name, value, expected) in [
            ("IntMessage", "{}", "field data of type int is missing"),
            ("StringMessage", "{}", "field data of type str is missing"),
            ("TimestampMessage", "5", "field nanosec of type int is missing"),
            ("HeaderMessage", "{\"stamp_sec\": 1}", "field stamp_nanosec of type int is missing"),
            ("PoseMessage", "[1, 2, 3]", "field orientation of type array is missing"),
        ] {
            assert_eq!(parsed(name, value), Err(expected.to_owned()));
        }
        let fields = Fields::parse("a:float").unwrap();
        let error = parse("{}", &fields).unwrap_err().to_string();
        assert_eq!(error, "field a of type float is missing");
        let error = Fields::parse("a:int,b:int,a:str").unwrap_err().to_string();
        assert_eq!(error, "the field \"a\" is given twice");
        let header = parsed("HeaderMessage", "{\"stamp_sec\": 1, \"stamp_nanosec\": 2}").unwrap();
        assert_eq!(header[2..], [text(""), OwnedValue::Int(0.into())]);
    }

    #[test]
    fn the_encoding_of_an_image_follows_from_its_data_or_is_demanded() {
        let encoding = |dtype: &str, shape: &str, more: &str| {
            let value = format!(
                "{{\"data\": {{\"dtype\": {dtype:?}, \"shape\": {shape}, \"data\": \"{}\"}}{more}}}",
                "00".repeat(16)
            );
            parsed("ImageMessage", &value).map(|values| values[1].clone())
        };
        assert_eq!(encoding("|u1", "[2, 2, 4]", ""), Ok(text("rgba8")));
        assert_eq!(encoding("<f4", "[2, 2]", ""), Ok(text("32FC1")));
        assert_eq!(encoding("<u2", "[2, 4]", ""), Ok(text("mono16")));
        assert_eq!(
            encoding(">u2", "[2, 4]", ""),
            Err(
                "encoding: an image of dtype >u2 and shape [2, 4] has no usual pixel format: give \
                 {\"data\": .., \"encoding\": NAME}"
                    .to_owned()
            )
        );
        // The advice works.
        assert_eq!(encoding(">u2", "[2, 4]", ", \"encoding\": \"mono16\""), Ok(text("mono16")));
    }

    #[test]
    fn a_message_of_several_arrays_holds_arrays() {
        let arrays = parsed(
            "MultiArrayMessage",
            "{\"a\": [1, 2], \"b\": {\"dtype\": \"|u1\", \"data\": [1]}}",
        );
        let OwnedValue::Map(map) = &arrays.unwrap()[0] else { panic!("a map") };
        assert!(map.iter().all(|(_, value)| matches!(value, OwnedValue::Array(_))), "{map:?}");
        for (value, expected) in [
            ("{\"a\": \"hello\"}", "arrays.a: \"hello\" is not of type array: give"),
            (
                "{\"arrays\": {\"a\": [1, \"x\"]}}",
                "arrays.a.data[1]: \"x\" is not an item of dtype <f8",
            ),
            ("[1, 2]", "arrays: [1,2] is not of type map"),
        ] {
            let error = parsed("MultiArrayMessage", value).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(parsed("MultiTensorMessage", "{\"a\": 1}").is_err());
    }

    #[test]
    fn arrays_bytes_tensors_and_floats_may_stand_for_the_first_field() {
        assert_eq!(
            parsed("BytesMessage", "{\"bytes\": \"00ff\"}"),
            Ok(vec![OwnedValue::Bytes(vec![0, 255])])
        );
        let tensor = parsed("TensorMessage", "{\"dtype\": \"|u1\", \"data\": [1, 2]}").unwrap();
        assert!(matches!(&tensor[0], OwnedValue::Tensor(_)), "{tensor:?}");
        assert_eq!(
            parsed("BytesMessage", "{\"bytes\": \"0g\"}"),
            Err("data.bytes: character 2 is 'g', not a hex digit".to_owned())
        );
        assert!(
            parsed("ArrayMessage", "{\"dtype\": \"f4\", \"data\": [1]}")
                .unwrap_err()
                .contains("not a dtype")
        );
        for word in ["NaN", "nan", "\"NaN\"", "{\"float\": \"NaN\"}"] {
            let value = parsed("FloatMessage", word).unwrap();
            assert!(matches!(value[0], OwnedValue::Float(value) if value.is_nan()), "{word}");
        }
        assert_eq!(parsed("FloatMessage", "-inf"), Ok(vec![OwnedValue::Float(f64::NEG_INFINITY)]));
        assert!(parsed("ArrayMessage", "[1, NaN]").unwrap_err().contains("write \"NaN\""));
        assert!(parsed("ArrayMessage", "[1, \"NaN\"]").is_ok());
        assert!(parsed("DictMessage", "{\"x\": {\"float\": \"-Infinity\"}}").is_ok());
    }

    #[test]
    fn text_that_begins_with_an_at_sign_is_written_with_two() {
        assert_eq!(parsed("StringMessage", "@@alice"), Ok(vec![text("@alice")]));
        assert_eq!(parsed("StringMessage", "{\"data\": \"@@alice\"}"), Ok(vec![text("@alice")]));
        let error = parsed("StringMessage", "@alice").unwrap_err();
        assert!(error.ends_with("for the text itself write @@alice"), "{error}");
        let error = parsed("ArrayMessage", "{\"data\": [1], \"name\": \"@alice\"}").unwrap_err();
        assert!(error.starts_with("name: alice: the name has no extension"), "{error}");
        assert!(parsed("ArrayMessage", "{\"data\": [1], \"name\": \"@@alice\"}").is_ok());
    }

    #[test]
    fn fields_of_any_class_are_given_or_follow_the_value() {
        let fields = Fields::parse("left:float, right:float?,note:str").unwrap();
        let read = |text| parse(text, &fields);
        let expected = vec![OwnedValue::Float(1.0), OwnedValue::Nil, text("x")];
        assert_eq!(read("{\"left\": 1, \"note\": \"x\"}"), Ok(expected));
        assert!(Fields::parse("left:double").is_err());
        let unknown = parse("{\"b\": 1, \"a\": 2.5}", &Fields::default());
        assert_eq!(unknown, Ok(vec![OwnedValue::Int(1.into()), OwnedValue::Float(2.5)]));
    }
}
