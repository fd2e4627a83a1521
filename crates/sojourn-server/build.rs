//! Makes sure that the folder of browser bundles exists.
//!
//! A build without the bundles is allowed (the server says at start what is
//! missing), but rust-embed refuses to compile against a folder that is not there.

use std::path::Path;

fn main() {
    let bundles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/bundles");
    if let Err(error) = std::fs::create_dir_all(&bundles) {
        panic!("cannot create {}: {error}", bundles.display());
    }
    println!("cargo::rerun-if-changed={}", bundles.display());
}
