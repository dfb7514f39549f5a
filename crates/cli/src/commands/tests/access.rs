//! Rights, tokens, projects.

use super::*;

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
