//! A mutex and a condition variable without poisoning.
//!
//! Code of the user that panics is caught and reported where it is called, so a poisoned lock carries no
//! news: the next thread goes on with the state as it is.

use std::sync::{self, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

/// A [`std::sync::Mutex`] that ignores poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` while another thread holds the lock.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A [`std::sync::Condvar`] for a [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits for a notification until `deadline`, without limit for `None`; `Err` once the deadline
    /// has passed. May return early, so check the state.
    pub(crate) fn wait_until<'m, T>(
        &self,
        guard: MutexGuard<'m, T>,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'m, T>, MutexGuard<'m, T>> {
        let Some(deadline) = deadline else {
            return Ok(self.0.wait(guard).unwrap_or_else(PoisonError::into_inner));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(guard);
        }
        Ok(self.0.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_panic_under_the_lock_does_not_poison_it() {
        let mutex = Mutex::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = mutex.lock();
            panic!("expected");
        }));
        assert!(panicked.is_err());
        *mutex.lock() += 1;
        assert_eq!(mutex.try_lock().as_deref(), Some(&2));
        let _guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let mutex = Mutex::new(());
        let deadline = Instant::now() + Duration::from_millis(5);
        let mut guard = mutex.lock();
        let condition = Condvar::new();
        while let Ok(woken) = condition.wait_until(guard, Some(deadline)) {
            guard = woken;
        }
        assert!(Instant::now() >= deadline);
    }
}
