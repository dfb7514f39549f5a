//! What the user may type.

mod audit;
mod people;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use audit::{AuditCommand, AuditFilter};
pub use people::{NodeArguments, NodeCommand, PlaceArguments, RoleCommand, Subject, UserCommand};

/// Manage many Kubernetes clusters from one place.
#[derive(Debug, Parser)]
#[command(
    name = "drover",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not logged in or not allowed; 4 not found; 5 waited too long."
)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalArguments {
    /// Context to use instead of the current one.
    #[arg(
        long,
        global = true,
        env = "DROVER_CONTEXT",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub context: Option<String>,
    /// How to print: table, json, yaml.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
    /// Configuration file [default: ~/.config/drover/config.json].
    #[arg(
        long,
        global = true,
        env = "DROVER_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// The API's own objects.
    Json,
    /// The API's own objects.
    Yaml,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to a server and remember it as a context.
    Login(LoginArguments),
    /// Log out: end the session on the server and forget its token here.
    Logout,
    /// List and choose contexts, the servers one is logged in to.
    #[command(subcommand)]
    Context(ContextCommand),
    /// Work with clusters.
    #[command(subcommand, visible_alias = "cluster")]
    Clusters(ClusterCommand),
    /// Work with projects.
    #[command(subcommand, visible_alias = "project")]
    Projects(ProjectCommand),
    /// Work with namespaces of a cluster.
    #[command(subcommand, visible_aliases = ["namespace", "ns"])]
    Namespaces(NamespaceCommand),
    /// Work with nodes.
    #[command(subcommand, visible_alias = "node")]
    Nodes(NodeCommand),
    /// Read and change settings.
    #[command(subcommand, visible_alias = "setting")]
    Settings(SettingCommand),
    /// Work with API tokens of your own.
    #[command(subcommand)]
    Tokens(TokenCommand),
    /// Work with users.
    #[command(subcommand, visible_alias = "user")]
    Users(UserCommand),
    /// Work with roles: those of the server, of clusters and of projects, and who holds them.
    #[command(subcommand, visible_alias = "role")]
    Roles(RoleCommand),
    /// Tell whether somebody may do something, and why; exit code 1 if not.
    Explain(ExplainArguments),
    /// List who may do something.
    WhoCan(AccessQuestion),
    /// Look into the audit log, or after it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Run kubectl in a cluster.
    Kubectl(KubectlArguments),
    /// Print a credential for a cluster as kubectl's exec plugins do; kubeconfigs of "clusters kubeconfig --exec" call it.
    Token(TokenArguments),
    /// Print a script that completes commands in a shell.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// How to log in.
#[derive(Debug, Args)]
pub struct LoginArguments {
    /// Address of the server, for example https://drover.example.com.
    #[arg(value_name = "URL")]
    pub server: String,
    /// Name of the user.
    #[arg(short, long, conflicts_with = "token")]
    pub username: Option<String>,
    /// Password; better: leave it out and be asked, or use --password-stdin.
    #[arg(short, long, env = "DROVER_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Read the password, or with "--token -" the token, from standard input.
    #[arg(long, conflicts_with = "password")]
    pub password_stdin: bool,
    /// Log in with the browser, whatever way to sign in the server has: it opens a page where whoever is logged in confirms
    /// that this command may have a token.
    #[arg(short, long, conflicts_with_all = ["username", "password", "password_stdin", "token"])]
    pub browser: bool,
    /// Use an API token (name:key) instead of a password; "-" reads it from standard input.
    #[arg(short, long, env = "DROVER_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File with the certificate authority of the server, PEM.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["insecure_skip_verify", "fingerprint"])]
    pub cacert: Option<PathBuf>,
    /// Do not verify the server's certificate now: show its fingerprint, ask if there is a terminal, and trust it from then on.
    #[arg(
        long = "insecure-skip-tls-verify",
        aliases = ["insecure-skip-verify", "skip-verify"],
        conflicts_with = "fingerprint"
    )]
    pub insecure_skip_verify: bool,
    /// Trust the server's certificate with this SHA-256 fingerprint.
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// Name of the context [default: the server's host].
    #[arg(long)]
    pub name: Option<String>,
}

/// Commands on contexts.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List contexts.
    Ls,
    /// Make a context the current one.
    Use {
        /// Its name.
        name: String,
    },
    /// Forget a context and its token.
    Delete {
        /// Its name.
        name: String,
    },
}

