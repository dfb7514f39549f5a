use std::collections::BTreeMap;

use drover_auth::web::ApiError;
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::*;

/// Lets everybody in as `drover:<user>`; impersonation is allowed for what is listed as `resource/name`.
#[derive(Debug)]
struct TestGate {
    impersonate: Vec<&'static str>,
}

impl Gate for TestGate {
    fn enter(&self, identity: &Identity, _cluster: &str) -> Result<Vec<String>, ApiError> {
        Ok(vec![format!("drover:{}", identity.user)])
    }

    fn may(&self, _identity: &Identity, attributes: &Attributes<'_>) -> bool {
        assert_eq!(attributes.verb, "impersonate");
        let what = format!(
            "{}/{}",
            attributes.resource,
            attributes.name.unwrap_or_default()
        );
        self.impersonate.contains(&what.as_str())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn revoked(&self, _identity: &Identity) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn persona(
    headers: &[(&str, &str)],
    impersonate: &[&'static str],
) -> Result<Vec<(String, String)>, String> {
    let mut identity = Identity::of("u-abcde");
    identity
        .groups
        .extend(["github_team://1", "system:masters", "drover:cluster-owner"].map(str::to_owned));
    identity.extras = BTreeMap::from([
        ("username".to_owned(), vec!["ann".to_owned()]),
        (
            "principalid".to_owned(),
            vec!["local://u-abcde".to_owned(), "github_user://2".to_owned()],
        ),
        ("other".to_owned(), vec!["dropped".to_owned()]),
    ]);
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let gate = TestGate {
        impersonate: impersonate.to_vec(),
    };
    let groups = gate.enter(&identity, "c-abcde").unwrap();
    let persona = Persona::of(&gate, &identity, "c-abcde", groups, &headers)
        .map_err(|answer| answer.0.to_owned())?;
    let mut written = headers;
    written.remove(http::header::HOST);
    persona.write(&mut written);
    Ok(written
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect())
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn an_identity_is_its_user_its_groups_and_four_extras() {
    let own = expected(&[
        ("impersonate-user", "u-abcde"),
        ("impersonate-group", "drover:u-abcde"),
        ("impersonate-group", "github_team://1"),
        ("impersonate-group", "system:authenticated"),
        ("impersonate-group", "system:cattle:authenticated"),
        ("impersonate-extra-principalid", "local://u-abcde"),
        ("impersonate-extra-principalid", "github_user://2"),
        ("impersonate-extra-username", "ann"),
        ("impersonate-extra-requesthost", "hub.example"),
    ]);
    assert_eq!(persona(&[("host", "hub.example")], &[]), Ok(own.clone()));
    // Asking to be oneself changes nothing.
    assert_eq!(
        persona(
            &[("host", "hub.example"), ("impersonate-user", "u-abcde")],
            &[]
        ),
        Ok(own)
    );
}

#[test]
fn being_somebody_else_needs_the_right_to_every_part() {
    let wish = [
        ("impersonate-user", "u-other"),
        ("impersonate-group", "admins"),
        ("impersonate-extra-scope", "view"),
    ];
    let all = ["users/u-other", "groups/admins", "userextras/scope/view"];
    for missing in 0..all.len() {
        let mut some = all.to_vec();
        some.remove(missing);
        assert!(persona(&wish, &some).is_err(), "without {}", all[missing]);
    }
    let granted = expected(&[
        ("impersonate-user", "u-other"),
        ("impersonate-group", "admins"),
        ("impersonate-group", "system:authenticated"),
        ("impersonate-group", "system:cattle:authenticated"),
        ("impersonate-extra-scope", "view"),
    ]);
    assert_eq!(persona(&wish, &all), Ok(granted));
}

#[test]
fn another_user_has_its_own_virtual_groups() {
    let granted = expected(&[
        ("impersonate-user", "u-other"),
        ("impersonate-group", "drover:u-other"),
        ("impersonate-group", "system:authenticated"),
        ("impersonate-group", "system:cattle:authenticated"),
    ]);
    assert_eq!(
        persona(&[("impersonate-user", "u-other")], &["users/u-other"]),
        Ok(granted)
    );
}

#[test]
fn a_service_account_has_the_groups_of_service_accounts() {
    let wish = [("impersonate-user", "system:serviceaccount:kube-system:job")];
    assert_eq!(
        persona(&wish, &["users/system:serviceaccount:kube-system:job"]),
        Err("not allowed to impersonate user".to_owned())
    );
    let granted = expected(&[
        ("impersonate-user", "system:serviceaccount:kube-system:job"),
        ("impersonate-group", "system:authenticated"),
        ("impersonate-group", "system:serviceaccounts"),
        ("impersonate-group", "system:serviceaccounts:kube-system"),
    ]);
    assert_eq!(persona(&wish, &["serviceaccounts/job"]), Ok(granted));
}

#[test]
fn wishes_that_make_no_sense_are_refused() {
    for wish in [
        &[("impersonate-group", "admins")][..],
        &[
            ("impersonate-user", "u-abcde"),
            ("impersonate-user", "u-other"),
        ],
        &[
            ("impersonate-user", "u-abcde"),
            ("impersonate-everything", "yes"),
        ],
        &[("impersonate-user", "u-abcde"), ("impersonate-uid", "1")],
    ] {
        assert!(persona(wish, &[]).is_err(), "{wish:?}");
    }
}
