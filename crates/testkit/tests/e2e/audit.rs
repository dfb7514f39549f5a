//! The audit log of a running server: who did what, at each level; no secret; whole after kill -9.

use std::process::Command;

use anyhow::{Context, Result};
use drover_testkit::hub::{self, Hub, PASSWORD, Session};
use drover_testkit::{real, wait};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{LIMIT, turn};

const PLANTED: &str = "correct-horse-battery";

async fn with_level(level: &str) -> Result<(Hub, Session)> {
    let hub = Hub::start(hub::Config {
        flags: vec!["--audit-level".to_owned(), level.to_owned()],
        ..hub::Config::default()
    })
    .await?;
    let session = hub.login().await?;
    Ok((hub, session))
}

fn text(hub: &Hub) -> Result<String> {
    std::fs::read_to_string(hub.data().join("audit/audit.log")).context("read the audit log")
}

/// The entry that matches, once it is written.
async fn entry(hub: &Hub, what: &str, matches: impl Fn(&Value) -> bool) -> Result<Value> {
    wait::until(&format!("an entry of {what}"), LIMIT, || async {
        text(hub)?
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(&matches)
            .with_context(|| format!("none in {}", text(hub).unwrap_or_default()))
    })
    .await
}

fn verify(hub: &Hub) -> Result<(bool, String)> {
    let output = Command::new(real::product("drover")?)
        .args(["audit", "verify", "--data-dir"])
        .arg(hub.data())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_recorded_and_their_secrets_are_not() -> Result<()> {
    let _turn = turn().await;
    let (mut hub, session) = with_level("3").await?;
    let http = &session.http;

    let login = entry(&hub, "the login", |entry| entry["verb"] == "login").await?;
    assert_eq!(login["userLoginName"], "admin");
    assert_eq!(login["responseCode"], 201);
    let admin = login["user"]["name"].clone();
    let refused = json!({"username": "admin", "password": PLANTED});
    hub.http(None)?
        .post("/v3-public/localProviders/local?action=login", &refused)
        .await?
        .expect(401)?;
    let refused = entry(&hub, "the refused login", |entry| {
        entry["verb"] == "login" && entry["responseCode"] == 401
    })
    .await?;
    assert_eq!(refused["userLoginName"], "admin");
    assert!(refused.get("user").is_none());
    hub.http(None)?.get("/v3/clusters").await?.expect(401)?;

    let secret = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "stringData": {"name": PLANTED}});
    let answer = http
        .post(
            "/k8s/clusters/local/api/v1/namespaces/default/secrets",
            &secret,
        )
        .await?
        .expect(201)?;
    let created = entry(&hub, "the Secret", |entry| {
        entry["verb"] == "create" && entry["object"]["resource"] == "secrets"
    })
    .await?;
    assert_eq!(created["auditID"], answer.header("audit-id"));
    assert_eq!(created["user"]["name"], admin);
    assert_eq!(
        created["object"],
        json!({"cluster": "local", "namespace": "default", "resource": "secrets"})
    );
    assert_eq!(created["requestBody"]["metadata"]["name"], "s");
    assert_eq!(created["responseBody"]["data"], "[redacted]");
    assert_eq!(
        created["requestHeader"]["authorization"],
        json!(["[redacted]"])
    );

    let user = json!({"type": "user", "username": "ada", "password": PLANTED});
    http.post("/v3/users", &user).await?.expect(201)?;
    let token = http
        .post("/v3/tokens", &json!({"type": "token", "ttl": 60000}))
        .await?
        .expect(201)?
        .json()?["token"]
        .as_str()
        .context("no token")?
        .to_owned();
    let kubeconfig = session.kubeconfig("local").await?;
    entry(&hub, "the kubeconfig", |entry| {
        entry["verb"] == "generateKubeconfig"
    })
    .await?;

    let impersonated = Request::get("/k8s/clusters/local/api/v1/namespaces")
        .header("impersonate-user", "u-other")
        .body(Vec::new())?;
    http.send(impersonated).await?;
    let entry = entry(&hub, "the impersonation", |entry| {
        entry["user"]["requestUser"] == "u-other"
    })
    .await?;
    assert_eq!(entry["user"]["name"], admin);

    let log = text(&hub)?;
    let keys =
        [session.token.as_str(), &token].map(|token| token.split_once(':').map(|(_, key)| key));
    for key in keys.into_iter().chain([Some(PLANTED), Some(PASSWORD)]) {
        let key = key.context("a token without a key")?;
        assert!(!log.contains(key), "a secret in the log");
    }
    let kubeconfig: Value = serde_saphyr::from_str(&kubeconfig)?;
    let key = kubeconfig["users"][0]["user"]["token"]
        .as_str()
        .and_then(|token| token.split_once(':'))
        .with_context(|| format!("no token in {kubeconfig}"))?
        .1;
    assert!(!log.contains(key), "a secret in the log");

    // Whole after kill -9 and a new start; broken as soon as a line is touched.
    hub.kill()?;
    hub.resume().await?;
    let (whole, output) = verify(&hub)?;
    assert!(whole, "{output}");
    hub.kill()?;
    let path = hub.data().join("audit/audit.log");
    let changed = text(&hub)?.replacen("\"verb\":\"login\"", "\"verb\":\"logon\"", 1);
    let line = 1 + changed
        .lines()
        .position(|line| line.contains("logon"))
        .context("no login")?;
    std::fs::write(&path, changed)?;
    let (whole, output) = verify(&hub)?;
    assert!(
        !whole && output.contains(&format!("audit.log:{line}: ")),
        "{output}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_recorded_at_its_start_and_its_end() -> Result<()> {
    let _turn = turn().await;
    let (hub, session) = with_level("0").await?;
    let path = "/k8s/clusters/local/api/v1/namespaces?watch=true&timeoutSeconds=1";
    session.http.get(path).await?.expect(200)?;
    let of_stage = |stage: &'static str| {
        move |entry: &Value| entry["verb"] == "watch" && entry["stage"] == stage
    };
    let start = entry(&hub, "the watch", of_stage("ResponseStarted")).await?;
    let end = entry(&hub, "the watch's end", of_stage("ResponseComplete")).await?;
    assert_eq!(start["auditID"], end["auditID"]);
    assert!(end["durationMillis"].as_u64() >= Some(900), "{end}");
    for absent in [
        "requestHeader",
        "responseHeader",
        "requestBody",
        "responseBody",
    ] {
        assert!(end.get(absent).is_none(), "{end}");
    }
    // Load balancers ask all the time.
    session.http.call(Method::GET, "/ping", None).await?;
    session.http.get("/v3/settings").await?.expect(200)?;
    entry(&hub, "the settings", |entry| {
        entry["object"]["resource"] == "settings"
    })
    .await?;
    assert!(!text(&hub)?.contains("/ping"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_act_on_entries_from_then_on_and_hide_nothing_of_themselves() -> Result<()> {
    const POLICIES: &str = "/k8s/clusters/local/apis/auditlog.cattle.io/v1/auditpolicies";
    let _turn = turn().await;
    let (hub, session) = with_level("0").await?;
    let http = &session.http;
    let make = async |name: &str, spec: Value| -> Result<()> {
        let policy = json!({"apiVersion": "auditlog.cattle.io/v1", "kind": "AuditPolicy",
            "metadata": {"name": name}, "spec": spec});
        http.post(POLICIES, &policy).await?.expect(201)?;
        let path = format!("{POLICIES}/{name}");
        wait::until("the policy to be active", LIMIT, || async {
            let policy = http.get(&path).await?.expect(200)?.json()?;
            let condition = &policy["status"]["conditions"][0];
            anyhow::ensure!(condition["status"] == "True", "{}", policy["status"]);
            Ok(())
        })
        .await
    };
    make(
        "people",
        json!({"enabled": true, "filters": [{"action": "allow", "requestURI": "^/v3/users"}],
            "additionalRedactions": [{"headers": ["^accept$"], "paths": ["$.username"]}],
            "verbosity": {"level": 3}}),
    )
    .await?;
    let user = json!({"type": "user", "username": "ada", "name": "Ada", "password": PLANTED});
    http.post("/v3/users", &user).await?.expect(201)?;
    let written = entry(&hub, "the user", |entry| {
        entry["object"]["resource"] == "users"
    })
    .await?;
    let body = &written["requestBody"];
    assert_eq!(body["name"], "Ada");
    assert_eq!(body["username"], "[redacted]");
    // What is never shown no policy shows.
    assert_eq!(body["password"], "[redacted]");
    assert_eq!(written["responseBody"]["username"], "[redacted]");
    assert_eq!(
        written["requestHeader"]["authorization"],
        json!(["[redacted]"])
    );

    make(
        "quiet",
        json!({"enabled": true, "filters": [{"action": "deny", "requestURI": ".*"}]}),
    )
    .await?;
    http.get("/v3/settings?quiet=1").await?.expect(200)?;
    let gone = format!("{POLICIES}/quiet");
    http.send(Request::delete(&gone).body(Vec::new())?)
        .await?
        .expect(200)?;
    let deleted = entry(&hub, "the end of the policy", |entry| {
        entry["verb"] == "delete" && entry["object"]["resource"] == "auditpolicies"
    })
    .await?;
    assert!(deleted.get("requestHeader").is_none(), "{deleted}");
    assert!(!text(&hub)?.contains("quiet=1"));
    Ok(())
}
