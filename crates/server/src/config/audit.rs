//! Flags of the audit log and the peer's variables for the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use drover_audit::{Level, Limits};

/// Folder of the audit log in the data folder.
pub(crate) const FOLDER: &str = "audit";
const FILE: &str = "audit.log";
/// The peer's defaults (reference apps-observability-backup-cli 9.2): MiB, days, files.
const MAX_SIZE: u64 = 100;
const MAX_AGE: u64 = 10;
const MAX_BACKUPS: usize = 10;

/// What is written down of requests, and where.
#[derive(Args, Clone, Debug, Default)]
pub struct AuditArgs {
    /// Write an audit log (default true).
    #[arg(long, env = "DROVER_AUDIT_LOG", value_name = "true|false")]
    pub audit_log: Option<bool>,
    /// File of the audit log; by default audit/audit.log in the data folder.
    #[arg(long, env = "DROVER_AUDIT_LOG_PATH", value_name = "FILE")]
    pub audit_log_path: Option<PathBuf>,
    /// 0 who, what and outcome; 1 and headers; 2 and bodies of requests; 3 and bodies of answers (default 0).
    #[arg(long, env = "DROVER_AUDIT_LEVEL", value_name = "0-3")]
    pub audit_level: Option<Level>,
    /// MiB of the audit log at which a new file is begun (default 100).
    #[arg(long, env = "DROVER_AUDIT_MAX_SIZE", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_max_size: Option<u64>,
    /// Days after which old files of the audit log are removed; 0 keeps them (default 10).
    #[arg(long, env = "DROVER_AUDIT_MAX_AGE", value_name = "DAYS")]
    pub audit_max_age: Option<u64>,
    /// Old files of the audit log that are kept; 0 keeps all (default 10).
    #[arg(long, env = "DROVER_AUDIT_MAX_BACKUPS", value_name = "FILES")]
    pub audit_max_backups: Option<usize>,
}

/// What the flags come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) path: PathBuf,
    pub(crate) level: Level,
    pub(crate) limits: Limits,
}

impl AuditArgs {
    /// Takes what the peer's variables say where ours say nothing.
    ///
    /// # Errors
    ///
    /// Names the variable that cannot be read.
    pub(super) fn take_peer_variables(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        take(&mut self.audit_log, "AUDIT_LOG_ENABLED", &variable)?;
        take(&mut self.audit_log_path, "AUDIT_LOG_PATH", &variable)?;
        take(&mut self.audit_level, "AUDIT_LEVEL", &variable)?;
        take(&mut self.audit_max_size, "AUDIT_LOG_MAXSIZE", &variable)?;
        take(&mut self.audit_max_age, "AUDIT_LOG_MAXAGE", &variable)?;
        take(
            &mut self.audit_max_backups,
            "AUDIT_LOG_MAXBACKUP",
            &variable,
        )
    }

    /// The log to write, if one is wanted.
    pub(crate) fn resolve(&self, data: &Path) -> Option<Audit> {
        if self.audit_log == Some(false) {
            return None;
        }
        let days = self.audit_max_age.unwrap_or(MAX_AGE);
        let backups = self.audit_max_backups.unwrap_or(MAX_BACKUPS);
        Some(Audit {
            path: self
                .audit_log_path
                .clone()
                .unwrap_or_else(|| data.join(FOLDER).join(FILE)),
            level: self.audit_level.unwrap_or_default(),
            limits: Limits {
                size: self
                    .audit_max_size
                    .unwrap_or(MAX_SIZE)
                    .saturating_mul(1 << 20),
                age: (days > 0).then(|| Duration::from_secs(days.saturating_mul(24 * 3600))),
                backups: (backups > 0).then_some(backups),
            },
        })
    }
}

fn take<T>(
    field: &mut Option<T>,
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if field.is_none()
        && let Some(value) = variable(name)
    {
        *field = Some(value.parse().map_err(|error| format!("{name}: {error}"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_flags_come_before_the_peers_variables_and_those_before_defaults() {
        let variable = |name: &str| match name {
            "AUDIT_LEVEL" => Some("3".to_owned()),
            "AUDIT_LOG_MAXSIZE" => Some("7".to_owned()),
            _ => None,
        };
        let mut args = AuditArgs {
            audit_level: Some(Level::Headers),
            audit_max_backups: Some(0),
            ..AuditArgs::default()
        };
        args.take_peer_variables(variable).unwrap();
        let audit = args.resolve(Path::new("/data")).unwrap();
        assert_eq!(audit.path, Path::new("/data/audit/audit.log"));
        assert_eq!(audit.level, Level::Headers);
        assert_eq!(
            audit.limits,
            Limits {
                size: 7 << 20,
                age: Some(Duration::from_secs(10 * 24 * 3600)),
                backups: None,
            }
        );
    }

    #[test]
    fn a_bad_variable_is_named_and_off_is_off() {
        let mut args = AuditArgs::default();
        let error = args
            .take_peer_variables(|name| (name == "AUDIT_LEVEL").then(|| "9".to_owned()))
            .unwrap_err();
        assert!(error.starts_with("AUDIT_LEVEL: `9`"), "{error}");
        args.take_peer_variables(|name| (name == "AUDIT_LOG_ENABLED").then(|| "false".to_owned()))
            .unwrap();
        assert_eq!(args.resolve(Path::new("/data")), None);
    }
}
