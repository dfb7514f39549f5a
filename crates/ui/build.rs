//! Puts what `npm run build` made (`ui/dist/app`) into the library, as a sorted table of paths and bytes.
//!
//! Each text is put in once, compressed: nearly all clients take it as it is. gzip, since its reader is in the server
//! anyway; Brotli would save an eighth of the bytes and cost more than that in code.
//! Without a built UI the table is empty, and the library says how to build it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Texts, and the least size worth compressing. The page is none: it carries a nonce of each answer.
const TEXTS: [&str; 4] = ["js", "css", "svg", "json"];
const WORTH_COMPRESSING: usize = 512;

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
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR")?);
    let mut entries = Vec::new();
    for file in files {
        let path = file
            .strip_prefix(&app)?
            .to_str()
            .context("a file of the UI has a name that is not UTF-8")?
            .to_owned();
        let packed = pack(&file, &out.join(format!("{}.gz", entries.len())))?;
        let is_packed = packed.is_some();
        let held = packed.unwrap_or(file).canonicalize()?;
        let held = held.to_str().context("the path is not UTF-8")?.to_owned();
        entries.push((path, is_packed, held));
    }
    // The library searches by halves.
    entries.sort();
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (path, is_packed, held) in entries {
        writeln!(
            table,
            "    File {{ path: {path:?}, is_packed: {is_packed}, bytes: include_bytes!({held:?}) }},"
        )?;
    }
    table.push_str("];\n");
    fs::write(out.join("files.rs"), table).context("write files.rs")
}

/// Writes the compressed form of a text, where it is worth it, and says where it is.
fn pack(file: &Path, to: &Path) -> Result<Option<PathBuf>> {
    let is_text = file
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| TEXTS.contains(&extension));
    if !is_text {
        return Ok(None);
    }
    let plain = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    if plain.len() < WORTH_COMPRESSING {
        return Ok(None);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain)?;
    fs::write(to, encoder.finish()?).with_context(|| format!("write {}", to.display()))?;
    Ok(Some(to.to_owned()))
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
