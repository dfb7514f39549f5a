use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn user(finalizers: &[&str], goes: bool) -> User {
    let mut user = User::named("u-1");
    user.metadata.resource_version = Some("7".to_owned());
    user.metadata.finalizers = Some(finalizers.iter().map(|&name| name.to_owned()).collect());
    user.metadata.deletion_timestamp = goes.then_some(Time(Timestamp::UNIX_EPOCH));
    user
}

fn left() -> Left {
    let mut token = Token::named("token-abcde");
    token.metadata.uid = Some("1".to_owned());
    let mut left = Left::default();
    left.add::<Token>(&token.metadata);
    left
}

#[test]
fn a_user_is_held_until_what_it_held_is_gone() {
    let plan = reconcile(Some(&user(&["other"], false)), &Left::default());
    let [Action::Patch { patch, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(patch["metadata"]["finalizers"], json!(["other", FINALIZER]));
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    assert!(reconcile(Some(&user(&[FINALIZER], false)), &Left::default()).is_empty());

    let plan = reconcile(Some(&user(&["other", FINALIZER], true)), &left());
    let [
        Action::Delete { target, uid, .. },
        Action::Patch { patch, .. },
    ] = plan.actions.as_slice()
    else {
        panic!("{plan:?}")
    };
    assert_eq!((target.kind(), target.name()), ("Token", "token-abcde"));
    assert_eq!(uid.as_deref(), Some("1"), "no other that took its name");
    assert_eq!(patch["metadata"]["finalizers"], json!(["other"]));
}

#[test]
fn one_that_went_before_it_was_held_leaves_nothing_either() {
    assert_eq!(reconcile(None, &left()).actions.len(), 1);
    let plan = reconcile(Some(&user(&["other"], true)), &left());
    assert_eq!(
        plan.actions.len(),
        1,
        "another's finalizer is not ours to take"
    );
}

#[test]
fn bindings_are_known_by_the_user_or_its_local_principal_alone() {
    let theirs = Theirs::of("u-1");
    assert!(theirs.names("u-1", ""));
    assert!(theirs.names("u-1", "github_user://5"));
    assert!(theirs.names("", "local://u-1"));
    assert!(!theirs.names("", "github_user://5"));
    assert!(!theirs.names("u-10", "local://u-1"));
    assert!(!theirs.names("", ""));
}

#[test]
fn a_hash_in_an_old_user_moves_to_where_passwords_are_kept() {
    let hash = "$2a$10$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";
    let mut old = user(&[FINALIZER], false);
    old.metadata.uid = Some("1".to_owned());
    old.other.insert("password".to_owned(), json!(hash));
    let plan = reconcile(Some(&old), &Left::default());
    let [Action::Apply { target, .. }, Action::Patch { patch, .. }] = plan.actions.as_slice()
    else {
        panic!("{plan:?}")
    };
    assert_eq!(target.to_string(), "Secret cattle-local-user-passwords/u-1");
    assert_eq!(
        *patch,
        json!({ "metadata": { "resourceVersion": "7" }, "password": null })
    );

    old.other.insert("password".to_owned(), json!("in clear"));
    assert!(
        reconcile(Some(&old), &Left::default()).is_empty(),
        "it is no hash"
    );
    old.other.insert("password".to_owned(), json!(hash));
    old.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    let plan = reconcile(Some(&old), &Left::default());
    assert_eq!(plan.actions.len(), 1, "one that goes leaves none behind");
}
