//! Numbered messages with a long array of which every byte depends on the number.

use cortex_std::raw::RawMessage;

/// Bytes of the longest array.
pub const MAX_LEN: usize = 400_000;

/// The array of a message.
#[must_use]
pub fn array(number: u64) -> Vec<u8> {
    let len = 64 * 1024 + (number.wrapping_mul(0x9e37_79b9) % (MAX_LEN as u64 - 65_536)) as usize;
    let mut bytes = Vec::with_capacity(len + 8);
    words(number).take(len.div_ceil(8)).for_each(|word| bytes.extend_from_slice(&word));
    bytes.truncate(len);
    bytes
}

/// The frames of a message: topic, number, nothing, and the array.
#[must_use]
pub fn frames(number: u64) -> [Vec<u8>; 4] {
    [b"/frames".to_vec(), number.to_le_bytes().to_vec(), Vec::new(), array(number)]
}

/// Checks every byte; returns the number.
///
/// # Errors
/// What is wrong.
pub fn check(message: &RawMessage) -> Result<u64, String> {
    let number = message.frame(1).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let (Some(number), Some(found)) = (number, message.frame(3)) else {
        return Err(format!("{} frames", message.count()));
    };
    let expected = array(number);
    match found.iter().zip(&expected).position(|(found, expected)| found != expected) {
        Some(index) => Err(format!("frame {number}: byte {index} of {} is wrong", found.len())),
        None if found.len() != expected.len() => {
            Err(format!("frame {number}: {} bytes of {}", found.len(), expected.len()))
        }
        None => Ok(number),
    }
}

fn words(number: u64) -> impl Iterator<Item = [u8; 8]> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
}
