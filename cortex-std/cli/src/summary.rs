//! Statistics of the numbers in an array.

use cortex_std::wire::{ArrayView, DtypeKind};

use crate::items::{Item, items};

/// Statistics of the numbers in an array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// `None` if no item is a number.
    pub(crate) range: Option<Range>,
    /// Items without a value, NaN or NaT, which the range leaves out.
    pub(crate) missing: usize,
    /// The name of a missing value: `nan` or `nat`.
    pub(crate) missing_name: &'static str,
}

/// The range of numbers, as items of their array: an integer is exact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range {
    pub(crate) min: Item,
    pub(crate) max: Item,
    pub(crate) mean: f64,
}

impl Summary {
    /// The statistics of an array; `None` if it is empty, or its items are not numbers.
    pub(crate) fn of(array: &ArrayView<'_>) -> Option<Self> {
        // Fast paths for the dtypes of images and point clouds.
        if let Ok(items) = array.as_slice::<u8>() {
            return Self::of_bytes(items);
        }
        if let Ok(items) = array.iter::<f32>() {
            return Self::of_floats(items.map(f64::from), |value| Item::Float32(value as f32));
        }
        match array.dtype().kind() {
            DtypeKind::Bool | DtypeKind::UInt | DtypeKind::Int => Self::of_integers(array, "nan"),
            DtypeKind::DateTime | DtypeKind::TimeDelta => Self::of_integers(array, "nat"),
            DtypeKind::Float => {
                let floats = items(array).map_while(|item| match item {
                    Item::Float32(value) => Some(value.into()),
                    Item::Float(value) => Some(value),
                    _ => None,
                });
                Self::of_floats(floats, Item::Float)
            }
            _ => None,
        }
    }

    fn of_bytes(items: &[u8]) -> Option<Self> {
        let (mut min, mut max, mut sum) = (u8::MAX, 0, 0_u64);
        for item in items {
            min = min.min(*item);
            max = max.max(*item);
            sum += u64::from(*item);
        }
        let mean = sum as f64 / items.len() as f64;
        let range = Range { min: Item::UInt(min.into()), max: Item::UInt(max.into()), mean };
        let summary = Self { range: Some(range), missing: 0, missing_name: "nan" };
        (!items.is_empty()).then_some(summary)
    }

    fn of_floats(items: impl Iterator<Item = f64>, item: fn(f64) -> Item) -> Option<Self> {
        let (mut min, mut max, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        // The sum of finite items may be infinite, that of their parts is not.
        const PART: f64 = 1.0 / (1_u64 << 60) as f64;
        let mut parts = 0.0;
        let (mut count, mut missing) = (0_usize, 0);
        for item in items {
            if item.is_nan() {
                missing += 1;
                continue;
            }
            min = min.min(item);
            max = max.max(item);
            sum += item;
            parts += item * PART;
            count += 1;
        }
        let is_too_large = !f64::is_finite(sum) && min.is_finite() && max.is_finite();
        let mean = if is_too_large { parts / count as f64 / PART } else { sum / count as f64 };
        let range = || Range { min: item(min), max: item(max), mean };
        let range = (count > 0).then(range);
        (count + missing > 0).then_some(Self { range, missing, missing_name: "nan" })
    }

    /// The statistics of integers, booleans and times, whose sum is exact.
    fn of_integers(array: &ArrayView<'_>, missing_name: &'static str) -> Option<Self> {
        let (mut min, mut max, mut sum) = (i128::MAX, i128::MIN, 0_i128);
        let (mut count, mut missing) = (0_usize, 0);
        for item in items(array) {
            let number = match item {
                Item::Bool(value) => value.into(),
                Item::UInt(value) => value.into(),
                Item::Int(value) => value.into(),
                _ => {
                    missing += 1;
                    continue;
                }
            };
            min = min.min(number);
            max = max.max(number);
            sum = sum.saturating_add(number);
            count += 1;
        }
        let item = |number: i128| match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => Item::UInt(number),
            (_, Ok(number)) => Item::Int(number),
            _ => Item::Float(number as f64),
        };
        let range = || Range { min: item(min), max: item(max), mean: sum as f64 / count as f64 };
        let range = (count > 0).then(range);
        (count + missing > 0).then_some(Self { range, missing, missing_name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(dtype: &str, items: &[[u8; 8]]) -> Summary {
        let data = items.concat();
        let array = ArrayView::new(dtype.parse().unwrap(), &[items.len()], &data).unwrap();
        Summary::of(&array).unwrap()
    }

    #[test]
    fn statistics_leave_out_nan() {
        let data = [1.0_f64, f64::NAN, -3.0];
        let view = ArrayView::from_slice(&data, &[3]).unwrap();
        let found = Summary::of(&view).unwrap();
        let range = Range { min: Item::Float(-3.0), max: Item::Float(1.0), mean: -1.0 };
        assert_eq!(found, Summary { range: Some(range), missing: 1, missing_name: "nan" });
        let nothing = ArrayView::from_slice(&[f64::NAN], &[1]).unwrap();
        let nothing = Summary::of(&nothing).unwrap();
        assert_eq!(nothing, Summary { range: None, missing: 1, missing_name: "nan" });
        let empty = ArrayView::from_slice::<u8>(&[], &[0]).unwrap();
        assert!(Summary::of(&empty).is_none());
        let text = ArrayView::new("<U1".parse().unwrap(), &[1], &[104, 0, 0, 0]).unwrap();
        assert!(Summary::of(&text).is_none());
    }

    #[test]
    fn statistics_leave_out_nat() {
        let times = [i64::MIN, 4, 8].map(i64::to_le_bytes);
        let range = Range { min: Item::UInt(4), max: Item::UInt(8), mean: 6.0 };
        let expected = Summary { range: Some(range), missing: 1, missing_name: "nat" };
        assert_eq!(summary("<M8[ns]", &times), expected);
        assert_eq!(summary("<m8[s]", &times), expected);
        // An integer has no such value.
        assert_eq!(summary("<i8", &times).range.unwrap().min, Item::Int(i64::MIN));
    }

    #[test]
    fn integers_beyond_the_precision_of_a_float_are_exact() {
        let numbers = [9_007_199_254_740_993, u64::MAX].map(u64::to_le_bytes);
        let range = summary("<u8", &numbers).range.unwrap();
        assert_eq!(
            (range.min, range.max),
            (Item::UInt(9_007_199_254_740_993), Item::UInt(u64::MAX))
        );
    }
}