/// Commands on clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// List clusters.
    Ls,
    /// Show one cluster with its conditions.
    Show {
        /// Name or id.
        cluster: String,
    },
    /// Register an existing Kubernetes cluster and print the command that connects it.
    Import {
        /// Name of the new cluster.
        name: String,
        /// A label, KEY=VALUE; repeatable.
        #[arg(short, long = "label", value_name = "KEY=VALUE")]
        labels: Vec<String>,
        /// A description.
        #[arg(short, long)]
        description: Option<String>,
        /// Wait until the cluster is connected and active.
        #[arg(short, long)]
        wait: bool,
        /// How long to wait, in seconds.
        #[arg(long, default_value_t = 600, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Remove a cluster from the server; what runs in it stays.
    Delete {
        /// Name or id.
        cluster: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Print a kubeconfig for a cluster.
    #[command(visible_alias = "kf")]
    Kubeconfig {
        /// Name or id.
        cluster: String,
        /// Write it to this file, readable by you alone, instead of printing it.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Hold no token: let kubectl ask "drover token" for one.
        #[arg(long)]
        exec: bool,
    },
    /// Make a cluster the one that "drover kubectl" uses.
    Use {
        /// Name or id.
        cluster: String,
    },
}

/// Commands on projects.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// List projects.
    Ls {
        /// Only those of this cluster, by name or id.
        #[arg(short, long)]
        cluster: Option<String>,
    },
    /// Make a project.
    Create {
        /// Its name.
        name: String,
        /// Its cluster, by name or id.
        #[arg(short, long)]
        cluster: String,
        /// A description.
        #[arg(short, long)]
        description: Option<String>,
    },
    /// Delete a project; namespaces made by people go with it.
    Delete {
        /// Its id, or its name with --cluster.
        project: String,
        /// Its cluster, by name or id.
        #[arg(short, long)]
        cluster: Option<String>,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// Commands on namespaces.
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// List namespaces.
    Ls {
        /// Their cluster, by name or id [default: the one of "drover clusters use"].
        #[arg(short, long)]
        cluster: Option<String>,
        /// Only those of this project, by name or id.
        #[arg(short, long)]
        project: Option<String>,
    },
    /// Make a namespace.
    Create {
        /// Its name.
        name: String,
        /// Its cluster, by name or id [default: the one of "drover clusters use"].
        #[arg(short, long)]
        cluster: Option<String>,
        /// Its project, by name or id.
        #[arg(short, long)]
        project: Option<String>,
        /// A description.
        #[arg(short, long)]
        description: Option<String>,
    },
    /// Move a namespace to another project, or out of its project.
    Move {
        /// Its name.
        name: String,
        /// Its cluster, by name or id [default: the one of "drover clusters use"].
        #[arg(short, long)]
        cluster: Option<String>,
        /// The project, by name or id; without it, none.
        #[arg(short, long)]
        project: Option<String>,
    },
    /// Delete a namespace and all that is in it.
    Delete {
        /// Its name.
        name: String,
        /// Its cluster, by name or id [default: the one of "drover clusters use"].
        #[arg(short, long)]
        cluster: Option<String>,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// What somebody would do.
#[derive(Debug, Args)]
pub struct AccessQuestion {
    /// The verb: get, list, create, delete, ….
    pub verb: String,
    /// The kind, as a plural and with its group if it has one: pods, deployments.apps.
    pub resource: String,
    /// In this cluster, by name or id; without it, on the server itself.
    #[arg(short, long)]
    pub cluster: Option<String>,
    /// In this namespace; without it, in all.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// To the object of this name alone.
    #[arg(long)]
    pub name: Option<String>,
}

/// Whom to ask about.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// What.
    #[command(flatten)]
    pub question: AccessQuestion,
    /// Who, by login name or id [default: you].
    #[arg(short, long)]
    pub user: Option<String>,
}

/// For which cluster a credential is.
#[derive(Debug, Args)]
pub struct TokenArguments {
    /// Cluster, by name or id [default: the one of "drover clusters use"].
    #[arg(long, env = "DROVER_CLUSTER", hide_env_values = true)]
    pub cluster: Option<String>,
}

/// Commands on settings.
#[derive(Debug, Subcommand)]
pub enum SettingCommand {
    /// List settings.
    Ls,
    /// Print one setting's value.
    Get {
        /// Its name.
        name: String,
    },
    /// Change a setting.
    Set {
        /// Its name.
        name: String,
        /// Its new value.
        #[arg(required_unless_present = "default", allow_hyphen_values = true)]
        value: Option<String>,
        /// Back to the default.
        #[arg(long, conflicts_with = "value")]
        default: bool,
    },
}

/// Commands on tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List your tokens.
    Ls,
    /// Make a token and print it; it is shown this once.
    Create {
        /// What it is for.
        #[arg(short, long)]
        description: Option<String>,
        /// How long it lives: 90s, 30m, 12h, 7d; 0 is the server's default.
        #[arg(long, default_value = "0", value_name = "DURATION")]
        ttl: String,
        /// Make it work for this cluster only, by name or id.
        #[arg(short, long)]
        cluster: Option<String>,
    },
    /// Delete tokens.
    Delete {
        /// Their names.
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// How to run kubectl.
#[derive(Debug, Args)]
pub struct KubectlArguments {
    /// Cluster, by name or id; before kubectl's own arguments [default: the one of "drover clusters use"].
    #[arg(long, env = "DROVER_CLUSTER", hide_env_values = true)]
    pub cluster: Option<String>,
    /// kubectl's arguments.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub arguments: Vec<std::ffi::OsString>,
}
