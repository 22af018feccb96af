//! Checks of this machine: library versions, system limits and the clock.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cortex_std::inspect::Libzmq;
use rustix::process::{Resource, getrlimit};

use super::finding::Finding;

/// File descriptors that a process in a graph of moderate size needs.
const MIN_OPEN_FILES: u64 = 1024;
/// Recommended limit of tcp socket buffers in bytes: about one uncompressed 1080p image.
const MIN_SOCKET_BUFFER: u64 = 4 << 20;
/// The earliest plausible time, 2024-01-01, in seconds since the Unix epoch.
const YEAR_2024: u64 = 1_704_067_200;

pub(super) fn versions() -> Vec<Finding> {
    let libzmq = Libzmq::used();
    let (major, minor, patch) = libzmq.version;
    let names = |can: bool| {
        let names =
            libzmq.capabilities.iter().filter(|(_, has)| *has == can).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(" ")
    };
    let text = format!(
        "cortex {}, libzmq {major}.{minor}.{patch} with {}, without {}",
        env!("CARGO_PKG_VERSION"),
        names(true),
        names(false)
    );
    vec![match libzmq.capabilities.contains(&("ipc", true)) {
        true => Finding::ok("versions", text),
        false => Finding::problem("versions", text, "without ipc, only tcp addresses work"),
    }]
}

/// How long arrays go to subscribers on this machine.
pub(super) fn shared_memory() -> Finding {
    match cortex_std::inspect::shared_memory() {
        Ok(true) => Finding::ok("memory", "long arrays are shared between Cortex nodes in Rust"),
        Ok(false) => Finding::ok("memory", "CORTEX_SHARED_MEMORY=off: nothing is shared"),
        Err(error) => {
            let text = format!("no shared memory: {error}");
            Finding::warning("memory", text, "long arrays go through sockets, which takes longer")
        }
    }
}

pub(super) fn limits() -> Vec<Finding> {
    let mut findings = Vec::new();
    let files = getrlimit(Resource::Nofile);
    let text =
        |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let shown = format!("{} open files per process", text(files.current));
    findings.push(match files.current {
        Some(limit) if limit < MIN_OPEN_FILES => {
            Finding::warning("limits", shown, "each connection needs one: ulimit -n 4096")
        }
        _ => Finding::ok("limits", shown),
    });
    for name in ["wmem_max", "rmem_max"] {
        let read = fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok();
        let Some(limit) = read.and_then(|text| text.trim().parse::<u64>().ok()) else { continue };
        let shown = format!("net.core.{name} is {limit} bytes");
        findings.push(match limit < MIN_SOCKET_BUFFER {
            true => {
                let advice = format!("sufficient on one machine; for large messages over tcp: sysctl -w net.core.{name}={MIN_SOCKET_BUFFER}");
                Finding::warning("limits", shown, &advice)
            }
            false => Finding::ok("limits", shown),
        });
    }
    findings
}

pub(super) fn clock() -> Vec<Finding> {
    let now = SystemTime::now();
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = format!("{} UTC", humantime::format_rfc3339_seconds(now));
    if seconds < YEAR_2024 {
        let advice =
            "the wall clock is wrong, and so are timestamps and delays: set it, or start NTP";
        return vec![Finding::problem("clock", text, advice)];
    }
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = fs::read_to_string(source).unwrap_or_default();
    let source = source.trim();
    if ["hpet", "acpi_pm", "jiffies"].contains(&source) {
        let text = format!("{text}, source {source}");
        return vec![Finding::warning(
            "clock",
            text,
            "reading this clock takes a microsecond: check why the kernel does not use tsc",
        )];
    }
    let is_synchronized = Path::new("/run/systemd/timesync/synchronized").exists();
    let how = if is_synchronized { ", synchronized" } else { "" };
    vec![Finding::ok("clock", format!("{text}{how}"))]
}
