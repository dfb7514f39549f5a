//! Signing in, trust in servers, contexts.

use super::*;

#[tokio::test]
async fn a_password_login_is_remembered_privately() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let printed = user
        .run(&[
            "login",
            &server.url(),
            "-u",
            "admin",
            "-p",
            "secret",
            "--cacert",
            &ca,
            "--name",
            "lab",
        ])
        .await
        .unwrap();
    assert_eq!(
        printed,
        format!("Logged in to {} as admin (context lab).\n", server.url())
    );
    let config = user.config();
    assert_eq!(config["current"], "lab");
    assert_eq!(config["contexts"]["lab"]["token"], "token-abcde:key");
    let printed = user.run(&["context", "ls"]).await.unwrap();
    snapshot(
        "context-ls.txt",
        &printed
            .replace(&server.url(), "https://localhost:PORT")
            .replace("   admin", " admin"),
    );
}

#[tokio::test]
async fn passwords_come_from_the_prompt_or_standard_input_and_are_never_shown() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    user.terminal.interactive = true;
    user.terminal.answers = ["admin".to_owned(), "secret".to_owned()].into();
    user.run(&["login", &server.url(), "--cacert", &ca])
        .await
        .unwrap();
    assert_eq!(
        user.terminal.complaints,
        ["Username:", "Password of admin:"]
    );
    user.terminal.interactive = false;
    user.terminal.input = "secret\n".to_owned();
    user.run(&[
        "login",
        &server.url(),
        "--cacert",
        &ca,
        "-u",
        "admin",
        "--password-stdin",
    ])
    .await
    .unwrap();
    let error = user
        .run(&["login", &server.url(), "--cacert", &ca, "-u", "admin"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("--password-stdin"), "{error}");
}

#[tokio::test]
async fn a_token_comes_from_whoever_confirms_in_the_browser() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let url = server.url();
    user.terminal.browser = Some(server.browser());
    let printed = user
        .run(&["login", &url, "--browser", "--cacert", &ca])
        .await
        .unwrap();
    assert!(printed.contains("as admin"), "{printed}");
    assert_eq!(user.config()["contexts"].as_object().unwrap().len(), 1);

    let page = user.terminal.browsed.remove(0);
    assert!(
        page.starts_with(&format!("{url}/dashboard/auth/login?cli=true&requestId=")),
        "{page}"
    );
    let page = url::Url::parse(&page).unwrap();
    let name = page
        .query_pairs()
        .find(|(key, _)| key == "requestId")
        .unwrap()
        .1;
    assert_eq!(name.len(), 32);
    let shown = user.terminal.complaints.join("\n");
    assert!(
        shown.contains("/dashboard/auth/login") && !shown.contains("token-abcde"),
        "{shown}"
    );
    let code = shown
        .split("code: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert_eq!(code.replace(' ', ""), name, "it is what the page shows");
    // Not there, there, taken away.
    let answer = format!("/v1-public/authtokens/{name}");
    let asked = server.asked();
    let about: Vec<_> = asked
        .iter()
        .filter(|line| line.ends_with(&answer))
        .collect();
    assert_eq!(
        about,
        [
            &format!("GET {answer}"),
            &format!("GET {answer}"),
            &format!("DELETE {answer}")
        ]
    );
}

#[tokio::test]
async fn what_is_not_encrypted_to_the_request_is_no_token() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let url = server.url();
    server.forge();
    user.terminal.browser = Some(server.browser());
    let error = user
        .run(&["login", &url, "--browser", "--cacert", &ca])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not encrypted to this request"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_passwords_and_tokens_are_refused_with_a_way_out() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    let ca = user.file("ca.pem", &server.pem);
    let error = user
        .run(&[
            "login",
            &server.url(),
            "-u",
            "admin",
            "-p",
            "wrong",
            "--cacert",
            &ca,
        ])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("authentication failed (401"),
        "{error}"
    );
    let error = user
        .run(&["login", &server.url(), "--token", "no:no", "--cacert", &ca])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("must authenticate (401"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("drover login"));
    assert!(
        !user.dir.path().join("drover/config.json").exists(),
        "nothing is remembered"
    );
}

#[tokio::test]
async fn an_untrusted_server_names_both_ways_to_trust_it() {
    let server = FakeServer::start().await;
    let error = User::new()
        .run(&["login", &server.url(), "--token", "a:b"])
        .await
        .unwrap_err();
    let hint = error.hint().unwrap_or_default();
    // A machine without root certificates cannot even begin to verify; that has its own message.
    if !matches!(error, CliError::Trust(_)) {
        assert!(
            hint.contains("--cacert") && hint.contains("--insecure-skip-tls-verify"),
            "{error} {hint}"
        );
    }
}

