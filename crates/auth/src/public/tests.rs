use std::collections::BTreeMap;

use http::Request as HttpRequest;
use http_body_util::BodyExt;

use super::*;
use crate::fake::Store;
use crate::password::Hasher;
use crate::{Auth, Clock, Config, Entropy};

async fn auth() -> Auth {
    let clock = Clock::manual("2026-11-20T00:00:00Z".parse().unwrap());
    let client = Store::with_clock(clock.clone()).client();
    let config = Config {
        client,
        clock,
        entropy: Entropy::seeded(1),
        environment: BTreeMap::new(),
    };
    let (auth, _, bootstrap) = Auth::with_hasher(config, Hasher::quick(Entropy::seeded(2)));
    bootstrap.run(Some(&"admin".into())).await.unwrap();
    auth
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text,
        }
    }
}

async fn send(auth: &Auth, method: &str, path: &str, body: &str) -> Answer {
    let request = HttpRequest::builder()
        .method(method)
        .uri(path)
        .header("host", "server.example:8443");
    Answer::of(
        auth.public
            .handle(request.body(web::full(body.to_owned())).unwrap())
            .await,
    )
    .await
}

const LOGIN: &str = "/v3-public/localProviders/local?action=login";

#[tokio::test]
async fn providers_are_listed_as_recorded() {
    let auth = auth().await;
    // recorded/http/01, GET /v3-public/authProviders
    let expected = json!({
        "actions": {},
        "data": [{
            "actions": {"login": "https://server.example:8443/v3-public/localProviders/local?action=login"},
            "baseType": "authProvider", "creatorId": null, "id": "local",
            "links": {"self": "https://server.example:8443/v3-public/localProviders/local"},
            "logoutAllEnabled": false, "logoutAllForced": false, "logoutAllSupported": false, "type": "localProvider",
        }],
        "filters": {
            "created": null, "creatorId": null, "logoutAllEnabled": null, "logoutAllForced": null,
            "logoutAllSupported": null, "name": null, "removed": null, "type": null, "uuid": null,
        },
        "links": {"self": "https://server.example:8443/v3-public/authProviders"},
        "pagination": {"limit": 1000, "total": 1},
        "resourceType": "authProvider",
        "sort": {
            "links": {
                "type": "https://server.example:8443/v3-public/authProviders?sort=type",
                "uuid": "https://server.example:8443/v3-public/authProviders?sort=uuid",
            },
            "order": "asc",
            "reverse": "https://server.example:8443/v3-public/authProviders?order=desc",
        },
        "type": "collection",
    });
    let answer = send(&auth, "GET", "/v3-public/authProviders", "").await;
    assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    assert_eq!(
        answer.headers["x-api-schemas"],
        "https://server.example:8443/v3-public/schemas"
    );
    assert_eq!(
        send(&auth, "GET", "/v3-public//authproviders/", "")
            .await
            .json(),
        expected
    );
    let one = send(&auth, "GET", "/v3-public/localproviders/local", "").await;
    assert_eq!(one.json(), expected["data"][0]);
    let v1 = send(&auth, "GET", "/v1-public/authproviders", "").await;
    let local = json!({
        "id": "local", "logoutAllEnabled": false, "logoutAllForced": false, "logoutAllSupported": false,
        "type": "localProvider",
    });
    assert_eq!((v1.status, v1.json()), (200, json!({"data": [local]})));
}

