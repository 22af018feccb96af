//! ZMTP 3.1 by its description: the whole stream at once.

/// Ours, and what a peer's must look like but for the versions.
pub const GREETING: &[u8; 64] =
    b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The socket type of our end, and the topic of a publisher.
pub type Role = (&'static str, &'static str);

/// What a connection does with a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Done {
    /// Its events.
    pub events: Vec<Happened>,
    /// The bytes that it writes.
    pub out: Vec<u8>,
    /// The name of the error that ended it, and the bytes up to it.
    pub error: Option<(&'static str, u64)>,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// The handshake is done.
    Ready,
    /// A message.
    Message(Vec<Vec<u8>>),
    /// A message that needs so many bytes of buffer.
    TooLong(u64),
    /// One subscription more.
    Subscribed,
    /// One subscription less.
    Cancelled,
}

/// The flags, the body and the bytes after a frame that is there as a whole.
pub fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (flags, rest) = bytes.split_first()?;
    let (len, rest) = if flags & 2 == 0 {
        (usize::from(*rest.first()?), &rest[1..])
    } else {
        (usize::try_from(u64::from_be_bytes(rest.get(..8)?.try_into().ok()?)).ok()?, &rest[8..])
    };
    Some((*flags, rest.get(..len)?, &rest[len..]))
}

/// What a connection with a buffer of `capacity` bytes does.
pub fn receive(role: Role, capacity: usize, input: &[u8]) -> Done {
    let mut done = Done { out: GREETING.to_vec(), ..Done::default() };
    for (at, byte) in input.iter().take(64).enumerate() {
        let wrong = match at {
            0 if *byte != 0xff => "Signature",
            9 if *byte != 0x7f => "Signature",
            10 if *byte < 3 => "Version",
            12..32 if *byte != GREETING[at] => "Mechanism",
            _ => continue,
        };
        done.error = Some((wrong, at as u64 + 1));
        return done;
    }
    let Some(mut rest) = input.get(64..) else { return done };
    let ready = [&b"\x05READY\x0bSocket-Type\0\0\0"[..], &[role.0.len() as u8], role.0.as_bytes()];
    let ready = ready.concat();
    done.out.extend([4, ready.len() as u8]);
    done.out.extend(ready);

    let mut state = State { role, is_ready: false, subscriptions: 0 };
    let mut message: Vec<Vec<u8>> = Vec::new();
    let mut needed: Option<u64> = None;
    let used =
        |message: &[Vec<u8>]| message.iter().map(|frame| frame.len() as u64 + 4).sum::<u64>();
    while let Some(flags) = rest.first() {
        let at = (input.len() - rest.len()) as u64;
        if !matches!(flags, 0 | 1 | 2 | 3 | 4 | 6) {
            done.error = Some(("Flags", at + 1));
            return done;
        }
        let is_command = flags & 4 != 0;
        if !state.is_ready && !is_command {
            done.error = Some(("Handshake", at + 1));
            return done;
        }
        // The length, which is judged before the body is there.
        let head = if flags & 2 == 0 { 2 } else { 9 };
        let Some(len) = rest.get(1..head) else { break };
        let len = len.iter().fold(0_u64, |len, byte| len << 8 | u64::from(*byte));
        let total = used(&message).saturating_add(4).saturating_add(len);
        let fits = total <= capacity as u64;
        if !fits && !state.is_ready {
            done.error = Some(("HandshakeLength", at + head as u64));
            return done;
        }
        let Some((flags, body, behind)) = frame(rest) else { break };
        rest = behind;
        let end = (input.len() - rest.len()) as u64;
        if is_command {
            if fits && let Err(wrong) = command(body, &mut state, &mut done) {
                done.error = Some((wrong, end));
                return done;
            }
            continue;
        }
        if role.0 == "PUB" {
            let body = if fits { body } else { &[] };
            match body.split_first() {
                Some((1, prefix)) => state.subscribe(prefix, true, &mut done),
                Some((0, prefix)) => state.subscribe(prefix, false, &mut done),
                _ => {}
            }
            continue;
        }
        match needed {
            Some(before) => needed = Some(before.saturating_add(len + 4)),
            None if fits => message.push(body.to_vec()),
            None => needed = Some(used(&message) + len + 4),
        }
        if flags & 1 != 0 {
            continue;
        }
        let mut whole = std::mem::take(&mut message);
        if let Some(len) = needed.take() {
            done.events.push(Happened::TooLong(len));
            continue;
        }
        if role.0 == "REQ" {
            if whole.len() < 2 || !whole[0].is_empty() {
                done.error = Some(("Delimiter", end));
                return done;
            }
            whole.remove(0);
        }
        done.events.push(Happened::Message(whole));
    }
    done
}

struct State {
    role: Role,
    is_ready: bool,
    subscriptions: u32,
}

impl State {
    fn subscribe(&mut self, prefix: &[u8], is_new: bool, done: &mut Done) {
        let (kind, topic) = self.role;
        if kind != "PUB" || !topic.as_bytes().starts_with(prefix) {
            return;
        }
        if is_new {
            self.subscriptions += 1;
            done.events.push(Happened::Subscribed);
        } else if self.subscriptions > 0 {
            self.subscriptions -= 1;
            done.events.push(Happened::Cancelled);
        }
    }
}

/// Bytes behind a length of one byte, and the rest.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    Some((rest.get(..usize::from(*len))?, &rest[usize::from(*len)..]))
}

fn command(body: &[u8], state: &mut State, done: &mut Done) -> Result<(), &'static str> {
    let (name, data) = short(body).ok_or("Command")?;
    let text = String::from_utf8_lossy(name).into_owned();
    match &text[..] {
        "READY" => {
            let mut kind = Vec::new();
            let mut rest = data;
            while !rest.is_empty() {
                let (name, behind) = short(rest).ok_or("Command")?;
                let len = behind.get(..4).ok_or("Command")?;
                let len = u32::from_be_bytes(len.try_into().expect("four")) as usize;
                let value = behind[4..].get(..len).ok_or("Command")?;
                if name.eq_ignore_ascii_case(b"socket-type") {
                    kind = value.to_vec();
                }
                rest = &behind[4 + len..];
            }
            if state.is_ready {
                return Err("Handshake");
            }
            let peers: [&[u8]; 2] = match state.role.0 {
                "PUB" => [b"SUB", b"XSUB"],
                "SUB" => [b"PUB", b"XPUB"],
                _ => [b"REP", b"ROUTER"],
            };
            if !peers.contains(&&kind[..]) {
                return Err("SocketType");
            }
            state.is_ready = true;
            done.events.push(Happened::Ready);
        }
        "ERROR" => return Err("Refused"),
        "PING" => {
            let context = data.get(2..).filter(|context| context.len() <= 16).ok_or("Command")?;
            if !state.is_ready {
                return Err("Handshake");
            }
            done.out.extend([4, context.len() as u8 + 5]);
            done.out.extend(b"\x04PONG");
            done.out.extend(context);
        }
        _ if !state.is_ready => return Err("Handshake"),
        "SUBSCRIBE" => state.subscribe(data, true, done),
        "CANCEL" => state.subscribe(data, false, done),
        _ => {}
    }
    Ok(())
}
