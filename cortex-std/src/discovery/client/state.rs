//! The state that blocking and async clients share.

use std::time::{Duration, Instant};

use super::attempts::Attempts;
use super::connection::Connection;
use super::request::TypedRequest;
use crate::discovery::error::DiscoveryError;
use crate::endpoint::Endpoint;
use crate::transport::Context;

/// A connection to the daemon and what its responses said last.
#[derive(Debug)]
pub(super) struct ClientState {
    pub(super) connection: Connection,
    pub(super) endpoint: Endpoint,
    pub(super) address: String,
    /// For each request.
    pub(super) timeout: Duration,
    pub(super) epoch: Option<u64>,
    /// Kept for its memory.
    pub(super) body: Vec<u8>,
}

impl ClientState {
    /// # Errors
    ///
    /// When the address is invalid, or no socket is left.
    pub(super) fn connect(
        context: &Context,
        address: &str,
        timeout: Duration,
    ) -> Result<Self, DiscoveryError> {
        let endpoint: Endpoint = address.parse()?;
        let connection = Connection::open(context, &endpoint)?;
        let address = address.to_owned();
        Ok(Self { connection, endpoint, address, timeout, epoch: None, body: Vec::new() })
    }

    /// Encodes a request and returns the parts to send it with.
    ///
    /// # Errors
    ///
    /// `Request`.
    pub(super) fn prepare<T>(
        &mut self,
        request: &TypedRequest<'_, T>,
    ) -> Result<(&mut Connection, &[u8], Attempts<'_>), DiscoveryError> {
        request.encode(&mut self.body)?;
        let deadline = Instant::now().checked_add(self.timeout);
        let attempts = Attempts::new(&self.endpoint, deadline, request.is_repeatable());
        Ok((&mut self.connection, &self.body, attempts))
    }

    /// Decodes the reply to a request and records the daemon's epoch.
    ///
    /// # Errors
    ///
    /// `Response`, and what the response says.
    pub(super) fn decode<T>(
        &mut self,
        request: &TypedRequest<'_, T>,
        reply: &[u8],
    ) -> Result<T, DiscoveryError> {
        let (answer, epoch) = request.decode(reply)?;
        self.epoch = epoch;
        answer
    }
}
