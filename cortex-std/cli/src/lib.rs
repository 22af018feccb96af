//! What the command line `cortex` shares: with tests the [`notation`] in which it writes values
//! without losing any of their bits, with the program `cortex-discovery` the daemon, [`discovery`].

pub mod discovery;
pub mod notation;
