//! Runs what is in a container image, without a container engine: its files are the root of a process (needs root).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::process::Launch;
use crate::real;

const CHROOT: [&str; 2] = ["/usr/sbin/chroot", "/usr/bin/chroot"];

/// An image whose files lie in a folder.
#[derive(Debug)]
pub struct Image {
    root: PathBuf,
    config: Value,
}

impl Image {
    /// Unpacks `target/image/debug/PROGRAM.tar` into `root`, as a container engine would: by its index, and only what has
    /// the checksums it names.
    ///
    /// # Errors
    ///
    /// When it is not there (`cargo xtask test` makes it) or something in it is not what its index says.
    pub fn unpack(program: &str, root: &Path) -> Result<Self> {
        let path = real::target().join(format!("image/debug/{program}.tar"));
        let file = std::fs::File::open(&path)
            .with_context(|| format!("open {}; `cargo xtask test` makes it", path.display()))?;
        let mut blobs = BTreeMap::new();
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes)?;
            blobs.insert(name, bytes);
        }
        let blob = |descriptor: &Value| -> Result<&Vec<u8>> {
            let digest = descriptor["digest"].as_str().context("no digest")?;
            let name = format!("blobs/{}", digest.replace(':', "/"));
            let bytes = blobs.get(&name).with_context(|| format!("no {name}"))?;
            let found = hex::encode(Sha256::digest(bytes));
            ensure!(digest == format!("sha256:{found}"), "{name} is {found}");
            ensure!(descriptor["size"] == bytes.len(), "{name} has another size");
            Ok(bytes)
        };
        let index = blobs.get("index.json").context("no index.json")?;
        let index: Value = serde_json::from_slice(index)?;
        let manifest: Value = serde_json::from_slice(blob(&index["manifests"][0])?)?;
        let config: Value = serde_json::from_slice(blob(&manifest["config"])?)?;
        let layer = blob(&manifest["layers"][0])?;
        ensure!(
            config["rootfs"]["diff_ids"][0] == manifest["layers"][0]["digest"],
            "the layer is not the one of the configuration"
        );
        // `docker load` reads another list, which must name the same.
        let docker = blobs.get("manifest.json").context("no manifest.json")?;
        let docker: Value = serde_json::from_slice(docker)?;
        for (name, descriptor) in [
            (&docker[0]["Config"], &manifest["config"]),
            (&docker[0]["Layers"][0], &manifest["layers"][0]),
        ] {
            let name = name.as_str().and_then(|name| blobs.get(name));
            ensure!(
                name == Some(blob(descriptor)?),
                "two images in one: {docker}"
            );
        }
        let mut layer = tar::Archive::new(layer.as_slice());
        layer.set_preserve_permissions(true);
        layer.set_preserve_ownerships(true);
        layer.unpack(root)?;
        Ok(Self {
            root: root.to_owned(),
            config: config["config"].clone(),
        })
    }

    /// Where a path of the image is on this machine.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Prepares the image's program with these arguments, or those of the image if there are none, as the image's user.
    ///
    /// # Errors
    ///
    /// When the image names no program.
    pub fn launch(&self, name: &str, arguments: &[String], folder: &Path) -> Result<Launch> {
        let texts = |key: &str| -> Vec<&str> {
            let values = self.config[key].as_array().into_iter().flatten();
            values.filter_map(Value::as_str).collect()
        };
        let entry = texts("Entrypoint");
        ensure!(!entry.is_empty(), "no program in {}", self.config);
        let user = self.config["User"].as_str().unwrap_or("0:0");
        // Named in full: programs are looked for in the PATH of the image, where it is not.
        let chroot = CHROOT.iter().map(Path::new).find(|path| path.is_file());
        let mut launch = Launch::new(name, chroot.context("no chroot")?, folder)
            .clean_environment()
            .args([format!("--userspec={user}")])
            .args([&self.root])
            .args(entry);
        launch = match arguments {
            [] => launch.args(texts("Cmd")),
            given => launch.args(given),
        };
        for variable in texts("Env") {
            let (name, value) = variable.split_once('=').context("a variable without =")?;
            launch = launch.env(name, value);
        }
        Ok(launch)
    }
}
