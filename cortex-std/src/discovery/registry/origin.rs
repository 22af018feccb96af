//! Where a request came from.

/// Where a request came from, which decides what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A unix socket of this machine, whose file mode restricts its peers.
    Local,
    /// A tcp connection, from any peer.
    Remote,
}
