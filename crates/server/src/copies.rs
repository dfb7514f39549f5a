//! `drover backup` and `drover restore`: the embedded store as one file.
//!
//! Both work on the data folder itself and need no server; a backup does not mind one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

/// The file of the store in the data folder.
pub(crate) const DATABASE: &str = "drover.db";

/// Copy the data of a server, running or not, to a file.
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    /// The new file to write; it must not exist.
    pub file: PathBuf,
    /// Folder of the server's data.
    #[arg(long, env = "DROVER_DATA_DIR", default_value = "/var/lib/drover")]
    pub data_dir: PathBuf,
}

/// Put a backup in place of a server's data.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// The backup to put in place.
    pub file: PathBuf,
    /// Folder of the server's data; it must hold no database.
    #[arg(long, env = "DROVER_DATA_DIR", default_value = "/var/lib/drover")]
    pub data_dir: PathBuf,
}

/// Copies the store to a file, also while a server runs on it. Answers what to tell the operator.
///
/// # Errors
///
/// When the copy could not be made; nothing is left then.
pub fn backup(args: &BackupArgs) -> Result<String> {
    let contents = drover_kube_api::backup(&database(&args.data_dir), &args.file)
        .context("no backup was made")?;
    Ok(format!("{}: {}", args.file.display(), describe(&contents)))
}

/// Puts a backup in place. Answers what to tell the operator.
///
/// # Errors
///
/// When the backup is not whole, or there is a database already; nothing is changed then.
pub fn restore(args: &RestoreArgs) -> Result<String> {
    let database = database(&args.data_dir);
    let contents =
        drover_kube_api::restore(&args.file, &database).context("nothing was restored")?;
    Ok(format!(
        "{}: {}; start the server",
        database.display(),
        describe(&contents)
    ))
}

fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

fn describe(contents: &drover_kube_api::Contents) -> String {
    let drover_kube_api::Contents {
        objects,
        revision,
        digest,
    } = contents;
    format!("{objects} objects at revision {revision}, sha256 {digest}")
}
