//! The local transport: ZMTP 3.1 over unix sockets, without libzmq and its I/O threads.
//!
//! It listens at the same socket files and sends the same bytes as libzmq, so a libzmq peer connects to a
//! publisher here and a subscriber here connects to a libzmq publisher; neither sees a difference.
//!
//! ```text
//! publishing thread   encodes once, writes to each subscriber (one system call each)
//!                     what the kernel does not accept waits in the subscriber's backlog
//! receiving thread    waits at its connections, reads, parses: many messages from one read
//! event thread        one for each process: accepts, handshakes, reads subscriptions, answers PING,
//!                     writes backlogs when the kernel has room, sends the end of a burst, reconnects
//! ```
//!
//! For one message one thread is woken: the receiving one.
//!
//! **Coalescing.** Messages of up to 16 KiB that follow each other within 5 us share a write after the
//! 16th, up to 64 KiB or 50 us; the event thread sends the rest of a burst. A message after a pause leaves
//! at once.
//!
//! **Waiting for the reader.** What the kernel does not accept at once is written while the subscribers
//! read, and copied to their backlogs once none has read for 200 us: always where more than a mebibyte is
//! left, and for a publisher with `block_for` in any case. So a steady reader costs one copy by the kernel
//! and no work of the event thread.
//!
//! **Shared memory.** Between two Cortex peers arrays of 64 KiB and more are lent ([`sharing`]); the message
//! itself is then a small one.
//!
//! **Alignment.** Bodies of more than 255 bytes are aligned to 8 bytes, large ones to 64.
//!
//! **Introductions.** READY has properties that only Cortex peers know ([`inbound`], [`report`]); the wire
//! reference lists them.
//!
//! **Queues.** A subscriber whose user chose the length of its queue tells it in READY (`X-Cortex-Queue`).
//! The publisher keeps at most that many messages for it, sizes the kernel's buffer to about as many, and
//! drops further messages for this subscriber alone. Every other peer gets the publisher's own high-water
//! mark.

mod admission;
mod backlog;
mod batch;
mod client;
mod connector;
mod encoder;
mod handshake;
pub(super) mod hub;
mod inbound;
mod incoming;
pub(crate) mod inquiry;
mod leases;
mod lending;
mod listener;
pub(super) mod message;
mod peer;
mod peers;
pub(super) mod publisher;
mod reader;
pub(super) mod reply;
mod report;
#[cfg(any(test, fuzzing))]
pub(crate) mod session;
mod sharing;
#[cfg(any(test, fuzzing))]
mod simulation;
mod stream;
pub(super) mod subscriber;
mod subscriptions;
