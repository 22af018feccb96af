//! The ways of publishing: timestamps of the caller, closures that fail.

use std::sync::Arc;
use std::time::Duration;

use cortex_std::wire::{ArrayMessage, ArrayView, StringMessage};
use cortex_std::{PublishError, Published, RegistrationError};
use cortex_tests::DEADLINE;
use cortex_tests::graph::{Folder, connect, daemon, guest, node};

fn message(data: ArrayView<'_>) -> ArrayMessage<'_> {
    ArrayMessage { data, name: "", frame_id: "" }
}

fn view(bytes: &[u8]) -> ArrayMessage<'_> {
    message(ArrayView::from_slice(bytes, &[2000]).expect("it fits"))
}

#[test]
fn a_closure_that_fails_sends_nothing_and_uses_no_sequence_number() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let arrays = node.publisher::<ArrayMessage>("/a").create().expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/a").create().expect("a subscriber");
    connect(&mut seen, &arrays, 1);
    let send = |shape: &[usize]| {
        arrays.try_publish_from(Arc::new(vec![7_u8; 2000]), |bytes| {
            let data = ArrayView::from_slice(bytes, shape)?;
            Ok(ArrayMessage { data, name: "", frame_id: "" })
        })
    };
    assert!(matches!(send(&[3000]), Err(PublishError::Array(_))));
    let other = arrays.try_publish_from(Arc::new(()), |()| Err(PublishError::other("no picture")));
    assert_eq!(other.expect_err("it fails").to_string(), "no picture");
    assert_eq!(send(&[2000]).expect("it is published"), Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.header().sequence, 0);
    assert_eq!(sample.message().expect("it was checked").data.data(), [7; 2000]);
}

#[test]
fn the_timestamp_of_the_caller_arrives_in_every_form_of_publishing() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let arrays = node.publisher::<ArrayMessage>("/a").create().expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/a").create().expect("a subscriber");
    connect(&mut seen, &arrays, 1);
    let owner = Arc::new(vec![7_u8; 2000]);
    let loan = || arrays.loan::<u8>(&[2000]).expect("memory");
    let sent = [
        arrays.publish_at(5, &view(&owner)),
        arrays.at(4).publish(&view(&owner)),
        arrays.at(3).publish_from(Arc::clone(&owner), |bytes| view(bytes)),
        arrays.at(2).try_publish_from(Arc::clone(&owner), |bytes| Ok(view(bytes))),
        loan().publish_at(1, message),
        loan().publish(message),
    ];
    let outcomes = sent.map(|sent| sent.expect("it is published"));
    assert_eq!(outcomes, [Published::Sent; 6]);
    let mut next = || {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        (sample.header().sequence, sample.header().timestamp_ns)
    };
    assert_eq!([(); 5].map(|()| next()), [(0, 5), (1, 4), (2, 3), (3, 2), (4, 1)]);
    assert!(next().1 > 1_700_000_000_000_000_000, "the time of the call");
}

#[tokio::test]
async fn waiting_for_the_registration_tells_success_refusal_timeout_and_the_end_of_the_node() {
    let folder = Folder::new();
    let [first, second] = ["first", "second"].map(|name| guest(&folder, name));
    let ours = first.publisher::<StringMessage>("/t").create().expect("it binds");
    let timed_out = Err(RegistrationError::TimedOut);
    assert_eq!(ours.blocking_wait_registered(Duration::ZERO), timed_out);
    assert_eq!(ours.wait_registered(Duration::from_millis(5)).await, timed_out);
    let _daemon = daemon(&folder);
    ours.wait_registered(DEADLINE).await.expect("it is registered");
    ours.blocking_wait_registered(Duration::ZERO).expect("it is registered");
    let theirs = second.publisher::<StringMessage>("/t").create().expect("it binds");
    let refused = theirs.wait_registered(DEADLINE).await;
    assert!(matches!(refused, Err(RegistrationError::Refused { .. })), "{refused:?}");
    second.handle().shutdown();
    assert_eq!(theirs.wait_registered(DEADLINE).await, Err(RegistrationError::Closed));
}
