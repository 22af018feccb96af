//! Numbers that are the same again for the same seed (splitmix64).

/// A generator.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// One of some items.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Up to `max` bytes: mixed, small, without zeros, or all equal.
    pub fn bytes(&mut self, max: usize) -> Vec<u8> {
        let (len, kind, same) = (self.below(max + 1), self.below(4), self.next() as u8);
        (0..len)
            .map(|_| match kind {
                0 => self.next() as u8,
                1 => (self.next() % 3) as u8,
                2 => (self.next() % 255) as u8 + 1,
                _ => same,
            })
            .collect()
    }

    /// The bytes in pieces of random length.
    pub fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let max = self.pick(&[1, 3, 20, 300]);
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((self.below(max) + 1).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}
