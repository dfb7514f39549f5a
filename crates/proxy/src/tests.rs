//! The whole way: a hub with a real tunnel to an agent in the same process, whose targets are TLS servers here.

mod checks;
mod reviews;
mod tunnels;
mod world;

use std::time::Duration;

use bytes::Bytes;
use drover_auth::web;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use world::{CLUSTER, World};

#[tokio::test]
async fn a_request_arrives_as_the_identity_and_its_answer_comes_back() {
    let world = World::new().await;
    let answer = world
        .request(
            Method::POST,
            "/echo?a=b%20c",
            &[
                ("authorization", "Bearer kubeconfig-u:secret"),
                ("x-custom", "1"),
                ("cookie", "R_SESS=t"),
            ],
            "body",
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let echoed: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(echoed["method"], "POST");
    assert_eq!(echoed["uri"], "/echo?a=b%20c");
    assert_eq!(echoed["body"], "body");
    let headers = &echoed["headers"];
    assert_eq!(headers["authorization"], "Bearer cluster-credential");
    assert_eq!(headers["impersonate-user"], "u-abcde");
    assert_eq!(
        headers["impersonate-group"],
        "drover:cluster-owner, system:authenticated, system:cattle:authenticated"
    );
    assert_eq!(headers["impersonate-extra-requesthost"], "hub.example");
    assert_eq!(headers["x-custom"], "1");
    assert_eq!(headers["host"], "10.43.0.1");
    assert_eq!(headers["cookie"], serde_json::Value::Null);
    assert_eq!(headers["content-length"], "4");
}

#[tokio::test]
async fn connections_are_reused() {
    let world = World::new().await;
    for _ in 0..50 {
        assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    }
    assert_eq!(world.upstream_connections(), 1);
}

#[tokio::test]
async fn requests_that_go_nowhere_get_the_peers_answers() {
    let world = World::new().await;
    let check = async |cluster: &str, status: u16, code: &str, message: &str| {
        let answer = world
            .ask(World::identity(), cluster, Method::GET, "/version", &[], "")
            .await;
        assert_eq!(answer.status.as_u16(), status, "{cluster}");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let expected = serde_json::json!({"Code": {"Code": code, "Status": status}, "Message": message, "Cause": null, "FieldName": ""});
        assert_eq!(body, expected);
    };
    check(
        "c-zzzzz",
        404,
        "NotFound",
        "clusters.management.cattle.io \"c-zzzzz\" not found",
    )
    .await;
    check(
        "c-young",
        503,
        "ClusterUnavailable",
        "cluster not provisioned",
    )
    .await;
    check(
        "c-aways",
        503,
        "ClusterUnavailable",
        "cluster agent disconnected",
    )
    .await;
    check("c-other", 403, "Forbidden", "not for you").await;
    let answer = world
        .ask(None, CLUSTER, Method::GET, "/version", &[], "")
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["status"],
        "401"
    );
    assert_eq!(world.upstream_connections(), 0);
}

#[tokio::test]
async fn the_agents_own_api_is_reached_through_its_second_tunnel_only() {
    let world = World::new().await;
    let answer = world.get("/v1/nodes").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let refused = world
        .ask(
            World::identity(),
            "c-other",
            Method::GET,
            "/v1/nodes",
            &[],
            "",
        )
        .await;
    assert_eq!(
        (refused.status, refused.body.len()),
        (StatusCode::UNAUTHORIZED, 0)
    );
    let _steve = world.connect_steve().await;
    let answer = world
        .request(
            Method::GET,
            "/v1/nodes",
            &[("authorization", "Bearer secret")],
            "",
        )
        .await;
    let echoed: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(echoed["uri"], "/v1/nodes");
    assert_eq!(
        echoed["headers"]["x-api-url-prefix"],
        format!("/k8s/clusters/{CLUSTER}")
    );
    assert_eq!(echoed["headers"]["host"], "hub.example");
    assert_eq!(echoed["headers"]["impersonate-user"], "u-abcde");
    assert_eq!(echoed["headers"]["authorization"], serde_json::Value::Null);
}

