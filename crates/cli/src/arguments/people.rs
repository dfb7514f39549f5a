//! Commands on users, roles and nodes.

use clap::{Args, Subcommand};

/// Commands on users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users.
    Ls,
    /// Show one user and the roles it was given on the server.
    Show {
        /// Login name or id.
        user: String,
    },
    /// Make a local user; the password is asked for.
    Create {
        /// Its login name.
        username: String,
        /// Its name for people.
        #[arg(short, long)]
        name: Option<String>,
        /// A description.
        #[arg(short, long)]
        description: Option<String>,
        /// A global role it gets, by name or id; repeatable.
        #[arg(short, long = "role", value_name = "ROLE", default_value = "user")]
        roles: Vec<String>,
        /// Let it choose another password when it logs in.
        #[arg(long)]
        must_change_password: bool,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Let a user in again.
    Enable {
        /// Login name or id.
        user: String,
    },
    /// Shut a user out: its sessions and tokens stop to work at once.
    Disable {
        /// Login name or id.
        user: String,
    },
    /// Set a password: your own, or that of a user.
    Password {
        /// Login name or id [default: you].
        user: Option<String>,
        /// Read the new password from standard input; before it, in a line of its own, your current one if it is yours.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete a user, with its tokens and the roles it was given.
    Delete {
        /// Login name or id.
        user: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// Commands on roles.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// List roles.
    Ls {
        /// Only those for this scope.
        #[arg(short, long, value_parser = ["global", "cluster", "project"])]
        scope: Option<String>,
    },
    /// Give a role to a user or group: on the server, in a cluster, or in a project.
    Grant {
        /// The role, by name or id.
        role: String,
        /// Whom.
        #[command(flatten)]
        subject: Subject,
        /// Where.
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Take away what was given.
    Revoke {
        /// The binding, as "drover roles bindings" names it.
        binding: String,
    },
    /// List who was given which role.
    Bindings {
        /// Only what was given to this user, by login name or id.
        #[arg(short, long)]
        user: Option<String>,
        /// Only what was given there.
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// A user or a group.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// A user, by login name or id.
    #[arg(short, long)]
    pub user: Option<String>,
    /// A group, by its principal, such as okta_group://team.
    #[arg(short, long, value_name = "PRINCIPAL")]
    pub group: Option<String>,
}

/// The server itself, a cluster or a project.
#[derive(Debug, Args)]
pub struct PlaceArguments {
    /// A cluster, by name or id; without it, the server itself.
    #[arg(short, long)]
    pub cluster: Option<String>,
    /// A project of the cluster, by name or id.
    #[arg(short, long, requires = "cluster")]
    pub project: Option<String>,
}

/// Commands on nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List nodes.
    Ls {
        /// Only those of this cluster, by name or id.
        #[arg(short, long)]
        cluster: Option<String>,
    },
    /// Let no new pods onto a node.
    Cordon(NodeArguments),
    /// Let new pods onto a node again.
    Uncordon(NodeArguments),
    /// Cordon a node and move its pods away.
    Drain {
        /// The node.
        #[command(flatten)]
        node: NodeArguments,
        /// Also pods that nothing makes anew.
        #[arg(long)]
        force: bool,
        /// Also pods with data that goes with them.
        #[arg(long)]
        delete_local_data: bool,
        /// Stop at pods of DaemonSets instead of leaving them where they are.
        #[arg(long)]
        stop_at_daemon_sets: bool,
        /// Seconds a pod gets to end; -1 is what the pod says.
        #[arg(
            long,
            default_value_t = -1,
            value_name = "SECONDS",
            allow_negative_numbers = true
        )]
        grace_period: i64,
        /// Seconds after which the server gives up.
        #[arg(long, default_value_t = 120, value_name = "SECONDS")]
        timeout: u32,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// A node.
#[derive(Debug, Args)]
pub struct NodeArguments {
    /// Its id, or its name with --cluster.
    pub node: String,
    /// Its cluster, by name or id.
    #[arg(short, long)]
    pub cluster: Option<String>,
}
