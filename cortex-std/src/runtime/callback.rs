//! Callbacks of the user: their results, and calls whose errors and panics come back as text.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;

use crate::log::ErrorChain;

/// What a callback may return: nothing, or a result of any value, which is ignored, whose error is logged
/// with its whole cause chain and counted.
///
/// The error may be any [`Error`], a `String`, a `Box<dyn Error>` or what `anyhow` makes of them. A call such
/// as `publisher.publish(..)` may be the last expression; [`ok`](crate::ok) ends a callback that uses `?`.
pub trait CallbackResult {
    /// The error as text, with its causes.
    fn error(self) -> Option<String>;
}

impl CallbackResult for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<T, E: Into<Box<dyn Error>>> CallbackResult for Result<T, E> {
    fn error(self) -> Option<String> {
        self.err().map(|error| ErrorChain(&*error.into()).to_string())
    }
}

/// Runs an async callback; its error or its panic comes back as text.
#[cfg(feature = "tokio")]
pub(crate) async fn run_guarded<R: CallbackResult>(
    callback: impl Future<Output = R>,
) -> Option<String> {
    use futures_util::FutureExt;

    failure_text(AssertUnwindSafe(callback).catch_unwind().await)
}

/// Calls a callback; its error or its panic comes back as text.
pub(crate) fn call_guarded<R: CallbackResult>(callback: impl FnOnce() -> R) -> Option<String> {
    failure_text(std::panic::catch_unwind(AssertUnwindSafe(callback)))
}

fn failure_text<R: CallbackResult>(result: std::thread::Result<R>) -> Option<String> {
    match result {
        Ok(result) => result.error(),
        Err(panic) => Some(format!("panicked: {}", panic_text(panic.as_ref()))),
    }
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::PublishError;
    use crate::wire::{EncodeError, EncodeErrorKind};

    #[test]
    fn a_callbacks_error_comes_back_with_its_causes() {
        let cause = EncodeError { kind: EncodeErrorKind::OutputFull, available: 3, needed: 24 };
        let text = call_guarded(|| Err::<(), _>(PublishError::Encode(cause))).unwrap();
        assert_eq!(text, format!("cannot encode the message: {cause}"));
        let boxed = || Err::<(), Box<dyn Error>>("boxed".into());
        assert_eq!(call_guarded(boxed).as_deref(), Some("boxed"));
        assert_eq!(call_guarded(|| Ok::<(), String>(())), None);
        assert_eq!(call_guarded(|| Ok::<_, String>("an ignored value")), None);
        assert_eq!(call_guarded(|| panic!("no {}", 7) as ()).as_deref(), Some("panicked: no 7"));
    }
}