#[tokio::test]
async fn the_local_cluster_is_asked_with_the_same_impersonation() {
    let world = World::new().await;
    let answer = world
        .ask(
            World::identity(),
            "local",
            Method::GET,
            "/local-echo",
            &[("x-remote-user", "admin")],
            "",
        )
        .await;
    let echoed: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(echoed["headers"]["impersonate-user"], "u-abcde");
    assert_eq!(echoed["headers"]["x-remote-user"], serde_json::Value::Null);
}

#[tokio::test]
async fn controllers_have_a_client_with_full_rights() {
    let world = World::new().await;
    let client = world.clusters.client(CLUSTER).await.unwrap();
    let request = http::Request::get("/echo").body(Vec::new()).unwrap();
    let echoed: serde_json::Value = client.request(request).await.unwrap();
    assert_eq!(
        echoed["headers"]["authorization"],
        "Bearer cluster-credential"
    );
    assert_eq!(
        echoed["headers"]["impersonate-user"],
        serde_json::Value::Null
    );
    assert!(world.clusters.connected(CLUSTER) && !world.clusters.connected("c-aways"));
    assert!(world.clusters.client("c-aways").await.is_err());
}

#[tokio::test]
async fn requests_of_controllers_share_a_connection_where_the_api_server_can() {
    for (protocols, connections) in [(&["h2", "http/1.1"][..], 1), (&["http/1.1"], 20)] {
        let world = World::with_protocols(protocols).await;
        let client = world.clusters.sharing_client(CLUSTER).await.unwrap();
        let mut watches = Vec::new();
        for _ in 0..20 {
            let request = http::Request::get("/watch?watch=true").body(Vec::new());
            let mut watch = Box::pin(client.request_stream(request.unwrap()).await.unwrap());
            let mut event = [0; 3];
            futures::AsyncReadExt::read_exact(&mut watch, &mut event)
                .await
                .unwrap();
            assert_eq!(&event, b"{}\n");
            watches.push(watch);
        }
        assert_eq!(world.running_watches(), 20);
        assert_eq!(world.upstream_connections(), connections, "{protocols:?}");
        // What people ask has connections of its own.
        assert_eq!(world.get("/echo").await.status, StatusCode::OK);
        assert_eq!(world.upstream_connections(), connections + 1);
        drop(watches);
        world
            .wait_until("all watches end", || world.running_watches() == 0)
            .await;
    }
}

#[tokio::test]
async fn a_large_answer_streams_to_a_slow_reader_and_stalls_nobody() {
    let world = World::new().await;
    let mut slow = world.stream("/large").await;
    let mut total = slow
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap()
        .len();
    for _ in 0..20 {
        assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    }
    while let Some(frame) = slow.frame().await {
        total += frame
            .unwrap()
            .into_data()
            .map(|data| data.len())
            .unwrap_or_default();
    }
    assert_eq!(total, world::LARGE);
}

#[tokio::test]
async fn dropping_the_answer_ends_the_upstream_request_and_frees_its_stream() {
    let world = World::new().await;
    let mut watch = world.stream("/watch").await;
    watch.frame().await.unwrap().unwrap();
    drop(watch);
    world
        .wait_until("the stream ends at both ends", || {
            world.running_watches() == 0 && world.open_streams() == 0
        })
        .await;
}

#[tokio::test]
async fn two_hundred_watches_run_beside_other_requests_and_leave_nothing() {
    let world = World::new().await;
    let mut watches = Vec::new();
    for _ in 0..200 {
        watches.push(world.stream("/watch").await);
    }
    let mut slow = world.stream("/large").await;
    slow.frame().await.unwrap().unwrap();
    for _ in 0..3 {
        for watch in &mut watches {
            watch.frame().await.unwrap().unwrap();
        }
        assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    }
    assert_eq!(world.running_watches(), 200);
    // A cancelled request frees its own stream and no other.
    let rest = watches.split_off(100);
    drop(watches);
    world
        .wait_until("a hundred watches end", || world.running_watches() == 100)
        .await;
    for mut watch in rest {
        watch.frame().await.unwrap().unwrap();
    }
    drop(slow);
    world
        .wait_until("all is freed but the connection kept for reuse", || {
            world.running_watches() == 0 && world.open_streams() <= 1
        })
        .await;
}

