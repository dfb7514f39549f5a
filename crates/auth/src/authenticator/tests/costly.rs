use drover_types::management::Token;
use kube::Api;
use kube::api::{Patch, PatchParams};
use secrecy::SecretString;
use serde_json::json;

use super::*;

/// Python: `hashlib.scrypt(b"key", salt=b"saltsalt", n=2**15, r=8, p=1, maxmem=2**26, dklen=64)`.
const OF_KEY: &str = "$1:73616c7473616c74:15:8:1:nrDsBs5N0hQJ9iHueABzUbneEOFsir/vBUgRxPmYpUst79mk6sPkBxGeN1vuDowpZnVK4LcvTN8BF5E2p6VuAQ";

/// A token that an old peer made, its name, and what to send with a key.
async fn old_token(running: &Running) -> (Api<Token>, String) {
    let owner = running.user("u-1").await;
    let (name, _) = running.token(&owner, None).await;
    let tokens: Api<Token> = Api::all(running.store.client());
    let change = Patch::Merge(json!({ "token": OF_KEY }));
    let params = PatchParams::default();
    tokens.patch(&name, &params, &change).await.unwrap();
    (tokens, name)
}

fn bearer(name: &str, key: &str) -> SecretString {
    SecretString::from(format!("{name}:{key}"))
}

#[tokio::test]
async fn a_token_of_an_old_peer_lets_in_and_is_kept_anew() {
    let running = running().await;
    let (tokens, name) = old_token(&running).await;
    let is_kept = |record: Option<Arc<Record>>, scrypt: bool| {
        record.is_some_and(|record| matches!(record.key, token::StoredKey::Scrypt(_)) == scrypt)
    };
    let mirror = || running.auth.authenticator.0.tokens.get(&name);
    running.until(|| is_kept(mirror(), true)).await;

    assert!(!running.is_good(&bearer(&name, "kez")).await);
    assert_eq!(tokens.get(&name).await.unwrap().token, OF_KEY);

    assert!(running.is_good(&bearer(&name, "key")).await);
    let kept = tokens.get(&name).await.unwrap().token;
    assert!(kept.starts_with("$3:1:"), "not in the present form");
    running.until(|| is_kept(mirror(), false)).await;
    assert!(running.is_good(&bearer(&name, "key")).await);
    assert!(!running.is_good(&bearer(&name, "kez")).await);
}

#[tokio::test]
async fn keeping_a_token_anew_undoes_no_change_of_it() {
    let running = running().await;
    let (tokens, name) = old_token(&running).await;
    let old = Record::of(tokens.get(&name).await.unwrap());
    let change = Patch::Merge(json!({ "token": "$3:1:c2FsdHNhbHQ:KQv5xA" }));
    let params = PatchParams::default();
    tokens.patch(&name, &params, &change).await.unwrap();
    running.auth.authenticator.keep_anew(&old, "key").await;
    let kept = tokens.get(&name).await.unwrap().token;
    assert_eq!(kept, "$3:1:c2FsdHNhbHQ:KQv5xA");
}
