use serde_json::json;

use super::*;

fn policy(spec: Value) -> Policy {
    Policy::compile(&serde_json::from_value(spec).unwrap()).unwrap()
}

fn policies(specs: &[Value]) -> Policies {
    let policies = Policies::default();
    for (at, spec) in specs.iter().enumerate() {
        policies.put(&at.to_string(), Some(policy(spec.clone())));
    }
    policies
}

fn shown(policies: &Policies, uri: &str) -> Option<Shows> {
    policies
        .decide(Level::Metadata, uri, false)
        .map(|verdict| verdict.shows)
}

#[test]
fn a_denied_request_is_left_out_and_an_allowed_one_shows_more() {
    let all = policies(&[
        json!({"filters": [{"action": "deny", "requestURI": "^/v3/subscribe"}]}),
        json!({"filters": [{"action": "allow", "requestURI": "^/v3/users"}], "verbosity": {"level": 2}}),
    ]);
    assert_eq!(shown(&all, "/v3/subscribe?a=b"), None);
    assert_eq!(shown(&all, "/v3/users"), Some(Level::RequestBodies.into()));
    // What no policy is about is written as the flags say.
    assert_eq!(shown(&all, "/v3/settings"), Some(Shows::default()));
}

#[test]
fn in_one_policy_allowing_wins_and_between_policies_denying() {
    let one = json!({"filters": [
        {"action": "deny", "requestURI": "^/v3"},
        {"action": "allow", "requestURI": "^/v3/users"},
    ]});
    let all = policies(std::slice::from_ref(&one));
    assert!(shown(&all, "/v3/users").is_some());
    assert!(shown(&all, "/v3/settings").is_none());
    let deny = json!({"filters": [{"action": "deny", "requestURI": "users"}]});
    assert!(shown(&policies(&[one, deny]), "/v3/users").is_none());
}

#[test]
fn what_policies_show_adds_up() {
    let all = policies(&[
        json!({"verbosity": {"level": 0, "request": {"body": true}}}),
        json!({"filters": [{"action": "allow", "requestURI": "/foo"}],
            "verbosity": {"level": 0, "response": {"body": true}}}),
    ]);
    let parts = |headers, body| Parts { headers, body };
    assert_eq!(
        shown(&all, "/foo"),
        Some(Shows {
            request: parts(false, true),
            response: parts(false, true)
        })
    );
    assert_eq!(
        shown(&all, "/bar"),
        Some(Shows {
            request: parts(false, true),
            response: parts(false, false)
        })
    );
    // A level above 0 counts in place of the rest.
    let level = policy(json!({"verbosity": {"level": 1, "response": {"body": true}}}));
    assert_eq!(level.shows, Level::Headers.into());
    // The flags are never lowered.
    let verdict = all.decide(Level::Bodies, "/bar", false).unwrap();
    assert_eq!(verdict.shows, Level::Bodies.into());
}

#[test]
fn what_a_policy_hides_is_hidden_where_it_allows() {
    let all = policies(&[json!({
        "filters": [{"action": "allow", "requestURI": "/foo"}],
        "additionalRedactions": [{"headers": ["^User-Agent$"], "paths": ["$..image"]}],
    })]);
    let hidden = |uri: &str| {
        let verdict = all.decide(Level::Bodies, uri, false).unwrap();
        let mut headers = Map::new();
        headers.insert("user-agent".to_owned(), json!(["kubectl"]));
        headers.insert("accept".to_owned(), json!(["*/*"]));
        verdict.hide_headers(&mut headers);
        let mut body = json!({"spec": {"image": "a", "name": "n"}});
        verdict.hide_body(&mut body);
        (Value::Object(headers), body)
    };
    assert_eq!(
        hidden("/foo"),
        (
            json!({"user-agent": [REDACTED], "accept": ["*/*"]}),
            json!({"spec": {"image": REDACTED, "name": "n"}})
        )
    );
    assert_eq!(
        hidden("/bar").1,
        json!({"spec": {"image": "a", "name": "n"}})
    );
}

#[test]
fn no_policy_leaves_out_what_must_be_written() {
    let all = policies(&[json!({"filters": [{"action": "deny", "requestURI": ".*"}]})]);
    assert!(all.decide(Level::Metadata, "/x", false).is_none());
    assert!(all.decide(Level::Metadata, "/x", true).is_some());
    all.put("0", None);
    assert!(all.decide(Level::Metadata, "/x", false).is_some());
}

#[test]
fn what_cannot_be_understood_is_named() {
    for (spec, expected) in [
        (
            json!({"filters": [{"action": "hide", "requestURI": "a"}]}),
            "spec.filters[0].action: `hide` is neither",
        ),
        (
            json!({"filters": [{"action": "allow", "requestURI": "("}]}),
            "spec.filters[0].requestURI: ",
        ),
        (
            json!({"filters": [{"action": "allow", "requestURI": "(a{1000}){1000}"}]}),
            "spec.filters[0].requestURI: ",
        ),
        (
            json!({"additionalRedactions": [{}, {"headers": ["a", "["]}]}),
            "spec.additionalRedactions[1].headers[1]: ",
        ),
        (
            json!({"additionalRedactions": [{"paths": ["a.b"]}]}),
            "spec.additionalRedactions[0].paths[0]: at byte 0: ",
        ),
        (
            json!({"verbosity": {"level": 4}}),
            "spec.verbosity.level: 4",
        ),
    ] {
        let error = Policy::compile(&serde_json::from_value(spec).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
