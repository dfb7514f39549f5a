//! Commands against a small server, and snapshots of what they print.

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
async fn a_password_login_is_remembered_privately() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let printed = user
        .run(&[
            "login",
            &server.url(),
            "-u",
            "admin",
            "-p",
            "secret",
            "--cacert",
            &ca,
            "--name",
            "lab",
        ])
        .await
        .unwrap();
    assert_eq!(
        printed,
        format!("Logged in to {} as admin (context lab).\n", server.url())
    );
    let config = user.config();
    assert_eq!(config["current"], "lab");
    assert_eq!(config["contexts"]["lab"]["token"], "token-abcde:key");
    let printed = user.run(&["context", "ls"]).await.unwrap();
    snapshot(
        "context-ls.txt",
        &printed
            .replace(&server.url(), "https://localhost:PORT")
            .replace("   admin", " admin"),
    );
}

#[tokio::test]
async fn passwords_come_from_the_prompt_or_standard_input_and_are_never_shown() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    user.terminal.interactive = true;
    user.terminal.answers = ["admin".to_owned(), "secret".to_owned()].into();
    user.run(&["login", &server.url(), "--cacert", &ca])
        .await
        .unwrap();
    assert_eq!(
        user.terminal.complaints,
        ["Username:", "Password of admin:"]
    );
    user.terminal.interactive = false;
    user.terminal.input = "secret\n".to_owned();
    user.run(&[
        "login",
        &server.url(),
        "--cacert",
        &ca,
        "-u",
        "admin",
        "--password-stdin",
    ])
    .await
    .unwrap();
    let error = user
        .run(&["login", &server.url(), "--cacert", &ca, "-u", "admin"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("--password-stdin"), "{error}");
}

#[tokio::test]
async fn a_token_comes_from_whoever_confirms_in_the_browser() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let url = server.url();
    user.terminal.browser = Some(server.browser());
    let printed = user
        .run(&["login", &url, "--browser", "--cacert", &ca])
        .await
        .unwrap();
    assert!(printed.contains("as admin"), "{printed}");
    assert_eq!(user.config()["contexts"].as_object().unwrap().len(), 1);

    let page = user.terminal.browsed.remove(0);
    assert!(
        page.starts_with(&format!("{url}/dashboard/auth/login?cli=true&requestId=")),
        "{page}"
    );
    let page = url::Url::parse(&page).unwrap();
    let name = page
        .query_pairs()
        .find(|(key, _)| key == "requestId")
        .unwrap()
        .1;
    assert_eq!(name.len(), 32);
    let shown = user.terminal.complaints.join("\n");
    assert!(
        shown.contains("/dashboard/auth/login") && !shown.contains("token-abcde"),
        "{shown}"
    );
    let code = shown
        .split("code: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert_eq!(code.replace(' ', ""), name, "it is what the page shows");
    // Not there, there, taken away.
    let answer = format!("/v1-public/authtokens/{name}");
    let asked = server.asked();
    let about: Vec<_> = asked
        .iter()
        .filter(|line| line.ends_with(&answer))
        .collect();
    assert_eq!(
        about,
        [
            &format!("GET {answer}"),
            &format!("GET {answer}"),
            &format!("DELETE {answer}")
        ]
    );
}

#[tokio::test]
async fn what_is_not_encrypted_to_the_request_is_no_token() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let url = server.url();
    server.forge();
    user.terminal.browser = Some(server.browser());
    let error = user
        .run(&["login", &url, "--browser", "--cacert", &ca])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not encrypted to this request"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_passwords_and_tokens_are_refused_with_a_way_out() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let error = user
        .run(&[
            "login",
            &server.url(),
            "-u",
            "admin",
            "-p",
            "wrong",
            "--cacert",
            &ca,
        ])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("authentication failed (401"),
        "{error}"
    );
    let error = user
        .run(&["login", &server.url(), "--token", "no:no", "--cacert", &ca])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("must authenticate (401"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("drover login"));
    assert!(
        !user.dir.path().join("drover/config.json").exists(),
        "nothing is remembered"
    );
}

#[tokio::test]
async fn an_untrusted_server_names_both_ways_to_trust_it() {
    let server = FakeServer::start().await;
    let error = User::new()
        .run(&["login", &server.url(), "--token", "a:b"])
        .await
        .unwrap_err();
    let hint = error.hint().unwrap_or_default();
    // A machine without root certificates cannot even begin to verify; that has its own message.
    if !matches!(error, CliError::Trust(_)) {
        assert!(
            hint.contains("--cacert") && hint.contains("--insecure-skip-tls-verify"),
            "{error} {hint}"
        );
    }
}

