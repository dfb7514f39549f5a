//! What ends requests that are running.

use super::*;

#[tokio::test]
async fn a_deleted_token_is_refused_at_once_however_late_the_watch_is() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    running
        .until(|| running.auth.authenticator.0.tokens.get(&name).is_some())
        .await;
    let identity = running.ask(&bearer, "/v3").await.unwrap().unwrap();
    running.store.hold_watches();
    running.auth.logins.delete_token(&name).await.unwrap();
    assert!(!running.is_good(&bearer).await);
    in_time(running.auth.authenticator.revoked(&identity)).await;
    running.store.release_watches();
    running.auth.logins.delete_token(&name).await.unwrap();
    assert!(!running.is_good(&bearer).await);
}

#[tokio::test]
async fn deletions_and_disabling_elsewhere_end_running_requests() {
    let running = running().await;
    let (tokens, users): (Api<Token>, Api<User>) = (
        Api::all(running.store.client()),
        Api::all(running.store.client()),
    );
    let patch = |change| Patch::Merge(change);
    for how in [
        "token deleted",
        "token disabled",
        "user disabled",
        "user deleted",
    ] {
        let user = format!("u-{}", how.replace(' ', "-"));
        let owner = running.user(&user).await;
        let (name, bearer) = running.token(&owner, None).await;
        running
            .until(|| running.auth.authenticator.0.tokens.get(&name).is_some())
            .await;
        running
            .until(|| running.auth.authenticator.0.people.get(&user).is_some())
            .await;
        let identity = running.ask(&bearer, "/v3").await.unwrap().unwrap();
        let ended = tokio::spawn({
            let authenticator = running.auth.authenticator.clone();
            async move { authenticator.revoked(&identity).await }
        });
        let params = PatchParams::default();
        match how {
            "token deleted" => drop(
                tokens
                    .delete(&name, &DeleteParams::default())
                    .await
                    .unwrap(),
            ),
            "token disabled" => drop(
                tokens
                    .patch(&name, &params, &patch(json!({"enabled": false})))
                    .await
                    .unwrap(),
            ),
            "user disabled" => drop(
                users
                    .patch(&user, &params, &patch(json!({"enabled": false})))
                    .await
                    .unwrap(),
            ),
            _ => drop(users.delete(&user, &DeleteParams::default()).await.unwrap()),
        }
        in_time(ended).await.unwrap();
        assert!(!running.is_good(&bearer).await, "{how}");
    }
}

#[tokio::test]
async fn a_lost_group_ends_running_requests_and_a_new_one_does_not() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (_, bearer) = running.token(&owner, None).await;
    let groups = |names: &[&str]| {
        let items: Vec<_> = names
            .iter()
            .map(|name| json!({"metadata": {"name": name}}))
            .collect();
        json!({"GroupPrincipals": {"x": {"Items": items}}})
    };
    let attributes: Api<UserAttribute> = Api::all(running.store.client());
    attributes
        .create(&PostParams::default(), &UserAttribute::named("u-1"))
        .await
        .unwrap();
    let set = async |names: &[&str]| {
        attributes
            .patch("u-1", &PatchParams::default(), &Patch::Merge(groups(names)))
            .await
            .unwrap();
        running
            .until(|| {
                running
                    .auth
                    .authenticator
                    .0
                    .memberships
                    .get("u-1")
                    .is_some_and(|held| held.len() == names.len())
            })
            .await;
    };
    set(&["x_group://1"]).await;
    let identity = running.ask(&bearer, "/v3").await.unwrap().unwrap();
    assert!(identity.groups.contains("x_group://1"));
    let revoked = running.auth.authenticator.revoked(&identity);
    let mut revoked = std::pin::pin!(revoked);
    set(&["x_group://1", "x_group://2"]).await;
    assert!(futures::poll!(revoked.as_mut()).is_pending());
    set(&["x_group://2"]).await;
    in_time(revoked).await;
}

#[tokio::test]
async fn a_token_deleted_elsewhere_is_refused_once_its_deletion_here_is_answered() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    let tokens = &running.auth.authenticator.0.tokens;
    running.until(|| tokens.get(&name).is_some()).await;
    running.store.hold_watches();
    Api::<Token>::all(running.store.client())
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    running.auth.logins.delete_token(&name).await.unwrap();
    assert!(!running.is_good(&bearer).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_heard_of_any_more_lets_nobody_in_and_keeps_nobody_in() {
    let running = running().await;
    let owner = running.user("u-1").await;
    let (name, bearer) = running.token(&owner, None).await;
    running
        .until(|| running.auth.authenticator.0.tokens.get(&name).is_some())
        .await;
    let identity = running.ask(&bearer, "/v3").await.unwrap().unwrap();
    let open = tokio::spawn({
        let authenticator = running.auth.authenticator.clone();
        async move { authenticator.revoked(&identity).await }
    });
    let second = Duration::from_secs(1);
    running.store.hold_watches();
    tokio::time::advance(crate::LONGEST_SILENCE - second).await;
    assert!(running.is_good(&bearer).await);
    assert!(!open.is_finished());
    tokio::time::advance(second).await;
    let refused = running.ask(&bearer, "/v3").await.unwrap_err();
    assert!(matches!(refused, AuthError::Silent(_)), "{refused}");
    assert_eq!(
        refused.into_response().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    in_time(open).await.unwrap();
    let parts = http::Request::get("/v3").body(()).unwrap().into_parts().0;
    let nobody = running.auth.authenticator.authenticate(&parts).await;
    assert!(matches!(nobody, Ok(None)), "who shows nothing is nobody");
    running.user("u-2").await;
    running.store.release_watches();
    in_time(async {
        while !running.is_good(&bearer).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
