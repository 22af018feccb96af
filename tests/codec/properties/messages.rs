//! Standard messages, values and blobs.

use super::*;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn scalar_messages_travel(
        string in text(), number in int(), float in float(), data in bytes(),
        stamp in any::<(i64, i64, u64)>(),
    ) {
        assert_travels!(StringMessage<'_>, StringMessage { data: &string });
        assert_travels!(IntMessage, IntMessage { data: number });
        assert_travels!(FloatMessage, FloatMessage { data: float });
        assert_travels!(BytesMessage<'_>, BytesMessage { data: &data });
        assert_travels!(TimestampMessage, TimestampMessage { sec: stamp.0, nanosec: stamp.1 });
        assert_travels!(HeaderMessage<'_>, HeaderMessage {
            stamp_sec: stamp.0, stamp_nanosec: stamp.1, frame_id: &string, sequence: stamp.2,
        });
    }

    #[test]
    fn messages_of_arrays_travel(
        arrays in vec(array(), 4), options in any::<[bool; 3]>(), texts in [text(), text()],
        size in any::<(u64, u64)>(), names in vec(text(), 4),
    ) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| arrays[index].view());
        let [first, second] = [&*texts[0], &*texts[1]];
        assert_travels!(ArrayMessage<'_>, ArrayMessage { data: a, name: first, frame_id: second });
        let named: Vec<_> = names.iter().map(String::as_str).zip([a, b, c, d]).collect();
        assert_travels!(MultiArrayMessage<'_>, MultiArrayMessage {
            arrays: MapOf::from(&named[..]), frame_id: first,
        });
        assert_travels!(ImageMessage<'_>, ImageMessage {
            data: a, encoding: first, width: size.0.max(1), height: size.1,
        });
        assert_travels!(ImageMessage<'_>, ImageMessage::new(b, second));
        assert_travels!(PointCloudMessage<'_>, PointCloudMessage {
            points: a,
            colors: options[0].then_some(b),
            intensity: options[1].then_some(c),
            normals: options[2].then_some(d),
            frame_id: first,
        });
        assert_travels!(PoseMessage<'_>, PoseMessage {
            position: a, orientation: b, frame_id: first, child_frame_id: second,
        });
        assert_travels!(TransformMessage<'_>, TransformMessage {
            matrix: c, frame_id: first, child_frame_id: second,
        });
    }

    #[test]
    fn messages_of_tensors_travel(tensors in vec((text(), tensor()), 0..4), name in text()) {
        let named: Vec<_> = tensors.iter().map(|(name, tensor)| (&**name, tensor.view())).collect();
        if let Some((_, data)) = named.first() {
            assert_travels!(TensorMessage<'_>, TensorMessage { data: *data, name: &name });
        }
        assert_travels!(MultiTensorMessage<'_>, MultiTensorMessage {
            tensors: MapOf::from(&named[..]),
        });
    }

    #[test]
    fn messages_of_values_travel(items in items(), pairs in pairs()) {
        // The decoded value encodes to the same bytes.
        let list = written(&OwnedValue::List(items.clone()));
        let frames = assert_travels!(ListMessage<'_>, ListMessage { data: read(&list) });
        prop_assert_eq!(&frames[1][1..], &list[1]);
        let map = written(&OwnedValue::Map(pairs.clone()));
        let frames = assert_travels!(DictMessage<'_>, DictMessage { data: read(&map) });
        prop_assert_eq!(&frames[1][1..], &map[1]);
    }

    #[test]
    fn built_values_travel_like_owned_ones(value in value(text_key(), float())) {
        let frames = written(&value);
        let built = built(&value);
        prop_assert_eq!(&written(&built), &frames);
        prop_assert_eq!(read::<Value<'_>>(&frames), built);
        prop_assert_eq!(&OwnedValue::from(built), &value);
        match built {
            Value::List(data) => { assert_travels!(ListMessage<'_>, ListMessage { data }); }
            Value::Map(data) => { assert_travels!(DictMessage<'_>, DictMessage { data }); }
            _ => {}
        }
    }

    #[test]
    fn values_travel_in_frames_and_in_blobs(
        value in value(any_key(), any::<u64>().prop_map(f64::from_bits)),
    ) {
        let frames = written(&value);
        prop_assert!(same(&read::<OwnedValue>(&frames), &value));
        let borrowed = read::<Value<'_>>(&frames);
        prop_assert!(same(&OwnedValue::from(borrowed), &value));
        prop_assert_eq!(&written(&borrowed), &frames);

        // Beside frames, into one piece, and back beside frames.
        let full = blob::encode_value(&borrowed, &mut []).expect_err("a tag at least");
        let mut out = vec![0; full.needed];
        let tagged = blob::encode_value(&borrowed, &mut out).expect("it fits exactly").to_vec();
        prop_assert_eq!(tagged.len(), full.needed);
        let longer = [&tagged[..], &[0xc1; 3]].concat();
        let (inline, len) = blob::decode_value(&longer).expect("it decodes");
        prop_assert_eq!(len, tagged.len());
        prop_assert!(same(&OwnedValue::from(inline), &value));
        prop_assert_eq!(blob::encode_value(&inline, &mut out), Ok(&tagged[..]));
        prop_assert_eq!(&written(&inline), &frames);
    }

    #[test]
    fn raw_arrays_travel(array in array()) {
        let full = blob::encode_array(&array.view(), &mut []).expect_err("a length at least");
        let mut out = vec![0; full.needed];
        let raw = blob::encode_array(&array.view(), &mut out).expect("it fits exactly").to_vec();
        prop_assert_eq!(blob::decode_array(&raw), Ok((array.view(), raw.len())));
    }
}
