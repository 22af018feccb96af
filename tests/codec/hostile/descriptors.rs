//! Descriptors and extensions of arrays.

use super::*;

#[test]
fn broken_extensions_of_a_blob_are_refused() {
    let read = |ty: i8, payload: &Item| {
        let item = packed(&list([Item::Ext(ty, packed(payload))]));
        let tagged = [&[5][..], &(item.len() as u32).to_be_bytes(), &item].concat();
        let payload_at = tagged.len() - packed(payload).len();
        let error = blob::decode_value(&tagged).expect_err("it is broken");
        (DecodeError { offset: error.offset - payload_at, ..error }, tagged)
    };
    let good = vec![Item::from("<u2"), list([1]), Item::Binary(vec![0; 2])];
    let change = |index: usize, item: Item| {
        let mut items = good.clone();
        items[index] = item;
        Item::Array(items)
    };
    let wrong = |expected, found| Kind::WrongType { expected, found };
    for (payload, expected) in [
        (Item::Nil, at(0, wrong(Type::List, Type::Nil))),
        (list([1, 2]), at(0, Kind::ItemCount { expected: 3, found: 2 })),
        (change(0, 1.into()), at(1, wrong(Type::Str, Type::Int))),
        (change(0, "|O".into()), at(1, Kind::Dtype(DtypeError::Object))),
        (change(1, 1.into()), at(5, wrong(Type::List, Type::Int))),
        (change(1, list([-1])), at(6, Kind::IntegerRange)),
        (change(1, list([2])), at(5, Kind::BufferLength { expected: 4, found: 2 })),
        (change(1, list([usize::MAX as u64, 2])), at(5, Kind::ShapeOverflow)),
        (change(2, "ab".into()), at(7, wrong(Type::Bytes, Type::Str))),
    ] {
        assert_eq!(read(1, &payload).0, expected, "{payload}");
    }
    assert_eq!(
        read(2, &Item::Array(good.clone())).0.kind,
        Kind::ItemCount { expected: 5, found: 3 }
    );
    let unknown = read(3, &Item::Array(good)).0;
    assert_eq!(unknown, at(0, wrong(Type::Array, Type::Extension)));
}

