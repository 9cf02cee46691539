//! Hands the built kernel object to the compiler; `cargo xtask bpf` builds it.

use std::{env, path::PathBuf, process::exit};

fn main() {
    println!("cargo::rerun-if-env-changed=ETM_BPF_OBJECT");
    // Asked for at run time: a build script that checkouts share through one target directory must
    // not remember the checkout that it was compiled in.
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let object = env::var_os("ETM_BPF_OBJECT")
        .map_or_else(|| manifest.join("../../target/bpf/etm.o"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => println!("cargo::rustc-env=ETM_BPF_OBJECT={}", object.display()),
        Err(error) => {
            println!(
                "cargo::error=no kernel object at {}: {error}; build it with `cargo xtask bpf`",
                object.display()
            );
            exit(1);
        }
    }
}
