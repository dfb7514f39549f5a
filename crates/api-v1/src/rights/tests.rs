//! Rules, and what they show.

use super::*;

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rule {
    let owned = |list: &[&str]| list.iter().map(|&entry| entry.to_owned()).collect();
    Rule {
        verbs: owned(verbs),
        groups: owned(groups),
        resources: owned(resources),
        names: owned(names),
    }
}

fn pods() -> Kind {
    Kind {
        namespaced: true,
        ..Kind::new("", "v1", "Pod", "pods")
    }
}

fn nodes() -> Kind {
    Kind::new("", "v1", "Node", "nodes")
}

fn rights(rules: Rules) -> Rights {
    Rights {
        rules,
        ..Rights::default()
    }
}

#[test]
fn a_role_in_a_namespace_shows_that_namespace_and_no_node() {
    let local = vec![rule(&["*"], &["*"], &["*"], &[])];
    let rights = rights(Rules {
        everywhere: Vec::new(),
        namespaces: [("team".to_owned(), local)].into(),
    });
    let extent = rights.extent(&pods());
    assert!(extent.contains(Some("team"), "a"));
    assert!(!extent.contains(Some("other"), "a"));
    assert!(!rights.extent(&nodes()).contains(None, "team"));
    assert!(rights.may_somewhere("list", &pods()) && !rights.may_somewhere("list", &nodes()));
    assert!(rights.may("create", &pods(), Some("team"), None));
    assert!(!rights.may("create", &pods(), Some("other"), None));
    let namespaces = Kind::new("", "v1", "Namespace", "namespaces");
    assert!(rights.extent(&namespaces).contains(None, "team"));
    assert!(!rights.extent(&namespaces).contains(None, "other"));
}

#[test]
fn names_in_rules_show_these_objects_alone() {
    let rights = rights(Rules {
        everywhere: vec![rule(&["get"], &[""], &["nodes", "pods"], &["one"])],
        namespaces: [(
            "team".to_owned(),
            vec![rule(&["get"], &[""], &["pods"], &["two"])],
        )]
        .into(),
    });
    assert!(rights.extent(&nodes()).contains(None, "one"));
    assert!(!rights.extent(&nodes()).contains(None, "two"));
    let pods = rights.extent(&pods());
    assert!(pods.contains(Some("any"), "one") && pods.contains(Some("team"), "two"));
    assert!(!pods.contains(Some("any"), "two"));
}

#[test]
fn extents_change_with_the_rules() {
    let all = rights(Rules {
        everywhere: vec![rule(&["*"], &["*"], &["*"], &[])],
        ..Rules::default()
    });
    assert!(all.rules.allow_everything());
    let none = rights(Rules::default());
    assert!(all.extent(&pods()).is_same(&all.extent(&pods())));
    assert!(none.extent(&pods()).is_same(&none.extent(&pods())));
    assert!(!all.extent(&pods()).is_same(&none.extent(&pods())));
    assert!(!none.extent(&pods()).contains(Some("default"), "x"));
}
