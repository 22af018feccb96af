//! The minimum for a machine in a graph: discover, publish, subscribe.
//! `ci/arm.sh` runs it on other architectures, where nothing but cortex-std is needed.

use std::time::{Duration, Instant};

use cortex_std::discovery::{Client, Daemon};
use cortex_std::wire::{ArrayView, ImageMessage, IntMessage};
use cortex_std::{Node, Publisher, Registration, Subscriber};

const DEADLINE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn connect<M: cortex_std::wire::Message + 'static, N>(
    subscriber: &mut Subscriber<M>,
    publisher: &Publisher<N>,
) {
    wait_until("the subscriber is connected", || {
        assert!(subscriber.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        publisher.subscriber_count() > 0
    });
}

#[test]
fn nodes_find_each_other_and_messages_arrive_in_order_and_equal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for address in [
        format!("ipc://{}/discovery.sock", folder.path().display()),
        "tcp://127.0.0.1:0".to_owned(),
    ] {
        let daemon = Daemon::bind(&address).expect("it binds").spawn().expect("it starts");
        let address = daemon.address().to_owned();
        let node = |name| Node::builder(name).discovery(&address).create().expect("a node");
        let (camera, viewer) = (node("camera"), node("viewer"));
        let frames = camera.publisher::<ImageMessage>("/cam").create().expect("it binds");
        let numbers = camera.publisher::<IntMessage>("/number").create().expect("it binds");
        let mut images = viewer.subscriber::<ImageMessage>("/cam").create().expect("it starts");
        let mut integers = viewer.subscriber::<IntMessage>("/number").create().expect("it starts");
        wait_until("both are registered", || {
            [frames.registration(), numbers.registration()]
                .iter()
                .all(|state| *state == Registration::Registered)
        });
        let mut client = Client::connect(&address, DEADLINE).expect("a client");
        let topics = client.list().expect("an answer");
        let mut names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["/cam", "/number"]);

        connect(&mut images, &frames);
        connect(&mut integers, &numbers);
        for number in 0..100_u8 {
            let pixels = [number; 4 * 6 * 3];
            let data = ArrayView::from_slice(&pixels, &[4, 6, 3]).expect("it fits");
            frames.publish(&ImageMessage::new(data, "rgb8")).expect("it is sent");
            numbers.publish(&IntMessage { data: number.into() }).expect("it is sent");
            let sample = images.recv_timeout(DEADLINE).expect("no error").expect("in time");
            let image = sample.message().expect("an image");
            assert_eq!((image.width, image.height, image.encoding), (6, 4, "rgb8"));
            assert_eq!(image.data.data(), [number; 4 * 6 * 3]);
            assert_eq!(sample.header().sequence, u64::from(number));
            let sample = integers.recv_timeout(DEADLINE).expect("no error").expect("in time");
            assert_eq!(sample.message().expect("a number").data, number.into());
        }
    }
}
