//! What the fuzz targets share: how an input becomes frames, and what must hold of them.

use cortex_wire::{
    Decoder, Encode, Encoder, Event, Header, Message, Value, Walk, blob, decode, decode_bare,
    encode, encoded_len,
};

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

/// Metadata and buffers of a message that was decoded, which therefore encodes.
pub fn encoded<M: Message>(message: &M) -> (Vec<u8>, Vec<&[u8]>) {
    let len = encoded_len(message).expect("what decoded encodes");
    let mut out = vec![0; len];
    let mut buffers = Vec::new();
    let metadata = encode(message, &mut out, &mut buffers).expect("what decoded encodes");
    assert_eq!(metadata.len(), len, "the length was told before");
    (out, buffers)
}

/// The blob of a message that was decoded.
pub fn encoded_blob<M: Message>(header: &Header, message: &M) -> Vec<u8> {
    let needed = match blob::encode(header, message, &mut []) {
        Err(error) => error.needed,
        Ok(_) => unreachable!("a blob is not empty"),
    };
    let mut out = vec![0; needed];
    assert_eq!(blob::encode(header, message, &mut out).expect("it fits").len(), needed);
    out
}

/// Checks a message that decoded: encoded and decoded again it is the same, in frames and as a
/// blob. Encoding it once more gives the same bytes, so that NaN is compared by its bits.
pub fn check_message<M: Message>(
    message: &M::View<'_>,
    equal: impl Fn(&M::View<'_>, &M::View<'_>) -> bool,
) {
    // A message with a NaN in it is unequal to itself.
    let comparable = equal(message, message);
    let (metadata, buffers) = encoded(message);
    let same_bytes = |(m, b): (Vec<u8>, Vec<&[u8]>)| m == metadata && b == buffers;
    let again = decode_bare::<M>(&metadata, &buffers).expect("what we encoded decodes");
    assert!(!comparable || equal(message, &again), "the message has changed");
    assert!(same_bytes(encoded(&again)), "the bytes have changed");

    let header = Header { fingerprint: M::FINGERPRINT, timestamp_ns: 1, sequence: 2 };
    let single = encoded_blob(&header, message);
    let (header_again, again) = blob::decode::<M>(&single).expect("what we encoded decodes");
    assert_eq!(header_again, header);
    assert!(!comparable || equal(message, &again), "the message has changed in a blob");
    assert_eq!(encoded_blob(&header, &again), single, "the blob has changed");
    assert!(same_bytes(encoded(&again)), "the bytes have changed through a blob");
}

/// Decodes frames as one type, with a header and without.
pub fn check_type<M: Message>(
    input: &Input<'_>,
    equal: impl Fn(&M::View<'_>, &M::View<'_>) -> bool,
) {
    let header = Header { fingerprint: M::FINGERPRINT, ..Header::default() }.encode();
    let frames = [&[&header[..]], &input.frames()[1..]].concat();
    let bare = decode_bare::<M>(input.metadata, &input.buffers);
    match (decode::<M>(&frames), bare) {
        (Ok(message), Ok(_)) => check_message::<M>(&message, equal),
        (Err(error), Err(bare)) => assert_eq!(error, bare),
        _ => panic!("a header decides whether a message decodes"),
    }
}

/// Whether two values are the same; NaN is the same as a NaN of the same bits.
pub fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len()
                && a.iter().count() == a.len()
                && a.iter().zip(b).all(|(a, b)| same(&a, &b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter().count() == a.len()
                && a.iter().zip(b).all(|((j, a), (k, b))| j == k && same(&a, &b))
        }
        _ => a == b,
    }
}

/// Whether two walks go the same way to the end.
pub fn same_walk(a: Walk<'_>, b: Walk<'_>) -> bool {
    let mut b = b;
    for event in a {
        let same = match (event, b.next()) {
            (Ok(Event::Value(a)), Some(Ok(Event::Value(b)))) => same(&a, &b),
            (Ok(a), Some(Ok(b))) => a == b,
            _ => false,
        };
        if !same {
            return false;
        }
    }
    b.next().is_none()
}

/// Checks the metadata of frames as one value of any type: walked and decoded alike, and the
/// same after encoding.
pub fn check_value(input: &Input<'_>) {
    let frames = input.frames();
    let walked = Walk::new(&frames).expect("there is metadata").find_map(Result::err);
    let mut decoder = Decoder::new(&frames).expect("there is metadata");
    let value = <Value<'_> as cortex_wire::Decode>::decode(&mut decoder)
        .and_then(|value| decoder.finish().map(|()| value));
    let value = match (value, walked) {
        (Ok(value), None) => value,
        (Err(error), Some(walked)) => return assert_eq!(error, walked),
        (Ok(_), Some(walked)) => panic!("decodes, but walking finds {walked}"),
        (Err(error), None) => panic!("walks, but decoding finds {error}"),
    };
    let (metadata, buffers) = encoded_value(&value);
    let again = [&[&[][..], &metadata], &buffers[..]].concat();
    assert!(same_walk(
        Walk::new(&frames).expect("there is metadata"),
        Walk::new(&again).expect("there is metadata"),
    ));
    let mut decoder = Decoder::new(&again).expect("there is metadata");
    let decoded = <Value<'_> as cortex_wire::Decode>::decode(&mut decoder);
    let decoded = decoded.expect("what we encoded decodes");
    assert!(same(&value, &decoded), "the value has changed");
    assert_eq!(encoded_value(&decoded), (metadata.clone(), buffers.clone()));
}

fn encoded_value<'b>(value: &'b Value<'b>) -> (Vec<u8>, Vec<&'b [u8]>) {
    let mut buffers = Vec::new();
    let mut measure = Encoder::new(&mut [], &mut buffers);
    value.encode(&mut measure).expect("what decoded encodes");
    let mut out = vec![0; measure.writer().len()];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    value.encode(&mut encoder).expect("what decoded encodes");
    encoder.finish().expect("it fits");
    (out, buffers)
}