#[tokio::test]
async fn headers_of_identity_from_outside_and_those_named_by_connection_stay_here() {
    let world = World::new().await;
    // Asking to be somebody else takes a right that this identity has not.
    for (name, value) in [
        ("impersonate-user", "system:admin"),
        ("impersonate-group", "system:masters"),
        ("impersonate-extra-scopes", "all"),
    ] {
        let answer = world
            .request(Method::GET, "/echo", &[(name, value)], "")
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
    }
    assert_eq!(world.upstream_connections(), 0);
    let headers = [
        ("x-remote-user", "system:admin"),
        ("x-remote-group", "system:masters"),
        ("x-remote-extra-scopes", "all"),
        ("x-forwarded-for", "10.0.0.1"),
        (
            "connection",
            "close, x-hop, Impersonate-User, authorization, content-length",
        ),
        ("x-hop", "1"),
        ("proxy-authorization", "Basic secret"),
        ("te", "trailers"),
    ];
    let answer = world.request(Method::POST, "/echo", &headers, "body").await;
    assert_eq!(answer.status, StatusCode::OK);
    let echoed: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(echoed["body"], "body");
    let seen = &echoed["headers"];
    assert_eq!(seen["authorization"], "Bearer cluster-credential");
    assert_eq!(seen["impersonate-user"], "u-abcde");
    assert_eq!(
        seen["impersonate-group"],
        "drover:cluster-owner, system:authenticated, system:cattle:authenticated"
    );
    for name in [
        "x-remote-user",
        "x-remote-group",
        "x-remote-extra-scopes",
        "x-hop",
        "proxy-authorization",
    ] {
        assert_eq!(seen[name], serde_json::Value::Null, "{name}");
    }
    // The same client's next request finds the shared connection open: its `close` was for us alone.
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    assert_eq!(world.upstream_connections(), 1);
}

#[tokio::test]
async fn a_revoked_identity_ends_its_watch() {
    let world = World::new().await;
    let mut watch = world.stream("/watch").await;
    watch.frame().await.unwrap().unwrap();
    world.gate.revoke();
    let ended = tokio::time::timeout(Duration::from_secs(1), async {
        while let Some(Ok(_)) = watch.frame().await {}
    });
    ended.await.expect("the watch ends within a second");
    world
        .wait_until("the upstream request ends", || world.running_watches() == 0)
        .await;
}

#[tokio::test]
async fn lost_rights_end_a_watch_and_other_changes_do_not() {
    let world = World::new().await;
    let mut watch = world.stream("/watch").await;
    watch.frame().await.unwrap().unwrap();
    world.gate.set_groups(&["drover:cluster-owner"]);
    watch.frame().await.unwrap().unwrap();
    world.gate.set_groups(&["drover:cluster-member"]);
    let ended = tokio::time::timeout(Duration::from_secs(1), async {
        while let Some(Ok(_)) = watch.frame().await {}
    });
    ended.await.expect("the watch ends within a second");
}

#[tokio::test]
async fn upgrades_pass_with_their_headers_and_bytes_both_ways() {
    let world = World::new().await;
    for protocol in ["websocket", "SPDY/3.1"] {
        let headers = [
            ("upgrade", protocol),
            ("connection", "Upgrade"),
            ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ];
        let (headers, mut socket) = world.upgrade("/upgrade", &headers).await.unwrap();
        assert_eq!(headers["upgrade"], protocol);
        assert_eq!(headers["x-seen-protocol"], "v5.channel.k8s.io");
        assert_eq!(headers["x-seen-user"], "u-abcde");
        socket.write_all(b"hello").await.unwrap();
        let mut echoed = [0; 5];
        socket.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"hello");
        // The client's end is the upstream's.
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
        drop(socket);
    }
    world
        .wait_until("streams are freed", || world.open_streams() <= 1)
        .await;
}

