//! Contests: contenders that take turns in rounds.

use std::error::Error;

use crate::bench::Bench;
use crate::check::twin_name;
use crate::peer::{Pair, Receiving, Run, Sending, Setup, Transport};
use crate::suite::{Row, Suite};

/// A contender of the suites that send messages.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) setup: Setup,
}

impl Contender {
    pub(crate) fn new(
        name: &str,
        transport: Transport,
        sending: Sending,
        receiving: Receiving,
        len: usize,
    ) -> Self {
        Self { name: name.into(), setup: Setup::new(transport, sending, receiving, len) }
    }

    /// The contender under another name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// The contender with a changed setup.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.setup);
        self
    }

    /// The contender and its twin.
    pub(crate) fn with_twin(self) -> [Self; 2] {
        let twin = Self { name: twin_name(&self.name), setup: self.setup.clone() };
        [self, twin]
    }
}

/// Measures the contenders of one task in turn, and starts each round with another one. `measure`
/// returns one sample for each column.
pub(crate) fn compete<C>(
    suite: &mut Suite,
    bench: &Bench,
    task: &str,
    mut contenders: Vec<(String, C)>,
    mut measure: impl FnMut(&mut C) -> Result<Vec<f64>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut rows: Vec<_> = contenders
        .iter()
        .map(|(name, _)| Row {
            task: task.into(),
            contender: name.clone(),
            samples: vec![Vec::new(); suite.columns.len()],
        })
        .collect();
    let count = contenders.len();
    for round in 0..bench.effort.rounds as usize {
        for turn in 0..count {
            let index = (turn + round) % count;
            let (name, contender) = &mut contenders[index];
            bench.progress.show(&suite.name, task, name);
            for (samples, sample) in rows[index].samples.iter_mut().zip(measure(contender)?) {
                samples.push(sample);
            }
            bench.progress.step();
        }
    }
    suite.rows.extend(rows);
    Ok(())
}

/// All contenders that send messages of `len` bytes from one process to another, and the twin of
/// `floor`.
pub(crate) fn all_transports(floor: &str, len: usize) -> Vec<Contender> {
    let contender = |name, transport, receiving| {
        // The queue holds at most 64 MiB, and at least the ten messages of the default.
        let queue = u32::try_from((64 << 20) / len).unwrap_or(u32::MAX).clamp(10, 1000);
        Contender::new(name, transport, Sending::Copy, receiving, len)
            .with(|setup| setup.queue = queue)
    };
    let mut contenders = Vec::new();
    contenders.extend(contender(floor, Transport::Libzmq, Receiving::Blocking).with_twin());
    contenders.extend([
        contender("cortex thread", Transport::Cortex, Receiving::Thread),
        contender("cortex async", Transport::Cortex, Receiving::Async),
        contender("cortex blocking", Transport::Cortex, Receiving::Blocking),
        contender("pyzmq asyncio", Transport::Pyzmq, Receiving::Async),
        contender("pyzmq uvloop", Transport::Pyzmq, Receiving::Uvloop),
        contender("zenoh", Transport::Zenoh, Receiving::Thread),
        contender("zeromq.rs", Transport::Zeromq, Receiving::Async),
        contender("iceoryx2", Transport::Iceoryx2, Receiving::Blocking),
        contender("unix socket", Transport::Unix, Receiving::Blocking),
    ]);
    contenders
}

/// Starts a pair of processes for each contender.
pub(crate) fn pairs(contenders: &[Contender]) -> Result<Vec<(String, Pair)>, Box<dyn Error>> {
    contenders
        .iter()
        .map(|contender| Ok((contender.name.clone(), Pair::start(&contender.setup)?)))
        .collect()
}

/// The contenders whose programs are available: without Python, its packages or `peers-rs`, theirs
/// are left out.
pub(crate) fn available(contenders: Vec<Contender>, bench: &Bench) -> Vec<Contender> {
    let is_available = |contender: &Contender| match contender.setup.transport {
        Transport::Pyzmq => bench.has_python,
        Transport::Zenoh | Transport::Zeromq | Transport::Iceoryx2 => bench.has_peers,
        Transport::Cortex | Transport::Libzmq | Transport::Unix => true,
    };
    contenders.into_iter().filter(is_available).collect()
}

/// The number of messages that a pair sends in about `seconds`.
pub(crate) fn messages_in(
    seconds: f64,
    pair: &mut Pair,
    first_guess: u64,
) -> Result<u64, Box<dyn Error>> {
    let mut count = first_guess;
    loop {
        let run = Run { count, warmup: count.div_ceil(4), period_ns: 0, is_timed: false };
        let received = pair.run(run)?.received;
        if received.seconds > seconds / 8.0 || count > 1 << 24 {
            let rate = received.count as f64 / received.seconds.max(1e-9);
            return Ok((rate * seconds).max(4.0) as u64);
        }
        count *= 4;
    }
}
