use super::*;
use crate::wire::discovery::RequestExt;

const INFO: TopicInfo<'_> = TopicInfo {
    name: "/t",
    address: "ipc:///tmp/t",
    message_type: "StringMessage",
    fingerprint: 1,
    publisher_node: "a",
};

fn register(info: TopicInfo<'_>) -> Request<'_> {
    Request { topic_info: Some(info), ..Request::new(Command::RegisterTopic) }
}

fn about(command: Command, name: &str) -> Request<'_> {
    Request { topic_name: Some(name), ..Request::new(command) }
}

fn ask<'o>(registry: &mut Registry, request: &Request<'_>, out: &'o mut Vec<u8>) -> Response<'o> {
    let mut body = Vec::new();
    encode_body(&mut body, |out| request.encode(out).map(<[u8]>::len)).unwrap();
    let _ = registry.answer(Instant::now(), Origin::Local, &body, out);
    Response::decode(out).unwrap()
}

#[test]
fn a_topic_is_found_until_it_is_unregistered() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    let response = ask(&mut registry, &register(INFO), out);
    assert_eq!((response.status, response.message), (Status::Ok, "Registered topic: /t"));
    let response = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!(response.topic_info, Some(INFO));
    let response = ask(&mut registry, &Request::new(Command::ListTopics), out);
    assert!(response.topics.into_iter().eq([INFO]));
    assert_eq!(response.topic_info, None);
    let response = ask(&mut registry, &about(Command::UnregisterTopic, "/t"), out);
    assert_eq!(response.status, Status::Ok);
    let response = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!((response.status, response.message), (Status::NotFound, "Topic /t not found"));
    let response = ask(&mut registry, &about(Command::UnregisterTopic, "/t"), out);
    assert_eq!(response.status, Status::NotFound);
}

#[test]
fn a_topic_belongs_to_the_node_that_registered_it() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    ask(&mut registry, &register(INFO), out);
    let other = TopicInfo { publisher_node: "b", ..INFO };
    let response = ask(&mut registry, &register(other), out);
    assert_eq!(response.status, Status::AlreadyExists);
    let moved = TopicInfo { address: "ipc:///tmp/u", ..INFO };
    assert_eq!(ask(&mut registry, &register(moved), out).status, Status::Ok);
    let response = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!(response.topic_info, Some(moved));
    // Who names itself unregisters its own topics only.
    let foreign = Request { topic_info: Some(other), ..about(Command::UnregisterTopic, "/t") };
    assert_eq!(ask(&mut registry, &foreign, out).status, Status::NotFound);
    assert_eq!(registry.topic_count(), 1);
}

#[test]
fn malformed_requests_are_answered_with_error() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    for body in [&b""[..], b"\xc1", b"\x80", b"garbage", b"\x81\xa7command\x2a"] {
        assert_eq!(registry.answer(Instant::now(), Origin::Local, body, out), Verdict::Continue);
        let response = Response::decode(out).unwrap();
        assert_eq!(response.status, Status::Error);
        assert!(!response.message.is_empty());
    }
    for command in [Command::RegisterTopic, Command::LookupTopic, Command::UnregisterTopic] {
        assert_eq!(ask(&mut registry, &Request::new(command), out).status, Status::Error);
    }
}

#[test]
fn shutdown_is_obeyed_over_a_unix_socket_and_refused_over_tcp() {
    let mut body = [0; 64];
    let body = Request::new(Command::Shutdown).encode(&mut body).unwrap();
    let mut out = Vec::new();
    let mut registry = Registry::new(1);
    let now = Instant::now();
    assert_eq!(registry.answer(now, Origin::Remote, body, &mut out), Verdict::Continue);
    assert_eq!(Response::decode(&out).unwrap().status, Status::Error);
    assert_eq!(registry.answer(now, Origin::Local, body, &mut out), Verdict::Shutdown);
    assert_eq!(Response::decode(&out).unwrap().status, Status::Ok);
}

