//! Calling back: whatever happens inside comes back as text.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use crate::subscriber::Outcome;

/// Runs an async callback; its error or its panic comes back as text.
#[cfg(feature = "tokio")]
pub(crate) async fn guarded<R: Outcome>(callback: impl Future<Output = R>) -> Option<String> {
    use futures_util::FutureExt;

    reason(AssertUnwindSafe(callback).catch_unwind().await)
}

/// Runs a callback; its error or its panic comes back as text.
pub(crate) fn guarded_call<R: Outcome>(callback: impl FnOnce() -> R) -> Option<String> {
    reason(std::panic::catch_unwind(AssertUnwindSafe(callback)))
}

fn reason<R: Outcome>(result: std::thread::Result<R>) -> Option<String> {
    match result {
        Ok(outcome) => outcome.error(),
        Err(panic) => Some(format!("panicked: {}", panic_text(panic.as_ref()))),
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
