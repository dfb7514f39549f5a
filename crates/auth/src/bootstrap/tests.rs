use kube::api::{DeleteParams, Patch, PatchParams};

use super::*;
use crate::fake::Store;

fn bootstrap(store: &Store, seed: u64, environment: &[(&str, &str)]) -> Bootstrap {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let entropy = Entropy::seeded(seed);
    let hasher = Hasher::quick(entropy.clone());
    Bootstrap::new(store.client(), entropy, Settings::new(&environment), hasher)
}

#[test]
fn the_built_in_roles_are_those_recorded() {
    assert_eq!(global_roles().count(), 13);
    assert_eq!(role_templates().count(), 40);
    let defaults: Vec<String> = global_roles()
        .filter(|role| role.new_user_default)
        .map(|role| role.name_any())
        .collect();
    assert_eq!(defaults, ["user"]);
    let creators: Vec<String> = role_templates()
        .filter(|role| role.cluster_creator_default || role.project_creator_default)
        .map(|role| role.name_any())
        .collect();
    assert_eq!(creators, ["cluster-owner", "project-owner"]);
    let all: Vec<RoleTemplate> = role_templates().collect();
    for role in &all {
        assert!(
            matches!(role.context.as_str(), "cluster" | "project"),
            "{}",
            role.name_any()
        );
        assert!(role.builtin && !role.display_name.is_empty());
        for inherited in &role.role_template_names {
            assert!(all.iter().any(|other| other.name_any() == *inherited));
        }
    }
}

#[tokio::test]
async fn the_first_start_makes_an_administrator_once() {
    let store = Store::new();
    let outcome = bootstrap(&store, 1, &[]).run(None).await.unwrap();
    let Outcome::Created {
        admin,
        generated: Some(password),
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(password.expose_secret().len(), 54);
    let users: Api<User> = Api::all(store.client());
    let user = users.get(admin.as_str()).await.unwrap();
    assert!(admin.as_str().starts_with("user-") && admin.as_str().len() == 10);
    assert_eq!(
        (user.username.as_str(), user.display_name.as_str()),
        ("admin", "Default Admin")
    );
    assert_eq!(user.labels()[BOOTSTRAPPING_LABEL], "admin-user");
    assert!(user.must_change_password);
    let bindings: Api<GlobalRoleBinding> = Api::all(store.client());
    let binding = &bindings.list(&ListParams::default()).await.unwrap().items[0];
    assert_eq!(
        (
            binding.global_role_name.as_str(),
            binding.user_name.as_str()
        ),
        ("admin", admin.as_str())
    );

    let before = store.dump();
    assert!(matches!(
        bootstrap(&store, 2, &[])
            .run(Some(&"other".into()))
            .await
            .unwrap(),
        Outcome::AlreadyDone
    ));
    assert_eq!(store.dump(), before);
    users
        .delete(admin.as_str(), &DeleteParams::default())
        .await
        .unwrap();
    assert!(matches!(
        bootstrap(&store, 3, &[]).run(None).await.unwrap(),
        Outcome::AlreadyDone
    ));
    assert!(
        users.get_opt(admin.as_str()).await.unwrap().is_none(),
        "a deleted administrator stays deleted"
    );
}

#[tokio::test]
async fn replicas_starting_at_once_make_one_administrator() {
    let store = Store::new();
    let replicas: Vec<Bootstrap> = (0..4).map(|seed| bootstrap(&store, seed, &[])).collect();
    let outcomes =
        futures::future::join_all(replicas.iter().map(|replica| replica.run(None))).await;
    let shown = outcomes.iter().filter(|outcome| {
        matches!(
            outcome,
            Ok(Outcome::Created {
                generated: Some(_),
                ..
            })
        )
    });
    assert_eq!(shown.count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(Result::is_ok));
    let keys = |part: &str| store.dump().keys().filter(|key| key.contains(part)).count();
    assert_eq!(
        (
            keys("/users/"),
            keys("/globalrolebindings/"),
            keys("/cattle-local-user-passwords/secrets/")
        ),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_finished_by_the_next() {
    let store = Store::new();
    bootstrap(&store, 1, &[]).run(None).await.unwrap();
    let client = store.client();
    let (users, markers): (Api<User>, Api<ConfigMap>) = (
        Api::all(client.clone()),
        Api::namespaced(client, names::SYSTEM_NAMESPACE),
    );
    let admin = users.list(&ListParams::default()).await.unwrap().items[0].name_any();
    users
        .delete(&admin, &DeleteParams::default())
        .await
        .unwrap();
    markers
        .delete(MARKER, &DeleteParams::default())
        .await
        .unwrap();
    let outcome = bootstrap(&store, 9, &[]).run(None).await.unwrap();
    let Outcome::Created {
        admin: again,
        generated: Some(_),
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(again.as_str(), admin);
}

#[tokio::test]
async fn a_given_password_is_taken_and_a_weak_one_must_be_changed() {
    for (password, must_change) in [("admin", true), ("something-else", false)] {
        let store = Store::new();
        let outcome = bootstrap(&store, 1, &[])
            .run(Some(&password.into()))
            .await
            .unwrap();
        let Outcome::Created {
            admin,
            generated: None,
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        let user = Api::<User>::all(store.client())
            .get(admin.as_str())
            .await
            .unwrap();
        assert_eq!(user.must_change_password, must_change);
    }
}

#[tokio::test]
async fn no_administrator_is_made_where_none_is_wanted() {
    let store = Store::new();
    let outcome = bootstrap(&store, 1, &[("CATTLE_NO_DEFAULT_ADMIN", "true")])
        .run(None)
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::NotWanted));
    assert!(!store.dump().keys().any(|key| key.contains("/users/")));
}

#[tokio::test]
async fn built_in_rules_are_reset_and_peoples_choices_kept() {
    let store = Store::new();
    bootstrap(&store, 1, &[]).run(None).await.unwrap();
    let roles: Api<GlobalRole> = Api::all(store.client());
    let templates: Api<RoleTemplate> = Api::all(store.client());
    let change = Patch::Merge(json!({"newUserDefault": false, "rules": []}));
    roles
        .patch("user", &PatchParams::default(), &change)
        .await
        .unwrap();
    let change =
        Patch::Merge(json!({"locked": true, "clusterCreatorDefault": false, "context": "project"}));
    templates
        .patch("cluster-owner", &PatchParams::default(), &change)
        .await
        .unwrap();
    bootstrap(&store, 2, &[]).run(None).await.unwrap();
    let role = roles.get("user").await.unwrap();
    assert!(!role.new_user_default && !role.rules.is_empty());
    let template = templates.get("cluster-owner").await.unwrap();
    assert!(template.locked && !template.cluster_creator_default);
    assert_eq!(template.context, "cluster");
}
