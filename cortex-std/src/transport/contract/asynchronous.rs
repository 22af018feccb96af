//! The same contract where a task waits.

use super::*;

/// Receives as a subscriber in a runtime does.
struct Receiver {
    readiness: Readiness,
    socket: Box<dyn SubscriberSocket>,
}

impl Receiver {
    async fn recv(&mut self, message: &mut Multipart) {
        while !self.socket.try_recv(message).unwrap() {
            self.readiness.changed().await.unwrap();
        }
    }

    async fn expect(&mut self, message: &mut Multipart, number: u32) {
        let received = tokio::time::timeout(PATIENCE * 3, self.recv(message)).await;
        received.expect("in time");
        assert_eq!(message.frame(1), Some(&number.to_be_bytes()[..]));
    }
}

fn pair(transport: Transport) -> (Fixture, Receiver) {
    let mut fixture = Fixture::new(transport, 0);
    let socket = fixture.subscriber(0);
    let readiness = Readiness::new(socket.events()).unwrap();
    (fixture, Receiver { readiness, socket })
}

fn send(publisher: &mut dyn PublisherSocket, number: u32) {
    let bytes = number.to_be_bytes();
    let mut parts = [Part::Copy(b"/t"), Part::Copy(&bytes)];
    assert_eq!(publisher.send(&mut parts).unwrap(), Sent::Delivered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_async_receive_sees_every_message_in_order() {
    const COUNT: u32 = 50_000;
    for transport in Transport::ALL {
        let (mut fixture, mut subscriber) = pair(transport);
        let sender = std::thread::spawn(move || {
            for number in 0..COUNT {
                send(&mut *fixture.publisher, number);
                // Lets the receiver run dry now and then.
                if number % 97 == 0 {
                    std::thread::yield_now();
                }
            }
            fixture
        });
        let received = tokio::spawn(async move {
            let mut message = Multipart::default();
            for number in 0..COUNT {
                subscriber.expect(&mut message, number).await;
            }
        });
        received.await.unwrap();
        drop(sender.join().unwrap());
    }
}

#[tokio::test]
async fn single_messages_wake_the_receiver_each_time() {
    for transport in Transport::ALL {
        let (mut fixture, mut subscriber) = pair(transport);
        let mut message = Multipart::default();
        for number in 0..2000 {
            send(&mut *fixture.publisher, number);
            subscriber.expect(&mut message, number).await;
        }
    }
}

#[tokio::test]
async fn a_cancelled_receive_loses_nothing() {
    for transport in Transport::ALL {
        let (mut fixture, mut subscriber) = pair(transport);
        let mut message = Multipart::default();
        for number in 0..500 {
            let cancelled =
                tokio::time::timeout(Duration::ZERO, subscriber.recv(&mut message)).await;
            assert!(cancelled.is_err());
            send(&mut *fixture.publisher, number);
            subscriber.expect(&mut message, number).await;
        }
    }
}
