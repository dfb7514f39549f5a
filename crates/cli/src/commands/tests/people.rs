//! Users, what they were given and what they did, and nodes.

use super::*;

#[tokio::test]
async fn users_are_made_with_their_roles_and_a_password_that_is_not_shown() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let line = [
        "users",
        "create",
        "jane",
        "--name",
        "Jane",
        "--must-change-password",
        "--password-stdin",
    ];
    user.terminal.input = "a-long-password-1\n".to_owned();
    let printed = user.run(&line).await.unwrap();
    assert_eq!(printed, "User jane (u-new) is made.\n");
    assert_eq!(
        server.sent("POST /v3/users"),
        json!({
            "type": "user", "username": "jane", "name": "Jane", "enabled": true, "mustChangePassword": true,
            "password": "a-long-password-1",
        })
    );
    assert_eq!(
        server.sent("POST /v3/globalRoleBindings"),
        json!({"type": "globalRoleBinding", "globalRoleId": "user", "userId": "u-new"})
    );

    user.terminal.interactive = true;
    user.terminal.answers = ["a-long-password-1", "a-long-password-1"]
        .map(str::to_owned)
        .into();
    let made = user
        .run(&["users", "create", "jane", "-o", "json"])
        .await
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&made).unwrap()["id"], "u-new");
    assert!(!made.contains("a-long-password-1"));

    // A role that is misspelt is told before anything is made.
    let before = server.asked().len();
    let error = user
        .run(&["users", "create", "jane", "--role", "amdin"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no role \"amdin\"");
    assert_eq!(server.asked().len(), before + 1);
    // One that may not be given leaves a user without it, and says so.
    user.terminal.interactive = false;
    user.terminal.input = "a-long-password-1".to_owned();
    let line = ["users", "create", "j", "-r", "Admin", "--password-stdin"];
    assert_eq!(user.code_of(&line).await, 3);
    let said = user.terminal.complaints.join("\n");
    assert!(said.contains("has not got the role admin"), "{said}");

    user.terminal.interactive = true;
    user.terminal.answers = ["one", "two"].map(str::to_owned).into();
    let error = user.run(&["users", "create", "jane"]).await.unwrap_err();
    assert_eq!(error.to_string(), "these are two passwords");
}

#[tokio::test]
async fn users_are_shut_out_let_in_and_deleted() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let mut printed = String::new();
    for line in [
        &["users", "show", "admin"][..],
        &["users", "disable", "admin"],
        &["users", "enable", "user-p8sfq"],
        &["users", "delete", "admin", "--yes"],
    ] {
        printed.push_str(&format!("$ drover {}\n", line.join(" ")));
        printed.push_str(&user.run(line).await.unwrap());
    }
    snapshot("users.txt", &printed);
    assert_eq!(
        server.sent("PUT /v3/users/user-p8sfq"),
        json!({"enabled": true})
    );
    assert_eq!(user.code_of(&["users", "disable", "nobody"]).await, 4);
    assert_eq!(user.code_of(&["users", "delete", "admin"]).await, 1);
}

#[tokio::test]
async fn passwords_are_set_and_changed() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    user.terminal.input = "a-long-password-2\n".to_owned();
    let line = ["users", "password", "admin", "--password-stdin"];
    let printed = user.run(&line).await.unwrap();
    assert_eq!(printed, "The password of admin is set.\n");
    assert_eq!(
        server.sent("POST /v3/users/user-p8sfq?action=setpassword"),
        json!({"newPassword": "a-long-password-2"})
    );
    user.terminal.input = "old-password-1\nnew-password-1\n".to_owned();
    let own = ["users", "password", "--password-stdin"];
    user.run(&own).await.unwrap();
    assert_eq!(
        server.sent("POST /v3/users?action=changepassword"),
        json!({"currentPassword": "old-password-1", "newPassword": "new-password-1"})
    );
    user.terminal.input = "only-one".to_owned();
    assert_eq!(user.code_of(&own).await, 2);
    assert_eq!(user.code_of(&["users", "password"]).await, 2);
}

