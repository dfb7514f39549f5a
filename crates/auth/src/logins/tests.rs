use std::collections::BTreeMap;

use drover_types::management::{Setting, User};
use drover_types::names;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::bootstrap::Outcome;
use crate::fake::Store;
use crate::{Auth, Config};

/// Nothing runs here: every question goes to the store.
pub(super) async fn auth() -> (Store, Auth) {
    let clock = Clock::manual("2026-11-20T00:00:00Z".parse().unwrap());
    let store = Store::with_clock(clock.clone());
    let config = Config {
        client: store.client(),
        clock,
        entropy: Entropy::seeded(1),
        environment: [("CATTLE_PASSWORD_MIN_LENGTH".to_owned(), "5".to_owned())].into(),
    };
    let (auth, _, bootstrap) = Auth::with_hasher(config, Hasher::quick(Entropy::seeded(2)));
    let outcome = bootstrap.run(Some(&"admin".into())).await.unwrap();
    assert!(matches!(
        outcome,
        Outcome::Created {
            generated: None,
            ..
        }
    ));
    (store, auth)
}

pub(super) fn credentials(username: &str, password: &str) -> Credentials {
    Credentials {
        username: username.to_owned(),
        password: password.into(),
        remote: None,
    }
}

async fn login(auth: &Auth, username: &str, password: &str) -> Result<IssuedToken, LoginError> {
    auth.logins
        .login(&credentials(username, password), &Purpose::Session, "")
        .await
}

async fn identity(auth: &Auth, issued: &IssuedToken) -> Option<Identity> {
    let bearer = format!("Bearer {}", issued.bearer.expose_secret());
    let request = http::Request::builder()
        .uri("/v3")
        .header("authorization", bearer)
        .body(())
        .unwrap();
    auth.authenticator
        .authenticate(&request.into_parts().0)
        .await
        .ok()
        .flatten()
}

#[tokio::test]
async fn the_right_password_makes_a_session_and_the_wrong_one_does_not() {
    let (store, auth) = auth().await;
    let issued = login(&auth, "admin", "admin").await.unwrap();
    assert_eq!(
        issued.expires_at.unwrap().to_string(),
        "2026-11-20T16:00:00Z"
    );
    let identity = identity(&auth, &issued).await.unwrap();
    assert_eq!(identity.token.as_ref().unwrap().kind, SESSION);
    assert_eq!(identity.display_name, "Default Admin");
    let user = Api::<User>::all(store.client())
        .get(identity.user.as_str())
        .await
        .unwrap();
    assert_eq!(user.labels()[LAST_LOGIN_LABEL], "1795132800");
    for (username, password) in [
        ("admin", "Admin"),
        ("admin", ""),
        ("", ""),
        ("nobody", "admin"),
        ("ADMIN", "admin"),
    ] {
        assert!(
            matches!(
                login(&auth, username, password).await,
                Err(LoginError::Failed)
            ),
            "{username}"
        );
    }
}

#[tokio::test]
async fn a_disabled_user_is_told_so_only_with_the_right_password() {
    let (store, auth) = auth().await;
    let admin = identity(&auth, &login(&auth, "admin", "admin").await.unwrap())
        .await
        .unwrap();
    let users: Api<User> = Api::all(store.client());
    let disable = Patch::Merge(json!({"enabled": false}));
    users
        .patch(admin.user.as_str(), &PatchParams::default(), &disable)
        .await
        .unwrap();
    assert!(matches!(
        login(&auth, "admin", "wrong").await,
        Err(LoginError::Failed)
    ));
    let disabled = login(&auth, "admin", "admin").await.unwrap_err();
    assert!(matches!(disabled, LoginError::Disabled(_)));
    assert_eq!(disabled.into_response().status(), 403);
}

#[tokio::test]
async fn guessing_ends_in_a_clear_answer_and_not_for_good() {
    let (_store, auth) = auth().await;
    for _ in 0..10 {
        assert!(matches!(
            login(&auth, "admin", "guess").await,
            Err(LoginError::Failed)
        ));
    }
    let response = login(&auth, "admin", "admin")
        .await
        .unwrap_err()
        .into_response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "6");
    auth.logins
        .0
        .clock
        .advance(std::time::Duration::from_secs(6));
    login(&auth, "admin", "admin").await.unwrap();
}

