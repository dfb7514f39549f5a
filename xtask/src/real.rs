//! The real Kubernetes components: built from pinned Go modules into `target/real/bin`.
//!
//! A stamp beside each binary names the version it was built from, so that a
//! second run does nothing.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{exists, output, root, run, say, target};

/// Simulates nodes and pods.
const KWOK: (&str, &str) = ("sigs.k8s.io/kwok", "v0.8.0");
/// The package manager that users bring.
const HELM: (&str, &str) = ("helm.sh/helm/v3", "v3.22.0");

/// What `crates/testkit/real/go.mod` pins, with the package that is built.
const PINNED: [(&str, &str); 5] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
];

/// The clients of other people that are run against both servers: a Go module, and what a Python program needs.
const GO_CLIENTS: &str = "crates/kube-api/tests/clients-go";
const PYTHON_CLIENTS: &str = "crates/kube-api/tests/clients-python/requirements.txt";

/// The version that the binaries report and clients compare.
const KUBERNETES: &str = "v1.36.3";

/// Where the components are.
pub(crate) fn folder() -> PathBuf {
    target().join("real/bin")
}

/// Builds what is missing.
pub(crate) fn build() -> Result<()> {
    say("real Kubernetes components");
    if !exists("go") {
        bail!("`go` is not on the PATH; Go 1.26 or newer builds the real Kubernetes components");
    }
    let bin = folder();
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    let module = root().join("crates/testkit/real");
    let pins =
        fs::read_to_string(module.join("go.mod")).context("read crates/testkit/real/go.mod")?;
    for (name, package) in PINNED {
        if up_to_date(&bin, name, &pins)? {
            continue;
        }
        say(&format!("building {name} (a few minutes the first time)"));
        let version = "-X k8s.io/component-base/version";
        let flags = format!(
            "-s -w {version}.gitVersion={KUBERNETES} {version}.gitMajor=1 {version}.gitMinor=36"
        );
        let path = bin.join(name);
        let path = path.to_str().context("the target folder is not UTF-8")?;
        run(
            &module,
            "go",
            &[
                "build",
                "-mod=readonly",
                "-trimpath",
                "-ldflags",
                &flags,
                "-o",
                path,
                package,
            ],
            &[],
        )?;
        stamp(&bin, name, &pins)?;
    }
    for (name, (module, version)) in [("kwok", KWOK), ("helm", HELM)] {
        let pin = format!("{module}@{version}");
        if up_to_date(&bin, name, &pin)? {
            continue;
        }
        say(&format!("building {name}"));
        let package = format!("{module}/cmd/{name}@{version}");
        run(
            &bin,
            "go",
            &["install", "-trimpath", "-ldflags", "-s -w", &package],
            &[("GOBIN", bin.as_os_str()), ("GOFLAGS", OsStr::new(""))],
        )?;
        stamp(&bin, name, &pin)?;
    }
    stages(&bin)?;
    go_clients(&bin)?;
    python(&bin)
}

/// Builds the program that uses client-go and controller-runtime.
fn go_clients(bin: &Path) -> Result<()> {
    let module = root().join(GO_CLIENTS);
    let mut files: Vec<PathBuf> = fs::read_dir(&module)
        .with_context(|| format!("read {GO_CLIENTS}"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let extension = path.extension().and_then(OsStr::to_str);
            matches!(extension, Some("go" | "mod" | "sum"))
        })
        .collect();
    files.sort();
    let mut pin = String::new();
    for file in files {
        pin.push_str(
            &fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?,
        );
    }
    if up_to_date(bin, "clients-go", &pin)? {
        return Ok(());
    }
    say("building clients-go");
    let path = bin.join("clients-go");
    let path = path.to_str().context("the target folder is not UTF-8")?;
    let flags = ["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"];
    let arguments: Vec<&str> = flags.into_iter().chain(["-o", path, "."]).collect();
    run(&module, "go", &arguments, &[])?;
    stamp(bin, "clients-go", &pin)
}

/// Makes a Python environment with the official client.
fn python(bin: &Path) -> Result<()> {
    let needed = root().join(PYTHON_CLIENTS);
    let pin = fs::read_to_string(&needed).with_context(|| format!("read {PYTHON_CLIENTS}"))?;
    let folder = target().join("real/python");
    let there = folder.join("bin/python").is_file();
    if there && fs::read_to_string(stamp_path(bin, "python")).is_ok_and(|stamp| stamp == pin) {
        return Ok(());
    }
    if !exists("python3") {
        bail!("`python3` is not on the PATH; on Debian it comes with python3-venv");
    }
    say("installing the Python client");
    let path = folder.to_str().context("the target folder is not UTF-8")?;
    run(&root(), "python3", &["-m", "venv", "--clear", path], &[])
        .context("make a virtual environment; on Debian this needs python3-venv")?;
    let pip = folder.join("bin/pip");
    let pip = pip.to_str().context("the target folder is not UTF-8")?;
    let needed = needed.to_str().context("the repository is not UTF-8")?;
    run(&root(), pip, &["install", "-q", "-r", needed], &[])?;
    stamp(bin, "python", &pin)
}

/// How kwok plays nodes and pods: the stage files of its own module.
fn stages(bin: &Path) -> Result<()> {
    let pin = format!("{}@{}", KWOK.0, KWOK.1);
    if up_to_date(bin, "kwok-stages.yaml", &pin)? {
        return Ok(());
    }
    let cache = output(bin, "go", &["env", "GOMODCACHE"])?;
    let stage = Path::new(cache.trim()).join(&pin).join("kustomize/stage");
    let mut files = vec![stage.join("node/fast/node-initialize.yaml")];
    for folder in ["node/heartbeat-with-lease", "pod/fast"] {
        let mut found: Vec<PathBuf> = fs::read_dir(stage.join(folder))
            .with_context(|| format!("read kwok's {folder}"))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| {
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                let wanted = folder.starts_with("pod") || name.ends_with("lease.yaml");
                wanted && name.ends_with(".yaml") && !name.contains("kustomization")
            })
            .collect();
        found.sort();
        files.extend(found);
    }
    let mut documents = String::new();
    for file in files {
        documents.push_str("---\n");
        documents.push_str(
            &fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?,
        );
        documents.push('\n');
    }
    fs::write(bin.join("kwok-stages.yaml"), documents).context("write kwok-stages.yaml")?;
    stamp(bin, "kwok-stages.yaml", &pin)
}

fn stamp_path(bin: &Path, name: &str) -> PathBuf {
    bin.join(format!(".{name}.built-from"))
}

fn up_to_date(bin: &Path, name: &str, pin: &str) -> Result<bool> {
    if !bin.join(name).is_file() {
        return Ok(false);
    }
    match fs::read_to_string(stamp_path(bin, name)) {
        Ok(stamp) => Ok(stamp == pin),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("read a build stamp"),
    }
}

fn stamp(bin: &Path, name: &str, pin: &str) -> Result<()> {
    fs::write(stamp_path(bin, name), pin).context("write a build stamp")
}
