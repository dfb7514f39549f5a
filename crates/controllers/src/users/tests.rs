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