#[tokio::test]
async fn a_changed_password_is_the_one_that_counts() {
    let (store, auth) = auth().await;
    let admin = identity(&auth, &login(&auth, "admin", "admin").await.unwrap())
        .await
        .unwrap();
    let users: Api<User> = Api::all(store.client());
    assert!(
        users
            .get(admin.user.as_str())
            .await
            .unwrap()
            .must_change_password
    );
    let change = async |current: &str, new: &str| {
        auth.logins
            .change_password(&admin, &current.into(), &new.into())
            .await
            .map_err(|error| error.to_string())
    };
    assert!(change("wrong", "another").await.is_err());
    assert!(change("admin", "admin").await.is_err());
    assert_eq!(
        change("admin", "four").await.unwrap_err(),
        "Password must be at least 5 characters"
    );
    change("admin", "another").await.unwrap();
    assert!(login(&auth, "admin", "admin").await.is_err());
    login(&auth, "admin", "another").await.unwrap();
    assert!(
        !users
            .get(admin.user.as_str())
            .await
            .unwrap()
            .must_change_password
    );
    let first = Api::<Setting>::all(store.client())
        .get("first-login")
        .await
        .unwrap();
    assert_eq!(
        (first.value.as_str(), first.source.as_str()),
        ("false", "db")
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_or_all_of_them() {
    let (store, auth) = auth().await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(login(&auth, "admin", "admin").await.unwrap());
    }
    let first = identity(&auth, &sessions[0]).await.unwrap();
    let key = auth
        .logins
        .create_token(&first, &NewToken::default())
        .await
        .unwrap();
    auth.logins.logout(&first).await.unwrap();
    assert!(identity(&auth, &sessions[0]).await.is_none());
    let second = identity(&auth, &sessions[1]).await.unwrap();
    auth.logins.logout_everywhere(&second).await.unwrap();
    for session in &sessions {
        assert!(identity(&auth, session).await.is_none());
    }
    assert!(identity(&auth, &key).await.is_some(), "API keys stay");
    auth.logins.logout(&second).await.unwrap();
    assert_eq!(
        store
            .dump()
            .keys()
            .filter(|key| key.contains("/tokens/"))
            .count(),
        1
    );
}

#[tokio::test]
async fn nothing_secret_is_shown_by_debug() {
    let (_store, auth) = auth().await;
    let typed = credentials("admin", "correct-horse");
    assert!(!format!("{typed:?}").contains("correct-horse"));
    let issued = login(&auth, "admin", "admin").await.unwrap();
    let key = issued.bearer.expose_secret().split_once(':').unwrap().1;
    assert!(!format!("{issued:?} {auth:?}").contains(key));
    let config = Config {
        client: Store::new().client(),
        clock: Clock::system(),
        entropy: Entropy::system(),
        environment: BTreeMap::from([(
            "CATTLE_BOOTSTRAP_PASSWORD".to_owned(),
            "correct-horse".to_owned(),
        )]),
    };
    assert!(!format!("{config:?}").contains("correct-horse"));
}

/// A hash of `rasmuslerdorf` as the peer kept passwords.
const BCRYPT: &str = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";

/// Makes a user whose password the peer last kept; returns the Secret.
async fn old_user(store: &Store) -> Secret {
    let mut user = User::named("u-old");
    "old".clone_into(&mut user.username);
    let users: Api<User> = Api::all(store.client());
    let mut user = users.create(&PostParams::default(), &user).await.unwrap();
    user.other.insert("password".to_owned(), json!(BCRYPT));
    let secret = crate::password::of_old_user(&user).unwrap();
    let secrets = Api::<Secret>::namespaced(store.client(), names::PASSWORDS_NAMESPACE);
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap()
}

async fn stored(store: &Store) -> Secret {
    let secrets = Api::<Secret>::namespaced(store.client(), names::PASSWORDS_NAMESPACE);
    secrets.get("u-old").await.unwrap()
}

#[tokio::test]
async fn a_password_that_the_peer_kept_lets_in_and_is_kept_anew() {
    let (store, auth) = auth().await;
    let old = old_user(&store).await;
    let wrong = login(&auth, "old", "rasmuslerdorg").await;
    assert!(matches!(wrong, Err(LoginError::Failed)));
    assert_eq!(stored(&store).await, old, "a wrong one changes nothing");

    login(&auth, "old", "rasmuslerdorf").await.unwrap();
    let renewed = stored(&store).await;
    assert_eq!(
        renewed.annotations()["cattle.io/password-hash"],
        "pbkdf2sha3512"
    );
    assert_eq!(renewed.data.as_ref().unwrap()["password"].0.len(), 32);
    assert_eq!(renewed.owner_references(), old.owner_references());
    login(&auth, "old", "rasmuslerdorf").await.unwrap();
    assert_eq!(stored(&store).await, renewed);
    let wrong = login(&auth, "old", "rasmuslerdorg").await;
    assert!(matches!(wrong, Err(LoginError::Failed)));
}

#[tokio::test]
async fn keeping_a_password_anew_undoes_no_change_of_it() {
    let (store, auth) = auth().await;
    let old = old_user(&store).await;
    let (user, new) = (UserId::new("u-old"), SecretString::from("another"));
    auth.logins.set_password(&user, "old", &new).await.unwrap();
    let changed = stored(&store).await;
    let hashed = auth.logins.0.hasher.hash(&"rasmuslerdorf".into()).await;
    let renewed = auth.logins.renew_password(Some(&old), hashed.unwrap());
    renewed.await;
    assert_eq!(stored(&store).await, changed);
    login(&auth, "old", "another").await.unwrap();
}

#[tokio::test]
async fn a_password_that_the_peer_kept_can_be_changed() {
    let (store, auth) = auth().await;
    old_user(&store).await;
    let issued = login(&auth, "admin", "admin").await.unwrap();
    let mut caller = identity(&auth, &issued).await.unwrap();
    caller.user = UserId::new("u-old");
    caller.username = "old".to_owned();
    let change = |current: &'static str| {
        let (auth, caller) = (auth.clone(), caller.clone());
        async move {
            let (current, new) = (current.into(), "another".into());
            auth.logins.change_password(&caller, &current, &new).await
        }
    };
    assert!(change("rasmuslerdorg").await.is_err());
    change("rasmuslerdorf").await.unwrap();
    login(&auth, "old", "another").await.unwrap();
}
