//! The real Kubernetes components: where they are, and that they are there.
//!
//! `cargo xtask real` builds them into `target/real/bin` from the pinned Go
//! modules in `crates/testkit/real`; tests only look them up.

use std::path::PathBuf;

use anyhow::{Result, bail};

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

/// A TCP port that was free a moment ago on the loopback address.
///
/// # Errors
///
/// When no port can be had.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}
