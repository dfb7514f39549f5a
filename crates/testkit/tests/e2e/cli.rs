//! The `drover` command as people use it: login, import, kubectl, and what it says when something is wrong.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use drover_testkit::certificates::Authority;
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{self, Hub, PASSWORD};
use drover_testkit::{apply, real, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{LIMIT, turn};

/// What a command did.
struct Outcome {
    code: i32,
    printed: String,
    complained: String,
}

impl Outcome {
    /// Fails unless the command succeeded; gives what it printed.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.printed, self.complained);
        self.printed
    }

    /// Fails unless the command failed with this code and said all of this.
    #[track_caller]
    fn failed(self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.printed, self.complained);
        for text in said {
            assert!(
                self.complained.contains(text),
                "{text:?} is not said in: {}",
                self.complained
            );
        }
        assert!(!self.complained.contains("panicked"), "{}", self.complained);
    }
}

/// A person with a home and a shell.
struct User {
    home: TempDir,
}

impl User {
    fn new() -> Result<Self> {
        Ok(Self {
            home: tempfile::Builder::new().prefix("drover-user-").tempdir()?,
        })
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(real::product("drover")?);
        let kubectl = real::component("kubectl")?;
        let path = kubectl.parent().context("kubectl lies in no folder")?;
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    async fn type_in(&self, arguments: &[&str], input: &str) -> Result<Outcome> {
        let mut child = self.command(arguments)?.spawn()?;
        let mut pipe = child.stdin.take().context("no pipe")?;
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            // A command that reads nothing may have ended already; its code tells how.
            let _: std::io::Result<()> = pipe.write_all(input.as_bytes());
            drop(pipe);
            let output = child.wait_with_output()?;
            Ok(Outcome {
                code: output.status.code().unwrap_or(-1),
                printed: String::from_utf8(output.stdout)?,
                complained: String::from_utf8(output.stderr)?,
            })
        })
        .await?
    }

    async fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        self.type_in(arguments, "").await
    }

    fn file(&self, name: &str, content: &str) -> Result<String> {
        let file: PathBuf = self.home.path().join(name);
        std::fs::write(&file, content)?;
        Ok(file.display().to_string())
    }

    /// Logs the administrator in, with the server's CA.
    async fn login(&self, hub: &Hub) -> Result<()> {
        let authority = self.authority(hub).await?;
        let arguments = [
            "login",
            &hub.url(),
            "--username",
            "admin",
            "--password-stdin",
            "--cacert",
            &authority,
        ];
        let said = self
            .type_in(&arguments, &format!("{PASSWORD}\n"))
            .await?
            .done();
        assert!(said.contains("as admin"), "{said}");
        Ok(())
    }

    async fn authority(&self, hub: &Hub) -> Result<String> {
        let authority = hub.http(None)?.get("/cacerts").await?.expect(200)?.body;
        self.file("ca.pem", &authority)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_imports_a_cluster_and_works_in_it_from_the_command_line() -> Result<()> {
    let _turn = turn().await;
    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let hub = Hub::start(hub::Config::default()).await?;
    let user = User::new()?;
    user.login(&hub).await?;

    // The command waits while the person runs what it printed elsewhere.
    let mut import = user
        .command(&["clusters", "import", "shop", "--wait", "--timeout", "120"])?
        .spawn()?;
    let mut printed = BufReader::new(import.stdout.take().context("no pipe")?);
    let (manifest, rest) = tokio::task::spawn_blocking(move || -> Result<_> {
        let mut line = String::new();
        while !line.contains("/v3/import/") {
            line.clear();
            ensure!(printed.read_line(&mut line)? > 0, "no command was printed");
        }
        Ok((line, printed))
    })
    .await??;
    let path = manifest
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&hub.url()))
        .context("the command names no address of the server")?;
    let manifest = hub.http(None)?.get(path).await?.expect(200)?.body;
    apply::apply(&plane.kubeconfig(), &manifest).await?;
    let _kubelet = plane.kubelet().await?;
    let (status, said) = tokio::task::spawn_blocking(move || -> Result<_> {
        let (mut said, mut rest) = (String::new(), rest);
        rest.read_to_string(&mut said)?;
        Ok((import.wait()?, said))
    })
    .await??;
    assert!(status.success(), "{said}");
    assert!(said.contains("is active"), "{said}");

    let clusters = user.run(&["clusters", "ls", "-o", "json"]).await?.done();
    let clusters: Vec<Value> = serde_json::from_str(&clusters)?;
    let shop = clusters
        .iter()
        .find(|cluster| cluster["name"] == "shop")
        .context("the cluster is not listed")?;
    assert_eq!(shop["state"], "active");
    wait::until("the table to tell version and nodes", LIMIT, || async {
        let table = user.run(&["clusters", "ls"]).await?.done();
        let row = table.lines().find(|line| line.contains("shop"));
        let row: Vec<&str> = row.context("no row")?.split_whitespace().collect();
        ensure!(
            row.contains(&"active") && row.contains(&"v1.36.3") && row.contains(&"3"),
            "{table}"
        );
        Ok(())
    })
    .await?;

    // The only cluster besides the server's own needs no name.
    let expected = "node/node-1\nnode/node-2\nnode/node-3\n";
    for line in [
        &["kubectl", "get", "nodes", "-o", "name"][..],
        &["kubectl", "--cluster", "shop", "get", "nodes", "-o", "name"],
    ] {
        assert_eq!(user.run(line).await?.done(), expected);
    }
    let tokens = user.run(&["tokens", "ls", "-o", "json"]).await?.done();
    assert_eq!(
        tokens.matches("\"id\": \"kubeconfig-").count(),
        1,
        "one kubeconfig serves many commands: {tokens}"
    );
    let typed = user
        .type_in(
            &["kubectl", "apply", "-f", "-"],
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made"}})
                .to_string(),
        )
        .await?
        .done();
    assert!(typed.contains("namespace/made created"), "{typed}");
    let local = user
        .run(&[
            "kubectl",
            "--cluster",
            "local",
            "get",
            "namespaces",
            "-o",
            "name",
        ])
        .await?
        .done();
    assert!(local.contains("namespace/cattle-global-data"), "{local}");
    assert!(!local.contains("namespace/made"), "{local}");
    let nodes = user
        .run(&["nodes", "ls", "--cluster", "shop"])
        .await?
        .done();
    assert_eq!(nodes.lines().count(), 4, "{nodes}");
    // kubectl's own exit code and words come through.
    user.run(&["kubectl", "get", "pod", "nobody"])
        .await?
        .failed(1, &["pods \"nobody\" not found"]);
    user.run(&["kubectl", "--cluster", "nope", "get", "nodes"])
        .await?
        .failed(4, &["no cluster \"nope\"", "drover clusters ls"]);

    let file = user.home.path().join("shop.yaml");
    user.run(&[
        "clusters",
        "kubeconfig",
        "shop",
        "--file",
        &file.display().to_string(),
    ])
    .await?
    .done();
    let through = apply::kubectl(&file, &["get", "namespace", "made", "-o", "name"], "").await?;
    assert_eq!(through.success()?, "namespace/made\n");

    user.run(&["clusters", "delete", "shop"])
        .await?
        .failed(1, &["--yes"]);
    user.run(&["clusters", "delete", "shop", "--yes"])
        .await?
        .done();
    wait::until("the cluster to be gone", LIMIT, || async {
        let clusters = user.run(&["clusters", "ls"]).await?.done();
        ensure!(!clusters.contains("shop"), "{clusters}");
        Ok(())
    })
    .await
}

