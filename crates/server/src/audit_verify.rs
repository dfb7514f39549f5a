//! `drover audit verify`: whether the audit log is whole.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use drover_audit::VerifyError;

/// Check that no line of the audit log was changed, removed or moved.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// The log, one of its old files, or their folder; by default that of the data folder.
    path: Option<PathBuf>,
    /// Folder of the server's data.
    #[arg(long, env = "DROVER_DATA_DIR", default_value = "/var/lib/drover")]
    data_dir: PathBuf,
}

/// Runs the command. Answers what to tell the operator.
///
/// # Errors
///
/// Names the first broken line, or what could not be read.
pub fn run(args: &VerifyArgs) -> Result<String> {
    let path = args
        .path
        .clone()
        .unwrap_or_else(|| args.data_dir.join(crate::config::AUDIT_FOLDER));
    let report = drover_audit::verify(&path).map_err(|error| {
        let context = match error {
            VerifyError::Broken(_) => "the audit log is not whole",
            VerifyError::Read { .. } | VerifyError::Nothing(_) | VerifyError::Stopped => {
                "nothing was checked; name the log or its folder, or --data-dir, and run this as the user of the server"
            }
        };
        anyhow::Error::new(error).context(context)
    })?;
    let mut text = format!(
        "{}: whole, {} lines in {} files, from {} to {}; the last hash is {}",
        path.display(),
        report.n_lines,
        report.files.len(),
        report.first,
        report.last,
        report.hash
    );
    if report.n_lost > 0 {
        text.push_str(&format!(
            "\n{} entries were lost when they were made; the log says where",
            report.n_lost
        ));
    }
    if !report.end_known {
        text.push_str("\nThere is no head beside it, so that a missing end cannot be seen");
    }
    Ok(text)
}