#[tokio::test]
async fn a_revoked_identity_ends_its_upgraded_connection() {
    let world = World::new().await;
    let headers = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let (_, mut socket) = world.upgrade("/upgrade", &headers).await.unwrap();
    world.gate.revoke();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(1), socket.read_to_end(&mut rest)).await;
    ended.expect("the connection ends within a second").ok();
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer_and_foreign_pages_get_none() {
    let world = World::new().await;
    let headers = [("upgrade", "websocket"), ("connection", "Upgrade")];
    assert_eq!(
        world.upgrade("/echo", &headers).await.unwrap_err(),
        StatusCode::OK
    );
    let browser = |origin| {
        [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("user-agent", "Mozilla/5.0"),
            ("origin", origin),
        ]
    };
    assert_eq!(
        world
            .upgrade("/upgrade", &browser("https://evil.example"))
            .await
            .unwrap_err(),
        StatusCode::FORBIDDEN
    );
    assert!(
        world
            .upgrade("/upgrade", &browser("https://hub.example"))
            .await
            .is_ok()
    );
    let behind_a_proxy = [
        &browser("https://drover.example")[..],
        &[("x-forwarded-host", "drover.example")],
    ]
    .concat();
    assert!(world.upgrade("/upgrade", &behind_a_proxy).await.is_ok());
}

#[tokio::test]
async fn another_session_takes_over_when_one_dies() {
    let world = World::new().await;
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    let second = world.connect().await;
    world.kill_first_session().await;
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    drop(second);
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_not_trusted() {
    let world = World::new().await;
    world.set_ca_of_a_stranger();
    let answer = world.get("/echo").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        String::from_utf8_lossy(&answer.body).contains("invalid peer certificate"),
        "{:?}",
        answer.body
    );
}

#[tokio::test]
async fn a_changed_credential_is_read_anew_after_the_first_refusal() {
    let world = World::new().await;
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    world.set_credential("rotated");
    assert_eq!(world.get("/echo").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
}

/// A whole answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn of(response: web::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

#[tokio::test]
async fn a_request_waits_for_an_agent_that_is_replaced() {
    let world = World::new().await;
    let clusters = world.clusters.clone();
    let running = tokio::spawn(async move { clusters.run().await });
    tokio::task::yield_now().await;
    world.kill_first_session().await;
    world
        .wait_until("the departure to be noticed", || {
            world.clusters.departed(CLUSTER)
        })
        .await;
    let (answer, _second) = tokio::join!(world.get("/echo"), world.connect());
    assert_eq!(answer.status, StatusCode::OK);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_lost_agent_no_longer_than_a_moment() {
    let world = World::new().await;
    let clusters = world.clusters.clone();
    let running = tokio::spawn(async move { clusters.run().await });
    tokio::task::yield_now().await;
    world.kill_first_session().await;
    world
        .wait_until("the departure to be noticed", || {
            world.clusters.departed(CLUSTER)
        })
        .await;
    let start = tokio::time::Instant::now();
    assert_eq!(
        world.get("/echo").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(start.elapsed() <= Duration::from_secs(5));
    running.abort();
}

#[tokio::test]
async fn a_request_on_its_way_waits_for_an_agent_that_is_replaced() {
    let world = World::new().await;
    let link = world.clusters.link(CLUSTER).await.unwrap();
    world.kill_first_session().await;
    let request = http::Request::post("/echo").body(web::empty()).unwrap();
    let (answer, _second) = tokio::join!(link.send(request), world.connect());
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_new_session_takes_over_from_an_old_one() {
    let world = World::new().await;
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    assert_eq!(world.open_streams(), 1);
    let second = world.connect().await;
    assert_eq!(world.get("/echo").await.status, StatusCode::OK);
    assert_eq!(second.hub.stats().streams, 1);
    world
        .wait_until("the old session to be left", || world.open_streams() == 0)
        .await;
}