/// What the page in the browser does is done here: whoever is signed in confirms what its address asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_is_signed_in_by_whoever_confirms_in_the_browser() -> Result<()> {
    let _turn = turn().await;
    let hub = Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let user = User::new()?;
    let (url, authority) = (hub.url(), user.authority(&hub).await?);
    let line = ["login", &url, "--browser", "--cacert", &authority];
    let mut login = user.command(&line)?.spawn()?;
    let mut said = BufReader::new(login.stderr.take().context("no pipe")?);
    let (page, said) = tokio::task::spawn_blocking(move || -> Result<_> {
        let mut line = String::new();
        while !line.contains("/dashboard/auth/login?") {
            line.clear();
            ensure!(said.read_line(&mut line)? > 0, "no page was shown");
        }
        Ok((line, said))
    })
    .await??;
    let asked = page.trim().split_once('?').context("no query")?.1;
    let asked: BTreeMap<String, String> = form_urlencoded::parse(asked.as_bytes())
        .into_owned()
        .collect();
    let waiting = format!("/v1-public/authtokens/{}", asked["requestId"]);
    hub.http(None)?.get(&waiting).await?.expect(404)?;
    let confirmed = json!({
        "type": "cliLogin", "requestId": asked["requestId"], "publicKey": asked["publicKey"],
        "responseType": asked["responseType"],
    });
    let confirmed = session.http.post("/v3/cliLogins", &confirmed).await?;
    confirmed.expect(201)?;
    let output = tokio::task::spawn_blocking(move || login.wait_with_output()).await??;
    drop(said);
    let printed = String::from_utf8(output.stdout)?;
    assert!(
        output.status.success() && printed.contains("as admin"),
        "{printed}"
    );
    user.run(&["clusters", "ls"]).await?.done();
    hub.http(None)?.get(&waiting).await?.expect(404)?;
    user.run(&["logout"]).await?.done();
    session.http.get("/v3/users?me=true").await?.expect(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_exit_code_and_a_way_out() -> Result<()> {
    let _turn = turn().await;
    let mut hub = Hub::start(hub::Config::default()).await?;
    let user = User::new()?;
    let url = hub.url();
    let list = ["clusters", "ls"];
    let authority = user.authority(&hub).await?;
    let login = |extra: &[&'static str]| {
        let mut all = vec!["login".to_owned(), url.clone()];
        all.extend(extra.iter().map(|argument| (*argument).to_owned()));
        all
    };
    let strs = |all: &[String]| {
        all.iter()
            .map(|text| text.clone().leak() as &str)
            .collect::<Vec<&str>>()
    };

    user.run(&list)
        .await?
        .failed(3, &["not logged in", "drover login URL"]);
    user.run(&strs(&login(&[
        "--username",
        "admin",
        "--password",
        PASSWORD,
    ])))
    .await?
    .failed(
        1,
        &[
            "certificate is not trusted",
            "--cacert FILE",
            "--insecure-skip-tls-verify",
        ],
    );
    let other = user.file("other.pem", Authority::new("somebody else")?.pem())?;
    let with_ca = |file: &str, password: &'static str| {
        let mut all = login(&["--username", "admin", "--password", password, "--cacert"]);
        all.push(file.to_owned());
        strs(&all)
    };
    user.run(&with_ca(&other, PASSWORD))
        .await?
        .failed(1, &["certificate is not trusted"]);
    let no_certificate = user.file("empty.pem", "nothing here")?;
    user.run(&with_ca(&no_certificate, PASSWORD))
        .await?
        .failed(1, &["no certificate found", "empty.pem"]);
    user.run(&with_ca(&authority, "wrong"))
        .await?
        .failed(3, &["authentication failed", "credentials are wrong"]);
    user.run(&strs(&login(&[
        "--token",
        "token-abcde:nothing",
        "--cacert",
        authority.clone().leak(),
    ])))
    .await?
    .failed(3, &["credentials are wrong"]);
    // Nobody can be asked whether the certificate is right, so it is shown with a warning.
    let shown = user
        .run(&strs(&login(&[
            "--username",
            "admin",
            "--password",
            PASSWORD,
            "--insecure-skip-tls-verify",
        ])))
        .await?;
    let fingerprint = shown
        .complained
        .lines()
        .find_map(|line| line.trim().strip_prefix("SHA-256"))
        .map(|fingerprint| fingerprint.trim().to_owned())
        .context("no fingerprint was shown")?;
    shown.done();
    user.run(&["login", &url, "--fingerprint", "abc", "--username", "admin"])
        .await?
        .failed(2, &["not a SHA-256"]);
    user.run(&[
        "login",
        &url,
        "--username",
        "admin",
        "--password",
        PASSWORD,
        "--fingerprint",
        &fingerprint,
    ])
    .await?
    .done();
    user.run(&list).await?.done();

    user.login(&hub).await?;
    user.run(&["clusters", "import", "twin"]).await?.done();
    user.run(&["clusters", "import", "twin"])
        .await?
        .failed(1, &["NotUnique", "another name"]);
    user.run(&["clusters", "import", "Not_A_Name"])
        .await?
        .failed(1, &["InvalidFormat", "name"]);
    user.run(&["clusters", "show", "nope"])
        .await?
        .failed(4, &["no cluster \"nope\""]);
    user.run(&["kubectl", "--cluster", "twin", "get", "nodes"])
        .await?
        .failed(1, &["the cluster twin", "is pending"]);
    user.run(&["clusters", "import", "late", "--wait", "--timeout", "1"])
        .await?
        .failed(5, &["did not happen within 1 s", "drover clusters show"]);
    user.run(&["login", &hub.url().replace("https", "http")])
        .await?
        .failed(2, &["not encrypted"]);
    user.run(&["nonsense"]).await?.failed(2, &["nonsense"]);

    a_person_without_rights(&hub, &user, &authority).await?;
    an_expired_token(&hub, &user, &authority).await?;

    user.run(&["logout"]).await?.done();
    user.run(&list).await?.failed(3, &["not logged in"]);
    user.login(&hub).await?;
    hub.kill()?;
    user.run(&list)
        .await?
        .failed(1, &["cannot talk to", "check that the server runs"]);
    user.run(&["kubectl", "get", "nodes"])
        .await?
        .failed(1, &["cannot talk to"]);
    hub.resume().await?;
    user.run(&list).await?.done();
    Ok(())
}

