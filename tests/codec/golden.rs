//! The golden vectors, both directions, byte for byte: for chosen values we write the bytes that the
//! Python implementation wrote, and we read those bytes as the values.

use cortex_tests::golden::{self, unhex};
use cortex_tests::typed;
use cortex_wire::discovery::{Command, Request, Response, Status, TopicInfo, Topics};
use cortex_wire::{
    Decode, Decoder, Encode, Encoder, Header, Message, OwnedValue, TypeInfo, Value, blob, decode,
    encode, encoded_len, find_type, fingerprint, standard,
};
use serde_json::Value as Json;

/// Calls a generic function with the standard type of a name.
macro_rules! with_standard {
    ($name:expr, $call:ident ( $($argument:expr),* )) => {
        match $name {
            "StringMessage" => $call::<standard::StringMessage<'_>>($($argument),*),
            "IntMessage" => $call::<standard::IntMessage>($($argument),*),
            "FloatMessage" => $call::<standard::FloatMessage>($($argument),*),
            "BytesMessage" => $call::<standard::BytesMessage<'_>>($($argument),*),
            "DictMessage" => $call::<standard::DictMessage<'_>>($($argument),*),
            "ListMessage" => $call::<standard::ListMessage<'_>>($($argument),*),
            "ArrayMessage" => $call::<standard::ArrayMessage<'_>>($($argument),*),
            "MultiArrayMessage" => $call::<standard::MultiArrayMessage<'_>>($($argument),*),
            "TensorMessage" => $call::<standard::TensorMessage<'_>>($($argument),*),
            "MultiTensorMessage" => $call::<standard::MultiTensorMessage<'_>>($($argument),*),
            "ImageMessage" => $call::<standard::ImageMessage<'_>>($($argument),*),
            "PointCloudMessage" => $call::<standard::PointCloudMessage<'_>>($($argument),*),
            "PoseMessage" => $call::<standard::PoseMessage<'_>>($($argument),*),
            "TransformMessage" => $call::<standard::TransformMessage<'_>>($($argument),*),
            "TimestampMessage" => $call::<standard::TimestampMessage>($($argument),*),
            "HeaderMessage" => $call::<standard::HeaderMessage<'_>>($($argument),*),
            other => panic!("no standard message is called {other}"),
        }
    };
}

fn text(json: &Json) -> &str {
    json.as_str().expect("a string")
}

fn number(json: &Json) -> u64 {
    let digits = text(json);
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    }
    .expect("a number")
}

/// Metadata and buffers of a list of dynamic values, through the dynamic types alone.
fn encode_dynamic(fields: &Vec<OwnedValue>) -> Vec<Vec<u8>> {
    let mut out = vec![0; 1 << 20];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    fields.encode(&mut encoder).expect("it encodes");
    let metadata = encoder.finish().expect("it fits").to_vec();
    std::iter::once(metadata).chain(buffers.into_iter().map(<[u8]>::to_vec)).collect()
}

fn bits_equal(a: &OwnedValue, b: &OwnedValue) -> bool {
    // NaN equals itself here: the notation writes floats as their bits.
    typed::notate(a) == typed::notate(b)
}

#[test]
fn dynamic_values_encode_to_the_frames_and_back() {
    for case in golden::cases("messages.json") {
        let name = text(&case["name"]);
        let frames = golden::frames(&case);
        let fields = typed::fields(&case);
        assert_eq!(encode_dynamic(&fields), frames[1..], "{name}");

        let mut input = Decoder::new(&frames).expect("there is metadata");
        let read = Vec::<OwnedValue>::decode(&mut input).expect("it decodes");
        input.finish().expect("nothing is left");
        assert!(read.iter().zip(&fields).all(|(a, b)| bits_equal(a, b)), "{name}");
        assert_eq!(read.len(), fields.len(), "{name}");
    }
}

#[test]
fn typed_messages_decode_and_encode_to_the_same_frames() {
    fn check<M: Message>(case: &Json) {
        let name = text(&case["name"]);
        let frames = golden::frames(case);
        let header = Header::decode(&frames[0]).expect("a header");
        assert_eq!(header, typed::header(case, M::FINGERPRINT), "{name}");
        assert_eq!(header.encode()[..], frames[0], "{name}");

        let message = decode::<M>(&frames).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut out = vec![0; 1 << 20];
        let mut buffers = Vec::new();
        let metadata = encode(&message, &mut out, &mut buffers).expect("it encodes");
        assert_eq!(buffers, frames[2..], "{name}");
        if name == "float_8" {
            // An int stands in a float field: read as a float, and written as one.
            assert_eq!(metadata, unhex("91cb4008000000000000"));
            return;
        }
        assert_eq!(metadata, frames[1], "{name}");
        assert_eq!(encoded_len(&message), Ok(frames[1].len()), "{name}");

        let single = unhex(text(&case["single_blob"]));
        let mut out = vec![0; single.len()];
        assert_eq!(blob::encode(&header, &message, &mut out).expect("it fits"), single, "{name}");
        let (blob_header, from_blob) = blob::decode::<M>(&single).expect("it decodes");
        assert_eq!(blob_header, header, "{name}");
        let mut buffers = Vec::new();
        let mut out = vec![0; 1 << 20];
        assert_eq!(encode(&from_blob, &mut out, &mut buffers), Ok(&frames[1][..]), "{name}");

        // A message of two frames, topic and blob, is the same message.
        let two = [&single[..]];
        let message = decode::<M>(&two).expect("it decodes");
        let mut buffers = Vec::new();
        let mut out = vec![0; 1 << 20];
        assert_eq!(encode(&message, &mut out, &mut buffers), Ok(&frames[1][..]), "{name}");
    }
    let cases = golden::cases("messages.json");
    assert_eq!(cases.len(), 97);
    for case in cases {
        with_standard!(text(&case["message"]), check(&case));
    }
}

