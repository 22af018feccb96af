//! Plain JSON: a notation of values that is easy to read and write, but not lossless.
//!
//! Numbers, text, lists and maps are those of JSON; bytes are `{"bytes": hex}`; an array is
//! `{"dtype", "shape", "data"}` with the data in nested lists or hex, a tensor has `device` and
//! `requires_grad` as well. Floats without a JSON number are `"NaN"`, `"Infinity"`, `"-Infinity"` in a
//! field or array of floats, and `{"float": "NaN"}` anywhere else. A map that could be mistaken for one
//! of these, or whose keys are bytes or occur twice, is `{"map": [[key, value], ..]}`.

mod notation;
mod read;
mod write;

pub(crate) use notation::is_notation;
pub(crate) use read::{Files, from_json, hint, map};
pub(crate) use write::{Arrays, FIRST_ITEMS, field_to_json, key_text, to_json};
