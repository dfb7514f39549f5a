//! One file per command, and what they share: the configuration, the server, the terminal.

mod access;
mod audit;
mod browser;
mod clusters;
mod context;
mod credential;
mod kubectl;
mod login;
mod namespaces;
mod nodes;
mod projects;
mod roles;
mod settings;
mod tokens;
mod users;

use std::{path::PathBuf, process::ExitCode};

use serde_json::Value;

use crate::{
    Environment,
    api::{Api, query, segment},
    arguments::{Arguments, Command, Format, GlobalArguments},
    configuration::{self, Configuration, Context},
    error::CliError,
    terminal::Terminal,
};

/// What a command works with.
pub(crate) struct Invocation<'a> {
    global: GlobalArguments,
    file: PathBuf,
    configuration: Configuration,
    environment: &'a Environment,
    terminal: &'a mut dyn Terminal,
}

impl Invocation<'_> {
    fn format(&self) -> Format {
        self.global.output
    }

    fn context(&self) -> Result<(&str, &Context), CliError> {
        self.configuration.context(self.global.context.as_deref())
    }

    fn api(&self) -> Result<Api, CliError> {
        Api::of(self.context()?.1, self.environment)
    }

    fn save(&self) -> Result<(), CliError> {
        self.configuration.write(&self.file)
    }

    /// Tells of an object that was made: in words, or as it is.
    fn made(&mut self, object: &Value, text: &str) -> Result<(), CliError> {
        match self.format() {
            Format::Table => self.say(text),
            format @ (Format::Json | Format::Yaml) => {
                crate::output::object(self.terminal, format, object)
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), CliError> {
        Ok(self.terminal.print(text)?)
    }
}

/// Runs a command. `whole` is the definition of the whole binary, for shell completion.
pub async fn run(
    arguments: Arguments,
    whole: &mut clap::Command,
    environment: &Environment,
    terminal: &mut dyn Terminal,
) -> Result<ExitCode, CliError> {
    if let Command::Completion { shell } = arguments.command {
        let mut script = Vec::new();
        let name = whole.get_name().to_owned();
        clap_complete::generate(shell, whole, name, &mut script);
        terminal.print(&String::from_utf8_lossy(&script))?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = configuration::file(arguments.global.config.as_deref(), environment)?;
    let configuration = Configuration::read(&file)?;
    let mut invocation = Invocation {
        global: arguments.global,
        file,
        configuration,
        environment,
        terminal,
    };
    match arguments.command {
        Command::Login(login) => login::login(&mut invocation, login).await?,
        Command::Logout => login::logout(&mut invocation).await?,
        Command::Context(command) => context::run(&mut invocation, command)?,
        Command::Clusters(command) => clusters::run(&mut invocation, command).await?,
        Command::Projects(command) => projects::projects(&mut invocation, command).await?,
        Command::Namespaces(command) => namespaces::run(&mut invocation, command).await?,
        Command::Roles(command) => roles::run(&mut invocation, command).await?,
        Command::Explain(arguments) => return access::explain(&mut invocation, arguments).await,
        Command::WhoCan(question) => access::who_can(&mut invocation, question).await?,
        Command::Token(arguments) => credential::run(&mut invocation, arguments).await?,
        Command::Nodes(command) => nodes::run(&mut invocation, command).await?,
        Command::Users(command) => users::run(&mut invocation, command).await?,
        Command::Settings(command) => settings::run(&mut invocation, command).await?,
        Command::Tokens(command) => tokens::run(&mut invocation, command).await?,
        Command::Audit(command) => audit::run(&mut invocation, command).await?,
        Command::Kubectl(arguments) => return kubectl::run(&mut invocation, arguments).await,
        // Answered above, before anything was read.
        Command::Completion { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The cluster with this name or id.
async fn cluster(api: &Api, name: &str) -> Result<Value, CliError> {
    let query = query(&[("name", name)]);
    let mut named = api.list(&format!("/v3/clusters?{query}")).await?;
    // A server that ignores the filter must not make us take another cluster.
    named.retain(|cluster| cluster["name"] == name);
    if let Some(cluster) = only("cluster", name, named)? {
        return Ok(cluster);
    }
    match api.get(&format!("/v3/clusters/{}", segment(name))).await {
        Ok(cluster) => Ok(cluster),
        // An id that one may not see looks like one that does not exist.
        Err(CliError::Refused {
            status: 403 | 404, ..
        }) => Err(CliError::NotFound {
            kind: "cluster",
            name: name.to_owned(),
        }),
        Err(error) => Err(error),
    }
}

/// The id of the project with this name or id in a cluster.
async fn project(api: &Api, cluster: &str, name: &str) -> Result<String, CliError> {
    let query = query(&[("clusterId", cluster)]);
    let projects = api.list(&format!("/v3/projects?{query}")).await?;
    let found = projects
        .into_iter()
        .filter(|project| project["clusterId"] == cluster)
        .filter(|project| {
            let id = project["id"].as_str().unwrap_or_default();
            project["name"] == name || id == name || id.split(':').nth(1) == Some(name)
        })
        .collect();
    match only("project", name, found)? {
        Some(project) => id(&project).map(ToOwned::to_owned),
        None => Err(CliError::NotFound {
            kind: "project",
            name: name.to_owned(),
        }),
    }
}

/// The one object that a name fits, if there is one.
///
/// # Errors
/// When it fits several.
fn only(kind: &'static str, name: &str, mut found: Vec<Value>) -> Result<Option<Value>, CliError> {
    if found.len() < 2 {
        return Ok(found.pop());
    }
    Err(CliError::Ambiguous {
        kind,
        name: name.to_owned(),
        ids: found
            .iter()
            .map(|one| id(one).map(ToOwned::to_owned))
            .collect::<Result<_, _>>()?,
    })
}

/// The id of an object that came from the API.
fn id(object: &Value) -> Result<&str, CliError> {
    object["id"].as_str().ok_or_else(|| CliError::Answer {
        what: "an object of the API".to_owned(),
        problem: "it has no id".to_owned(),
    })
}

/// A question that has to be answered with yes, unless `yes` was given.
fn confirm(terminal: &mut dyn Terminal, yes: bool, question: &str) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if terminal.interactive() {
        let answer = terminal.ask(&format!("{question} [y/N]"))?;
        if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
    }
    Err(CliError::NotConfirmed)
}

#[cfg(test)]
mod tests;
