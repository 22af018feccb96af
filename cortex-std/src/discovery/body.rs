//! Bodies of requests and responses in vectors.

use crate::wire::{EncodeError, EncodeErrorKind};

/// Bytes that most bodies fit into; a rare longer one costs a second attempt.
const USUAL_LEN: usize = 256;

/// Encodes into `out`, which then is exactly as long as what was written.
///
/// # Errors
///
/// Those of `encode`.
pub(super) fn encode_body(
    out: &mut Vec<u8>,
    encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), EncodeError> {
    out.resize(USUAL_LEN, 0);
    let len = match encode(out) {
        Err(EncodeError { kind: EncodeErrorKind::OutputFull, needed, .. }) => {
            out.resize(needed, 0);
            encode(out)?
        }
        other => other?,
    };
    out.truncate(len);
    Ok(())
}
