//! Names are given once.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_is_given_twice_however_many_ask_at_once() {
    let world = World::start().await;
    let (admin, _) = world.login("admin", PASSWORD).await;
    for (path, body, list) in [
        (
            "/v3/clusters",
            json!({"name": "same"}),
            "/v3/clusters?name=same",
        ),
        (
            "/v3/users",
            json!({"username": "same", "name": "Same"}),
            "/v3/users?username=same",
        ),
    ] {
        let asked = (0..12).map(|_| world.send(&admin, "POST", path, body.clone()));
        let answers = futures::future::join_all(asked).await;
        let made = answers.iter().filter(|(status, _)| *status == 201).count();
        assert!(
            answers
                .iter()
                .all(|(status, body)| *status == 201 || body["code"] == "NotUnique"),
            "{answers:?}"
        );
        let (_, left) = world.send(&admin, "GET", list, Value::Null).await;
        assert_eq!(ids(&left).len(), made, "{path}");
        assert!(made <= 1, "{path}: {made}");
    }
    world.store.shutdown().await;
}