#[test]
fn blobs_of_any_type_are_found_by_fingerprint() {
    for case in golden::cases("messages.json") {
        let single = unhex(text(&case["single_blob"]));
        let (header, fields) = blob::decode_any(&single).expect("it decodes");
        let info = find_type(standard::TYPES, header.fingerprint).expect("a standard type");
        assert_eq!(info.name(), text(&case["message"]));
        let fields: Vec<_> = fields.iter().map(OwnedValue::from).collect();
        let expected = typed::fields(&case);
        assert!(fields.iter().zip(&expected).all(|(a, b)| bits_equal(a, b)));
        assert_eq!(fields.len(), expected.len());
    }
}

#[test]
fn fields_arrive_in_the_struct_fields_of_their_names() {
    let frames = golden::frames(&golden::message("image_explicit"));
    let image = decode::<standard::ImageMessage<'_>>(&frames).expect("it decodes");
    let fields = typed::fields(&golden::message("image_explicit"));
    assert_eq!(OwnedValue::from(Value::from(image.data)), fields[0]);
    assert_eq!(OwnedValue::from(Value::from(image.encoding)), fields[1]);
    assert_eq!(OwnedValue::from(Value::from(image.width)), fields[2]);
    assert_eq!(OwnedValue::from(Value::from(image.height)), fields[3]);
}

#[test]
fn fingerprints_of_all_types_are_those_of_python() {
    let cases = golden::cases("fingerprints.json");
    assert_eq!(cases.len(), standard::TYPES.len());
    for (case, info) in cases.iter().zip(standard::TYPES) {
        assert_eq!(info.class, text(&case["class"]));
        assert_eq!(info.name(), text(&case["message"]));
        assert_eq!(info.fingerprint, number(&case["wire_fingerprint"]));
        let schema = number(&case["schema_fingerprint"]);
        assert_eq!(info.accept, [schema], "{}", info.class);
        let fields = case["fields"].as_array().expect("fields").iter().map(text);
        let pairs: Vec<_> = fields.map(|f| f.split_once(':').expect("name:type")).collect();
        assert_eq!(fingerprint::schema(info.class, &pairs), schema);
        let names: Vec<_> = info.fields.iter().map(|field| field.name).collect();
        assert_eq!(names, pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
        assert_eq!(find_type(standard::TYPES, schema).map(TypeInfo::name), Some(info.name()));
    }
}

#[test]
fn tagged_values_are_those_of_python() {
    for case in golden::cases("values.json") {
        let name = text(&case["name"]);
        let bytes = unhex(text(&case["serialize"]));
        let expected = typed::parse(&case["value"]);
        let (value, len) = blob::decode_value(&bytes).expect("it decodes");
        assert_eq!(len, bytes.len(), "{name}");
        assert!(bits_equal(&OwnedValue::from(value), &expected), "{name}");
        let mut out = vec![0; bytes.len()];
        assert_eq!(blob::encode_value(&value, &mut out), Ok(&bytes[..]), "{name}");
    }
}

#[test]
fn raw_arrays_are_those_of_python() {
    for case in golden::cases("numpy.json") {
        let bytes = unhex(text(&case["serialize_numpy"]));
        let OwnedValue::Array(expected) = typed::parse(&case["value"]) else {
            panic!("{} is no array", case["name"]);
        };
        let (array, len) = blob::decode_array(&bytes).expect("it decodes");
        assert_eq!((array, len), (expected.view(), bytes.len()), "{}", case["name"]);
        let mut out = vec![0; bytes.len()];
        assert_eq!(blob::encode_array(&array, &mut out), Ok(&bytes[..]), "{}", case["name"]);
    }
}

#[test]
fn discovery_bodies_are_those_of_python() {
    fn info(json: &Json) -> TopicInfo<'_> {
        TopicInfo {
            name: text(&json["name"]),
            address: text(&json["address"]),
            message_type: text(&json["message_type"]),
            fingerprint: number(&json["fingerprint"]),
            publisher_node: text(&json["publisher_node"]),
        }
    }
    let commands = [
        Command::RegisterTopic,
        Command::UnregisterTopic,
        Command::LookupTopic,
        Command::ListTopics,
        Command::Ping,
        Command::Shutdown,
    ];
    let statuses = [Status::Ok, Status::NotFound, Status::AlreadyExists, Status::Error];
    for case in golden::cases("discovery.json") {
        let bytes = unhex(text(&case["bytes"]));
        let mut out = vec![0; bytes.len()];
        let topic_info = case["topic_info"].is_object().then(|| info(&case["topic_info"]));
        if case["kind"] == "request" {
            let code = case["command"].as_u64().expect("a command");
            let command = commands.into_iter().find(|c| u64::from(c.code()) == code);
            let request = Request {
                topic_name: case["topic_name"].as_str(),
                topic_info,
                ..Request::new(command.expect("a known command"))
            };
            assert_eq!(Request::decode(&bytes), Ok(request));
            assert_eq!(request.encode(&mut out), Ok(&bytes[..]));
        } else {
            let code = case["status"].as_u64().expect("a status");
            let status = statuses.into_iter().find(|s| u64::from(s.code()) == code);
            let topics: Vec<_> =
                case["topics"].as_array().into_iter().flatten().map(info).collect();
            let response = Response {
                topic_info,
                topics: Topics::from(&topics[..]),
                ..Response::new(status.expect("a known status"), text(&case["message"]))
            };
            assert_eq!(Response::decode(&bytes), Ok(response));
            assert_eq!(response.encode(&mut out), Ok(&bytes[..]));
        }
    }
}
