//! Puts what `npm run build` made (`ui/dist/app`) into the library, as a sorted table of paths and bytes.
//!
//! Without it the table is empty, and the library says how to build it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let package =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR")?);
    let dist = package.join("../../ui/dist");
    // Cargo looks at everything below; the folder itself is always there.
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let app = dist.join("app");
    let mut files = Vec::new();
    if app.is_dir() {
        collect(&app, &mut files)?;
    }
    let mut entries = Vec::new();
    for file in files {
        let path = file
            .strip_prefix(&app)?
            .to_str()
            .context("a file of the UI has a name that is not UTF-8")?
            .to_owned();
        let file = file.canonicalize()?;
        entries.push((
            path,
            file.to_str().context("the path is not UTF-8")?.to_owned(),
        ));
    }
    // The library searches by halves.
    entries.sort();
    let mut table = String::from("static FILES: &[(&str, &[u8])] = &[\n");
    for (path, file) in entries {
        writeln!(table, "    ({path:?}, include_bytes!({file:?})),")?;
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR")?);
    fs::write(out.join("files.rs"), table).context("write files.rs")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
