mod costly;
mod ends;
mod random;

use std::future::Future;
use std::time::Duration;

use drover_types::management::{Token, User, UserAttribute};
use http::request::Parts;
use jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::*;
use crate::fake::Store;
use crate::logins::NewToken;
use crate::password::Hasher;
use crate::{Auth, Config, Entropy};

struct Running {
    store: Store,
    clock: Clock,
    auth: Auth,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn running() -> Running {
    let clock = Clock::manual("2026-11-20T00:00:00Z".parse().unwrap());
    let store = Store::with_clock(clock.clone());
    let entropy = Entropy::seeded(1);
    let config = Config {
        client: store.client(),
        clock: clock.clone(),
        entropy,
        environment: BTreeMap::new(),
    };
    let (auth, driver, _) = Auth::with_hasher(config, Hasher::quick(Entropy::seeded(2)));
    let driver = tokio::spawn(driver.run());
    let running = Running {
        store,
        clock,
        auth,
        driver,
    };
    in_time(running.auth.ready()).await;
    running
}

/// No condition here takes long; a minute is for machines under load.
async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("it did not happen in time")
}

impl Running {
    async fn user(&self, name: &str) -> Identity {
        let users: Api<User> = Api::all(self.store.client());
        let mut user = User::named(name);
        user.username = format!("{name}-login");
        users.create(&PostParams::default(), &user).await.unwrap();
        self.auth
            .logins
            .identity_of(&UserId::new(name))
            .await
            .unwrap()
    }

    async fn token(&self, owner: &Identity, cluster: Option<&str>) -> (String, SecretString) {
        let token = NewToken {
            ttl: 3_600_000,
            cluster: cluster.map(str::to_owned),
            ..NewToken::default()
        };
        let issued = self.auth.logins.create_token(owner, &token).await.unwrap();
        (issued.name, issued.bearer)
    }

    async fn ask(&self, bearer: &SecretString, path: &str) -> Result<Option<Identity>, AuthError> {
        self.auth
            .authenticator
            .authenticate(&request(bearer.expose_secret(), path))
            .await
    }

    async fn is_good(&self, bearer: &SecretString) -> bool {
        self.ask(bearer, "/v3").await.is_ok()
    }