fn with(request: Request<'_>, ext: RequestExt) -> Request<'_> {
    Request { ext, ..request }
}

const SHARED: RequestExt = RequestExt { layout: Some(9), lease_ms: None, shared: true };

#[test]
fn a_shared_topic_has_several_publishers() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    let other = TopicInfo { publisher_node: "b", address: "ipc:///tmp/b", ..INFO };
    let ok = |registry: &mut Registry, request: Request<'_>, out: &mut Vec<u8>| {
        assert_eq!(ask(registry, &request, out).status, Status::Ok);
    };
    ok(&mut registry, with(register(INFO), SHARED), out);
    let alone = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!((alone.topic_info, alone.topics.len()), (Some(INFO), 0));
    // All or none.
    let response = ask(&mut registry, &register(other), out);
    assert_eq!(response.status, Status::AlreadyExists);
    ok(&mut registry, with(register(other), SHARED), out);
    let response = ask(&mut registry, &register(INFO), out);
    assert_eq!(response.status, Status::AlreadyExists);
    let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!((found.topic_info, found.ext.layout), (Some(INFO), Some(9)));
    assert!(found.topics.into_iter().eq([INFO, other]));
    // Python sees one of them.
    let listed = ask(&mut registry, &Request::new(Command::ListTopics), out);
    assert!(listed.topics.into_iter().eq([INFO]));
    // A renewed registration keeps its place; an unregistered one leaves the others.
    let moved = TopicInfo { address: "ipc:///tmp/c", ..INFO };
    ok(&mut registry, with(register(moved), SHARED), out);
    let named = |info| Request { topic_info: Some(info), ..about(Command::UnregisterTopic, "/t") };
    assert_eq!(ask(&mut registry, &named(INFO), out).status, Status::NotFound);
    let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert!(found.topics.into_iter().eq([moved, other]));
    ok(&mut registry, named(moved), out);
    let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!((found.topic_info, found.topics.len()), (Some(other), 0));
    // Who names the topic alone means all of it.
    ok(&mut registry, with(register(INFO), SHARED), out);
    ok(&mut registry, about(Command::UnregisterTopic, "/t"), out);
    assert_eq!(registry.topic_count(), 0);
}

#[test]
fn a_lease_ends_unless_it_is_renewed_and_only_for_who_asked_for_one() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let leased = RequestExt { lease_ms: Some(1000), ..RequestExt::default() };
    let python = TopicInfo { name: "/python", ..INFO };
    let mut tell = |registry: &mut Registry, now, request: &Request<'_>| {
        let mut body = Vec::new();
        encode_body(&mut body, |out| request.encode(out).map(<[u8]>::len)).unwrap();
        let _ = registry.answer(now, Origin::Remote, &body, out);
    };
    tell(&mut registry, at(0), &with(register(INFO), leased));
    tell(&mut registry, at(0), &register(python));
    assert_eq!(registry.expire(at(999)), 0);
    tell(&mut registry, at(999), &with(register(INFO), leased));
    assert_eq!((registry.expire(at(1998)), registry.topic_count()), (0, 2));
    registry.extend_leases(Duration::from_secs(1));
    assert_eq!((registry.expire(at(2998)), registry.topic_count()), (0, 2));
    assert_eq!((registry.expire(at(2999)), registry.topic_count()), (1, 1));
    assert_eq!(registry.expire(at(1_000_000_000)), 0);
    // Said again without a lease, it stays.
    tell(&mut registry, at(0), &with(register(INFO), leased));
    tell(&mut registry, at(1), &register(INFO));
    assert_eq!((registry.expire(at(1_000_000_000)), registry.topic_count()), (0, 2));
}

#[test]
fn a_hundred_thousand_malformed_requests_are_answered_and_change_nothing() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    ask(&mut registry, &register(INFO), out);
    let mut good = Vec::new();
    let request = with(register(INFO), SHARED);
    encode_body(&mut good, |out| request.encode(out).map(<[u8]>::len)).unwrap();
    // Xorshift: the same bytes each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let now = Instant::now();
    for round in 0..100_000 {
        let mut body = good.clone();
        match round % 3 {
            // Cut off, so never whole.
            0 => body.truncate(random(good.len())),
            // A marker that is none in front, or something behind the end.
            1 => body.insert(if random(2) == 0 { 0 } else { body.len() }, 0xc1),
            _ => {
                body = (0..random(64)).map(|_| random(256) as u8).collect();
                body.push(0xc1);
            }
        }
        let origin = if round % 2 == 0 { Origin::Local } else { Origin::Remote };
        assert_eq!(registry.answer(now, origin, &body, out), Verdict::Continue, "{body:x?}");
        let response = Response::decode(out).unwrap();
        assert_eq!(response.status, Status::Error, "{body:x?}");
    }
    let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
    assert_eq!((found.topic_info, found.ext.layout), (Some(INFO), None));
    assert_eq!(registry.topic_count(), 1);
}

#[test]
fn texts_that_are_too_long_are_refused() {
    let mut registry = Registry::new(1);
    let out = &mut Vec::new();
    let long = &*"x".repeat(MAX_TEXT_LEN + 1);
    for info in [
        TopicInfo { name: "", ..INFO },
        TopicInfo { name: long, ..INFO },
        TopicInfo { address: long, ..INFO },
        TopicInfo { message_type: long, ..INFO },
        TopicInfo { publisher_node: long, ..INFO },
    ] {
        assert_eq!(ask(&mut registry, &register(info), out).status, Status::Error);
    }
    assert_eq!(registry.topic_count(), 0);
}
