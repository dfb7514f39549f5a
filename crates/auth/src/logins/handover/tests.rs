use secrecy::ExposeSecret;

use super::*;
use crate::fake::Store;
use crate::logins::{NewToken, tests};
use crate::{Auth, UserId};

const REQUEST_NAME: &str = "abcdfghjklmnpqrstvwxz12456789abc";
/// 32 bytes of nothing, which is a key of its form.
const KEY: &str = "eyJYMjU1MTkiOiJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFPSJ9";

async fn auth() -> (Store, Auth, UserId) {
    let (store, auth) = tests::auth().await;
    let credentials = tests::credentials("admin", "admin");
    let session = auth.logins.login(&credentials, &Purpose::Session, "").await;
    (store, auth, session.unwrap().user)
}

fn handover(response_type: &str) -> Handover {
    Handover::new(REQUEST_NAME, KEY, response_type).unwrap()
}

#[tokio::test]
async fn a_request_is_answered_once_and_what_lies_ready_is_taken_away() {
    let (store, auth, user) = auth().await;
    let owner = auth.logins.identity_of(&user).await.unwrap();
    let logins = &auth.logins;
    assert_eq!(logins.handed_over(REQUEST_NAME).await.unwrap(), None);
    let expires = logins.hand_over(&owner, &handover("json")).await.unwrap();
    assert_eq!(expires.unwrap().to_string(), "2026-11-20T16:00:00Z");
    let ready = logins.handed_over(REQUEST_NAME).await.unwrap().unwrap();
    assert_eq!(ready.expires_at, "2026-11-20T16:00:00Z");

    let tokens = || {
        let dump = store.dump();
        let is_token = |key: &&String| key.contains("/v3/tokens/");
        dump.keys().filter(is_token).count()
    };
    let before = tokens();
    assert!(logins.hand_over(&owner, &handover("json")).await.is_err());
    assert_eq!(tokens(), before, "a token that nobody gets does not stay");

    logins.forget_handed_over(REQUEST_NAME).await.unwrap();
    logins.forget_handed_over(REQUEST_NAME).await.unwrap();
    assert_eq!(logins.handed_over(REQUEST_NAME).await.unwrap(), None);
    for odd in [
        "",
        "../tokens/token-abcde",
        "ABCDFGHJKLMNPQRSTVWXZ12456789ABC",
    ] {
        assert_eq!(logins.handed_over(odd).await.unwrap(), None, "{odd}");
        logins.forget_handed_over(odd).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_waits_for_a_token_for_ever() {
    let (_store, auth, user) = auth().await;
    let owner = auth.logins.identity_of(&user).await.unwrap();
    auth.logins
        .hand_over(&owner, &handover("kubeconfig_c-1"))
        .await
        .unwrap();
    let minutes = |n: u32| {
        auth.logins
            .0
            .clock
            .advance(std::time::Duration::from_secs(60 * u64::from(n)))
    };
    minutes(14);
    assert!(
        auth.logins
            .handed_over(REQUEST_NAME)
            .await
            .unwrap()
            .is_some()
    );
    minutes(1);
    assert_eq!(auth.logins.handed_over(REQUEST_NAME).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_that_is_stored_or_printed_holds_the_key_of_the_token() {
    let (store, auth, user) = auth().await;
    let owner = auth.logins.identity_of(&user).await.unwrap();
    let known = auth
        .logins
        .create_token(&owner, &NewToken::default())
        .await
        .unwrap();
    auth.logins
        .hand_over(&owner, &handover("json"))
        .await
        .unwrap();
    let stored = serde_json::to_string(&store.dump()).unwrap();
    let key = known.bearer.expose_secret().split_once(':').unwrap().1;
    assert!(!stored.contains(key));
    assert!(!format!("{:?}", handover("json")).contains("AQEB"));
}

#[test]
fn bad_requests_name_their_field() {
    let field = |request: &str, key: &str, kind: &str| {
        Handover::new(request, key, kind).err().map(|bad| bad.field)
    };
    assert_eq!(field(REQUEST_NAME, KEY, "kubeconfig_c-1"), None);
    assert_eq!(field(REQUEST_NAME, KEY, ""), None);
    for request in [
        "",
        "short",
        "Abcdfghjklmnpqrstvwxz12456789abc",
        &format!("{REQUEST_NAME}x"),
    ] {
        assert_eq!(field(request, KEY, "json"), Some("requestId"), "{request}");
    }
    for key in ["", "!", "e30=", "W10=", &"A".repeat(10_000)] {
        assert_eq!(
            field(REQUEST_NAME, key, "json"),
            Some("publicKey"),
            "{key:.20}"
        );
    }
    assert_eq!(
        field(REQUEST_NAME, KEY, "kubeconfig_../x"),
        Some("responseType")
    );
}