#[tokio::test]
async fn a_fingerprint_is_asked_for_and_the_ca_kept_instead() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    user.terminal.interactive = true;
    user.terminal.answers = ["no".to_owned()].into();
    let line = [
        "login",
        &server.url(),
        "--insecure-skip-tls-verify",
        "--token",
        "token-abcde:key",
        "--name",
        "x",
    ];
    let error = user.run(&line).await.unwrap_err();
    assert!(error.to_string().contains("not accepted"), "{error}");
    let shown = user.terminal.complaints.join("\n");
    assert!(shown.contains(&server.fingerprint), "{shown}");
    user.terminal.answers = ["y".to_owned()].into();
    user.run(&line).await.unwrap();
    let context = &user.config()["contexts"]["x"];
    assert!(
        context["ca"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert_eq!(context["fingerprint"], Value::Null);
}

#[tokio::test]
async fn a_pinned_fingerprint_needs_no_question_and_must_be_the_server_s() {
    let server = FakeServer::start().await;
    server.hide_ca();
    let mut user = User::new();
    let url = server.url();
    let line = |fingerprint| {
        [
            "login",
            url.as_str(),
            "--fingerprint",
            fingerprint,
            "--token",
            "token-abcde:key",
            "--name",
            "x",
        ]
    };
    let other = "AB".repeat(32);
    user.run(&line(&server.fingerprint)).await.unwrap();
    assert_eq!(
        user.config()["contexts"]["x"]["fingerprint"],
        server.fingerprint
    );
    user.run(&["clusters", "ls"]).await.unwrap();
    let error = user.run(&line(&other)).await.unwrap_err();
    assert!(error.to_string().contains("another certificate"), "{error}");
    let error = user.run(&line("AB")).await.unwrap_err();
    assert!(error.to_string().contains("--fingerprint"), "{error}");
}

#[tokio::test]
async fn logout_ends_the_session_and_forgets_the_token() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    user.run(&["logout"]).await.unwrap();
    assert!(
        server
            .asked()
            .contains(&"POST /v3/tokens?action=logout".to_owned())
    );
    let error = user.run(&["clusters", "ls"]).await.unwrap_err();
    assert!(matches!(error, CliError::NotLoggedIn), "{error}");
    assert!(!user.config().to_string().contains("token-abcde"));
}

#[tokio::test]
async fn contexts_are_chosen_and_deleted_by_name() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let ca = user.file("ca.pem", &server.pem);
    user.run(&[
        "login",
        &server.url(),
        "-t",
        "token-abcde:key",
        "--cacert",
        &ca,
        "--name",
        "two",
    ])
    .await
    .unwrap();
    let error = user.run(&["context", "use", "three"]).await.unwrap_err();
    assert!(
        matches!(&error, CliError::NoContext(name) if name == "three"),
        "{error}"
    );
    let first = server.url().trim_start_matches("https://").to_owned();
    user.run(&["context", "use", &first]).await.unwrap();
    assert_eq!(user.config()["current"], first);
    user.run(&["context", "delete", &first]).await.unwrap();
    assert!(matches!(
        user.run(&["users", "ls"]).await,
        Err(CliError::NotLoggedIn)
    ));
    user.run(&["users", "ls", "--context", "two"])
        .await
        .unwrap();
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
async fn a_cluster_is_imported_with_labels_and_its_command_printed() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let printed = user
        .run(&[
            "clusters",
            "import",
            "new",
            "--label",
            "team=a",
            "-l",
            "x=",
            "--description",
            "mine",
            "--wait",
        ])
        .await
        .unwrap();
    snapshot("clusters-import.txt", &printed);
    let sent = server.sent("POST /v3/clusters");
    assert_eq!(
        sent,
        json!({"type": "cluster", "name": "new", "description": "mine", "labels": {"team": "a", "x": ""}})
    );
    assert_eq!(
        user.terminal.complaints,
        [
            "waiting: pending",
            "waiting: waiting: Waiting for API to be available"
        ]
    );
    let error = user
        .run(&["clusters", "import", "oracle1"])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("field \"Cluster name\"")
            && error.to_string().contains("NotUnique"),
        "{error}"
    );
    let error = user
        .run(&["clusters", "import", "other", "--label", "nonsense"])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("--label \"nonsense\""),
        "{error}"
    );
}

#[tokio::test]
async fn deleting_a_cluster_asks_first() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let error = user
        .run(&["clusters", "delete", "oracle1"])
        .await
        .unwrap_err();
    assert!(matches!(error, CliError::NotConfirmed), "{error}");
    user.terminal.interactive = true;
    user.terminal.answers = ["n".to_owned()].into();
    assert!(matches!(
        user.run(&["clusters", "delete", "oracle1"]).await,
        Err(CliError::NotConfirmed)
    ));
    assert!(!server.asked().iter().any(|line| line.starts_with("DELETE")));
    user.run(&["clusters", "delete", "oracle1", "--yes"])
        .await
        .unwrap();
    assert!(
        server
            .asked()
            .contains(&"DELETE /v3/clusters/c-aaaaa".to_owned())
    );
}

