//! Commands against a small server, and snapshots of what they print.

mod access;
mod clusters;
mod login;
mod people;
mod server;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use clap::{CommandFactory as _, Parser as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::server::FakeServer;
use crate::{Arguments, CliError, Environment, Terminal};

/// A terminal whose user answers as written beforehand.
#[derive(Default)]
struct Scripted {
    printed: String,
    complaints: Vec<String>,
    answers: VecDeque<String>,
    input: String,
    interactive: bool,
    browsed: Vec<String>,
    /// Where pages open, if there is a browser.
    browser: Option<Arc<Mutex<Option<String>>>>,
}

impl Terminal for Scripted {
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.printed.push_str(text);
        Ok(())
    }

    fn complain(&mut self, line: &str) {
        self.complaints.push(line.to_owned());
    }

    fn interactive(&self) -> bool {
        self.interactive
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        self.complaints.push(question.to_owned());
        self.answers
            .pop_front()
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn ask_secret(&mut self, question: &str) -> io::Result<SecretString> {
        self.ask(question).map(SecretString::from)
    }

    fn read_all(&mut self) -> io::Result<String> {
        Ok(std::mem::take(&mut self.input))
    }

    fn browse(&mut self, url: &str) -> io::Result<()> {
        self.browsed.push(url.to_owned());
        let browser = self.browser.as_ref().ok_or(io::ErrorKind::NotFound)?;
        *browser.lock().unwrap() = Some(url.to_owned());
        Ok(())
    }
}

struct User {
    dir: TempDir,
    terminal: Scripted,
    code: ExitCode,
}

impl User {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            terminal: Scripted::default(),
            code: ExitCode::SUCCESS,
        }
    }

    /// A user who is logged in to the server by its CA.
    async fn logged_in(server: &FakeServer) -> Self {
        let mut user = Self::new();
        let ca = user.file("ca.pem", &server.pem);
        user.run(&[
            "login",
            &server.url(),
            "--username",
            "admin",
            "--password",
            "secret",
            "--cacert",
            &ca,
        ])
        .await
        .unwrap();
        user.terminal = Scripted::default();
        user
    }

    fn file(&self, name: &str, content: &str) -> String {
        let file = self.dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn config(&self) -> Value {
        let text = std::fs::read(self.dir.path().join("drover/config.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Runs a command and returns what it printed.
    async fn run(&mut self, line: &[&str]) -> Result<String, CliError> {
        let arguments =
            Arguments::try_parse_from(std::iter::once("drover").chain(line.iter().copied()));
        let arguments = arguments.unwrap_or_else(|error| panic!("{error}"));
        let environment =
            Environment::from_iter([("XDG_CONFIG_HOME", self.dir.path().to_str().unwrap())]);
        self.terminal.printed.clear();
        let code = super::run(
            arguments,
            &mut Arguments::command(),
            &environment,
            &mut self.terminal,
        )
        .await?;
        self.code = code;
        Ok(std::mem::take(&mut self.terminal.printed))
    }

    /// Runs a command and returns the exit code it asked for.
    async fn code(&mut self, line: &[&str]) -> ExitCode {
        self.run(line).await.unwrap();
        self.code
    }

    /// Runs a command that fails and returns the exit code of its error.
    async fn code_of(&mut self, line: &[&str]) -> u8 {
        let code = format!("{:?}", self.run(line).await.unwrap_err().exit_code());
        let known = (0..=9).find(|known| format!("{:?}", ExitCode::from(*known)) == code);
        known.expect("an exit code of ours")
    }
}

/// Compares with `tests/snapshots/NAME`; `UPDATE_SNAPSHOTS=1` writes it.
#[track_caller]
fn snapshot(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        text,
        expected,
        "{} differs; UPDATE_SNAPSHOTS=1 writes it",
        file.display()
    );
}

#[test]
fn help_stays_as_it_is() {
    let mut command = Arguments::command();
    command.build();
    let mut pages = String::new();
    let mut queue = vec![command];
    while let Some(mut command) = queue.pop() {
        let help = command.render_long_help();
        pages.push_str(&format!(
            "##### {}\n{}\n",
            command.get_bin_name().unwrap_or("drover"),
            help
        ));
        let below = command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help");
        let below: Vec<_> = below.cloned().collect();
        queue.extend(below.into_iter().rev());
    }
    snapshot("help.txt", &pages);
}

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[tokio::test]
async fn lists_are_printed_as_columns() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    for (name, line) in [
        ("clusters-ls.txt", &["clusters", "ls"][..]),
        ("clusters-show.txt", &["clusters", "show", "oracle1"]),
        (
            "projects-ls.txt",
            &["projects", "ls", "--cluster", "oracle1"],
        ),
        ("nodes-ls.txt", &["nodes", "ls"]),
        ("settings-ls.txt", &["settings", "ls"]),
        ("tokens-ls.txt", &["tokens", "ls"]),
        ("users-ls.txt", &["users", "ls"]),
        ("clusters-ls.yaml", &["clusters", "ls", "-o", "yaml"]),
    ] {
        snapshot(name, &user.run(line).await.unwrap());
    }
}

#[tokio::test]
async fn json_is_the_api_s_own_and_pages_are_joined() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let clusters: Value =
        serde_json::from_str(&user.run(&["clusters", "ls", "-o", "json"]).await.unwrap()).unwrap();
    let ids: Vec<&str> = clusters
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| cluster["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["c-aaaaa", "c-bbbbb", "local"]);
    assert!(
        server.asked().iter().any(|line| line.contains("marker=")),
        "the fake serves pages of two"
    );
}

#[tokio::test]
async fn settings_are_read_and_changed() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    assert_eq!(
        user.run(&["settings", "get", "server-url"]).await.unwrap(),
        "https://drover.test\n"
    );
    let printed = user
        .run(&["settings", "set", "server-url", "https://other.test"])
        .await
        .unwrap();
    assert_eq!(
        printed,
        "server-url: https://drover.test -> https://other.test\n"
    );
    assert_eq!(
        server.sent("PUT /v3/settings/server-url")["value"],
        "https://other.test"
    );
    let error = user
        .run(&["settings", "set", "nosuch", "x"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no setting \"nosuch\"");
}

#[tokio::test]
async fn completion_needs_no_configuration() {
    let mut user = User::new();
    user.file("config.json", "");
    let script = user.run(&["completion", "bash"]).await.unwrap();
    assert!(
        script.contains("_drover") && script.contains("kubeconfig"),
        "{script}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let url = server.url();
    drop(server);
    let error = user.run(&["users", "ls"]).await.unwrap_err();
    assert!(error.to_string().contains(&url), "{error}");
    assert!(error.hint().is_some());
}
