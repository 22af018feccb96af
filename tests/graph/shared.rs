//! Topics that several nodes publish on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cortex_std::discovery::Client;
use cortex_std::wire::StringMessage;
use cortex_std::{Node, Published, Publisher, Queue, Registration, Subscriber};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{DEADLINE, python, wait_until};

type Notes = Publisher<StringMessage<'static>>;
type Reader = Subscriber<StringMessage<'static>>;

fn shared(node: &Node) -> Notes {
    node.publisher::<StringMessage>("/log").queue(0).shared().create().expect("it binds")
}

fn wait_for_registration(publisher: &Notes) {
    wait_until("it is registered", || publisher.registration() == Registration::Registered);
}

/// Receives, and so connects, until each publisher knows of `count` subscribers.
fn connect(reader: &mut Reader, publishers: &[&Notes], count: usize) {
    wait_until("the subscriber is connected to all", || {
        assert!(reader.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        publishers.iter().all(|notes| notes.subscriber_count() >= count)
    });
}

fn publish(publisher: &Notes, data: &str) {
    let sent = publisher.publish(&StringMessage { data }).expect("it is published");
    assert_eq!(sent, Published::Sent);
}

fn receive(reader: &mut Reader) -> (String, u64) {
    let sample = reader.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let message = sample.message().expect("it was checked");
    (message.data.to_owned(), sample.header().sequence)
}

#[test]
fn a_subscriber_receives_from_every_publisher_and_numbers_each_by_itself() {
    const EACH: u64 = 200;
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let nodes = ["a", "b", "c"].map(|name| node(&folder, name));
    let publishers = nodes.each_ref().map(shared);
    publishers.iter().for_each(wait_for_registration);
    let listener = node(&folder, "listener");
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let mut reader = listener
            .subscriber::<StringMessage>("/log")
            .queue(queue)
            .create()
            .expect("a subscriber");
        connect(&mut reader, &publishers.each_ref(), 1);
        assert_eq!(reader.publisher_addresses().len(), 3);
        let begin = publishers[0].stats().published;
        for _ in 0..EACH {
            for (publisher, name) in publishers.iter().zip(["a", "b", "c"]) {
                publish(publisher, name);
            }
        }
        let mut next: HashMap<String, u64> = HashMap::new();
        for _ in 0..3 * EACH {
            let (name, sequence) = receive(&mut reader);
            let expected = next.entry(name).or_insert(begin);
            assert_eq!(sequence, *expected);
            *expected += 1;
        }
        assert_eq!(next.len(), 3);
        let stats = reader.stats();
        assert_eq!((stats.lost, stats.restarted, stats.repeated), (0, 0, 0));
        drop(reader);
        wait_until("it has left", || publishers.iter().all(|notes| notes.subscriber_count() == 0));
    }
}

#[test]
fn a_flood_of_one_publisher_does_not_silence_the_others() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let loud = node(&folder, "loud");
    let calm = node(&folder, "calm");
    let loud_notes = loud.publisher::<StringMessage>("/log").shared().create().expect("it binds");
    let calm_notes = shared(&calm);
    wait_for_registration(&loud_notes);
    wait_for_registration(&calm_notes);
    let listener = node(&folder, "listener");
    let mut reader = listener.subscriber::<StringMessage>("/log").create().expect("a subscriber");
    connect(&mut reader, &[&loud_notes, &calm_notes], 1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                loud_notes.publish(&StringMessage { data: "loud" }).expect("published");
            }
        });
        assert_eq!(receive(&mut reader).0, "loud");
        publish(&calm_notes, "calm");
        let mut heard = 0_u64;
        wait_until("a message of the other one arrives", || {
            heard += 1;
            flood.is_finished() || receive(&mut reader).0 == "calm"
        });
        is_over.store(true, Ordering::Relaxed);
        println!("{heard} messages of the flood came before the other one");
    });
}

