//! Commands on the audit log.

use clap::{Args, Subcommand};

/// Look into the audit log, or after it.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List what was done through the server, newest first.
    Ls(Box<AuditFilter>),
    /// Show one entry whole.
    Show {
        /// Its number, as "drover audit ls" shows it.
        number: u64,
    },
}

/// Which entries.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// By this user, by id or login name.
    #[arg(short, long)]
    pub user: Option<String>,
    /// In this cluster, by id.
    #[arg(short, long)]
    pub cluster: Option<String>,
    /// What was done: get, create, delete, the name of an action, …; several with commas.
    #[arg(long)]
    pub verb: Option<String>,
    /// To which kind, as a plural; several with commas.
    #[arg(long)]
    pub kind: Option<String>,
    /// In this namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// To the object of this name.
    #[arg(long)]
    pub name: Option<String>,
    /// How it went: done, refused, failed, or a status.
    #[arg(long)]
    pub outcome: Option<String>,
    /// Not before this time, such as 2026-11-29T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Not after this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many at most.
    #[arg(short, long, default_value_t = 100, value_name = "NUMBER")]
    pub limit: usize,
}
