//! A format that encodes and decodes one message, and a digest of the decoded values.

use std::error::Error;
use std::hint::black_box;
use std::rc::Rc;

/// One format and one message.
pub(super) struct Contender<'s> {
    pub(super) name: &'static str,
    /// Length of the encoded message in bytes.
    pub(super) len: usize,
    pub(super) encode: Box<dyn FnMut() + 's>,
    pub(super) decode: Box<dyn FnMut() + 's>,
    read: Rc<dyn Fn() -> Option<Digest> + 's>,
}

impl<'s> Contender<'s> {
    /// A contender that encodes into one buffer.
    pub(super) fn new(
        name: &'static str,
        mut encode: impl FnMut(&mut Vec<u8>) + 's,
        decode: impl Fn(&[u8]) -> Option<Digest> + 's,
    ) -> Self {
        let mut encoded = Vec::new();
        encode(&mut encoded);
        let mut out = Vec::with_capacity(encoded.len());
        let encode = move || {
            out.clear();
            encode(&mut out);
            black_box(&out);
        };
        Self::of(name, encoded.len(), encode, move || decode(black_box(&encoded)))
    }

    /// A contender that manages its buffers itself.
    pub(super) fn of(
        name: &'static str,
        len: usize,
        encode: impl FnMut() + 's,
        decode: impl Fn() -> Option<Digest> + 's,
    ) -> Self {
        let read: Rc<dyn Fn() -> Option<Digest> + 's> = Rc::new(decode);
        let decode = Rc::clone(&read);
        let decode = move || {
            black_box(decode());
        };
        Self { name, len, encode: Box::new(encode), decode: Box::new(decode), read }
    }

    /// The digest of the decoded message.
    pub(super) fn decode_once(&self) -> Result<Digest, Box<dyn Error>> {
        (self.read)().ok_or_else(|| format!("{} cannot decode its own output", self.name).into())
    }
}

/// A digest of decoded values, which is equal for equal values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Digest {
    texts: usize,
    items: usize,
    numbers: f64,
}

impl Digest {
    pub(super) fn text(mut self, text: &str) -> Self {
        self.texts += text.len();
        self
    }

    pub(super) fn number(mut self, number: f64) -> Self {
        self.numbers += number;
        self
    }

    /// Adds an array; `None` if the shape has another number of items.
    pub(super) fn items<T: Copy + Into<f64>>(
        mut self,
        shape: impl IntoIterator<Item = usize>,
        items: &[T],
    ) -> Option<Self> {
        self.items += items.len();
        for end in [items.first(), items.last()] {
            self.numbers += (*end?).into();
        }
        (shape.into_iter().product::<usize>() == items.len()).then_some(self)
    }

    /// Adds an array of bytes: in place if they are aligned, otherwise copied.
    pub(super) fn bytes<T: Item>(
        self,
        shape: impl IntoIterator<Item = usize>,
        bytes: &[u8],
    ) -> Option<Self> {
        match bytemuck::try_cast_slice(bytes) {
            Ok(items) => self.items::<T>(shape, items),
            Err(_) => {
                let chunks = bytes.chunks_exact(size_of::<T>());
                let items: Vec<T> = chunks.map(bytemuck::pod_read_unaligned).collect();
                self.items(shape, black_box(&items))
            }
        }
    }
}

/// An item type, with its numpy dtype.
pub(super) trait Item: bytemuck::Pod + Into<f64> {
    const DTYPE: &'static str;
}

impl Item for u8 {
    const DTYPE: &'static str = "|u1";
}

impl Item for f32 {
    const DTYPE: &'static str = "<f4";
}

impl Item for f64 {
    const DTYPE: &'static str = "<f8";
}
