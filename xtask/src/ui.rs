//! The web UI: built, checked and tested by npm, when something in `ui/` has changed.
//!
//! A stamp names the sources that the last build was made of, so that a second
//! run does nothing. The server takes what is in `ui/dist/app` (`crates/ui`).

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{exists, root, run, say, target};

/// Made, not written.
const MADE: [&str; 2] = ["node_modules", "dist"];

fn folder() -> PathBuf {
    root().join("ui")
}

/// Installs the libraries as the lock file names them.
fn install() -> Result<()> {
    if !exists("npm") {
        bail!("`npm` is not on the PATH; Node.js 20 or newer builds the web UI");
    }
    let lock = fs::read(folder().join("package-lock.json")).context("read ui/package-lock.json")?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&lock);
    let wanted = format!("{:016x}", hasher.finish());
    // Beside what was installed, so that it goes with it.
    let stamp = folder().join("node_modules/.installed-from");
    if stamped(&stamp)? == wanted {
        return Ok(());
    }
    run(
        &folder(),
        "npm",
        &["ci", "--no-audit", "--no-fund", "--loglevel=error"],
        &[],
    )?;
    fs::write(&stamp, wanted).context("write a stamp")
}

/// Builds the UI if it is not built from these sources.
pub(crate) fn build() -> Result<()> {
    say("web UI");
    let wanted = sources()?;
    let stamp = target().join("ui/built-from");
    if folder().join("dist/app/index.html").is_file() && stamped(&stamp)? == wanted {
        return Ok(());
    }
    install()?;
    run(&folder(), "npm", &["run", "--silent", "build"], &[])?;
    fs::create_dir_all(target().join("ui")).context("create target/ui")?;
    fs::write(&stamp, wanted).context("write a stamp")
}

/// Types and format.
pub(crate) fn check() -> Result<()> {
    say("web UI: types and format");
    install()?;
    run(&folder(), "npm", &["run", "--silent", "check"], &[])
}

/// Its own tests, then those in a browser against a real server. Needs the built programs.
pub(crate) fn test() -> Result<()> {
    say("web UI: tests");
    install()?;
    run(&folder(), "npm", &["test", "--silent"], &[])?;
    run(
        &folder(),
        "npm",
        &["run", "--silent", "test:browser"],
        &[("CARGO_TARGET_DIR", target().as_os_str())],
    )
}

fn stamped(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(stamp) => Ok(stamp),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).context("read a stamp"),
    }
}

/// A short name of everything in `ui/` that was written by people.
fn sources() -> Result<String> {
    let mut files = Vec::new();
    collect(&folder(), &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.as_os_str().as_encoded_bytes());
        hasher.write(&fs::read(&file).with_context(|| format!("read {}", file.display()))?);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if !path.is_dir() {
            files.push(path);
        } else if !MADE.iter().any(|made| entry.file_name() == *made) {
            collect(&path, files)?;
        }
    }
    Ok(())
}