#[tokio::test]
async fn clusters_are_found_by_name_or_id_and_told_when_not() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    assert!(
        user.run(&["clusters", "kubeconfig", "c-aaaaa"])
            .await
            .unwrap()
            .contains("/k8s/clusters/c-aaaaa")
    );
    let error = user
        .run(&["clusters", "show", "nowhere"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no cluster \"nowhere\"");
    let file = user.dir.path().join("k/config");
    user.run(&[
        "clusters",
        "kubeconfig",
        "oracle1",
        "--file",
        file.to_str().unwrap(),
    ])
    .await
    .unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    user.run(&["clusters", "use", "oracle1"]).await.unwrap();
    assert!(
        user.config()
            .to_string()
            .contains("\"cluster\":\"c-aaaaa\"")
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
async fn tokens_are_made_and_deleted() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let printed = user
        .run(&[
            "tokens",
            "create",
            "--ttl",
            "1h",
            "-d",
            "ci",
            "--cluster",
            "oracle1",
        ])
        .await
        .unwrap();
    assert_eq!(printed, "token-fresh:key\n");
    let sent = server.sent("POST /v3/tokens");
    assert_eq!(
        sent,
        json!({"type": "token", "ttl": 3_600_000, "description": "ci", "clusterId": "c-aaaaa"})
    );
    user.run(&["tokens", "delete", "token-abcde"])
        .await
        .unwrap();
    let error = user
        .run(&["tokens", "delete", "token-none"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no token \"token-none\"");
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
async fn rights_are_explained() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let mut printed = String::new();
    for line in [
        &[
            "explain",
            "get",
            "deployments.apps",
            "-c",
            "oracle1",
            "-n",
            "works-a",
        ][..],
        &[
            "explain",
            "delete",
            "nodes",
            "--cluster",
            "oracle1",
            "--user",
            "admin",
        ],
        &["who-can", "get", "pods", "--cluster", "oracle1"],
    ] {
        printed.push_str(&format!("$ drover {}\n", line.join(" ")));
        printed.push_str(&user.run(line).await.unwrap());
    }
    snapshot("access.txt", &printed);
    assert_eq!(
        server.sent("POST /v3/accessReviews"),
        json!({
            "type": "accessReview", "verb": "delete", "resource": "nodes", "apiGroup": "", "clusterId": "c-aaaaa",
            "userId": "user-p8sfq",
        })
    );
    let error = user
        .run(&["explain", "get", "pods", "-u", "nobody"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no user \"nobody\"");
    let error = user
        .run(&["who-can", "get", "pods", "-n", "works-a"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("--namespace needs --cluster"));
}

#[tokio::test]
async fn a_right_that_is_missing_is_an_exit_code() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let yes = user.code(&["explain", "get", "pods"]).await;
    let no = user.code(&["explain", "delete", "pods"]).await;
    let codes = [ExitCode::SUCCESS, ExitCode::FAILURE];
    assert_eq!(format!("{:?}", [yes, no]), format!("{codes:?}"));
}

#[tokio::test]
async fn namespaces_projects_and_roles_are_listed_and_changed() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let error = user.run(&["namespaces", "ls"]).await.unwrap_err();
    assert!(error.to_string().contains("drover clusters use"), "{error}");
    user.run(&["clusters", "use", "oracle1"]).await.unwrap();
    let mut printed = String::new();
    for line in [
        &["namespaces", "ls"][..],
        &["namespaces", "ls", "--project", "Default"],
        &[
            "ns",
            "create",
            "works-b",
            "--project",
            "Default",
            "-d",
            "mine",
        ],
        &["namespaces", "move", "works-a", "-p", "p-1"],
        &["namespaces", "move", "works-a"],
        &["namespaces", "delete", "works-a", "--yes"],
        &["projects", "create", "works", "--cluster", "oracle1"],
        &["projects", "delete", "Default", "-c", "oracle1", "--yes"],
        &["roles", "ls"],
        &["roles", "ls", "--scope", "project"],
    ] {
        printed.push_str(&format!("$ drover {}\n", line.join(" ")));
        printed.push_str(&user.run(line).await.unwrap());
    }
    snapshot("inside.txt", &printed);
    assert_eq!(
        server.sent("POST /v3/cluster/c-aaaaa/namespaces"),
        json!({"type": "namespace", "name": "works-b", "projectId": "c-aaaaa:p-1", "description": "mine"})
    );
    assert!(
        server
            .asked()
            .contains(&"GET /v3/cluster/c-aaaaa/namespaces?projectId=c-aaaaa:p-1".to_owned())
    );
    let error = user
        .run(&["namespaces", "delete", "works-z", "--yes"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no namespace \"works-z\"");
    let error = user
        .run(&["projects", "delete", "Default"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("--cluster"), "{error}");
}

#[tokio::test]
async fn kubectl_gets_a_credential_that_is_kept() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let expected = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {
            "token": "kubeconfig-user-p8sfqwsljj:secret", "expirationTimestamp": "2026-12-20T21:22:11Z",
        },
    });
    for _ in 0..2 {
        let printed = user.run(&["token", "--cluster", "oracle1"]).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), expected);
    }
    let config = user
        .run(&["clusters", "kubeconfig", "oracle1", "--exec"])
        .await
        .unwrap();
    assert!(
        !config.contains("secret") && config.contains("--cluster"),
        "{config}"
    );
    let generated = server
        .asked()
        .iter()
        .filter(|line| line.contains("generateKubeconfig"))
        .count();
    assert_eq!(generated, 1, "one token for all");
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
