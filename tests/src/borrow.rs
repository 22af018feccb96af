//! A message borrows from the frames it came in: keeping it beyond its callback does not compile.
//!
//! Each documentation test that must not compile stands beside the same program with an owned copy,
//! which must: so it is the borrow that fails, and not a name that has changed. A nightly compiler
//! also checks the number of the error.

/// A callback on the node's task pushes the message into a list.
///
/// ```compile_fail,E0521
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node};
/// # fn subscribe(node: &Node) -> Result<(), CreateError> {
/// let mut kept = Vec::new();
/// node.subscriber::<ImageMessage>("/cam").on_message(async move |image, _| {
///     kept.push(image);
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node};
/// # fn subscribe(node: &Node) -> Result<(), CreateError> {
/// let mut kept = Vec::new();
/// node.subscriber::<ImageMessage>("/cam").on_message(async move |image, _| {
///     kept.push(image.encoding.to_owned());
/// })?;
/// # Ok(())
/// # }
/// ```
fn a_callback_cannot_push_its_message_into_a_list() {}

/// A callback on a thread pushes the message into a list.
///
/// ```compile_fail,E0521
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node, ThreadSubscriber};
/// # fn subscribe(node: &Node) -> Result<ThreadSubscriber, CreateError> {
/// let mut kept = Vec::new();
/// node.subscriber::<ImageMessage>("/cam").on_thread(move |image, _| {
///     kept.push(image);
/// })
/// # }
/// ```
///
/// ```no_run
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node, ThreadSubscriber};
/// # fn subscribe(node: &Node) -> Result<ThreadSubscriber, CreateError> {
/// let mut kept = Vec::new();
/// node.subscriber::<ImageMessage>("/cam").on_thread(move |image, _| {
///     kept.push(image.encoding.to_owned());
/// })
/// # }
/// ```
fn a_thread_callback_cannot_push_its_message_into_a_list() {}

/// A callback sends the message through a channel.
///
/// ```compile_fail,E0521
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node};
/// # fn subscribe(node: &Node) -> Result<(), CreateError> {
/// let (sender, _receiver) = std::sync::mpsc::channel();
/// node.subscriber::<ImageMessage>("/cam").on_message(async move |image, _| {
///     let _ = sender.send(image);
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node};
/// # fn subscribe(node: &Node) -> Result<(), CreateError> {
/// let (sender, _receiver) = std::sync::mpsc::channel();
/// node.subscriber::<ImageMessage>("/cam").on_message(async move |image, _| {
///     let _ = sender.send(image.encoding.to_owned());
/// })?;
/// # Ok(())
/// # }
/// ```
fn a_callback_cannot_send_its_message_through_a_channel() {}

/// A callback moves the message into a task of tokio.
///
/// ```compile_fail,E0521
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node};
/// # fn subscribe(node: &Node) -> Result<(), CreateError> {
/// node.subscriber::<ImageMessage>("/cam").on_message(async |image, _| {
///     tokio::spawn(async move { println!("{}", image.encoding) });
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{CreateError, Node};
/// # fn subscribe(node: &Node) -> Result<(), CreateError> {
/// node.subscriber::<ImageMessage>("/cam").on_message(async |image, _| {
///     let encoding = image.encoding.to_owned();
///     tokio::spawn(async move { println!("{encoding}") });
/// })?;
/// # Ok(())
/// # }
/// ```
fn a_callback_cannot_move_its_message_into_a_task() {}

/// A function returns the message of a sample that it drops.
///
/// ```compile_fail,E0515
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{ReceiveError, Subscriber};
/// fn last_of(
///     frames: &mut Subscriber<ImageMessage<'static>>,
/// ) -> Result<ImageMessage<'static>, ReceiveError> {
///     let sample = frames.blocking_recv()?;
///     Ok(sample.message()?)
/// }
/// ```
///
/// ```no_run
/// # use cortex_std::wire::ImageMessage;
/// # use cortex_std::{ReceiveError, Subscriber};
/// fn last_of(frames: &mut Subscriber<ImageMessage<'static>>) -> Result<String, ReceiveError> {
///     let sample = frames.blocking_recv()?;
///     Ok(sample.message()?.encoding.to_owned())
/// }
/// ```
fn a_message_cannot_outlive_its_sample() {}
