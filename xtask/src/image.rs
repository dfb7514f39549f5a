//! `cargo xtask image`: the two programs as container images, made without a container engine.
//!
//! An image holds one program, the libraries it is linked with, the public certificate authorities and (for the server) the
//! zones of time, all taken from the machine that builds; no shell, no package manager. The archives are OCI layouts that
//! also say what `docker load` asks for, so that containerd, k3s, kind, docker, podman, skopeo and crane all take them.
//!
//! Invariant: the same files make the same archive, to the byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::command::{output, root, run, say, target};

/// Whom the server runs as: nobody in particular, as distributions of minimal images have it.
const NOBODY: u64 = 65532;
/// Where programs look for public authorities in an image.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where machines have them: Debian and Ubuntu, Fedora, others.
const AUTHORITIES_HERE: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
const ZONES: &str = "/usr/share/zoneinfo";
/// What the C library loads by itself to resolve names, before its version 2.34.
const LOADED_LATER: [&str; 3] = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/// What makes one image.
struct Image {
    program: &'static str,
    arguments: &'static [&'static str],
    /// The user and group; none = root. The agent reads files that the import manifest gives to root alone.
    user: Option<u64>,
    /// The folder for what must last, owned by the user.
    data: Option<&'static str>,
    zones: bool,
}

const IMAGES: [Image; 2] = [
    Image {
        program: "drover",
        arguments: &["server"],
        user: Some(NOBODY),
        data: Some("var/lib/drover"),
        zones: true,
    },
    Image {
        program: "drover-agent",
        arguments: &["cluster"],
        user: None,
        data: None,
        zones: false,
    },
];

/// Builds both programs and writes `target/image/PROFILE/PROGRAM.tar`.
pub(crate) fn build(arguments: &[String]) -> Result<()> {
    let debug = arguments.iter().any(|argument| argument == "--debug");
    crate::ui::build()?;
    say("building Drover (some minutes the first time)");
    let mut cargo = vec![
        "build",
        "-p",
        "drover-server",
        "-p",
        "drover-agent",
        "--bins",
    ];
    if !debug {
        cargo.push("--release");
    }
    run(&root(), "cargo", &cargo, &[])?;
    write(if debug { "debug" } else { "release" })
}

/// Writes the images of programs that are built.
pub(crate) fn write(profile: &str) -> Result<()> {
    let folder = target().join("image").join(profile);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for image in &IMAGES {
        let path = folder.join(image.program).with_extension("tar");
        let program = target().join(profile).join(image.program);
        let archive = archive(image, &layer(image, &program)?)?;
        fs::write(&path, archive).with_context(|| format!("write {}", path.display()))?;
        say(&format!("{} is {}", name(image), path.display()));
    }
    Ok(())
}

fn name(image: &Image) -> String {
    format!("drover/{}:v{}", image.program, env!("CARGO_PKG_VERSION"))
}

/// The files of an image, by path.
fn layer(image: &Image, program: &Path) -> Result<Vec<u8>> {
    let mut files = BTreeMap::new();
    let inside = format!("usr/local/bin/{}", image.program);
    files.insert(PathBuf::from(inside), program.to_owned());
    for library in libraries(program)? {
        let beside = |name: &&str| library.with_file_name(name);
        let of_c = library.file_name().is_some_and(|name| name == "libc.so.6");
        let later = LOADED_LATER.iter().filter(|_| of_c).map(beside);
        for library in later.filter(|path| path.is_file()).chain([library.clone()]) {
            files.insert(relative(&library)?, library);
        }
    }
    let authorities = AUTHORITIES_HERE
        .iter()
        .map(Path::new)
        .find(|path| path.is_file());
    let authorities = authorities.context(
        "this machine has no file of public authorities, which an image needs: install ca-certificates",
    )?;
    files.insert(PathBuf::from(AUTHORITIES), authorities.to_owned());
    if image.zones {
        zones(Path::new(ZONES), &mut files)?;
    }
    let mut texts = BTreeMap::new();
    let nobody = format!("root:x:0:0:root:/:\nnobody:x:{NOBODY}:{NOBODY}:nobody:/:\n");
    texts.insert("etc/passwd", nobody);
    texts.insert("etc/group", format!("root:x:0:\nnobody:x:{NOBODY}:\n"));
    texts.insert("etc/nsswitch.conf", "hosts: files dns\n".to_owned());

    let mut tar = tar::Builder::new(Vec::new());
    let paths = files.keys().map(PathBuf::as_path);
    let data = image.data.map(Path::new);
    let paths = paths.chain(texts.keys().map(Path::new)).chain(data);
    let parents: BTreeSet<&Path> = paths
        .flat_map(|path| path.ancestors().skip(1))
        .filter(|parent| !parent.as_os_str().is_empty())
        .collect();
    for parent in parents {
        append(&mut tar, None, parent, 0o755, 0)?;
    }
    append(&mut tar, None, Path::new("tmp"), 0o1777, 0)?;
    if let Some(data) = data {
        append(&mut tar, None, data, 0o700, image.user.unwrap_or(0))?;
    }
    for (path, text) in &texts {
        append(&mut tar, Some(text.as_bytes()), Path::new(path), 0o644, 0)?;
    }
    for (path, source) in &files {
        let bytes = fs::read(source).with_context(|| format!("read {}", source.display()))?;
        let is_data = path.starts_with("etc") || path.starts_with("usr/share");
        let mode = if is_data { 0o644 } else { 0o755 };
        append(&mut tar, Some(&bytes), path, mode, 0)?;
    }
    tar.into_inner().context("end a layer")
}

