//! Simulated measurements. They are functions of the reading's number, so a receiver can verify them.

/// Acceleration and angular velocity of reading `number`.
pub(crate) fn imu(number: u64) -> ([f32; 3], [f32; 3]) {
    let phase = (number % 1000) as f32;
    ([phase / 8.0, -phase / 4.0, 9.75], [phase / 16.0, 0.5, -phase / 2.0])
}

/// Temperature of reading `number`.
pub(crate) fn temperature(number: u64) -> f32 {
    20.0 + (number % 64) as f32 / 16.0
}

/// Image `number`: 32 lines of 32 pixels.
pub(crate) fn image(number: u64) -> [u8; 32 * 32] {
    core::array::from_fn(|at| (at as u64 * 7 + number) as u8)
}
