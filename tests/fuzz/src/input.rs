//! How an input becomes frames, and frames an input.

use cortex_wire::Header;

/// One input cut into frames.
///
/// ```text
/// | count of buffers, u8, mod 5 | length of each, u16, big-endian | header, 24 | buffers | metadata |
/// ```
///
/// Whatever is missing is empty; whatever is too long ends with the input.
pub struct Input<'a> {
    /// The header frame.
    pub header: &'a [u8],
    /// The metadata frame.
    pub metadata: &'a [u8],
    /// The buffer frames.
    pub buffers: Vec<&'a [u8]>,
}

impl<'a> Input<'a> {
    /// Cuts `data`.
    pub fn new(mut data: &'a [u8]) -> Self {
        let mut take = |len: usize| {
            let (head, tail) = data.split_at(len.min(data.len()));
            data = tail;
            head
        };
        let count = take(1).first().map_or(0, |count| count % 5);
        let lens: Vec<_> = (0..count)
            .map(|_| take(2).iter().fold(0, |len, &byte| len << 8 | usize::from(byte)))
            .collect();
        let header = take(Header::LEN);
        let buffers = lens.into_iter().map(&mut take).collect();
        Self { header, metadata: take(usize::MAX), buffers }
    }

    /// Header, metadata and buffers.
    pub fn frames(&self) -> Vec<&'a [u8]> {
        [self.header, self.metadata].into_iter().chain(self.buffers.iter().copied()).collect()
    }
}

/// The input that [`Input::new`] cuts into these frames: at most four buffers.
pub fn joined(header: &[u8], metadata: &[u8], buffers: &[Vec<u8>]) -> Vec<u8> {
    let buffers = &buffers[..buffers.len().min(4)];
    let mut out = vec![buffers.len() as u8];
    buffers.iter().for_each(|buffer| out.extend((buffer.len() as u16).to_be_bytes()));
    let mut fixed = [0; Header::LEN];
    fixed.iter_mut().zip(header).for_each(|(place, byte)| *place = *byte);
    out.extend(fixed);
    buffers.iter().for_each(|buffer| out.extend(buffer));
    out.extend(metadata);
    out
}

/// Calls a generic function with every standard type; its last argument compares two messages.
#[macro_export]
macro_rules! for_every_standard_type {
    ($call:ident ( $($argument:expr),* )) => {{
        use cortex_wire::standard::*;
        $call::<StringMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<IntMessage>($($argument,)* |a, b| a == b);
        $call::<FloatMessage>($($argument,)* |a, b| a == b);
        $call::<BytesMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<DictMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<ListMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<ArrayMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<MultiArrayMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<TensorMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<MultiTensorMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<ImageMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<PointCloudMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<PoseMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<TransformMessage<'_>>($($argument,)* |a, b| a == b);
        $call::<TimestampMessage>($($argument,)* |a, b| a == b);
        $call::<HeaderMessage<'_>>($($argument,)* |a, b| a == b);
    }};
}
