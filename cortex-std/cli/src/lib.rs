//! The parts of `cortex` that other programs share: the [`discovery`] daemon as a program, for
//! `cortex-discovery`, and [`typed_json`], in which the golden files of the tests are written.

pub mod discovery;
pub mod typed_json;