    /// Waits until the watch has shown what was done before.
    async fn until(&self, condition: impl Fn() -> bool) {
        in_time(async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn request(bearer: &str, path: &str) -> Parts {
    let request = http::Request::builder()
        .uri(path)
        .header("authorization", format!("Bearer {bearer}"));
    request.body(()).unwrap().into_parts().0
}

#[tokio::test]
async fn a_token_works_the_moment_it_was_acknowledged() {
    let running = running().await;
    running.store.hold_watches();
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    let identity = running.ask(&bearer, "/v3").await.unwrap().unwrap();
    assert_eq!(identity.user.as_str(), "u-1");
    assert_eq!(identity.username, "u-1-login");
    assert_eq!(identity.token.as_ref().unwrap().name, name);
    assert!(identity.token.as_ref().unwrap().derived);
    assert_eq!(
        identity.groups,
        ["system:authenticated", "system:cattle:authenticated"]
            .map(String::from)
            .into()
    );
    assert_eq!(identity.extras["principalid"], ["local://u-1"]);
    assert_eq!(identity.extras["requesttokenid"], [name]);
}

#[tokio::test]
async fn requests_with_known_tokens_ask_the_store_nothing() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    running
        .until(|| running.auth.authenticator.0.tokens.get(&name).is_some())
        .await;
    running
        .until(|| running.auth.authenticator.0.people.get("u-1").is_some())
        .await;
    assert!(running.is_good(&bearer).await);
    running
        .until(|| {
            running
                .auth
                .authenticator
                .0
                .tokens
                .get(&name)
                .unwrap()
                .last_used
                .is_some()
        })
        .await;
    running.store.requests();
    for _ in 0..100 {
        assert!(running.is_good(&bearer).await);
    }
    assert_eq!(running.store.requests(), [""; 0]);
    running.clock.advance(Duration::from_secs(61));
    assert!(running.is_good(&bearer).await);
    let later: Timestamp = "2026-11-20T00:01:01Z".parse().unwrap();
    running
        .until(|| {
            running
                .auth
                .authenticator
                .0
                .tokens
                .get(&name)
                .unwrap()
                .last_used
                == Some(later)
        })
        .await;
}

#[tokio::test]
async fn wrong_keys_unknown_names_and_no_credentials() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, _) = running.token(&owner, None).await;
    for bearer in [
        format!("{name}:wrong"),
        format!("{name}:"),
        "token-zzzzz:key".to_owned(),
        "eyJhbGciOi".to_owned(),
    ] {
        let refused = running.ask(&bearer.clone().into(), "/v3").await;
        assert!(matches!(refused, Err(AuthError::Refused)), "{bearer}");
    }
    let (parts, ()) = http::Request::builder()
        .uri("/v3")
        .body(())
        .unwrap()
        .into_parts();
    assert!(
        running
            .auth
            .authenticator
            .authenticate(&parts)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn tokens_expire_and_idle_out() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    let tokens: Api<Token> = Api::all(running.store.client());
    let seen = Patch::Merge(json!({"activityLastSeenAt": "2026-11-20T00:00:00Z"}));
    tokens
        .patch(&name, &PatchParams::default(), &seen)
        .await
        .unwrap();
    running
        .until(|| {
            running
                .auth
                .authenticator
                .0
                .tokens
                .get(&name)
                .is_some_and(|token| token.last_seen.is_some())
        })
        .await;
    running.clock.advance(Duration::from_secs(3_599));
    assert!(running.is_good(&bearer).await);
    running.clock.advance(Duration::from_secs(1));
    assert!(!running.is_good(&bearer).await);
}

#[tokio::test]
async fn a_clusters_token_is_good_on_that_clusters_paths_only() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (_, bearer) = running.token(&owner, Some("c-1")).await;
    let identity = running
        .ask(&bearer, "/k8s/clusters/c-1/api")
        .await
        .unwrap()
        .unwrap();
    for path in [
        "/v3",
        "/v3/clusters",
        "/k8s/clusters/c-2/api",
        "/v1/pods",
        "/k8s/clusters/c-1/../c-2/api",
    ] {
        assert!(running.ask(&bearer, path).await.is_err(), "{path}");
    }
    // Whatever it asks for, what such a token makes is that cluster's too.
    let (_, made) = running.token(&identity, Some("c-2")).await;
    assert!(running.ask(&made, "/k8s/clusters/c-1/api").await.is_ok());
    assert!(running.ask(&made, "/k8s/clusters/c-2/api").await.is_err());
}

#[tokio::test]
async fn a_store_that_is_away_is_not_a_wrong_token() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    running
        .until(|| running.auth.authenticator.0.tokens.get(&name).is_some())
        .await;
    running
        .until(|| running.auth.authenticator.0.people.get("u-1").is_some())
        .await;
    running.store.fail(true);
    assert!(running.is_good(&bearer).await, "what is known stays known");
    let unknown = running
        .ask(&"token-zzzzz:key".into(), "/v3")
        .await
        .unwrap_err();
    assert!(matches!(unknown, AuthError::Store(_)));
    assert_eq!(unknown.into_response().status(), 503);
}

#[tokio::test]
async fn what_is_stored_of_a_token_has_the_peers_form_and_not_its_key() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let issued = running
        .auth
        .logins
        .kubeconfig_token(&owner, Some("c-1"))
        .await
        .unwrap();
    let key = issued
        .bearer
        .expose_secret()
        .split_once(':')
        .unwrap()
        .1
        .to_owned();
    assert!(issued.name.starts_with("kubeconfig-u-1.c-1"));
    let stored = serde_json::to_value(running.store.dump()).unwrap();
    assert!(!stored.to_string().contains(&key));
    assert!(!format!("{issued:?}").contains(&key));
    let token = &stored[format!("/apis/management.cattle.io/v3/tokens/{}", issued.name)];
    assert_eq!(
        token["metadata"]["labels"]["authn.management.cattle.io/kind"],
        "kubeconfig"
    );
    assert_eq!(
        token["metadata"]["labels"]["authn.management.cattle.io/token-userId"],
        "u-1"
    );
    assert_eq!(
        token["metadata"]["annotations"]["authn.management.cattle.io/token-hashed"],
        "true"
    );
    assert_eq!(token["userPrincipal"]["metadata"]["name"], "local://u-1");
    assert_eq!(token["clusterName"], "c-1");
    assert_eq!(token["ttl"], 43_200 * 60_000_i64);
    assert_eq!(token["expiresAt"], "2026-12-20T00:00:00Z");
}
