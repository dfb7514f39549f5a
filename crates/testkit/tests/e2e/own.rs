//! What people do with their own tokens, kubeconfigs and passwords, as the peer's dashboard and kubectl do it.

use anyhow::{Context, Result, ensure};
use drover_testkit::hub::{self, PASSWORD};
use serde_json::{Value, json};

use crate::fixture::{kubectl, turn};

fn text<'v>(value: &'v Value, path: &str) -> Result<&'v str> {
    let found = value.pointer(path).and_then(Value::as_str);
    found.with_context(|| format!("no text at {path} of {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_keep_their_own_keys_through_both_apis() -> Result<()> {
    let _turn = turn().await;
    let mut hub = hub::Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let http = &session.http;

    // The explorer makes a kubeconfig; kubectl finds the group with it, and what is in it.
    let asked = json!({
        "type": "ext.cattle.io.kubeconfig", "metadata": {"generateName": "kubeconfig-"},
        "spec": {"clusters": ["local"], "currentContext": "local"},
    });
    let made = http.post("/v1/ext.cattle.io.kubeconfigs", &asked).await?;
    let made = made.expect(201)?.json()?;
    let name = text(&made, "/id")?.to_owned();
    ensure!(made["type"] == "ext.cattle.io.kubeconfig", "{made}");
    let view = format!("/apis/ext.cattle.io/v1/kubeconfigs/{name}");
    ensure!(text(&made, "/links/view")?.ends_with(&view), "{made}");
    let config = hub.folder().join("own-kubeconfig");
    std::fs::write(&config, text(&made, "/status/value")?)?;
    let resources = kubectl(&config, &["api-resources", "--api-group=ext.cattle.io"]).await?;
    for kind in ["Kubeconfig", "PasswordChangeRequest", "SelfUser", "Token"] {
        ensure!(resources.contains(kind), "{resources}");
    }
    let explained = kubectl(&config, &["explain", "kubeconfigs.ext.cattle.io.spec"]).await?;
    ensure!(
        explained.contains("Kubeconfig") && explained.contains("clusters"),
        "{explained}"
    );
    let explained = kubectl(&config, &["explain", "useractivities.ext.cattle.io"]).await?;
    ensure!(explained.contains("UserActivity"), "{explained}");
    let table = kubectl(&config, &["get", "kubeconfigs.ext.cattle.io"]).await?;
    ensure!(
        table.contains(&name) && table.contains("Complete"),
        "{table}"
    );

    // A token made by one API is seen in the other, without its key, and ends when it is deleted there.
    let asked = json!({"spec": {"description": "native"}});
    let token = http.post("/apis/ext.cattle.io/v1/tokens", &asked).await?;
    let token = token.expect(201)?.json()?;
    let (id, bearer) = (
        text(&token, "/metadata/name")?,
        text(&token, "/status/bearerToken")?,
    );
    let own = hub.http(Some(bearer))?;
    let me = own.get("/v3/users?me=true").await?.expect(200)?.json()?;
    ensure!(me["data"][0]["username"] == "admin", "{me}");
    let listed = http.get("/v1/ext.cattle.io.tokens").await?.expect(200)?;
    ensure!(listed.body.contains(id), "{}", listed.body);
    let key = bearer.rsplit(':').next().unwrap_or_default();
    ensure!(!listed.body.contains(key), "a list shows a key");
    kubectl(&config, &["delete", "tokens.ext.cattle.io", id]).await?;
    own.get("/v3/users?me=true").await?.expect(401)?;

    // The first login of the dashboard: who am I, I am here, and a new password.
    let selfuser = http.post("/v1/ext.cattle.io.selfuser", &json!({})).await?;
    let selfuser = selfuser.expect(201)?.json()?;
    let user = text(&selfuser, "/status/userID")?;
    let (current, _) = session.token.split_once(':').context("no key")?;
    let activity = format!("/v1/ext.cattle.io.useractivities/{current}");
    let read = http.get(&activity).await?.expect(200)?.json()?;
    let seen = http.put(&activity, &read).await?;
    let seen = seen.expect(200)?.json()?;
    text(&seen, "/status/expiresAt")?;
    let new = "another-long-password";
    let asked = json!({"spec": {"userID": user, "currentPassword": PASSWORD, "newPassword": new}});
    let done = http
        .post("/v1/ext.cattle.io.passwordchangerequests", &asked)
        .await?
        .expect(201)?;
    ensure!(!done.body.contains(new) && !done.body.contains(PASSWORD));
    let login = json!({"type": "localProvider", "username": "admin", "password": new});
    http.post("/v1-public/login", &login).await?.expect(201)?;

    let path = format!("/v1/ext.cattle.io.kubeconfigs/{name}");
    let deleted = http.delete(&path).await?;
    ensure!(deleted.status.is_success(), "{}", deleted.body);
    let refused = kubectl(&config, &["get", "namespaces"]).await;
    ensure!(refused.is_err(), "its token went with it");
    hub.process()?.still_running()
}
