//! Passes the versions of the compiler and of the measured packages to the program.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The measured packages in the workspace's lock file.
const PACKAGES: [&str; 11] = [
    "bitcode",
    "bytemuck",
    "cortex-std",
    "cortex-wire",
    "flatbuffers",
    "planus",
    "postcard",
    "prost",
    "rmp-serde",
    "serde_json",
    "tokio",
];

/// The measured packages in the lock file of `peers-rs`.
const PEERS: [&str; 3] = ["iceoryx2", "zenoh", "zeromq"];

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo names the compiler");
    let version = Command::new(rustc).arg("--version").output().expect("the compiler runs").stdout;
    println!("cargo::rustc-env=CORTEX_BENCH_RUSTC={}", String::from_utf8_lossy(&version).trim());

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CORTEX_BENCH_PACKAGES={}", versions("../Cargo.lock", &PACKAGES));
    println!("cargo::rustc-env=CORTEX_BENCH_PEERS={}", versions("peers-rs/Cargo.lock", &PEERS));
}

/// `name=version` of each package in a lock file, separated by spaces.
fn versions(lock: &str, packages: &[&str]) -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join(lock);
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let found: Vec<_> = packages
        .iter()
        .filter_map(|name| {
            let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
            let (version, _) = rest.split_once('"')?;
            Some(format!("{name}={version}"))
        })
        .collect();
    found.join(" ")
}
