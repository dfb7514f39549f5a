//! Every built-in role, bound alone, against everything that any built-in role speaks of.

use std::collections::BTreeSet;

use super::super::Attributes;
use super::world::{World, name};
use crate::{Identity, bootstrap};

const ALL_VERBS: [&str; 13] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "own",
    "bind",
    "escalate",
    "updatepsa",
    "manage-namespaces",
];

/// All kinds that built-in roles name, all kinds of ours, and one that is neither.
fn kinds() -> BTreeSet<(String, String)> {
    let of_roles = bootstrap::global_roles()
        .flat_map(|role| role.rules)
        .chain(bootstrap::role_templates().flat_map(|role| role.rules));
    let mut kinds: BTreeSet<(String, String)> = of_roles
        .flat_map(|rule| {
            let resources = rule.resources;
            rule.api_groups.into_iter().flat_map(move |group| {
                resources
                    .clone()
                    .into_iter()
                    .map(move |resource| (group.clone(), resource))
            })
        })
        .filter(|(group, resource)| group != "*" && resource != "*")
        .collect();
    let ours = drover_types::crds::all().into_iter();
    kinds.extend(ours.map(|kind| (kind.spec.group, kind.spec.names.plural)));
    kinds.insert(("nobody.example".to_owned(), "things".to_owned()));
    kinds
}

/// Each built-in role with a world in which `u-1` holds it and nothing else.
fn held() -> Vec<(String, World)> {
    let mut held: Vec<(String, World)> = bootstrap::global_roles()
        .map(|role| {
            let name = name(&role);
            (name.clone(), World::built_in().global(&name, "u-1"))
        })
        .collect();
    held.extend(bootstrap::role_templates().map(|role| {
        let name = name(&role);
        let world = if role.context == "project" {
            World::built_in().project("c-1", "p-1", &name, "u-1")
        } else {
            World::built_in().cluster("c-1", &name, "u-1")
        };
        (name, world)
    }));
    held
}

#[test]
fn every_built_in_role_gives_what_its_rules_say_and_no_more() {
    let kinds = kinds();
    assert!(kinds.len() > 100, "{}", kinds.len());
    let places = [
        (None, None),
        (None, Some("c-1")),
        (None, Some("c-2")),
        (None, Some("u-1")),
        (Some("c-1"), None),
        (Some("c-1"), Some("p-1")),
        (Some("c-2"), None),
        (Some("c-2"), Some("p-3")),
        (Some("c-1-p-1"), None),
        (Some("c-1-p-2"), Some("x")),
        (Some("cattle-global-data"), None),
    ];
    let identities = [Identity::of("u-1"), Identity::of("u-2")];
    let (mut n_allowed, mut n_asked) = (0, 0);
    for (role, world) in held() {
        let index = world.index();
        for (group, resource) in &kinds {
            for verb in ALL_VERBS {
                for (namespace, name) in places {
                    let asked = Attributes {
                        verb,
                        group,
                        resource,
                        namespace,
                        name,
                    };
                    for identity in &identities {
                        let allowed = index.decide(identity, &asked).is_some();
                        assert_eq!(
                            allowed,
                            world.allows(identity, &asked),
                            "{role}: {} {asked:?}",
                            identity.user
                        );
                        n_allowed += usize::from(allowed);
                        n_asked += 1;
                    }
                }
            }
        }
    }
    // Neither everything nor nothing: the comparison means something.
    assert!(
        n_allowed > 5_000 && n_allowed * 4 < n_asked,
        "{n_allowed} of {n_asked}"
    );
}
