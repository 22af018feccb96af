//! How malloc treats large blocks.
//!
//! libzmq allocates every frame, and glibc gives blocks of a megabyte back to the system as soon as
//! they are freed: the next frame then costs a page fault for every 4 KiB of it, more than copying it.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::mutex::Mutex;

/// Set to `default`, it leaves malloc as it is.
const SWITCH: &str = "CORTEX_MALLOC";
/// glibc's settings; a process that sets one has chosen its own thresholds.
const CHOSEN: [&str; 3] = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"];

/// Keeps freed blocks mapped, for the next frame: those of up to 32 MiB each, and up to 128 MiB in each
/// of malloc's arenas. Once for each process, which it concerns as a whole.
pub(super) fn keep_blocks_mapped() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let is_default = std::env::var_os(SWITCH).is_some_and(|value| value == "default");
        if is_default || CHOSEN.iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        let is_set = set();
        IS_SET.store(is_set, Ordering::Relaxed);
        if !is_set {
            tracing::debug!("malloc keeps its own thresholds");
        }
    });
}

/// Whether the thresholds are those of this module.
static IS_SET: AtomicBool = AtomicBool::new(false);

/// Freed bytes at the end of an arena above which glibc gives them back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TRIM_THRESHOLD: libc::c_int = 128 << 20;

/// Whether malloc took it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set() -> bool {
    // The highest that glibc accepts.
    const MMAP_THRESHOLD: libc::c_int = 4 * 1024 * 1024 * size_of::<libc::c_long>() as libc::c_int;
    // SAFETY: sets two numbers under malloc's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD) == 1
            && libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD) == 1
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set() -> bool {
    false
}

/// A mark in the arena of the thread that makes it, from which a long queue is allocated; releasing it once
/// the queue is freed gives the queue's memory back to the system.
///
/// `malloc_trim` alone leaves the free end of each arena but the first mapped. Freeing a large block gives back
/// that of its own arena, beyond the threshold.
#[derive(Debug)]
pub(crate) struct ArenaMark {
    block: Vec<u8>,
}

impl ArenaMark {
    /// glibc looks at an arena's end when a block of 64 KiB or more is freed.
    const LEN: usize = 128 * 1024;

    /// A mark in the arena of this thread; its memory is not touched.
    pub(crate) fn new() -> Self {
        Self { block: Vec::with_capacity(Self::LEN) }
    }

    /// Gives freed blocks of the arena, and of all others as far as possible, back to the system.
    pub(crate) fn release(self) {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        {
            static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
            let _guard = ONE_AT_A_TIME.lock();
            let is_set = IS_SET.load(Ordering::Relaxed);
            let limit = |bytes: libc::c_int| {
                if is_set {
                    // SAFETY: sets a number under malloc's own lock.
                    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, bytes) };
                }
            };
            limit(0);
            drop(self.block);
            limit(TRIM_THRESHOLD);
            // SAFETY: unmaps free pages under malloc's own locks.
            unsafe { libc::malloc_trim(0) };
        }
        #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
        drop(self.block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes of this process that are in memory.
    fn resident_kb() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    #[test]
    fn a_queue_of_any_thread_is_given_back() {
        const LEN: usize = 1 << 20;
        const COUNT: usize = 64;
        keep_blocks_mapped();
        if !IS_SET.load(Ordering::Relaxed) {
            println!("another malloc than glibc's, or other thresholds: nothing to see");
            return;
        }
        // This thread's arena is not the first one.
        let mark = ArenaMark::new();
        let queue: Vec<_> = (0..COUNT).map(|_| std::hint::black_box(vec![1_u8; LEN])).collect();
        let held = resident_kb();
        std::thread::spawn(move || drop(queue)).join().unwrap();
        mark.release();
        // Other tests allocate meanwhile.
        let given_back = held.saturating_sub(resident_kb());
        assert!(given_back > (COUNT * LEN / 1024 / 2) as u64, "{given_back} kB of {held}");
    }

    /// Page faults of this thread that needed no disk.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        after_name.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn a_block_that_was_freed_is_mapped_when_it_is_allocated_again() {
        if !set() {
            println!("another malloc than glibc's: nothing to see");
            return;
        }
        const LEN: usize = 8 << 20;
        let fill = || drop(std::hint::black_box(vec![1_u8; LEN]));
        fill();
        let before = faults();
        (0..10).for_each(|_| fill());
        let pages = (LEN / 4096) as u64;
        let count = faults() - before;
        assert!(count < pages, "{count} faults for 10 blocks of {pages} pages");
    }
}