#[tokio::test]
async fn the_root_redirects_and_schemas_are_there() {
    let auth = auth().await;
    let answer = send(&auth, "GET", "/v3-public", "").await;
    assert_eq!(
        (answer.status, answer.headers["location"].to_str().unwrap()),
        (307, "/v3-public/")
    );
    assert_eq!(
        send(&auth, "GET", "/v3-public/", "").await.json()["type"],
        "apiRoot"
    );
    let schemas = send(&auth, "GET", "/v3-public/schemas", "").await.json();
    assert_eq!(schemas["data"].as_array().unwrap().len(), 4);
    let one = send(&auth, "GET", "/v3-public/schemas/localprovider", "")
        .await
        .json();
    assert_eq!(one["resourceActions"]["login"]["input"], "basicLogin");
    assert_eq!(
        send(&auth, "GET", "/v3-public/schemas/nope", "")
            .await
            .status,
        404
    );
    assert_eq!(send(&auth, "GET", "/v3-public/nope", "").await.status, 404);
    assert_eq!(
        send(&auth, "PUT", "/v3-public/authProviders", "")
            .await
            .status,
        405
    );
    assert_eq!(send(&auth, "GET", LOGIN, "").await.status, 405);
    assert_eq!(
        send(
            &auth,
            "POST",
            "/v3-public/localProviders/local?action=nope",
            ""
        )
        .await
        .status,
        422
    );
}

