//! How malloc treats large blocks.
//!
//! libzmq allocates every frame, and glibc gives blocks of a megabyte back to the system as soon as
//! they are freed: the next frame then costs a page fault for every 4 KiB of it, more than copying it.

use std::sync::Once;

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
        if !set() {
            tracing::debug!("malloc keeps its own thresholds");
        }
    });
}

/// Whether malloc took it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set() -> bool {
    // The highest that glibc accepts.
    const MMAP_THRESHOLD: libc::c_int = 4 * 1024 * 1024 * size_of::<libc::c_long>() as libc::c_int;
    const TRIM_THRESHOLD: libc::c_int = 128 << 20;
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

/// Gives freed blocks back to the system; for the moment after which a long queue was freed.
pub(crate) fn release_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: unmaps free pages under malloc's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
