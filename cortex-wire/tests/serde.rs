//! The feature `serde`: headers and owned values, in a text format and in a binary one.

use cortex_wire::{Header, Int, Message, OwnedArray, OwnedKey, OwnedTensor, OwnedValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An own message, whose fields own their data.
#[derive(Debug, PartialEq, Message, Serialize, Deserialize)]
#[cortex(class = "robot.msgs.Scan")]
struct Scan {
    name: String,
    ranges: OwnedArray,
    extra: OwnedValue,
}

fn array() -> OwnedArray {
    OwnedArray::from_slice(&[1.5_f32, 2.0, 2.5, 3.0], &[2, 2]).unwrap()
}

/// A value of each kind, with the ends of integers.
fn values() -> Vec<OwnedValue> {
    let bytes = vec![0, 255];
    vec![
        OwnedValue::Nil,
        OwnedValue::Bool(true),
        OwnedValue::Int(Int::from(i64::MIN)),
        OwnedValue::Int(Int::from(u64::MAX)),
        OwnedValue::Float(0.5),
        OwnedValue::Str("text".into()),
        OwnedValue::Bytes(bytes.clone()),
        OwnedValue::List(vec![OwnedValue::Nil, OwnedValue::List(vec![])]),
        OwnedValue::Map(vec![
            (OwnedKey::Str("a".into()), OwnedValue::Bool(false)),
            (OwnedKey::Bytes(bytes), OwnedValue::Map(vec![])),
        ]),
        OwnedValue::Array(array()),
        OwnedValue::Tensor(OwnedTensor {
            array: array(),
            device: "cuda:0".into(),
            requires_grad: true,
        }),
    ]
}

#[track_caller]
fn assert_survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *value, "{text}");
    let tree = serde_json::to_value(value).unwrap();
    assert_eq!(serde_json::from_value::<T>(tree).unwrap(), *value);
    let bytes = postcard::to_stdvec(value).unwrap();
    assert_eq!(postcard::from_bytes::<T>(&bytes).unwrap(), *value);
}

#[test]
fn headers_values_and_own_messages_survive_text_and_binary_formats() {
    assert_survives(&Header { fingerprint: u64::MAX, timestamp_ns: 1, sequence: 2 });
    for value in values() {
        assert_survives(&value);
    }
    let extra = OwnedValue::List(values());
    assert_survives(&Scan { name: "front".into(), ranges: array(), extra });
}

#[test]
fn json_names_the_kind_of_a_value() {
    let value = OwnedValue::List(vec![
        OwnedValue::Int(Int::from(-3_i64)),
        OwnedValue::Map(vec![(OwnedKey::Str("on".into()), OwnedValue::Bool(true))]),
        OwnedValue::Array(OwnedArray::from_slice(&[7_u8, 8], &[2]).unwrap()),
        OwnedValue::Nil,
    ]);
    assert_eq!(
        serde_json::to_string(&value).unwrap(),
        r#"{"list":[{"int":-3},{"map":[[{"str":"on"},{"bool":true}]]},{"array":{"dtype":"|u1","shape":[2],"data":[7,8]}},"nil"]}"#
    );
}

#[test]
fn arrays_that_do_not_fit_and_integers_out_of_range_are_refused() {
    for (text, reason) in [
        (r#"{"dtype":"<f4","shape":[2],"data":[0,0,0,0]}"#, "shape and dtype need 8 bytes"),
        (r#"{"dtype":"<f3","shape":[0],"data":[]}"#, "dtype"),
        (r#"{"dtype":"|u1","shape":[-1],"data":[]}"#, "-1"),
        (r#"{"dtype":"|u1","shape":[1],"data":[256]}"#, "256"),
    ] {
        let error = serde_json::from_str::<OwnedArray>(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    for text in ["-9223372036854775809", "18446744073709551616", "0.5"] {
        assert!(serde_json::from_str::<Int>(text).is_err(), "{text}");
    }
    let bytes = postcard::to_stdvec(&i128::MAX).unwrap();
    assert!(postcard::from_bytes::<Int>(&bytes).is_err());
}
