//! What the command line `cortex` shares with tests: the [`notation`] in which it writes values
//! without losing any of their bits.

pub mod notation;
