//! A message borrows from the frames it came in: what would keep it longer does not compile.
//!
//! What the compiler says is in `ui/*.stderr`, of the version that CI tests with;
//! `TRYBUILD=overwrite` writes it anew.
#![cfg(feature = "tokio")]

#[test]
fn a_message_cannot_be_kept_beyond_its_callback() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
