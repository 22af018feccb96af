//! Functions of owned types, which allocate and may panic only where an allocation fails, and futures,
//! which may panic only where they are polled after their end.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use cortex_wire::{
    ArrayView, Buffers, Dtype, Frames, ImageMessage, Key, Message, OwnedArray, OwnedKey,
    OwnedTensor, OwnedValue, TensorView, TypedArray, Value,
};

use crate::{input, used};

extern crate alloc;

/// A field of each type that owns.
#[derive(Clone, PartialEq, Message)]
#[cortex(class = "proof.Owner")]
struct Owner {
    text: String,
    bytes: Vec<u8>,
    list: Vec<i64>,
    texts: Vec<String>,
    array: OwnedArray,
    tensor: OwnedTensor,
    arrays: Vec<OwnedArray>,
    numbers: BTreeMap<String, f64>,
    values: BTreeMap<String, OwnedValue>,
    value: OwnedValue,
}

/// Calls them all.
pub fn everything() {
    let input = input();
    crate::message::<Owner>(input);
    let list: Vec<&[u8]> = black_box(alloc::vec![input, input]);
    used(list.frame(black_box(1)));
    used(cortex_wire::decode::<Owner>(&list).is_ok());
    let mut buffers = Vec::new();
    used(Buffers::push(&mut buffers, input));
    let Ok(dtype) = Dtype::parse(black_box("<f4")) else { return };
    let shape: &[usize] = black_box(&[1, 2, 3][..]);
    if let Ok(array) = OwnedArray::new(dtype, shape, input.to_vec()) {
        used(array == black_box(array.clone()));
        view(array.view());
    }
    if let Ok(array) = OwnedArray::from_slice(black_box(&[1_u16][..]), shape) {
        let tensor = OwnedTensor { array, device: String::new(), requires_grad: black_box(true) };
        used(OwnedTensor::from(black_box(TensorView { device: "cpu", ..tensor.view() })));
        value(Value::from(tensor.view()));
    }
    if let Ok((each, _)) = cortex_wire::blob::decode_value(input) {
        value(each);
    }
    used(OwnedKey::from(black_box(Key::Str("key"))));
    let pixels = black_box([7_u8; 12]);
    if let Ok(data) = ArrayView::from_slice(&pixels, &[3, 4]) {
        crate::streams::asynchronous::streams(input, &ImageMessage::new(data, "mono8"));
    }
}

fn view(view: ArrayView<'_>) {
    used(OwnedArray::from(view));
    used(view.to_vec::<f32>());
    if let Ok(typed) = TypedArray::<f32>::new(view) {
        used(typed.to_vec());
    }
}

fn value(value: Value<'_>) {
    used(OwnedValue::from(value).get(black_box("key")));
    used(OwnedValue::copy_limited(value, black_box(7)).is_ok());
}
