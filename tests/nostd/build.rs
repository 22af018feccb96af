//! Links the program that runs on an emulated board with cortex-m-rt's script.

fn main() {
    if std::env::var_os("CARGO_FEATURE_BOARD").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/firmware");
        println!("cargo:rustc-link-search={folder}");
        println!("cargo:rustc-link-arg-bin=work=-Tlink.x");
        println!("cargo:rustc-link-arg-bin=work=--nmagic");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