#[test]
fn publishers_come_and_go_and_nothing_of_the_others_is_lost() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let steady = node(&folder, "steady");
    let steady_notes = shared(&steady);
    wait_for_registration(&steady_notes);
    let listener = node(&folder, "listener");
    let mut reader =
        listener.subscriber::<StringMessage>("/log").queue(0).create().expect("a subscriber");
    connect(&mut reader, &[&steady_notes], 1);
    for round in 0..4_u64 {
        // The same name at the same address, or another one.
        let name = if round % 2 == 0 { "guest" } else { "stranger" };
        let guest = node(&folder, name);
        let guest_notes = shared(&guest);
        connect(&mut reader, &[&guest_notes], 1);
        publish(&steady_notes, "steady");
        assert_eq!(receive(&mut reader), ("steady".to_owned(), round));
        publish(&guest_notes, name);
        assert_eq!(receive(&mut reader), (name.to_owned(), 0));
    }
    let stats = reader.stats();
    assert_eq!((stats.received, stats.lost), (8, 0));
    // Three newcomers took the place of the guest before them.
    assert_eq!(stats.restarted, 3);
}

#[test]
fn a_topic_is_shared_only_if_every_publisher_shares_it() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let [first, second, third] = ["first", "second", "third"].map(|name| node(&folder, name));
    let ours = shared(&first);
    wait_for_registration(&ours);
    // One that wants it for itself.
    let alone = second.publisher::<StringMessage>("/log").create().expect("it binds");
    wait_until("it is refused", || matches!(alone.registration(), Registration::Refused(_)));
    let also = shared(&third);
    wait_for_registration(&also);
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    let found = client.look_up("/log").expect("an answer").expect("it is there");
    let nodes: Vec<_> = found.publishers.iter().map(|topic| &*topic.publisher_node).collect();
    assert_eq!(nodes, ["first", "third"]);
    assert_eq!(found.topic, found.publishers[0]);
    // It is registered once they are gone, and no other publisher may join it.
    drop(first);
    wait_until("the other one is first", || {
        let found = client.look_up("/log").expect("an answer");
        found.is_some_and(|found| found.topic.publisher_node == "third")
    });
    drop(third);
    wait_until("it is registered", || alone.registration() == Registration::Registered);
    let fourth = node(&folder, "fourth");
    let late = shared(&fourth);
    wait_until("it is refused", || matches!(late.registration(), Registration::Refused(_)));
}

#[test]
fn python_sees_the_first_publisher_of_a_shared_topic() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let [first, second] = ["first", "second"].map(|name| node(&folder, name));
    let first_notes = shared(&first);
    wait_for_registration(&first_notes);
    let second_notes = shared(&second);
    wait_for_registration(&second_notes);
    let discovery = folder.discovery();
    let mut peer = python::peer(
        "subscriber.py",
        "--topic /log --message StringMessage --count 1 --discovery"
            .split(' ')
            .chain([discovery.as_str()]),
    );
    let connected = peer.expect_event("connected");
    assert_eq!(connected["address"], first_notes.address());
    first_notes.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
    publish(&first_notes, "hello");
    let message = peer.expect_event("message");
    assert_eq!(message["fields"][0]["value"]["str"], "hello");
    peer.expect_event("done");
    assert_eq!(second_notes.subscriber_count(), 0);
}

#[tokio::test]
async fn the_async_forms_receive_from_all_as_well() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let nodes = ["a", "b"].map(|name| node(&folder, name));
    let publishers = nodes.each_ref().map(shared);
    publishers.iter().for_each(wait_for_registration);
    let listener = node(&folder, "listener");
    let mut reader = listener.subscriber::<StringMessage>("/log").create().expect("a subscriber");
    let talk = async {
        for publisher in &publishers {
            publisher.wait_for_subscribers(1, DEADLINE).await.expect("a subscriber");
        }
        // One by one: each has to wake the reader, whichever socket it comes through.
        for round in 0..100 {
            publish(&publishers[round % 2], &round.to_string());
            tokio::task::yield_now().await;
        }
    };
    let listen = async {
        let mut heard = Vec::new();
        while heard.len() < 100 {
            let sample = reader.recv().await.expect("no error");
            let message = sample.message().expect("it was checked");
            heard.push(message.data.parse::<u32>().expect("a number"));
        }
        heard.sort_unstable();
        assert!(heard.into_iter().eq(0..100));
    };
    let both = futures_util::future::join(talk, listen);
    tokio::time::timeout(DEADLINE, both).await.expect("in time");
}
