use super::*;

const NOW: &str = "2026-11-30T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rules(values: &[(&str, &str)]) -> Rules {
    Rules::of(&Settings::of(values.iter().copied())).unwrap()
}

/// A month to be disabled, two to be deleted.
fn both() -> Rules {
    rules(&[(DISABLE_AFTER, "720h"), (DELETE_AFTER, "1440h")])
}

fn user(username: &str) -> User {
    let mut user = User::named("u-1");
    user.metadata.resource_version = Some("7".to_owned());
    user.metadata.uid = Some("1".to_owned());
    username.clone_into(&mut user.username);
    user
}

fn seen(last_login: &str) -> UserAttribute {
    let mut attribute = UserAttribute::named("u-1");
    last_login.clone_into(&mut attribute.last_login);
    attribute
}

fn verdict(rules: &Rules, user: &User, attribute: &UserAttribute) -> Verdict {
    reconcile(rules, user, Some(attribute), Some(at(NOW))).0
}

/// The one patch of a plan.
fn patch(plan: &Plan) -> &Value {
    let [Action::Patch { patch, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    patch
}

#[test]
fn whoever_is_away_is_disabled_and_then_deleted() {
    let check = |last_login: &str, expected: Verdict| {
        let attribute = seen(last_login);
        assert_eq!(
            verdict(&both(), &user("ada"), &attribute),
            expected,
            "{last_login}"
        );
        let between = reconcile(&both(), &user("ada"), Some(&attribute), None);
        assert_eq!(between.0, Verdict::Stays, "only when a run is due");
    };
    check("2026-11-30T11:00:00Z", Verdict::Stays);
    check("2026-10-31T12:00:00Z", Verdict::Stays);
    check("2026-10-31T11:59:59Z", Verdict::Disabled);
    check("2026-10-01T12:00:00Z", Verdict::Disabled);
    check("2026-10-01T11:59:59Z", Verdict::Deleted);
    check("", Verdict::Stays);
    check("long ago", Verdict::Stays);

    let (_, plan) = reconcile(
        &both(),
        &user("ada"),
        Some(&seen("2026-10-31T11:59:59Z")),
        Some(at(NOW)),
    );
    assert_eq!(
        *patch(&plan),
        json!({
            "metadata": {
                "resourceVersion": "7",
                "labels": {
                    "cattle.io/last-login": "1793447999",
                    "cattle.io/disable-after": "1796039999",
                    "cattle.io/delete-after": "1798631999",
                },
            },
            "enabled": false,
        })
    );
    let (_, plan) = reconcile(
        &both(),
        &user("ada"),
        Some(&seen("2026-10-01T11:59:59Z")),
        Some(at(NOW)),
    );
    let [Action::Delete { target, uid, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(
        (target.to_string().as_str(), uid.as_deref()),
        ("User u-1", Some("1"))
    );
}

#[test]
fn some_stay_however_long_they_are_away() {
    let away = seen("2020-01-01T00:00:00Z");
    assert_eq!(verdict(&both(), &user("admin"), &away), Verdict::Stays);
    let mut first = user("root");
    let (label, value) = ADMINISTRATOR_LABEL;
    first.metadata.labels = Some([(label.to_owned(), value.to_owned())].into());
    assert_eq!(verdict(&both(), &first, &away), Verdict::Stays);
    let mut system = user("");
    system.principal_ids = vec!["local://u-1".to_owned(), "system://local".to_owned()];
    let (verdict_, plan) = reconcile(&both(), &system, Some(&away), Some(at(NOW)));
    assert_eq!((verdict_, plan.is_empty()), (Verdict::Stays, true));
    let (verdict_, plan) = reconcile(&both(), &user("ada"), None, Some(at(NOW)));
    assert_eq!((verdict_, plan.is_empty()), (Verdict::Stays, true));
    assert_eq!(verdict(&rules(&[]), &user("ada"), &away), Verdict::Stays);

    let (_, plan) = reconcile(&both(), &user("admin"), Some(&away), None);
    let labels = json!({ "cattle.io/last-login": "1577836800" });
    assert_eq!(patch(&plan)["metadata"]["labels"], labels);
}

#[test]
fn attributes_of_a_user_go_before_settings() {
    let away = || seen("2026-10-20T00:00:00Z");
    let own = |disable: Option<&str>, delete: Option<&str>| {
        let mut attribute = away();
        attribute.disable_after = disable.map(str::to_owned);
        attribute.delete_after = delete.map(str::to_owned);
        verdict(&both(), &user("ada"), &attribute)
    };
    assert_eq!(own(None, None), Verdict::Disabled);
    assert_eq!(own(Some("0s"), None), Verdict::Stays);
    assert_eq!(own(Some("-1h"), None), Verdict::Stays);
    assert_eq!(own(Some("a month"), None), Verdict::Stays);
    assert_eq!(own(Some("2400h0m0s"), None), Verdict::Stays);
    assert_eq!(own(None, Some("720h0m0s")), Verdict::Deleted);
    assert_eq!(own(Some("0s"), Some("0s")), Verdict::Stays);

    let mut attribute = away();
    attribute.disable_after = Some("1h".to_owned());
    let off = rules(&[(DELETE_AFTER, "1440h"), (DISABLE_AFTER, "0s")]);
    assert_eq!(
        verdict(&off, &user("ada"), &attribute),
        Verdict::Stays,
        "they make exceptions from a rule, no rule"
    );
}

#[test]
fn who_never_signed_in_may_count_from_a_given_day() {
    let rules = rules(&[
        (DISABLE_AFTER, "720h"),
        (DEFAULT_LAST_LOGIN, "2026-01-01T00:00:00Z"),
    ]);
    assert_eq!(verdict(&rules, &user("ada"), &seen("")), Verdict::Disabled);
    let back = seen("2026-11-29T00:00:00Z");
    assert_eq!(verdict(&rules, &user("ada"), &back), Verdict::Stays);
}

#[test]
fn a_rehearsal_changes_labels_alone() {
    let rules = rules(&[
        (DISABLE_AFTER, "720h"),
        (DELETE_AFTER, "1440h"),
        (DRY_RUN, "True"),
    ]);
    for (last_login, expected) in [
        ("2026-10-31T11:59:59Z", Verdict::Disabled),
        ("2026-10-01T11:59:59Z", Verdict::Deleted),
    ] {
        let (verdict, plan) =
            reconcile(&rules, &user("ada"), Some(&seen(last_login)), Some(at(NOW)));
        assert_eq!(verdict, expected);
        assert!(patch(&plan).get("enabled").is_none(), "{plan:?}");
    }
}

#[test]
fn labels_follow_settings_and_are_left_alone_when_right() {
    let mut labelled = user("ada");
    let labels = [
        (LAST_LOGIN_LABEL, "1793447999"),
        (DISABLE_LABEL, "1"),
        (DELETE_LABEL, "1"),
        ("other", "x"),
    ];
    let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
    labelled.metadata.labels = Some(labels.into());
    let attribute = seen("2026-10-31T11:59:59Z");
    let (_, plan) = reconcile(&rules(&[]), &labelled, Some(&attribute), None);
    let gone = json!({ DISABLE_LABEL: null, DELETE_LABEL: null });
    assert_eq!(patch(&plan)["metadata"]["labels"], gone);

    let labels = labelled.metadata.labels.as_mut().unwrap();
    labels.insert(DISABLE_LABEL.to_owned(), "1796039999".to_owned());
    labels.insert(DELETE_LABEL.to_owned(), "1798631999".to_owned());
    let (_, plan) = reconcile(&both(), &labelled, Some(&attribute), None);
    assert!(plan.is_empty());
    labelled.enabled = Some(false);
    let (verdict, plan) = reconcile(&both(), &labelled, Some(&attribute), Some(at(NOW)));
    assert_eq!(
        (verdict, plan.is_empty()),
        (Verdict::Stays, true),
        "it is disabled"
    );
}

#[test]
fn settings_that_cannot_be_read_do_nothing() {
    for name in [DISABLE_AFTER, DELETE_AFTER, DEFAULT_LAST_LOGIN] {
        let settings = Settings::of([(name, "soon")]);
        let error = Rules::of(&settings).unwrap_err();
        assert!(error.starts_with(name), "{error}");
    }
}
