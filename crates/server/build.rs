//! Asks the linker for a smaller program, where it knows how.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// A position-independent program has 70,000 relocations, 24 bytes each; packed they need a bit or two each. What starts
/// the program has to know of it, which glibc does from 2.36 on: the program links against the machine's own, so that it
/// is known here.
const PACKED: &str = "-Wl,-z,pack-relative-relocs";
/// Generic code is made once for each type and then often comes out the same. Nothing here tells two functions apart by
/// where they are, which Rust does not promise either; data stays apart.
const FOLDED: &str = "-Wl,--icf=all";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let native = env::var("HOST")? == env::var("TARGET")?;
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ENV", "gnu") && native {
        for argument in [PACKED, FOLDED] {
            if links_with(argument)? {
                println!("cargo::rustc-link-arg-bins={argument}");
            }
        }
    }
    Ok(())
}

/// Whether a program linked with this argument runs.
fn links_with(argument: &str) -> Result<bool, Box<dyn Error>> {
    let folder = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    let (source, program) = (
        Path::new(&folder).join("probe.rs"),
        Path::new(&folder).join("probe"),
    );
    std::fs::write(&source, "fn main() {}\n")?;
    let mut rustc = Command::new(env::var_os("RUSTC").ok_or("no RUSTC")?);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let compiled = rustc
        .args(flags.split('\x1f').filter(|flag| !flag.is_empty()))
        .arg(format!("-Clink-arg={argument}"))
        .arg("-o")
        .args([&program, &source])
        .output()?;
    Ok(compiled.status.success()
        && Command::new(&program)
            .status()
            .is_ok_and(|ran| ran.success()))
}
