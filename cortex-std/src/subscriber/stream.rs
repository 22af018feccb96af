//! The messages of a subscriber as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Sample, Subscriber};
use crate::error::ReceiveError;
use crate::wire::Message;

/// The samples, until the node is shut down; an error of the socket is the last item.
///
/// # Panics
///
/// Polling, outside of a tokio runtime with I/O enabled.
///
/// # Examples
///
/// ```no_run
/// # use cortex_std::{Node, wire::StringMessage};
/// use futures_util::StreamExt;
///
/// # async fn example(node: &Node) -> cortex_std::Result<()> {
/// let mut notes = node.subscriber::<StringMessage>("/notes").create()?;
/// while let Some(sample) = notes.next().await {
///     println!("{}", sample?.message()?.data);
/// }
/// # Ok(()) }
/// ```
impl<M: Message + 'static> futures_util::Stream for Subscriber<M> {
    type Item = Result<Sample<M>, ReceiveError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.poll_sample(context).map(|received| match received {
            Ok(sample) => Some(Ok(sample)),
            Err(error) => {
                self.has_ended = true;
                (!matches!(error, ReceiveError::Closed)).then_some(Err(error))
            }
        })
    }
}
