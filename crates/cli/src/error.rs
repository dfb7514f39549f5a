//! Why a command failed, and the way out.
//!
//! Every message names the flag, file or address it is about; [`CliError::hint`] says what to do next.

use std::{io, path::PathBuf, process::ExitCode};

use drover_dial::{Chain, DialError, ExchangeError, TrustError};

use crate::terminal::Terminal;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The configuration file cannot be read or written.
    #[error("cannot use the configuration file {}", .file.display())]
    ConfigurationFile {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration file holds something else.
    #[error("{} is not a configuration of drover", .file.display())]
    Configuration {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// There is no home for a configuration file.
    #[error("no place for the configuration: neither HOME nor XDG_CONFIG_HOME is set")]
    NoHome,
    /// There is no such context.
    #[error("there is no context {0:?}")]
    NoContext(String),
    /// Nobody has logged in.
    #[error("not logged in")]
    NotLoggedIn,
    /// Some other file cannot be read or written.
    #[error("cannot use {}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The terminal failed.
    #[error("cannot read or write the terminal")]
    Terminal(#[from] io::Error),
    /// A certificate or a trust cannot be used.
    #[error("cannot set up TLS")]
    Trust(#[from] TrustError),
    /// The server was not reached.
    #[error("cannot talk to {server}")]
    Server {
        /// Its address.
        server: String,
        /// Why.
        #[source]
        source: ExchangeError,
    },
    /// The server refused.
    #[error("{what}: {message} ({status}{})", with_code(.code))]
    Refused {
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// The API's code.
        code: String,
        /// The API's message.
        message: String,
    },
    /// The server's answer is not what the API promises.
    #[error("{what}: the answer of the server is not understood: {problem}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An object does not exist.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// For example "cluster".
        kind: &'static str,
        /// The name that was given.
        name: String,
    },
    /// Several objects have the name.
    #[error("there are several {kind}s named {name:?}: {}", .ids.join(", "))]
    Ambiguous {
        /// For example "cluster".
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The user said no.
    #[error("not confirmed")]
    NotConfirmed,
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s; last seen: {last}")]
    Waited {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// The last state.
        last: String,
    },
    /// kubectl is not there.
    #[error("kubectl is not installed, or not in the PATH")]
    NoKubectl,
    /// kubectl cannot be run.
    #[error("cannot run kubectl")]
    Kubectl(#[source] io::Error),
    /// An output cannot be made.
    #[error("cannot write the output as {format}: {problem}")]
    Output {
        /// The format.
        format: &'static str,
        /// What is wrong.
        problem: String,
    },
}

fn with_code(code: &str) -> String {
    if code.is_empty() {
        String::new()
    } else {
        format!(" {code}")
    }
}

impl CliError {
    /// What to do next, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotLoggedIn => Some("log in with: drover login URL".to_owned()),
            Self::NoContext(_) => Some("list them with: drover context ls".to_owned()),
            Self::Refused { status: 401, .. } => {
                Some("the session has ended or the credentials are wrong; log in again with: drover login URL".to_owned())
            }
            Self::Refused { status: 403, .. } => {
                Some("your roles do not allow this; ask an administrator of the server or of the cluster".to_owned())
            }
            Self::Refused { code, .. } if code == "NotUnique" => {
                Some("there is one of that name already; choose another name, or see it in the list (ls)".to_owned())
            }
            Self::NotFound { kind: "cluster", .. } => Some("list them with: drover clusters ls".to_owned()),
            Self::Ambiguous { .. } => Some("give the id instead of the name".to_owned()),
            Self::NoKubectl => Some(
                "install kubectl, or write a kubeconfig for other tools with: drover clusters kubeconfig NAME --file FILE"
                    .to_owned(),
            ),
            Self::NotConfirmed => Some("give --yes to go ahead without being asked".to_owned()),
            Self::Waited { .. } => Some("look at it with: drover clusters show NAME".to_owned()),
            Self::Configuration { file, .. } => {
                Some(format!("repair or remove {}, or name another one with --config", file.display()))
            }
            Self::ConfigurationFile { .. } | Self::NoHome => {
                Some("name another file with --config FILE or DROVER_CONFIG".to_owned())
            }
            Self::Server { server, source: ExchangeError::Dial(error) } => Some(dial_hint(server, error)),
            Self::Server { source: ExchangeError::Timeout { .. }, .. } => {
                Some("check that the server is alive and that no firewall drops the connection".to_owned())
            }
            Self::Usage(_)
            | Self::File { .. }
            | Self::Terminal(_)
            | Self::Trust(_)
            | Self::Server { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::NotFound { .. }
            | Self::Kubectl(_)
            | Self::Output { .. } => None,
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::NotLoggedIn
            | Self::Refused {
                status: 401 | 403, ..
            } => 3,
            Self::NotFound { .. } | Self::NoContext(_) | Self::Refused { status: 404, .. } => 4,
            Self::Waited { .. } => 5,
            _ => 1,
        })
    }

    /// Tells the user.
    pub fn show(&self, terminal: &mut dyn Terminal) {
        terminal.complain(&format!("error: {}", Chain(self)));
        if let Some(hint) = self.hint() {
            terminal.complain(&format!("hint: {hint}"));
        }
    }
}

fn dial_hint(server: &str, error: &DialError) -> String {
    match error {
        DialError::Tls { .. } if error.certificate_error().is_some() => format!(
            "the server's certificate is not trusted: give its CA with --cacert FILE, or look at its fingerprint with: \
             drover login {server} --insecure-skip-tls-verify"
        ),
        DialError::Tls { .. } => "the port may not speak TLS; give the HTTPS address".to_owned(),
        DialError::Resolve { .. } | DialError::NoAddress { .. } | DialError::ServerName { .. } => {
            "check the address for a misspelling".to_owned()
        }
        DialError::ProxyRefused { .. } | DialError::ProxyAnswer { .. } => {
            "a proxy is in the way; check HTTPS_PROXY and NO_PROXY".to_owned()
        }
        DialError::Connect { .. } | DialError::Timeout { .. } | DialError::Trust(_) => {
            "check that the server runs at this address and port, and that no firewall is in the way".to_owned()
        }
    }
}
