//! Clients of the daemon: one request state machine, driven on a thread or in tokio.

#[cfg(feature = "tokio")]
mod asynchronous;
mod attempts;
mod blocking;
mod connection;
mod request;
mod state;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncClient;
pub use blocking::Client;
