//! Clusters: imported, found, deleted.

use super::*;

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
