//! The conventions of the wire, asked as clients ask (reference section 7 and recorded/http/01-04).

#[cfg(test)]
mod common;

use common::{ADMIN, MANAGEMENT, World};
use serde_json::{Value, json};

fn error(code: u16, name: &str, field: Option<&str>) -> (u16, String, Option<String>) {
    (code, name.to_owned(), field.map(str::to_owned))
}

#[tokio::test]
async fn without_a_login_only_public_things_are_shown() {
    let world = World::new();
    let get = |url: &'static str| world.send(None, "GET", url, &[], b"");
    let root = get("/").await;
    assert_eq!(root.status, 200);
    assert_eq!(
        root.header("x-api-schemas"),
        "https://server.example:8443/meta/schemas"
    );
    assert_eq!(root.json()["resourceType"], "apiRoot");
    assert_eq!(root.json()["data"].as_array().unwrap().len(), 4);

    assert_eq!(get("/v3").await.status, 307);
    for url in [
        "/v3/",
        "/v3/clusters",
        "/v3/nope",
        "/v3/settings",
        "/v3/settings/server-url",
        "/v3/schemas",
        "/v3/subscribe",
    ] {
        let answer = get(url).await;
        assert_eq!(
            (answer.status, answer.json()),
            (
                401,
                json!({"type": "error", "status": "401", "message": "Unauthorized 401: must authenticate"})
            ),
            "{url}"
        );
    }
    let cacerts = get("/v3/settings/cacerts").await;
    assert_eq!(cacerts.status, 200);
    assert_eq!(cacerts.json()["value"], "<pem>");
    assert_eq!(
        cacerts.json()["links"],
        json!({"self": "https://server.example:8443/v3/settings/cacerts"})
    );
    assert_eq!(
        world
            .send(None, "PUT", "/v3/settings/ui-pl", &[], b"{}")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn roots_and_schemas_describe_the_api() {
    let world = World::new();
    let root = world.get("/v3").await.json();
    assert_eq!(root["type"], "apiRoot");
    assert_eq!(
        root["links"]["clusterRegistrationTokens"],
        "https://server.example:8443/v3/clusterregistrationtokens"
    );
    assert_eq!(
        root["links"]["subscribe"],
        "https://server.example:8443/v3/subscribe"
    );

    let schemas = world.get("/v3/schemas").await.json();
    assert_eq!(schemas["resourceType"], "schema");
    assert!(schemas["data"].as_array().unwrap().len() > 120);
    let setting = world.get("/v3/schemas/SETTING").await.json();
    assert_eq!(
        (setting["id"].as_str(), setting["baseType"].as_str()),
        (Some("setting"), Some("schema"))
    );
    assert_eq!(
        setting["resourceFields"]["source"]["options"],
        json!(["db", "default", "env"])
    );
    assert_eq!(
        setting["links"]["collection"],
        "https://server.example:8443/v3/settings"
    );
    assert_eq!(
        world.get("/v3/schemas/settings").await.error(),
        error(404, "NotFound", None)
    );
    assert_eq!(world.get("/meta/schemas").await.status, 200);
    assert_eq!(world.get("/v3/cluster/c-1/schemas").await.status, 200);
}

#[tokio::test]
async fn refusals_are_as_recorded() {
    let world = World::new();
    world.store.put(
        &format!("{MANAGEMENT}/clusters/c-skw55"),
        json!({"spec": {"displayName": "oracle1"}}),
    );
    let nope = world.get("/v3/nope").await;
    assert_eq!(nope.json()["message"], "failed to find schema nope");
    assert_eq!(nope.error(), error(404, "NotFound", None));
    for url in [
        "/v3/clusters/a:b",
        "/v3/projects/abc",
        "/v3/clusters/..",
        "/v3/clusters/%2e%2e%2fusers",
    ] {
        assert_eq!(
            world.get(url).await.error(),
            error(404, "NotFound", None),
            "{url}"
        );
    }
    for (method, url) in [
        ("PATCH", "/v3/clusters/c-skw55"),
        ("HEAD", "/v3/clusters"),
        ("OPTIONS", "/v3/clusters"),
        ("PUT", "/v3/clusters"),
        ("POST", "/v3/clusters/c-skw55"),
        ("POST", "/v3"),
    ] {
        assert_eq!(
            world
                .send(Some(ADMIN), method, url, &[], b"{}")
                .await
                .error(),
            error(405, "MethodNotAllow", None),
            "{method} {url}"
        );
    }
    let absent = world.get("/v3/clusters/c-zzzzz").await;
    assert_eq!(
        absent.json()["message"],
        "clusters.management.cattle.io \"c-zzzzz\" not found"
    );
    assert_eq!(
        absent.header("x-api-schemas"),
        "https://server.example:8443/v3/cluster/c-zzzzz/schemas"
    );
    for url in [
        "/v3/clusters?action=zzz",
        "/v3/clusters/c-skw55?action=nosuch",
        "/v3/clusters/c-none?action=nosuch",
    ] {
        let answer = world.post(url, json!({})).await;
        assert_eq!(answer.error(), error(422, "InvalidAction", None), "{url}");
    }
    let nosuch = world
        .post("/v3/clusters/c-skw55?action=nosuch", json!({}))
        .await;
    assert_eq!(nosuch.json()["message"], "Invalid action: nosuch");
    let unserved = world
        .post("/v3/clusters/c-skw55?action=exportYaml", json!({}))
        .await;
    assert_eq!(unserved.error(), error(404, "ActionNotAvailable", None));

    let post = |url: &'static str, body: &'static str| {
        world.send(
            Some(ADMIN),
            "POST",
            url,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    };
    for (url, body, expected) in [
        (
            "/v3/projects",
            "{\"name\":",
            error(422, "InvalidBodyContent", None),
        ),
        (
            "/v3/projects",
            "{\"name\":\"p\"}",
            error(422, "MissingRequired", Some("clusterId")),
        ),
        (
            "/v3/clusters",
            "{\"name\":\"Bad_Name!\"}",
            error(422, "InvalidFormat", Some("name")),
        ),
        (
            "/v3/clusters",
            "{\"type\":\"cluster\"}",
            error(422, "MissingRequired", Some("Cluster name")),
        ),
        (
            "/v3/clusters",
            "{\"name\":\"oracle1\"}",
            error(422, "NotUnique", Some("Cluster name")),
        ),
        (
            "/v3/roletemplates",
            "{\"name\":\"x\",\"context\":\"foo\"}",
            error(422, "InvalidOption", Some("context")),
        ),
        (
            "/v3/features",
            "{\"name\":\"x\",\"value\":true}",
            error(405, "MethodNotAllow", None),
        ),
        (
            "/v3/settings",
            "{\"name\":\"server-url\",\"value\":\"x\"}",
            error(409, "AlreadyExists", None),
        ),
        (
            "/v3/users",
            "{\"username\":\"jo\",\"password\":\"short\"}",
            error(422, "InvalidBodyContent", None),
        ),
        (
            "/v3/globalrolebindings",
            "{\"globalRoleId\":\"user\"}",
            error(422, "InvalidBodyContent", None),
        ),
        (
            "/v3/globalrolebindings",
            "{\"globalRoleId\":\"nosuch\",\"userId\":\"u-1\"}",
            error(404, "NotFound", None),
        ),
    ] {
        assert_eq!(post(url, body).await.error(), expected, "{url} {body}");
    }
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(
        world
            .send(Some(ADMIN), "POST", "/v3/clusters", &[], huge.as_bytes())
            .await
            .status,
        413
    );
    assert_eq!(
        world.get("/v3/clusters").await.ids(),
        ["c-skw55"],
        "nothing was written"
    );

    assert_eq!(
        world
            .put("/v3/settings/cacerts", json!({"value": "x"}))
            .await
            .error(),
        error(405, "MethodNotAllow", None)
    );
    assert_eq!(
        world
            .put("/v3/settings/server-url", json!({"value": "x"}))
            .await
            .error(),
        error(405, "MethodNotAllow", None)
    );
    assert_eq!(
        world
            .put("/v3/settings/nope", json!({"value": "x"}))
            .await
            .error(),
        error(404, "NotFound", None)
    );
    assert_eq!(
        world
            .put("/v3/clusters/c-skw55", json!({"description": "x"}))
            .await
            .error(),
        error(422, "MissingRequired", Some("Cluster name"))
    );
}

#[tokio::test]
async fn links_follow_the_headers_in_front() {
    let world = World::new();
    let answer = world
        .send(
            Some(ADMIN),
            "GET",
            "/v3",
            &[("x-api-host", "h:8443"), ("x-forwarded-proto", "http")],
            b"",
        )
        .await;
    assert_eq!(answer.json()["links"]["self"], "http://h:8443/v3");
    assert_eq!(answer.header("x-api-schemas"), "http://h:8443/v3/schemas");
}

#[tokio::test]
async fn answers_take_the_form_asked_for() {
    let world = World::new();
    let page = world
        .send(
            Some(ADMIN),
            "GET",
            "/v3/settings",
            &[("user-agent", "Mozilla/5.0"), ("accept", "*/*")],
            b"",
        )
        .await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-frame-options"), "SAMEORIGIN");
    let yaml = world
        .send(
            Some(ADMIN),
            "GET",
            "/v3/settings/ui-pl",
            &[("accept", "application/yaml")],
            b"",
        )
        .await;
    let parsed: Value = serde_saphyr::from_str(std::str::from_utf8(&yaml.bytes).unwrap()).unwrap();
    assert_eq!(parsed["value"], "rancher");
    let small = world
        .send(
            Some(ADMIN),
            "GET",
            "/v3/schemas",
            &[("accept-encoding", "gzip")],
            b"",
        )
        .await;
    assert_eq!(small.header("content-encoding"), "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&small.bytes[..]),
        &mut text,
    )
    .unwrap();
    assert!(text.starts_with("{\"type\":\"collection\"") && text.ends_with("}\n"));
    let created = world
        .send(
            Some(ADMIN),
            "POST",
            "/v3/clusters",
            &[("content-type", "application/yaml")],
            b"name: from-yaml\nlabels: {team: a}\n",
        )
        .await;
    assert_eq!(
        (created.status, created.json()["name"].as_str()),
        (201, Some("from-yaml"))
    );
}

#[tokio::test]
async fn methods_can_be_overridden() {
    let world = World::new();
    world.store.put(
        &format!("{MANAGEMENT}/clusters/c-1"),
        json!({"spec": {"displayName": "one"}}),
    );
    world.store.put(
        &format!("{MANAGEMENT}/clusters/c-2"),
        json!({"spec": {"displayName": "two"}}),
    );
    assert_eq!(
        world.get("/v3/clusters/c-1?action=remove").await.status,
        204
    );
    assert_eq!(
        world
            .post("/v3/clusters/c-2?_method=DELETE", json!({}))
            .await
            .status,
        204
    );
    assert_eq!(world.get("/v3/clusters").await.ids(), Vec::<String>::new());
}
