//! The wire format: against recordings, against other implementations, and under hostile input.
//!
//! `ci/bigendian.sh` and `ci/link.sh` build `golden` and `link` as test binaries without libzmq, so
//! these two modules take nothing from this crate.

mod golden;
mod hostile;
mod link;
mod numpy;
mod oracle;
mod properties;
mod zmtp;