#[test]
fn descriptors_with_a_missing_key_are_refused() {
    for (key, missing) in [
        ("buffer", DescriptorKey::Buffer),
        ("dtype", DescriptorKey::Dtype),
        ("shape", DescriptorKey::Shape),
        ("device", DescriptorKey::Device),
        ("requires_grad", DescriptorKey::RequiresGrad),
    ] {
        let mut pairs = descriptor("torch");
        pairs.retain(|pair| pair.0 != key);
        assert_eq!(refused_descriptor(&pairs).0, at(1, Kind::DescriptorKeyMissing(missing)));
    }
    // Without the key that makes it a descriptor it is a map, which is no array.
    let mut pairs = descriptor("torch");
    pairs.remove(0);
    let metadata = packed(&list([map(&pairs)]));
    assert_eq!(
        field::<ArrayView<'_>>(&metadata),
        Err(at(1, Kind::DescriptorKeyMissing(DescriptorKey::Kind)))
    );
    assert!(field::<Map<'_>>(&metadata).is_ok());
}

#[test]
fn descriptors_with_a_doubled_key_are_refused() {
    for (key, doubled) in [
        ("__cortex_oob__", DescriptorKey::Kind),
        ("buffer", DescriptorKey::Buffer),
        ("dtype", DescriptorKey::Dtype),
        ("shape", DescriptorKey::Shape),
        ("device", DescriptorKey::Device),
        ("requires_grad", DescriptorKey::RequiresGrad),
    ] {
        let mut pairs = descriptor("torch");
        let again = pairs.iter().find(|pair| pair.0 == key).expect("a known key").clone();
        pairs.push(again);
        let (error, metadata) = refused_descriptor(&pairs);
        let value_at = value_of(&metadata, key);
        assert_eq!(error, at(value_at, Kind::DescriptorKeyDuplicate(doubled)));
    }
}

#[test]
fn descriptors_with_a_wrongly_typed_key_are_refused() {
    for (key, expected) in [
        ("__cortex_oob__", Type::Str),
        ("buffer", Type::Int),
        ("dtype", Type::Str),
        ("shape", Type::List),
        ("device", Type::Str),
        ("requires_grad", Type::Bool),
    ] {
        for (item, found) in [
            (Item::Nil, Type::Nil),
            (true.into(), Type::Bool),
            (1.into(), Type::Int),
            (1.5.into(), Type::Float),
            ("text".into(), Type::Str),
            (Item::Binary(vec![1]), Type::Bytes),
            (list([1]), Type::List),
            (map(&[]), Type::Map),
        ] {
            if found == expected {
                continue;
            }
            let (error, metadata) = refused_descriptor(&with("torch", key, item));
            let value_at = value_of(&metadata, key);
            assert_eq!(error, at(value_at, Kind::WrongType { expected, found }), "{key}");
        }
    }
    let (error, metadata) = refused_descriptor(&with("numpy", "shape", list(["2", "3"])));
    let wrong = Kind::WrongType { expected: Type::Int, found: Type::Str };
    assert_eq!(error, at(value_of(&metadata, "shape") + 1, wrong));
}

#[test]
fn descriptors_of_another_kind_or_with_other_keys_than_text_are_refused() {
    for kind in ["jax", "", "Numpy"] {
        let (error, metadata) = refused_descriptor(&descriptor(kind));
        assert_eq!(error, at(value_of(&metadata, "__cortex_oob__"), Kind::DescriptorKind));
    }
    let Item::Map(mut pairs) = map(&descriptor("numpy")) else { unreachable!() };
    pairs.push((7.into(), Item::Nil));
    let metadata = packed(&list([Item::Map(pairs)]));
    let key_at = metadata.len() - 2;
    assert_eq!(refused(&metadata), at(key_at, Kind::MapKey { found: Type::Int }));
    // An array is no tensor, and a tensor no array.
    let array = packed(&list([map(&descriptor("numpy")[..4])]));
    let tensor = packed(&list([map(&descriptor("torch"))]));
    let wrong = |expected, found| Err(at(1, Kind::WrongType { expected, found }));
    assert_eq!(field::<TensorView<'_>>(&array).map(drop), wrong(Type::Tensor, Type::Array));
    assert_eq!(field::<ArrayView<'_>>(&tensor).map(drop), wrong(Type::Array, Type::Tensor));
    assert_eq!(field::<List<'_>>(&array).map(drop), wrong(Type::List, Type::Array));
    assert_eq!(field::<Map<'_>>(&array).map(drop), wrong(Type::Map, Type::Array));
}

#[test]
fn buffer_indices_out_of_range_or_negative_are_refused() {
    for index in [1, 2, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let (error, metadata) = refused_descriptor(&with("torch", "buffer", index));
        assert_eq!(error, at(value_of(&metadata, "buffer"), Kind::BufferMissing { index }));
    }
    for index in [-1, -2, i64::MIN] {
        let (error, metadata) = refused_descriptor(&with("torch", "buffer", index));
        assert_eq!(error, at(value_of(&metadata, "buffer"), Kind::IntegerRange));
    }
}

#[test]
fn shapes_that_overflow_or_do_not_fit_are_refused() {
    for (shape, kind) in [
        (vec![usize::MAX as u64], Kind::ShapeOverflow),
        (vec![1 << 32, 1 << 32], Kind::ShapeOverflow),
        (vec![1 << 63], Kind::ShapeOverflow),
        (vec![1 << 21; 8], Kind::ShapeOverflow),
        (vec![2, 2], Kind::BufferLength { expected: 8, found: 12 }),
        (vec![], Kind::BufferLength { expected: 2, found: 12 }),
        (vec![0, usize::MAX as u64], Kind::BufferLength { expected: 0, found: 12 }),
        (vec![1; 9], Kind::TooManyDimensions { found: 9 }),
        (vec![1; 70_000], Kind::TooManyDimensions { found: 70_000 }),
    ] {
        let (error, metadata) = refused_descriptor(&with("torch", "shape", list(shape.clone())));
        assert_eq!(error, at(value_of(&metadata, "shape"), kind), "{shape:?}");
    }
    let (error, metadata) = refused_descriptor(&with("numpy", "shape", list([6, -1])));
    assert_eq!(error, at(value_of(&metadata, "shape") + 2, Kind::IntegerRange));
    // In the raw layout.
    let overflow = [&[4][..], &[0xff; 16], &[0, 3], b"<u2"].concat();
    assert_eq!(blob::decode_array(&overflow), Err(at(0, Kind::ShapeOverflow)));
    let dimensions = Kind::TooManyDimensions { found: 255 };
    assert_eq!(blob::decode_array(&[0xff; 1024]), Err(at(0, dimensions)));
}

#[test]
fn dtypes_of_zero_size_objects_or_nonsense_are_refused() {
    for (dtype, why) in [
        ("|S0", DtypeError::ZeroSize),
        ("<U0", DtypeError::ZeroSize),
        ("|V0", DtypeError::ZeroSize),
        ("<f0", DtypeError::ZeroSize),
        ("|O", DtypeError::Object),
        ("|O8", DtypeError::Object),
        ("", DtypeError::Syntax),
        ("f4", DtypeError::Syntax),
        ("=f4", DtypeError::Syntax),
        ("float32", DtypeError::Syntax),
        ("<f4<f4", DtypeError::Syntax),
        ("<f-4", DtypeError::Syntax),
        ("<é8", DtypeError::Syntax),
        ("<M8[", DtypeError::Syntax),
        ("<V99999999999999999999", DtypeError::Syntax),
        ("<i3", DtypeError::Size),
        ("<b2", DtypeError::Size),
        ("<M4", DtypeError::Size),
        ("<U1073741824", DtypeError::Size),
        ("|i4", DtypeError::ByteOrder),
    ] {
        let (error, metadata) = refused_descriptor(&with("torch", "dtype", dtype));
        assert_eq!(error, at(value_of(&metadata, "dtype"), Kind::Dtype(why)), "{dtype:?}");
        let raw = [&[0, 0, dtype.len() as u8][..], dtype.as_bytes()].concat();
        assert_eq!(blob::decode_array(&raw), Err(at(3, Kind::Dtype(why))), "{dtype:?}");
    }
}

#[test]
fn a_map_of_arrays_whose_markers_are_late_is_encoded_again() {
    // Found by the target `frames`: an array where the type says so, but not where any value may be.
    let mut pairs = descriptor("torch");
    pairs.insert(0, ("more", map(&descriptor("numpy"))));
    let metadata = packed(&list([map(&[("k", map(&pairs))])]));
    assert_eq!(refused(&metadata).kind, Kind::ReservedKey);
    let tensors = field::<cortex_wire::MapOf<'_, TensorView<'_>>>(&metadata).expect("a tensor");
    let mut out = [0; 200];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    tensors.encode(&mut encoder).expect("what decoded encodes");
    let written = encoder.finish().expect("it fits").to_vec();
    assert_eq!(written, packed(&map(&[("k", map(&descriptor("torch")))])));
    assert_eq!(buffers, [[0; 12]]);
}