#[tokio::test]
async fn a_fingerprint_is_asked_for_and_the_ca_kept_instead() {
    let server = FakeServer::start().await;
    let mut user = User::new();
    user.terminal.interactive = true;
    user.terminal.answers = ["no".to_owned()].into();
    let line = [
        "login",
        &server.url(),
        "--insecure-skip-tls-verify",
        "--token",
        "token-abcde:key",
        "--name",
        "x",
    ];
    let error = user.run(&line).await.unwrap_err();
    assert!(error.to_string().contains("not accepted"), "{error}");
    let shown = user.terminal.complaints.join("\n");
    assert!(shown.contains(&server.fingerprint), "{shown}");
    user.terminal.answers = ["y".to_owned()].into();
    user.run(&line).await.unwrap();
    let context = &user.config()["contexts"]["x"];
    assert!(
        context["ca"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert_eq!(context["fingerprint"], Value::Null);
}

#[tokio::test]
async fn without_a_terminal_the_flag_is_the_consent_and_the_certificate_is_kept() {
    let server = FakeServer::start().await;
    server.hide_ca();
    let mut user = User::new();
    let url = server.url();
    let line = ["login", &url, "--skip-verify", "--token", "token-abcde:key"];
    let line = [line.as_slice(), &["--name", "x"]].concat();
    user.run(&line).await.unwrap();
    let shown = user.terminal.complaints.join("\n");
    assert!(
        shown.contains("warning: it is trusted from now on"),
        "{shown}"
    );
    assert!(shown.contains(&server.fingerprint), "{shown}");
    assert_eq!(
        user.config()["contexts"]["x"]["fingerprint"],
        server.fingerprint
    );
    user.run(&["clusters", "ls"]).await.unwrap();
}

#[tokio::test]
async fn a_pinned_fingerprint_needs_no_question_and_must_be_the_server_s() {
    let server = FakeServer::start().await;
    server.hide_ca();
    let mut user = User::new();
    let url = server.url();
    let line = |fingerprint| {
        [
            "login",
            url.as_str(),
            "--fingerprint",
            fingerprint,
            "--token",
            "token-abcde:key",
            "--name",
            "x",
        ]
    };
    let other = "AB".repeat(32);
    user.run(&line(&server.fingerprint)).await.unwrap();
    assert_eq!(
        user.config()["contexts"]["x"]["fingerprint"],
        server.fingerprint
    );
    user.run(&["clusters", "ls"]).await.unwrap();
    let error = user.run(&line(&other)).await.unwrap_err();
    assert!(error.to_string().contains("another certificate"), "{error}");
    let error = user.run(&line("AB")).await.unwrap_err();
    assert!(error.to_string().contains("--fingerprint"), "{error}");
}

#[tokio::test]
async fn logout_ends_the_session_and_forgets_the_token() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    user.run(&["logout"]).await.unwrap();
    assert!(
        server
            .asked()
            .contains(&"POST /v3/tokens?action=logout".to_owned())
    );
    let error = user.run(&["clusters", "ls"]).await.unwrap_err();
    assert!(matches!(error, CliError::NotLoggedIn), "{error}");
    assert!(!user.config().to_string().contains("token-abcde"));
}

#[tokio::test]
async fn contexts_are_chosen_and_deleted_by_name() {
    let server = FakeServer::start().await;
    let mut user = User::logged_in(&server).await;
    let ca = user.file("ca.pem", &server.pem);
    user.run(&[
        "login",
        &server.url(),
        "-t",
        "token-abcde:key",
        "--cacert",
        &ca,
        "--name",
        "two",
    ])
    .await
    .unwrap();
    let error = user.run(&["context", "use", "three"]).await.unwrap_err();
    assert!(
        matches!(&error, CliError::NoContext(name) if name == "three"),
        "{error}"
    );
    let first = server.url().trim_start_matches("https://").to_owned();
    user.run(&["context", "use", &first]).await.unwrap();
    assert_eq!(user.config()["current"], first);
    user.run(&["context", "delete", &first]).await.unwrap();
    assert!(matches!(
        user.run(&["users", "ls"]).await,
        Err(CliError::NotLoggedIn)
    ));
    user.run(&["users", "ls", "--context", "two"])
        .await
        .unwrap();
}
