//! The value of a map key that may occur once.

use crate::error::{DecodeError, DecodeErrorKind, DescriptorKey, DiscoveryKey};
use crate::msgpack::read::Reader;

/// A key of which a map has at most one.
pub(crate) trait UniqueKey: Copy {
    /// The error for a map without the key.
    fn missing(self) -> DecodeErrorKind;
    /// The error for a map with the key twice.
    fn duplicate(self) -> DecodeErrorKind;
}

impl UniqueKey for DescriptorKey {
    fn missing(self) -> DecodeErrorKind {
        DecodeErrorKind::DescriptorKeyMissing(self)
    }

    fn duplicate(self) -> DecodeErrorKind {
        DecodeErrorKind::DescriptorKeyDuplicate(self)
    }
}

impl UniqueKey for DiscoveryKey {
    fn missing(self) -> DecodeErrorKind {
        DecodeErrorKind::DiscoveryKey(self)
    }

    fn duplicate(self) -> DecodeErrorKind {
        DecodeErrorKind::DiscoveryKey(self)
    }
}

/// The value of a key, and its offset.
pub(crate) struct Once<K, T> {
    key: K,
    value: Option<(T, usize)>,
}

impl<K: UniqueKey, T> Once<K, T> {
    pub(crate) const fn new(key: K) -> Self {
        Self { key, value: None }
    }

    /// Keeps the value that `read` returns.
    ///
    /// # Errors
    ///
    /// `duplicate` at the offset of a second value, and those of `read`.
    pub(crate) fn set<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        let offset = reader.offset();
        if self.value.is_some() {
            return Err(DecodeError::new(self.key.duplicate(), offset));
        }
        self.value = Some((read(reader)?, offset));
        Ok(())
    }

    /// The value, if the key occurred.
    pub(crate) fn get(self) -> Option<T> {
        self.value.map(|(value, _)| value)
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// `missing` at `map_at`, the offset of the map.
    pub(crate) fn require(self, map_at: usize) -> Result<T, DecodeError> {
        self.require_with_offset(map_at).map(|(value, _)| value)
    }

    /// The value and its offset.
    ///
    /// # Errors
    ///
    /// As [`Self::require`].
    pub(crate) fn require_with_offset(self, map_at: usize) -> Result<(T, usize), DecodeError> {
        self.value.ok_or(DecodeError::new(self.key.missing(), map_at))
    }
}