/// Somebody without a role in a cluster sees none, and is told that it is the rights.
async fn a_person_without_rights(hub: &Hub, admin: &User, authority: &str) -> Result<()> {
    let session = hub.login().await?;
    let password = "a-long-enough-password";
    let person = json!({"type": "user", "username": "dana", "password": password, "mustChangePassword": false});
    let person = session
        .http
        .post("/v3/users", &person)
        .await?
        .expect(201)?
        .json()?;
    let role =
        json!({"type": "globalRoleBinding", "userId": person["id"], "globalRoleId": "user-base"});
    session
        .http
        .post("/v3/globalrolebindings", &role)
        .await?
        .expect(201)?;
    let dana = User::new()?;
    wait::until("dana to log in", Duration::from_secs(10), || async {
        let arguments = [
            "login",
            &hub.url(),
            "-u",
            "dana",
            "-p",
            password,
            "--cacert",
            authority,
        ];
        let outcome = dana.run(&arguments).await?;
        ensure!(outcome.code == 0, "{}", outcome.complained);
        Ok(())
    })
    .await?;
    let clusters = dana.run(&["clusters", "ls", "-o", "json"]).await?.done();
    assert_eq!(serde_json::from_str::<Value>(&clusters)?, json!([]));
    dana.run(&["settings", "set", "server-url", "https://elsewhere.example"])
        .await?
        .failed(3, &["403", "roles do not allow"]);
    dana.run(&["kubectl", "--cluster", "twin", "get", "nodes"])
        .await?
        .failed(4, &["no cluster"]);
    let before = admin.run(&["settings", "get", "server-url"]).await?.done();
    assert_eq!(before.trim(), hub.url());
    Ok(())
}

/// A token that ran out is refused like a wrong one, and the way out is a new login.
async fn an_expired_token(hub: &Hub, admin: &User, authority: &str) -> Result<()> {
    let made = admin
        .run(&["tokens", "create", "--ttl", "2s", "-o", "json"])
        .await?
        .done();
    let token: Value = serde_json::from_str(&made)?;
    let token = token["token"].as_str().context("no token was printed")?;
    let short = User::new()?;
    let arguments = ["login", &hub.url(), "--token", "-", "--cacert", authority];
    short.type_in(&arguments, token).await?.done();
    wait::until("the token to run out", LIMIT, || async {
        let outcome = short.run(&["clusters", "ls"]).await?;
        ensure!(outcome.code != 0, "it still works");
        outcome.failed(3, &["401", "log in again"]);
        Ok(())
    })
    .await
}