/// Puts a file into an archive, or a folder if there are no contents.
fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    contents: Option<&[u8]>,
    path: &Path,
    mode: u32,
    owner: u64,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    let kind = match contents {
        None => tar::EntryType::Directory,
        Some(_) => tar::EntryType::Regular,
    };
    let bytes = contents.unwrap_or_default();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)
        .with_context(|| format!("put {} into a layer", path.display()))
}

/// The libraries a program is started with, its loader among them, where this machine has them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let program = program.to_str().context("the target folder is not UTF-8")?;
    let listed = output(&root(), "ldd", &[program])?;
    let mut found = Vec::new();
    for line in listed.lines().map(str::trim) {
        // `name => /path (address)`, `/path (address)` for the loader, and the kernel's own, which is no file.
        let path = line
            .rsplit("=> ")
            .next()
            .and_then(|rest| rest.split(" (").next());
        match path {
            Some("not found") => bail!("{program}: {line}"),
            Some(path) if path.starts_with('/') => found.push(PathBuf::from(path)),
            Some(_) | None => {}
        }
    }
    Ok(found)
}

/// The zones of time, without their two further forms.
fn zones(folder: &Path, files: &mut BTreeMap<PathBuf, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("read {}: install tzdata", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let is_form = ["posix", "right"].iter().any(|form| path.ends_with(form));
        if path.is_dir() {
            if !is_form {
                zones(&path, files)?;
            }
        } else {
            files.insert(relative(&path)?, path);
        }
    }
    Ok(())
}

fn relative(path: &Path) -> Result<PathBuf> {
    let inside = path.strip_prefix("/");
    Ok(inside
        .with_context(|| format!("{} is not absolute", path.display()))?
        .to_owned())
}

/// The archive of an image with one layer
/// (opencontainers/image-spec `image-layout.md`, `config.md`; `manifest.json` is what `docker load` reads).
fn archive(image: &Image, layer: &[u8]) -> Result<Vec<u8>> {
    let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut add = |media_type: &str, bytes: Vec<u8>| {
        let digest = hex::encode(Sha256::digest(&bytes));
        let descriptor = json!({
            "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len(),
        });
        blobs.insert(format!("blobs/sha256/{digest}"), bytes);
        descriptor
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let layer = add("application/vnd.oci.image.layer.v1.tar", layer.to_vec());
    let mut config = json!({
        "Env": ["PATH=/usr/local/bin"],
        "Entrypoint": [format!("/usr/local/bin/{}", image.program)],
        "Cmd": image.arguments,
        "WorkingDir": "/",
        "Labels": {
            "org.opencontainers.image.title": image.program,
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    });
    if let Some(user) = image.user {
        config["User"] = json!(format!("{user}:{user}"));
    }
    if let Some(data) = image.data {
        config["Volumes"] = json!({format!("/{data}"): {}});
    }
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [&layer["digest"]]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask image"}],
    });
    let config = add(
        "application/vnd.oci.image.config.v1+json",
        serde_json::to_vec(&config)?,
    );
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    });
    let manifest = add(
        "application/vnd.oci.image.manifest.v1+json",
        serde_json::to_vec(&manifest)?,
    );
    let name = name(image);
    let mut named = manifest;
    named["platform"] = json!({"architecture": architecture, "os": "linux"});
    named["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/{name}"),
        "org.opencontainers.image.ref.name": format!("v{}", env!("CARGO_PKG_VERSION")),
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [named],
    });
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let of_docker = json!([{
        "Config": blob(&config), "RepoTags": [name], "Layers": [blob(&layer)],
    }]);
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        (
            "oci-layout",
            serde_json::to_vec(&json!({"imageLayoutVersion": "1.0.0"}))?,
        ),
        ("index.json", serde_json::to_vec(&index)?),
        ("manifest.json", serde_json::to_vec(&of_docker)?),
    ] {
        append(&mut tar, Some(&bytes), Path::new(path), 0o644, 0)?;
    }
    for (path, bytes) in &blobs {
        append(&mut tar, Some(bytes), Path::new(path), 0o644, 0)?;
    }
    tar.into_inner().context("end an archive")
}
