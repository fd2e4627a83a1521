//! Tasks of this repository. `cargo xtask` alone lists them.

mod bundles;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const CHORES: &str = "Usage: cargo xtask <chore>

  bundles   fetch the locked browser bundles from npm and unpack them into web/bundles/";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1);
    let outcome = match chore.as_deref() {
        Some("bundles") => bundles::unpack_locked(&repository_root()),
        _ => Err(anyhow::anyhow!("no such chore\n\n{CHORES}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies one level below the root").to_owned()
}