#[tokio::test]
async fn roles_are_given_listed_and_taken_away() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let mut printed = String::new();
    for line in [
        &["roles", "grant", "User", "--user", "admin"][..],
        &[
            "roles",
            "grant",
            "Cluster Owner",
            "-u",
            "admin",
            "-c",
            "oracle1",
        ],
        &[
            "roles",
            "grant",
            "read-only",
            "-g",
            "okta_group://team",
            "-c",
            "oracle1",
            "-p",
            "Default",
        ],
        &["roles", "bindings"],
        &["roles", "bindings", "--user", "admin"],
        &["roles", "bindings", "-c", "oracle1", "-p", "Default"],
        &["roles", "revoke", "p-1:prtb-1"],
    ] {
        printed.push_str(&format!("$ drover {}\n", line.join(" ")));
        printed.push_str(&user.run(line).await.unwrap());
    }
    snapshot("roles.txt", &printed);
    assert_eq!(
        server.sent("POST /v3/clusterRoleTemplateBindings"),
        json!({"type": "clusterRoleTemplateBinding", "roleTemplateId": "cluster-owner", "clusterId": "c-aaaaa",
               "userId": "user-p8sfq"})
    );
    assert_eq!(
        server.sent("POST /v3/projectRoleTemplateBindings"),
        json!({"type": "projectRoleTemplateBinding", "roleTemplateId": "read-only", "projectId": "c-aaaaa:p-1",
               "groupPrincipalId": "okta_group://team"})
    );
    for (line, code) in [
        (&["roles", "revoke", "c-aaaaa:crtb-none"][..], 4),
        (&["roles", "revoke", "grb-none"], 4),
        // A role of another scope is none there.
        (
            &[
                "roles",
                "grant",
                "read-only",
                "-u",
                "admin",
                "-c",
                "oracle1",
            ],
            4,
        ),
        (&["roles", "grant", "admin", "-u", "admin"], 3),
    ] {
        assert_eq!(user.code_of(line).await, code, "{line:?}");
    }
    for line in [
        &["drover", "roles", "grant", "read-only"][..],
        &[
            "drover",
            "roles",
            "grant",
            "read-only",
            "-u",
            "a",
            "-g",
            "b",
        ],
        &[
            "drover",
            "roles",
            "grant",
            "read-only",
            "-u",
            "a",
            "-p",
            "b",
        ],
    ] {
        assert!(Arguments::try_parse_from(line).is_err(), "{line:?}");
    }
}

#[tokio::test]
async fn nodes_are_cordoned_and_drained() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let mut printed = String::new();
    for line in [
        &["nodes", "cordon", "node-1", "-c", "oracle1"][..],
        &["nodes", "uncordon", "node-1", "-c", "oracle1"],
        &[
            "nodes", "drain", "node-1", "-c", "oracle1", "--force", "--yes",
        ],
    ] {
        printed.push_str(&format!("$ drover {}\n", line.join(" ")));
        printed.push_str(&user.run(line).await.unwrap());
    }
    assert_eq!(
        printed,
        "$ drover nodes cordon node-1 -c oracle1\nNode c-aaaaa:machine-1 is cordoned.\n\
         $ drover nodes uncordon node-1 -c oracle1\nNode c-aaaaa:machine-1 is uncordoned already.\n\
         $ drover nodes drain node-1 -c oracle1 --force --yes\nNode c-aaaaa:machine-1 is drained.\n"
    );
    assert_eq!(
        server.sent("POST /v3/nodes/c-aaaaa:machine-1?action=drain"),
        json!({"force": true, "deleteLocalData": false, "ignoreDaemonSets": true, "gracePeriod": -1, "timeout": 120})
    );
    for (line, code) in [
        (&["nodes", "cordon", "node-9", "-c", "oracle1"][..], 4),
        (&["nodes", "cordon", "c-aaaaa:machine-9"], 4),
        (&["nodes", "cordon", "node-1"], 2),
        (&["nodes", "drain", "node-1", "-c", "oracle1"], 1),
    ] {
        assert_eq!(user.code_of(line).await, code, "{line:?}");
    }
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let printed = user.run(&["audit", "ls", "-u", "admin"]).await.unwrap();
    snapshot("audit-ls.txt", &printed);
    let asked: Vec<String> = server
        .asked()
        .into_iter()
        .filter(|line| line.contains("/v1/audit"))
        .collect();
    assert_eq!(
        asked,
        [
            "GET /v1/audit?user=admin&limit=100",
            "GET /v1/audit?user=admin&before=9&limit=99",
        ]
    );
    let one = user
        .run(&["audit", "ls", "--limit", "1", "-o", "json"])
        .await
        .unwrap();
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    let shown = user.run(&["audit", "show", "9"]).await.unwrap();
    assert!(shown.contains("\"sequence\": 9"), "{shown}");
    assert_eq!(user.code_of(&["audit", "show", "4"]).await, 4);
}
