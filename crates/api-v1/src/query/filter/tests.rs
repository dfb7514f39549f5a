//! The language by example, and by property.

use proptest::prelude::*;

use super::*;

fn pod() -> Kind {
    Kind::new("", "v1", "Pod", "pods")
}

/// An entry with these values, by the names of fields.
fn accepts(filter: &str, values: &[(&str, Seen<'_>)]) -> bool {
    let parsed = parse(&pod(), filter).unwrap_or_else(|error| unreachable!("{filter}: {error}"));
    let known: Vec<(Field, Seen<'_>)> = values
        .iter()
        .map(|(name, value)| (Field::parse(&pod(), name).unwrap(), value.clone()))
        .collect();
    let value = |field: &Field| {
        known
            .iter()
            .find(|(known, _)| known == field)
            .map_or(Seen::Missing, |(_, value)| value.clone())
    };
    parsed.terms.iter().any(|term| term.accepts(&value))
}

fn text(value: &str) -> Seen<'_> {
    Seen::Text(Cow::Borrowed(value))
}

#[test]
fn every_operator_compares_as_the_reference_says() {
    let images: [Box<str>; 2] = ["nginx:1".into(), "redis".into()];
    let values = [
        ("metadata.name", text("kube-proxy")),
        ("metadata.namespace", text("kube-system")),
        ("metadata.fields[3]", Seen::Number(12.0)),
        ("metadata.labels[app.kubernetes.io/name]", text("proxy")),
        ("spec.containers.image", Seen::Many(&images)),
    ];
    let check = |filter: &str, expected: bool| {
        assert_eq!(accepts(filter, &values), expected, "{filter}");
    };
    check("metadata.name=kube-proxy", true);
    check("metadata.name = kube-proxy", true);
    check("metadata.name=='kube-proxy'", true);
    check("metadata.name=kube", false);
    check("metadata.name!=kube", true);
    check("metadata.name~PROXY", true);
    check("metadata.name~%", false);
    check("metadata.name!~proxy", false);
    check("metadata.name in (a, 'kube-proxy')", true);
    check("metadata.name IN (a,b)", false);
    check("metadata.name NotIn (a,b)", true);
    check("metadata.name in ()", false);
    check("metadata.fields[3]<100", true);
    check("metadata.fields[3]>9", true);
    check("metadata.fields[3]=12", true);
    check("metadata.name<l", true);
    check("spec.containers.image contains redis", true);
    check("spec.containers.image contains red", false);
    check("spec.containers.image notcontains red", true);
    check("spec.containers.image~ngin", true);
    check("spec.containers.image='nginx:1|redis'", true);
    check("metadata.labels[app.kubernetes.io/name]", true);
    check("!metadata.labels[app.kubernetes.io/name]", false);
    check("metadata.labels[nope]", false);
    check("!metadata.labels[nope]", true);
    check("!spec.nodeName,spec.nodeName!=node-1", true);
    check("!spec.containers.image", false);
}

#[test]
fn what_is_missing_differs_only_as_a_label() {
    let check = |filter: &str, expected: bool| {
        assert_eq!(accepts(filter, &[]), expected, "{filter}");
    };
    check("metadata.labels[a]!=b", true);
    check("metadata.labels[a]!~b", true);
    check("metadata.labels[a] notin (b)", true);
    check("metadata.labels[a]=b", false);
    check("status.podIP!=b", false);
    check("status.podIP notin (b)", false);
    check("status.podIP<b", false);
}

#[test]
fn commas_mean_or_outside_of_quotes_and_lists() {
    let values = [("metadata.name", text("a,b"))];
    assert!(accepts("metadata.name=x,metadata.name=\"a,b\"", &values));
    assert!(accepts("metadata.name in (x,'a,b')", &values));
    assert!(!accepts("metadata.name=x,metadata.name=y", &values));
}

#[test]
fn what_is_not_in_the_language_is_refused() {
    for wrong in [
        "=x",
        "metadata.name='x",
        "metadata.name in a",
        "metadata.name in (a",
        "metadata.name near b",
        "metadata.name=a,,metadata.name=b",
        "metadata.name",
        "!metadata.name",
        "!",
        "a b c",
    ] {
        let error = parse(&pod(), wrong).unwrap_err();
        assert_eq!(error.status, 422, "{wrong}: {error}");
        assert!(error.field_name.is_some(), "{wrong}");
    }
    assert_eq!(parse(&pod(), "spec.nope=1").unwrap_err().status, 422);
}

#[test]
fn selectors_of_kubernetes_are_all_required() {
    let filters = label_selector("app=a, tier!=b, env in (x,y), !legacy").unwrap();
    assert_eq!(filters.len(), 4);
    assert!(label_selector("app~a").is_err());
    assert_eq!(
        field_selector(&pod(), "metadata.name=a,metadata.namespace!=b")
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        field_selector(&pod(), "spec.restartPolicy=x")
            .unwrap_err()
            .status,
        422
    );
}

fn value() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ,()=~!<>|/._-]{0,12}"
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,60}") {
        let _ = parse(&pod(), &text);
        let _ = label_selector(&text);
    }

    #[test]
    fn a_quoted_value_equals_itself_and_nothing_else(value in value(), other in value()) {
        let filter = format!("metadata.name=\"{value}\"");
        prop_assert!(accepts(&filter, &[("metadata.name", text(&value))]));
        prop_assert_eq!(accepts(&filter, &[("metadata.name", text(&other))]), value == other);
    }

    #[test]
    fn negations_of_present_values_are_opposites(value in value(), asked in value()) {
        let entry = [("metadata.name", text(&value))];
        for (yes, no) in [("=", "!="), ("~", "!~"), (" in ", " notin "), (" contains ", " notcontains ")] {
            let (yes, no) = if yes == " in " {
                (format!("metadata.name{yes}(\"{asked}\")"), format!("metadata.name{no}(\"{asked}\")"))
            } else {
                (format!("metadata.name{yes}\"{asked}\""), format!("metadata.name{no}\"{asked}\""))
            };
            prop_assert_ne!(accepts(&yes, &entry), accepts(&no, &entry));
        }
    }

    #[test]
    fn or_accepts_what_one_of_its_terms_accepts(value in "[a-c]{1,2}", one in "[a-c]{1,2}", other in "[a-c]{1,2}") {
        let entry = [("metadata.name", text(&value))];
        let alone = |asked: &str| accepts(&format!("metadata.name={asked}"), &entry);
        let both = accepts(&format!("metadata.name={one},metadata.name={other}"), &entry);
        prop_assert_eq!(both, alone(&one) || alone(&other));
        let listed = accepts(&format!("metadata.name in ({one},{other})"), &entry);
        prop_assert_eq!(listed, both);
    }
}
