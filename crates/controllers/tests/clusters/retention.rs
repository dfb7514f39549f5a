//! Users who have been away for long.

use drover_types::management::{Setting, User, UserAttribute};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_away_is_disabled_and_then_deleted() {
    let world = World::start().await;
    let users = Api::<User>::all(world.hub.clone());
    let attributes = Api::<UserAttribute>::all(world.hub.clone());
    let seen = [
        ("u-away", "2026-10-20T00:00:00Z"),
        ("u-gone", "2020-01-01T00:00:00Z"),
        ("u-back", "2999-01-01T00:00:00Z"),
        ("u-kept", "2020-01-01T00:00:00Z"),
    ];
    for (name, last_login) in seen {
        let user = json!({ "metadata": { "name": name }, "username": name });
        world.create(users.clone(), user).await;
        let never = (name == "u-kept").then_some("0s");
        let attribute = json!({
            "metadata": { "name": name }, "lastLogin": last_login, "disableAfter": never, "deleteAfter": never,
        });
        world.create(attributes.clone(), attribute).await;
    }
    // Settings in an order in which no run sees half of them.
    for (name, value) in [
        ("disable-inactive-user-after", "720h"),
        ("delete-inactive-user-after", "17520h"),
        ("user-retention-cron", "@every 1s"),
    ] {
        let setting = json!({ "metadata": { "name": name }, "value": value });
        world
            .create(Api::<Setting>::all(world.hub.clone()), setting)
            .await;
    }
    until("the user who is gone to be deleted", || async {
        users
            .get_opt("u-gone")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    until("the user who is away to be disabled", || async {
        let user = users.get("u-away").await.unwrap();
        (user.enabled == Some(false)).then_some(())
    })
    .await;
    for name in ["u-back", "u-kept"] {
        let user = users.get(name).await.unwrap();
        assert_eq!(user.enabled, None, "{name}");
        let is_labelled = user.labels().contains_key("cattle.io/disable-after");
        assert_eq!(is_labelled, name == "u-back", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_duration_is_refused() {
    let world = World::start().await;
    let attributes = Api::<UserAttribute>::all(world.hub.clone());
    let attribute = json!({ "metadata": { "name": "u-1" } });
    world.create(attributes.clone(), attribute).await;
    let patch = async |field: &str, value: &str| {
        let change = Patch::Merge(json!({ field: value }));
        attributes
            .patch("u-1", &PatchParams::default(), &change)
            .await
    };
    for field in ["disableAfter", "deleteAfter"] {
        for value in ["0", "0s", "336h", "1h30m", "1.5h"] {
            patch(field, value).await.unwrap();
        }
        for value in ["", "14d", "-1h", "1", "h"] {
            let Err(kube::Error::Api(status)) = patch(field, value).await else {
                panic!("{field} may be {value:?}")
            };
            assert_eq!(status.code, 422);
            assert!(status.message.contains(field), "{}", status.message);
        }
    }
    assert!(patch("lastLogin", "yesterday").await.is_err());
    patch("lastLogin", "2026-11-29T00:00:00Z").await.unwrap();
}
