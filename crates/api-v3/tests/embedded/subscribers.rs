//! Changes as they are told.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_see_changes_and_end_with_their_session() {
    let world = World::start().await;
    let (admin, _) = world.login("admin", PASSWORD).await;
    for (path, expected) in [
        ("/v3/subscribe", 400),
        ("/v3/subscribe?resourceTypes=zzz", 404),
    ] {
        let (status, body) = world.send(&admin, "GET", path, Value::Null).await;
        assert_eq!(
            (status, body["type"].as_str()),
            (expected, Some("error")),
            "{path}"
        );
    }
    let mut all = world
        .subscribe(&admin, "resourceTypes=setting&resourceTypes=cluster")
        .await;
    let first = all.wait(|frame| frame["data"]["id"] == "ui-pl").await;
    assert_eq!(
        (first["name"].as_str(), first["data"]["type"].as_str()),
        (Some("resource.change"), Some("setting"))
    );
    world
        .send(
            &admin,
            "PUT",
            "/v3/settings/ui-pl",
            json!({"value": "Drover"}),
        )
        .await;
    all.wait(|frame| frame["data"]["id"] == "ui-pl" && frame["data"]["value"] == "Drover")
        .await;
    let (_, cluster) = world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "one"}))
        .await;
    let id = cluster["id"].clone();
    let made = all.wait(|frame| frame["data"]["id"] == id).await;
    assert_eq!(made["data"]["links"]["self"], cluster["links"]["self"]);
    world
        .send(
            &admin,
            "DELETE",
            &format!("/v3/clusters/{}", id.as_str().expect("an id")),
            Value::Null,
        )
        .await;
    all.wait(|frame| frame["name"] == "resource.remove" && frame["data"]["id"] == id)
        .await;
    all.wait(|frame| frame["name"] == "ping").await;

    // Somebody else hears of nothing it may not see, of tokens only its own.
    world
        .send(
            &admin,
            "POST",
            "/v3/users",
            json!({"username": "jane", "password": PASSWORD}),
        )
        .await;
    let (jane, jane_id) = world.login("jane", PASSWORD).await;
    let mut other = world.subscribe(&jane, "").await;
    world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "two"}))
        .await;
    let mut owners = BTreeMap::new();
    other
        .wait(|frame| {
            if frame["name"] == "ping" {
                return true;
            }
            assert_ne!(frame["data"]["type"], "cluster", "{frame}");
            false
        })
        .await;
    let (_, key) = world
        .send(&jane, "POST", "/v3/tokens", json!({"description": "mine"}))
        .await;
    let told = other.wait(|frame| frame["data"]["id"] == key["id"]).await;
    owners.insert(told["data"]["userId"].as_str().map(str::to_owned), ());
    assert_eq!(owners.keys().flatten().collect::<Vec<_>>(), [&jane_id]);

    let (status, _) = world
        .send(&jane, "POST", "/v3/tokens?action=logout", Value::Null)
        .await;
    assert_eq!(status, 200);
    other.ended().await;
    world.store.shutdown().await;
}
