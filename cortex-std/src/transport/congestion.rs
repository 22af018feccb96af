//! Congestion over every transport: what a subscriber lost and what its publisher says.

use std::time::{Duration, Instant};

use super::contract::{PATIENCE, recv, with_each};
use super::socket::{Part, Sent};

#[test]
fn each_message_that_a_stuck_subscriber_loses_is_reported() {
    with_each(10, |mut fixture| {
        let mut stuck = fixture.subscriber(1);
        let body = vec![1; 100_000];
        let (mut delivered, mut congested) = (0_u32, 0_u32);
        while congested < 100 {
            let mut parts = [Part::Copy(b"/t"), Part::Copy(&body)];
            match fixture.publisher.send(&mut parts).unwrap() {
                Sent::Delivered => delivered += 1,
                Sent::Congested => congested += 1,
            }
        }
        // What was reported as queued arrives, and nothing else.
        for _ in 0..delivered {
            assert_eq!(recv(&mut *stuck).frame(1), Some(&body[..]));
        }
        // libzmq notices that there is room after a moment.
        let deadline = Instant::now() + PATIENCE;
        let mut is_sent = |number: &u8| {
            let mut parts = [Part::Copy(b"/t"), Part::Copy(std::slice::from_ref(number))];
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
            fixture.publisher.send(&mut parts).unwrap() == Sent::Delivered
        };
        let first = (0..u8::MAX).cycle().find(|number| is_sent(number)).unwrap();
        assert_eq!(recv(&mut *stuck).frame(1), Some(&[first][..]));
    });
}
