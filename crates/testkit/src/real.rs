//! The real Kubernetes components: where they are, and that they are there.
//!
//! `cargo xtask real` builds them into `target/real/bin` from the pinned Go
//! modules in `crates/testkit/real`; tests only look them up.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("."))
}

/// The folder all build output goes to.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// The path of a real component, such as `kube-apiserver`.
///
/// # Errors
///
/// When it has not been built, naming the command that builds it.
pub fn component(name: &str) -> Result<PathBuf> {
    let path = target().join("real/bin").join(name);
    if !path.is_file() {
        bail!(
            "{} is missing; `cargo xtask real` builds it",
            path.display()
        );
    }
    Ok(path)
}

/// The Python that has the official Kubernetes client.
///
/// # Errors
///
/// When it has not been installed, naming the command that installs it.
pub fn python() -> Result<PathBuf> {
    let path = target().join("real/python/bin/python");
    if !path.is_file() {
        bail!(
            "{} is missing; `cargo xtask real` installs it",
            path.display()
        );
    }
    Ok(path)
}

/// The path of one of Drover's own binaries (`drover`, `drover-agent`).
///
/// # Errors
///
/// When it has not been built, naming the command that builds it.
pub fn product(name: &str) -> Result<PathBuf> {
    let profile = std::env::var("DROVER_TEST_PROFILE").unwrap_or_else(|_| "debug".to_owned());
    let path = target().join(profile).join(name);
    if !path.is_file() {
        bail!(
            "{} is missing; `cargo build --bins` builds it, and `cargo xtask test` does so by itself",
            path.display()
        );
    }
    Ok(path)
}

/// A TCP port of the loopback address that was free a moment ago. It lies below those that outgoing connections are given
/// (`ip_local_port_range`), so that none of them takes it before it is used, or while what used it is started again, and
/// this process gets each once.
///
/// # Errors
///
/// When no port can be had.
pub fn free_port() -> Result<u16> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Processes that run at once begin far from each other.
    let own = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let next = own.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % COUNT)?;
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context("look for a free port"),
        }
    }
    bail!("no port of {COUNT} from {FIRST} on is free")
}