#[tokio::test]
async fn a_login_answers_a_token_in_the_body() {
    let auth = auth().await;
    for (path, kind) in [(LOGIN, ""), ("/v1-public/login", "localProvider")] {
        let body = json!({"type": kind, "username": "admin", "password": "admin", "ttl": 0, "responseType": "json"});
        let answer = send(&auth, "POST", path, &body.to_string()).await;
        assert_eq!(answer.status, 201);
        assert!(!answer.headers.contains_key("x-api-schemas"));
        let token = answer.json();
        assert_eq!(token["expiresAt"], "2026-11-20T16:00:00Z");
        assert_eq!(
            (&token["type"], &token["baseType"]),
            (&json!("token"), &json!("token"))
        );
        let id = token["id"].as_str().unwrap();
        let (name, key) = token["token"].as_str().unwrap().split_once(':').unwrap();
        assert!(name == id && id.starts_with("token-") && key.len() == 54);
        assert_eq!(token.as_object().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_login_answers_a_cookie() {
    let auth = auth().await;
    let body = r#"{"username": "admin", "password": "admin", "responseType": "cookie"}"#;
    let answer = send(&auth, "POST", LOGIN, body).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("R_SESS=token-")
            && cookie.ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax")
    );
}

#[tokio::test]
async fn a_login_answers_a_kubeconfig_token() {
    let auth = auth().await;
    for (response_type, prefix) in [
        ("kubeconfig", "kubeconfig-user-"),
        ("kubeconfig_c-1", "kubeconfig-user-"),
    ] {
        let body = json!({"username": "admin", "password": "admin", "responseType": response_type})
            .to_string();
        let answer = send(&auth, "POST", LOGIN, &body).await;
        assert_eq!(answer.status, 201);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with(prefix));
        assert_eq!(id.contains(".c-1"), response_type.ends_with("c-1"));
        assert_eq!(answer.json()["expiresAt"], "2026-12-20T00:00:00Z");
    }
    for response_type in ["kubeconfig_", "kubeconfigx", "kubeconfig_../x"] {
        let body = json!({"username": "admin", "password": "admin", "responseType": response_type})
            .to_string();
        assert_eq!(send(&auth, "POST", LOGIN, &body).await.status, 422);
    }
}

#[tokio::test]
async fn failed_logins_look_alike() {
    let auth = auth().await;
    let expected = json!({
        "baseType": "error", "code": "Unauthorized", "message": "authentication failed", "status": 401, "type": "error",
    });
    for body in [
        r#"{"username": "admin", "password": "wrong"}"#,
        r#"{"username": "admin"}"#,
        r#"{"username": "nobody", "password": "x"}"#,
        r#"{"username": "", "password": ""}"#,
        "",
    ] {
        let answer = send(&auth, "POST", LOGIN, body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (401, expected.clone()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn bad_bodies_are_unprocessable() {
    let auth = auth().await;
    for body in [
        "{bad json",
        r#"{"username": 1}"#,
        "[]",
        "\"x\"",
        &format!("{}1{}", "[".repeat(500), "]".repeat(500)),
    ] {
        let answer = send(&auth, "POST", LOGIN, body).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str().unwrap()),
            (422, "InvalidBodyContent"),
            "{body}"
        );
        assert!(answer.headers.contains_key("x-api-schemas"));
        assert_eq!(
            send(&auth, "POST", "/v1-public/login", body).await.status,
            422
        );
    }
    let huge = format!(r#"{{"username": "{}"}}"#, "x".repeat(LARGEST_LOGIN));
    assert_eq!(send(&auth, "POST", LOGIN, &huge).await.status, 413);
    let other = r#"{"type": "githubProvider", "code": "1"}"#;
    assert_eq!(
        send(&auth, "POST", "/v1-public/login", other).await.status,
        422
    );
}

#[tokio::test]
async fn signing_out_forgets_cookies_and_ends_the_session() {
    let auth = auth().await;
    let body = r#"{"username": "admin", "password": "admin"}"#;
    let token = send(&auth, "POST", LOGIN, body).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let request = HttpRequest::builder().method("POST").uri("/v1/logout");
    let parts = request
        .header("cookie", format!("R_SESS={token}"))
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let identity = auth
        .authenticator
        .authenticate(&parts)
        .await
        .unwrap()
        .unwrap();
    let answer = Answer::of(auth.public.logout(&parts, &identity).await).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let cookies: Vec<&str> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|c| c.to_str().unwrap())
        .collect();
    // recorded/http/12, POST /v1/logout
    let forget =
        "; Path=/; Expires=Wed, 10 Feb 1982 23:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax";
    assert_eq!(cookies[0], format!("R_SESS={forget}"));
    assert_eq!(cookies.len(), 4);
    assert!(auth.authenticator.authenticate(&parts).await.is_err());
}

#[tokio::test]
async fn a_token_that_lies_ready_is_fetched_and_removed_along_both_roots() {
    let auth = auth().await;
    let login = r#"{"username": "admin", "password": "admin"}"#;
    let token = send(&auth, "POST", LOGIN, login).await.json()["token"].clone();
    let request = HttpRequest::builder().uri("/v3").header(
        "authorization",
        format!("Bearer {}", token.as_str().unwrap()),
    );
    let parts = request.body(()).unwrap().into_parts().0;
    let owner = auth.authenticator.authenticate(&parts).await.unwrap();
    let key = "eyJYMjU1MTkiOiJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFPSJ9";
    let name = "abcdfghjklmnpqrstvwxz12456789abc";
    let handover = crate::logins::Handover::new(name, key, "kubeconfig").unwrap();
    for root in ["/v1-public/authtokens", "/v3-public/authTokens"] {
        let path = format!("{root}/{name}");
        assert_eq!(send(&auth, "GET", &path, "").await.status, 404, "{root}");
        auth.logins
            .hand_over(owner.as_ref().unwrap(), &handover)
            .await
            .unwrap();
        let ready = send(&auth, "GET", &path, "").await;
        assert_eq!(ready.status, 200, "{root}");
        assert_eq!(ready.json()["expiresAt"], "2026-12-20T00:00:00Z");
        assert!(!ready.json()["token"].as_str().unwrap().is_empty());
        assert_eq!(send(&auth, "POST", &path, "{}").await.status, 405, "{root}");
        let removed = if root.starts_with("/v1") { 200 } else { 204 };
        for _ in 0..2 {
            assert_eq!(send(&auth, "DELETE", &path, "").await.status, removed);
        }
        assert_eq!(send(&auth, "GET", &path, "").await.status, 404, "{root}");
    }
    let v3 = send(&auth, "GET", "/v3-public/authTokens", "").await;
    assert_eq!(v3.status, 405, "nobody lists them");
}

#[test]
fn only_the_public_roots_are_served() {
    for (path, served) in [
        ("/v3-public", true),
        ("/v3-public/", true),
        ("/v1-public/login", true),
        ("/v3-publicx", false),
        ("/v3", false),
    ] {
        assert_eq!(PublicApi::serves(path), served, "{path}");
    }
}
