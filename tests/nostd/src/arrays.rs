//! Arrays and their dtypes.

use super::*;

pub(super) fn arrays(input: &[u8]) {
    let shape: &[usize] = black_box(&[1, 2, 3][..]);
    let Ok(dtype) = Dtype::parse(black_box("<f4")) else { return };
    if let Ok(view) = ArrayView::new(dtype, shape, input) {
        array(view);
    }
    if let Ok(shape) = Shape::new(shape) {
        used((shape.as_slice(), shape.item_count(), shape.len(), shape == black_box(shape)));
    }
    from_slice::<bool>(black_box(&[true][..]));
    from_slice::<u8>(black_box(&[1][..]));
    from_slice::<u16>(black_box(&[1][..]));
    from_slice::<u32>(black_box(&[1][..]));
    from_slice::<u64>(black_box(&[1][..]));
    from_slice::<i8>(black_box(&[1][..]));
    from_slice::<i16>(black_box(&[1][..]));
    from_slice::<i32>(black_box(&[1][..]));
    from_slice::<i64>(black_box(&[1][..]));
    from_slice::<f32>(black_box(&[1.0][..]));
    from_slice::<f64>(black_box(&[1.0][..]));
    #[cfg(feature = "all")]
    {
        from_slice::<half::f16>(black_box(&[half::f16::ONE][..]));
        from_slice::<num_complex::Complex<f32>>(black_box(&[num_complex::Complex::I][..]));
        from_slice::<num_complex::Complex<f64>>(black_box(&[num_complex::Complex::I][..]));
    }
}

pub(crate) fn from_slice<T: Element>(items: &[T]) {
    let shape: &[usize] = black_box(&[1][..]);
    used(Dtype::of::<T>());
    if let Ok(view) = ArrayView::from_slice(items, shape) {
        array(view);
    }
    if let Ok(typed) = TypedArray::from_slice(items, shape) {
        used((typed.view(), typed.as_slice(), typed.get::<T>(black_box(&[0][..]))));
        used(typed == black_box(typed));
        typed.items().for_each(|item| {
            used(item);
        });
    }
}

pub(crate) fn array(view: ArrayView<'_>) {
    used((view.dtype(), view.shape(), view.data(), view.item_count()));
    used(view == black_box(view));
    items_of::<bool>(view);
    items_of::<u8>(view);
    items_of::<u16>(view);
    items_of::<u32>(view);
    items_of::<u64>(view);
    items_of::<i8>(view);
    items_of::<i16>(view);
    items_of::<i32>(view);
    items_of::<i64>(view);
    items_of::<f32>(view);
    items_of::<f64>(view);
    #[cfg(feature = "all")]
    {
        items_of::<half::f16>(view);
        items_of::<num_complex::Complex<f32>>(view);
        items_of::<num_complex::Complex<f64>>(view);
    }
}

pub(crate) fn items_of<T: Element>(view: ArrayView<'_>) {
    used(view.as_slice::<T>());
    used(view.get::<T>(black_box(&[0, 1][..])));
    used(TypedArray::<T>::new(view).is_ok());
    if let Ok(mut items) = view.iter::<T>() {
        used((items.len(), items.nth(black_box(1)), items.next_back()));
        items.for_each(|item| {
            used(item);
        });
    }
    used(T::from_bytes(view.data(), view.dtype().byte_order()));
}

pub(super) fn dtypes(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let Ok(dtype) = Dtype::parse(text) else { return };
    used(text.parse::<Dtype>());
    used((dtype.kind(), dtype.byte_order(), dtype.item_len(), dtype.same_items(&dtype)));
    used(&dtype.as_text());
    if let Some(unit) = dtype.time_unit() {
        used((unit.name(), unit.multiple));
    }
}
