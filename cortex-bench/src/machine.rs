//! The machine and the versions that figures belong to.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

/// Hardware, kernel and versions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) libzmq: String,
    pub(crate) packages: BTreeMap<String, String>,
}

impl Machine {
    /// Reads the properties of this machine.
    pub(crate) fn inspect() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info
            .lines()
            .find_map(|line| line.strip_prefix("model name").or(line.strip_prefix("Model")))
            .map_or("unknown", |value| value.trim_start_matches([':', '\t', ' ']));
        let uname = rustix::system::uname();
        let (major, minor, patch) = zmq::version();
        let memory = rustix::system::sysinfo();
        let packages = env!("CORTEX_BENCH_PACKAGES").split_whitespace().filter_map(|package| {
            package.split_once('=').map(|(name, version)| (name.to_owned(), version.to_owned()))
        });
        Self {
            cpu: cpu.into(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (memory.totalram as u64 * u64::from(memory.mem_unit)) >> 30,
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            rustc: env!("CORTEX_BENCH_RUSTC").into(),
            libzmq: format!("{major}.{minor}.{patch}"),
            packages: packages.collect(),
        }
    }

    /// Adds the version of a program that is not in the workspace's lock file.
    pub(crate) fn add_version(&mut self, name: &str, version: String) {
        self.packages.insert(name.into(), version);
    }
}
