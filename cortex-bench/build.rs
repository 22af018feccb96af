//! Notes the versions that figures belong to.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is measured, where it is in the lock file.
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

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo names the compiler");
    let version = Command::new(rustc).arg("--version").output().expect("the compiler runs").stdout;
    println!("cargo::rustc-env=CORTEX_BENCH_RUSTC={}", String::from_utf8_lossy(&version).trim());

    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let found: Vec<_> = PACKAGES
        .into_iter()
        .filter_map(|name| {
            let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
            let (version, _) = rest.split_once('"')?;
            Some(format!("{name}={version}"))
        })
        .collect();
    println!("cargo::rustc-env=CORTEX_BENCH_PACKAGES={}", found.join(" "));
}
