//! A message as it is stored: the frames after the topic, each behind its length.

use std::fmt;
use std::sync::Arc;

use cortex_std::wire::{DecodeError, Frames, Header};

use crate::channel::ChannelInfo;

/// Bytes of a frame's length, big-endian.
const PREFIX_LEN: usize = 4;

/// A message of a bag. Its [`Frames`] are header, metadata and buffers, so that it can be decoded.
pub struct Message {
    /// Its publisher and topic.
    pub channel: Arc<ChannelInfo>,
    /// The number of the channel in the file.
    pub channel_id: u16,
    /// When it arrived at the recorder: nanoseconds since the Unix epoch.
    pub arrival_ns: u64,
    /// When it was published, by the publisher's clock.
    pub publish_ns: u64,
    body: Vec<u8>,
    /// The start and the end of each frame in `body`.
    frames: Vec<(usize, usize)>,
}

impl Message {
    /// A message from its stored form; `None` where lengths and body do not fit.
    pub(crate) fn parse(
        channel: Arc<ChannelInfo>,
        channel_id: u16,
        (arrival_ns, publish_ns): (u64, u64),
        body: &[u8],
    ) -> Option<Self> {
        let mut frames = Vec::new();
        let mut rest = body;
        while let Some((prefix, after)) = rest.split_first_chunk::<PREFIX_LEN>() {
            let len = usize::try_from(u32::from_be_bytes(*prefix)).ok()?;
            let start = body.len().checked_sub(after.len())?;
            rest = after.get(len..)?;
            frames.push((start, start.checked_add(len)?));
        }
        let body = body.to_vec();
        rest.is_empty().then_some(Self {
            channel,
            channel_id,
            arrival_ns,
            publish_ns,
            body,
            frames,
        })
    }

    /// The header.
    ///
    /// # Errors
    ///
    /// When frame 0 is no header.
    pub fn header(&self) -> Result<Header, DecodeError> {
        Header::decode(self.frame(0).unwrap_or_default())
    }

    /// The frames after the topic: header, metadata, buffers.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().filter_map(|(start, end)| self.body.get(*start..*end))
    }

    /// Bytes of all frames after the topic.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it counts the bytes of frames")]
    pub fn len(&self) -> usize {
        self.frames.iter().map(|(start, end)| end.saturating_sub(*start)).sum()
    }
}

impl Frames for Message {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = self.frames.get(index)?;
        self.body.get(*start..*end)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lens: Vec<_> = self.frames().map(<[u8]>::len).collect();
        f.debug_struct("Message")
            .field("topic", &self.channel.topic)
            .field("arrival_ns", &self.arrival_ns)
            .field("lens", &lens)
            .finish_non_exhaustive()
    }
}

/// Replaces `body` by the stored form of these frames; false where one is too long.
pub(crate) fn encode<'f>(frames: impl IntoIterator<Item = &'f [u8]>, body: &mut Vec<u8>) -> bool {
    body.clear();
    for frame in frames {
        let Ok(len) = u32::try_from(frame.len()) else { return false };
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(frame);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> Option<Message> {
        let channel = Arc::new(ChannelInfo::new("/t", "n", "C", 1));
        Message::parse(channel, 1, (0, 0), body)
    }

    #[test]
    fn frames_are_read_back_and_every_truncation_is_refused() {
        let frames: [&[u8]; 3] = [b"header", b"", b"data"];
        let mut body = Vec::new();
        assert!(encode(frames, &mut body));
        let message = parse(&body).expect("it is whole");
        assert!(message.frames().eq(frames));
        assert_eq!((message.frame(1), message.frame(3), message.len()), (Some(&b""[..]), None, 10));
        for len in (0..body.len()).filter(|len| ![0, 10, 14].contains(len)) {
            assert!(parse(&body[..len]).is_none(), "{len}");
        }
    }

    #[test]
    fn a_claimed_length_of_four_gigabytes_is_refused() {
        assert!(parse(b"\xff\xff\xff\xffx").is_none());
    }
}
