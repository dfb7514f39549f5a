//! Bad input: a clear answer each, and the server goes on.

use anyhow::{Context, Result};
use drover_testkit::hub::{self, Hub};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::turn;

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_the_status_and_body_of_the_peer() -> Result<()> {
    let _turn = turn().await;
    let mut hub = Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let anonymous = hub.http(None)?;
    let http = session.http.clone();

    // Reference api-v3-and-auth, section 7, and recorded/http/01.
    assert_eq!(anonymous.get("/ping").await?.body, "pong");
    let answer = anonymous.get("/v3/clusters").await?;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json()?,
        json!({"type": "error", "status": "401", "message": "Unauthorized 401: must authenticate"})
    );
    assert_eq!(answer.header("x-api-cattle-auth"), "false");
    assert_eq!(anonymous.get("/nope").await?.body, "404 page not found\n");
    assert_eq!(anonymous.get("/v3/import/abc").await?.status, 404);
    let answer = anonymous.get("/v3/import/bad_c-xxxxx.yaml").await?;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (400, "cluster not found or invalid token")
    );
    for path in ["/v3/connect", "/v3/connect/register"] {
        let answer = anonymous.get(path).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.body.trim()),
            (401, "failed authentication"),
            "{path}"
        );
    }
    let stranger = hub.http(Some(
        "token-abcde:bcdfghjklmnpqrstvwxz2456789bcdfghjklmnpqrstvwxz2456789",
    ))?;
    assert_eq!(stranger.get("/v3/clusters").await?.status, 401);

    let refused = |answer: drover_testkit::http::Answer,
                   status: u16,
                   code: &str,
                   field: &str|
     -> Result<()> {
        let body: Value = answer.json()?;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(body["type"], "error", "{body}");
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        if !field.is_empty() {
            assert_eq!(body["fieldName"], field, "{body}");
        }
        Ok(())
    };
    refused(http.get("/v3/nope").await?, 404, "NotFound", "")?;
    refused(http.get("/v3/clusters/c-zzzzz").await?, 404, "NotFound", "")?;
    refused(http.get("/v3/clusters/a:b").await?, 404, "NotFound", "")?;
    refused(
        http.post("/v3/clusters?action=zzz", &json!({})).await?,
        422,
        "InvalidAction",
        "",
    )?;
    refused(
        http.post(
            "/v3/clusters",
            &json!({"type": "cluster", "name": "BAD_name"}),
        )
        .await?,
        422,
        "InvalidFormat",
        "name",
    )?;
    refused(
        http.post("/v3/projects", &json!({"name": "p"})).await?,
        422,
        "MissingRequired",
        "clusterId",
    )?;
    refused(
        http.call(Method::PATCH, "/v3/clusters", Some(&json!({})))
            .await?,
        405,
        "MethodNotAllow",
        "",
    )?;
    http.post("/v3/clusters", &json!({"type": "cluster", "name": "twin"}))
        .await?
        .expect(201)?;
    refused(
        http.post("/v3/clusters", &json!({"type": "cluster", "name": "twin"}))
            .await?,
        422,
        "NotUnique",
        "",
    )?;

    let raw = |path: &str, body: Vec<u8>| {
        Request::post(path)
            .header("content-type", "application/json")
            .body(body)
    };
    refused(
        http.send(raw("/v3/clusters", b"{\"name\": ".to_vec())?)
            .await?,
        422,
        "InvalidBodyContent",
        "",
    )?;
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    assert_eq!(
        http.send(raw("/v3/clusters", deep.clone())?).await?.status,
        422
    );
    let answer = http.send(raw("/v3/clusters", vec![b' '; 5 << 20])?).await?;
    assert!(
        matches!(answer.status.as_u16(), 413 | 422),
        "{}",
        answer.status
    );

    let core = "/k8s/clusters/local/api/v1/namespaces/default/configmaps";
    let answer = http.send(raw(core, b"{\"kind\": ".to_vec())?).await?;
    assert_eq!(
        (answer.status.as_u16(), answer.json()?["kind"].clone()),
        (400, json!("Status"))
    );
    assert_eq!(http.send(raw(core, deep)?).await?.status, 400);
    assert_eq!(
        http.send(raw(core, vec![b' '; 5 << 20])?).await?.status,
        413
    );

    let before = http.get("/v3/clusters").await?.json()?["data"]
        .as_array()
        .map(Vec::len)
        .context("no data")?;
    assert_eq!(before, 2, "local and twin: nothing was half-written");
    hub.process()?.still_running()
}
