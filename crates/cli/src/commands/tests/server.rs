//! A server of a few lines with the answers that commands need, shaped as recorded.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use drover_dial::trust::Fingerprint;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral},
    hkdf::{HKDF_SHA256, Salt},
    rand::SystemRandom,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub(super) struct FakeServer {
    port: u16,
    pub(super) pem: String,
    pub(super) fingerprint: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    port: u16,
    pem: Option<String>,
    /// Method and path of each request.
    asked: Vec<String>,
    /// The last body by method and path.
    sent: BTreeMap<String, Value>,
    /// How often the new cluster was looked at.
    looks: usize,
    /// The page that is open in the browser.
    browser: Arc<Mutex<Option<String>>>,
    /// Whether somebody else's answers come.
    forges: bool,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeServer {
    pub(super) async fn start() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![cert.der().clone()],
                    PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()),
                )
                .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            port,
            pem: Some(cert.pem()),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let service = service_fn(move |request| {
                        let shared = Arc::clone(&shared);
                        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            port,
            pem: cert.pem(),
            fingerprint: Fingerprint::of(cert.der()).to_string(),
            state,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub(super) fn hide_ca(&self) {
        self.state.lock().unwrap().pem = None;
    }

    /// Whoever sits before it confirms what it shows.
    pub(super) fn browser(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.state.lock().unwrap().browser)
    }

    pub(super) fn forge(&self) {
        self.state.lock().unwrap().forges = true;
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(super) fn sent(&self, request: &str) -> Value {
        self.state.lock().unwrap().sent[request].clone()
    }
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Response::builder()
        .status(status)
        .body(Full::new(Bytes::from(text)))
        .unwrap()
}

fn error(status: u16, code: &str, message: &str, field: &str) -> Response<Full<Bytes>> {
    let mut body = json!({"type": "error", "baseType": "error", "status": status, "code": code, "message": message});
    if !field.is_empty() {
        body["fieldName"] = field.into();
    }
    reply(status, &body)
}

fn collection(data: &Value) -> Response<Full<Bytes>> {
    reply(
        200,
        &json!({"type": "collection", "pagination": {"limit": 1000}, "data": data}),
    )
}

fn clusters() -> Value {
    json!([
        {
            "id": "c-aaaaa", "name": "oracle1", "state": "active", "provider": "k3s", "nodeCount": 3,
            "version": {"gitVersion": "v1.36.3"}, "created": "2026-11-20T21:21:58Z", "labels": {"team": "a"},
            "requested": {"cpu": "100m", "memory": "70Mi", "pods": "6"},
            "allocatable": {"cpu": "96", "memory": "768Gi", "pods": "330"},
            "apiEndpoint": "https://10.43.0.1:443", "agentImage": "drover/drover-agent:v0.1.0",
            "description": "made for a test", "transitioningMessage": "",
            "conditions": [
                {"type": "Provisioned", "status": "True"},
                {"type": "Ready", "status": "True", "lastUpdateTime": "2026-11-20T21:22:11Z"},
            ],
        },
        {
            "id": "c-bbbbb", "name": "far", "state": "unavailable", "driver": "imported", "nodeCount": 0,
            "requested": {"cpu": "0"}, "allocatable": {"cpu": "0"},
            "transitioningMessage": "Cluster agent is not connected",
        },
        {"id": "local", "name": "local", "state": "active", "provider": "drover", "nodeCount": 0},
    ])
}

/// A token, encrypted to the key in a page's address.
fn handed_over(page: &str, forged: bool) -> String {
    let page = url::Url::parse(page).unwrap();
    let part = |name: &str| {
        let mut pairs = page.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let key: Value = serde_json::from_slice(&STANDARD.decode(part("publicKey")).unwrap()).unwrap();
    let theirs = STANDARD.decode(key["X25519"].as_str().unwrap()).unwrap();
    let own = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
    let public = own.compute_public_key().unwrap();
    let info = [b"drover login".as_slice(), public.as_ref(), &theirs];
    let request = if forged {
        "another".to_owned()
    } else {
        part("requestId")
    };
    let sealed = agree_ephemeral(own, &UnparsedPublicKey::new(&X25519, &theirs), |shared| {
        let derived = Salt::new(HKDF_SHA256, &[]).extract(shared);
        let key = derived.expand(&info, &CHACHA20_POLY1305).unwrap();
        let mut text = b"token-abcde:key".to_vec();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        LessSafeKey::new(UnboundKey::from(key))
            .seal_in_place_append_tag(nonce, Aad::from(request.as_bytes()), &mut text)
            .unwrap();
        text
    });
    STANDARD.encode([public.as_ref(), &sealed.unwrap()].concat())
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body: Value =
        serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
    let location = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let line = format!("{} {location}", parts.method);
    let mut state = state.lock().unwrap();
    state.asked.push(line.clone());
    state.sent.insert(line.clone(), body.clone());
    match line.as_str() {
        "GET /ping" => return Response::new(Full::from("pong")),
        "GET /v3/settings/cacerts" => {
            return reply(
                200,
                &json!({"id": "cacerts", "value": state.pem.as_deref().unwrap_or_default().trim()}),
            );
        }
        "POST /v3-public/localProviders/local?action=login" => {
            return if body["username"] == "admin" && body["password"] == "secret" {
                reply(
                    201,
                    &json!({"type": "token", "id": "token-abcde", "token": "token-abcde:key"}),
                )
            } else {
                error(401, "Unauthorized", "authentication failed", "")
            };
        }
        handed if handed.contains(" /v1-public/authtokens/") => {
            let before = state.asked.iter().filter(|asked| **asked == line).count();
            return match parts.method.as_str() {
                "DELETE" => reply(200, &Value::Null),
                // Nobody is that quick.
                _ if before == 1 => error(404, "NotFound", "", ""),
                _ => {
                    let page = state.browser.lock().unwrap().clone().unwrap();
                    let sealed = handed_over(&page, state.forges);
                    reply(200, &json!({"token": sealed, "expiresAt": ""}))
                }
            };
        }
        _ => {}
    }
    if parts
        .headers
        .get("authorization")
        .is_none_or(|value| value != "Bearer token-abcde:key")
    {
        let text = "Unauthorized 401: must authenticate";
        return reply(
            401,
            &json!({"type": "error", "status": "401", "message": text}),
        );
    }
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    match line.split('?').next().unwrap() {
        "GET /v3/users" if query.get("username").is_some_and(|name| name != "admin") => {
            collection(&json!([]))
        }
        "GET /v3/users" => collection(&json!([
            {"id": "user-p8sfq", "username": "admin", "name": "Default Admin", "enabled": true, "me": true},
        ])),
        "GET /v3/clusters" => {
            let all = clusters();
            let all = all.as_array().unwrap();
            if let Some(name) = query.get("name") {
                return collection(
                    &all.iter()
                        .filter(|cluster| cluster["name"] == *name)
                        .cloned()
                        .collect(),
                );
            }
            // Pages of two; the link names a host of the server's own.
            match query.get("marker") {
                None => reply(
                    200,
                    &json!({
                        "data": all[..2],
                        "pagination": {"limit": 2, "next": "https://drover.test/v3/clusters?limit=2&marker=local"},
                    }),
                ),
                Some(_) => collection(&Value::Array(all[2..].to_vec())),
            }
        }
        "GET /v3/clusters/c-aaaaa" => reply(200, &clusters()[0]),
        "POST /v3/clusters" if body["name"] == "oracle1" => {
            error(422, "NotUnique", "", "Cluster name")
        }
        "POST /v3/clusters" => reply(
            201,
            &json!({"id": "c-nnnnn", "name": body["name"], "state": "active"}),
        ),
        "GET /v3/clusters/c-nnnnn" => {
            state.looks += 1;
            reply(
                200,
                &match state.looks {
                    1 => json!({"id": "c-nnnnn", "state": "pending", "transitioningMessage": ""}),
                    2 => json!({
                        "id": "c-nnnnn", "state": "waiting", "transitioningMessage": "Waiting for API to be available",
                    }),
                    _ => {
                        json!({"id": "c-nnnnn", "state": "active", "conditions": [{"type": "Ready", "status": "True"}]})
                    }
                },
            )
        }
        "GET /v3/clusterRegistrationTokens" => collection(&json!([{
            "id": "c-nnnnn:default-token", "clusterId": query["clusterId"],
            "command": "kubectl apply -f https://drover.test/v3/import/token_c-nnnnn.yaml",
            "insecureCommand":
                "curl --insecure -sfL https://drover.test/v3/import/token_c-nnnnn.yaml | kubectl apply -f -",
        }])),
        "DELETE /v3/clusters/c-aaaaa" => reply(200, &json!({"id": "c-aaaaa", "state": "removing"})),
        "POST /v3/clusters/c-aaaaa" => reply(
            200,
            &json!({
                "config": format!(
                    "server: https://localhost:{}/k8s/clusters/c-aaaaa\nusers:\n- name: a\n  user:\n    token: kubeconfig-user-p8sfqwsljj:secret\n",
                    state.port
                ),
            }),
        ),
        // What was looked through for the first page held one entry only.
        "GET /v1/audit" if !query.contains_key("before") => reply(
            200,
            &json!({"type": "collection", "continue": "9", "data": [
                {"sequence": 9, "requestTimestamp": "2026-11-29T12:00:01.000Z", "user": {"name": "user-p8sfq"},
                 "verb": "delete", "object": {"cluster": "c-aaaaa", "resource": "pods", "namespace": "works-a", "name": "web"},
                 "responseCode": 403, "remoteAddr": "10.0.0.1:4000"},
            ]}),
        ),
        "GET /v1/audit" => collection(&json!([
            {"sequence": 3, "requestTimestamp": "2026-11-29T12:00:00.000Z", "userLoginName": "admin", "verb": "login",
             "object": {}, "responseCode": 201, "remoteAddr": "10.0.0.1:3999"},
        ])),
        "GET /v1/audit/9" => reply(200, &json!({"sequence": 9, "verb": "delete"})),
        "GET /v3/projects" => collection(&json!([
            {"id": format!("{}:p-1", query["clusterId"]), "name": "Default", "clusterId": query["clusterId"],
             "state": "active", "description": "Default project"},
        ])),
        "POST /v3/projects" => reply(201, &json!({"id": "c-aaaaa:p-new", "name": body["name"]})),
        "DELETE /v3/projects/c-aaaaa:p-1" => reply(204, &Value::Null),
        "GET /v3/cluster/c-aaaaa/namespaces" => collection(&json!([
            {"id": "works-a", "name": "works-a", "projectId": "c-aaaaa:p-1", "state": "active",
             "created": "2026-11-20T22:06:03Z"},
            {"id": "bare", "name": "bare", "projectId": null, "state": "active"},
        ])),
        "POST /v3/cluster/c-aaaaa/namespaces" => reply(201, &json!({"id": body["name"]})),
        "POST /v3/cluster/c-aaaaa/namespaces/works-a" => reply(200, &Value::Null),
        "DELETE /v3/cluster/c-aaaaa/namespaces/works-a" => reply(204, &Value::Null),
        "GET /v3/globalRoles" => collection(&json!([
            {"id": "admin", "name": "Admin", "builtin": true},
            {"id": "user", "name": "User", "builtin": true},
        ])),
        "POST /v3/users" if query.contains_key("action") => reply(200, &Value::Null),
        "POST /v3/users" => reply(201, &json!({"id": "u-new", "username": body["username"]})),
        "GET /v3/users/user-p8sfq" => reply(200, &json!({"id": "user-p8sfq", "username": "admin"})),
        "PUT /v3/users/user-p8sfq" | "POST /v3/users/user-p8sfq" => reply(200, &json!({})),
        "DELETE /v3/users/user-p8sfq" => reply(204, &Value::Null),
        "GET /v3/globalRoleBindings" => collection(&json!([
            {"id": "grb-1", "globalRoleId": "admin", "userId": "user-p8sfq"},
        ])),
        "POST /v3/globalRoleBindings" if body["globalRoleId"] == "admin" => {
            error(403, "Forbidden", "it gives more than you have", "")
        }
        "POST /v3/globalRoleBindings" => reply(201, &json!({"id": "grb-new"})),
        "GET /v3/clusterRoleTemplateBindings" => collection(&json!([
            {"id": "c-aaaaa:crtb-1", "roleTemplateId": "cluster-owner", "clusterId": "c-aaaaa", "userId": "user-p8sfq"},
        ])),
        "POST /v3/clusterRoleTemplateBindings" => reply(201, &json!({"id": "c-aaaaa:crtb-new"})),
        "GET /v3/projectRoleTemplateBindings" => collection(&json!([
            {"id": "p-1:prtb-1", "roleTemplateId": "read-only", "projectId": "c-aaaaa:p-1",
             "groupPrincipalId": "okta_group://team"},
        ])),
        "POST /v3/projectRoleTemplateBindings" => reply(201, &json!({"id": "p-1:prtb-new"})),
        "GET /v3/clusterRoleTemplateBindings/p-1:prtb-1" => {
            error(403, "Forbidden", "not in this namespace", "")
        }
        "GET /v3/projectRoleTemplateBindings/p-1:prtb-1" => {
            reply(200, &json!({"id": "p-1:prtb-1"}))
        }
        "DELETE /v3/projectRoleTemplateBindings/p-1:prtb-1" => reply(204, &Value::Null),
        "GET /v3/roleTemplates" => collection(&json!([
            {"id": "cluster-owner", "name": "Cluster Owner", "context": "cluster", "builtin": true, "locked": false},
            {"id": "read-only", "name": "Read-only", "context": "project", "builtin": true, "locked": false},
        ])),
        "POST /v3/accessReviews" if query.contains_key("action") => reply(
            200,
            &json!({"type": "accessHolders", "data": [
                {"kind": "user", "name": "user-p8sfq", "binding": "c-aaaaa:crtb-1", "roles": ["cluster-owner"],
                 "rule": "*/*: *"},
            ]}),
        ),
        "POST /v3/accessReviews" => {
            let allowed = body["verb"] == "get";
            let mut review = body.clone();
            review["allowed"] = allowed.into();
            if body["userId"].is_null() {
                review["userId"] = "user-p8sfq".into();
            }
            if allowed {
                review["binding"] = "c-aaaaa:crtb-1".into();
                review["roles"] = json!(["cluster-owner"]);
                review["rule"] = "*/*: *".into();
                review["groups"] = json!(["drover:cluster-owner"]);
            } else {
                review["missing"] = json!(["a role that may delete nodes"]);
            }
            reply(201, &review)
        }
        "GET /v3/tokens/kubeconfig-user-p8sfqwsljj" => reply(
            200,
            &json!({"id": "kubeconfig-user-p8sfqwsljj", "enabled": true, "expired": false,
                    "expiresAt": "2026-12-20T21:22:11Z"}),
        ),
        "POST /v3/nodes/c-aaaaa:machine-1" => reply(200, &Value::Null),
        "GET /v3/nodes" => collection(&json!([
            {"id": "c-aaaaa:machine-1", "nodeName": "node-1", "clusterId": "c-aaaaa", "state": "active",
             "worker": true, "etcd": true, "controlPlane": true, "ipAddress": "10.0.0.1",
             "info": {"kubernetes": {"kubeletVersion": "v1.36.3"}}, "allocatable": {"cpu": "32", "memory": "256Gi"}},
        ])),
        "GET /v3/settings" => collection(&json!([
            {"id": "server-url", "name": "server-url", "source": "db", "value": "https://drover.test"},
            {"id": "cacerts", "name": "cacerts", "source": "default", "value": "-----BEGIN CERTIFICATE-----\nMII"},
            {"id": "ui-brand", "name": "ui-brand", "source": "default", "value": ""},
        ])),
        "GET /v3/settings/server-url" => reply(
            200,
            &json!({"name": "server-url", "value": "https://drover.test"}),
        ),
        "PUT /v3/settings/server-url" => {
            reply(200, &json!({"name": "server-url", "value": body["value"]}))
        }
        "GET /v3/tokens" => collection(&json!([
            {"id": "token-abcde", "current": true, "expiresAt": "2026-11-21T13:21:57Z", "description": "drover login"},
            {"id": "token-old", "current": false, "expired": true, "clusterId": "c-aaaaa"},
        ])),
        "POST /v3/tokens" if query.contains_key("action") => reply(200, &Value::Null),
        "POST /v3/tokens" => reply(
            201,
            &json!({"id": "token-fresh", "token": "token-fresh:key"}),
        ),
        "DELETE /v3/tokens/token-abcde" => reply(204, &Value::Null),
        _ => error(404, "NotFound", &format!("{location} not found"), ""),
    }
}
