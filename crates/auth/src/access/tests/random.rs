//! Random worlds: the index against the plain evaluation, and against one compiled from nothing.

use std::collections::BTreeSet;

use drover_types::management::{GROUP, GlobalRole, PolicyRule, RoleTemplate};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::super::Attributes;
use super::super::compiler::Compiler;
use super::super::decide::Reason;
use super::super::index::Index;
use super::asked;
use super::world::{Fact, World, project};
use crate::Identity;

const VERBS: [&str; 6] = ["get", "list", "create", "delete", "own", "updatepsa"];
const RESOURCES: [(&str, &str); 8] = [
    (GROUP, "clusters"),
    (GROUP, "projects"),
    (GROUP, "nodes"),
    (GROUP, "projectroletemplatebindings"),
    (GROUP, "settings"),
    (GROUP, "users"),
    ("", "secrets"),
    ("rke.cattle.io", "etcdsnapshots"),
];
const NAMESPACES: [Option<&str>; 7] = [
    None,
    Some("c-1"),
    Some("c-2"),
    Some("local"),
    Some("c-1-p-1"),
    Some("p-3"),
    Some("elsewhere"),
];
const NAMES: [Option<&str>; 5] = [None, Some("c-1"), Some("p-1"), Some("local"), Some("u-1")];
const USERS: [&str; 3] = ["u-1", "u-2", ""];
const TEMPLATES: [&str; 4] = ["t-0", "t-1", "t-2", "t-missing"];

fn rule() -> impl Strategy<Value = PolicyRule> {
    let verbs = prop::collection::vec(
        select(vec!["*", "get", "list", "create", "own", "updatepsa"]),
        1..3,
    );
    let resources = prop::collection::vec(
        select(vec![
            "*",
            "clusters",
            "projects",
            "nodes",
            "secrets",
            "projectroletemplatebindings",
            "settings",
        ]),
        1..3,
    );
    let groups = select(vec!["*", GROUP, "", "rke.cattle.io"]);
    let names = prop::option::weighted(0.2, select(vec!["local", "c-1", "p-1"]));
    (verbs, resources, groups, names).prop_map(|(verbs, resources, group, name)| PolicyRule {
        api_groups: vec![group.to_owned()],
        resources: resources.into_iter().map(str::to_owned).collect(),
        verbs: verbs.into_iter().map(str::to_owned).collect(),
        resource_names: name.into_iter().map(str::to_owned).collect(),
        non_resource_urls: Vec::new(),
    })
}

fn rules() -> impl Strategy<Value = Vec<PolicyRule>> {
    prop::collection::vec(rule(), 0..3)
}

/// User, user principal, group principal: mostly one of them, sometimes none or two.
fn subject() -> impl Strategy<Value = (String, String, String)> {
    (
        select(&USERS[..]),
        select(vec!["", "", "x_user://1"]),
        select(vec!["", "", "x_group://1", "x_group://2"]),
    )
        .prop_map(|(user, principal, group)| {
            (user.to_owned(), principal.to_owned(), group.to_owned())
        })
}

fn world() -> impl Strategy<Value = World> {
    let inherits = prop::collection::vec(select(&TEMPLATES[..]), 0..2);
    let templates = prop::collection::vec((rules(), inherits, any::<bool>()), 3);
    let inherited = prop::collection::vec(select(&TEMPLATES[..]), 0..2);
    let global_roles = prop::collection::vec(
        (
            rules(),
            inherited,
            prop::option::of((select(&NAMESPACES[1..]), rules())),
        ),
        2,
    );
    let global = prop::collection::vec((subject(), 0..3_usize), 0..3);
    let cluster = prop::collection::vec(
        (
            subject(),
            select(&TEMPLATES[..]),
            select(vec!["c-1", "c-2", "local"]),
        ),
        0..4,
    );
    let place = select(vec![
        ("c-1", "p-1", "c-1-p-1"),
        ("c-2", "p-3", "p-3"),
        ("c-2", "p-3", "c-1-p-1"),
        ("c-9", "p-9", "p-9"),
    ]);
    let project_bindings = prop::collection::vec((subject(), select(&TEMPLATES[..]), place), 0..4);
    // Two projects of one name, which nobody should have.
    let projects = subsequence(vec![("c-1", "p-1"), ("c-2", "p-3"), ("c-2", "p-1")], 1..=3);
    let clusters = subsequence(vec!["local", "c-1", "c-2"], 2..=3);
    let places = (projects, clusters);
    (
        templates,
        global_roles,
        global,
        cluster,
        project_bindings,
        places,
    )
        .prop_map(
            |(templates, roles, global, cluster, in_projects, (projects, clusters))| {
                let mut world = World {
                    clusters,
                    projects: projects
                        .into_iter()
                        .map(|(cluster, name)| project(cluster, name))
                        .collect(),
                    ..World::default()
                };
                for (n, (rules, inherits, external)) in templates.into_iter().enumerate() {
                    let mut role = RoleTemplate::named(&format!("t-{n}"));
                    role.rules.clone_from(&rules);
                    role.external = external && n == 2;
                    if n == 2 && inherits.is_empty() {
                        role.external_rules.clone_from(&rules);
                    }
                    if n == 2 {
                        world.cluster_roles.push(("t-2", rules));
                    }
                    role.role_template_names = inherits.into_iter().map(str::to_owned).collect();
                    world.templates.push(role);
                }
                for (n, (rules, inherited, namespaced)) in roles.into_iter().enumerate() {
                    let mut role = GlobalRole::named(&format!("g-{n}"));
                    role.rules = rules;
                    role.inherited_cluster_roles =
                        inherited.into_iter().map(str::to_owned).collect();
                    role.namespaced_rules = namespaced
                        .into_iter()
                        .map(|(namespace, rules)| (namespace.unwrap().to_owned(), rules))
                        .collect();
                    world.global_roles.push(role);
                }
                for ((user, principal, group), role) in global {
                    world = world.global(&format!("g-{role}"), &user);
                    let binding = world.global_bindings.last_mut().unwrap();
                    (binding.user_principal_name, binding.group_principal_name) =
                        (principal, group);
                }
                for ((user, principal, group), template, cluster) in cluster {
                    world = world.cluster(cluster, template, &user);
                    let binding = world.cluster_bindings.last_mut().unwrap();
                    (binding.user_principal_name, binding.group_name) = (principal, group);
                }
                for ((user, principal, group), template, (cluster, project, namespace)) in
                    in_projects
                {
                    world = world.project(cluster, project, template, &user);
                    let binding = world.project_bindings.last_mut().unwrap();
                    binding.metadata.namespace = Some(namespace.to_owned());
                    (binding.user_principal_name, binding.group_principal_name) =
                        (principal, group);
                }
                world
            },
        )
}

fn identities() -> Vec<Identity> {
    let mut member = Identity::of("u-3");
    member.groups.insert("x_group://1".to_owned());
    member.principals.push("x_user://1".to_owned());
    vec![Identity::of("u-1"), Identity::of("u-2"), member]
}

fn every_question() -> impl Iterator<Item = Attributes<'static>> {
    VERBS.into_iter().flat_map(|verb| {
        RESOURCES.into_iter().flat_map(move |(group, resource)| {
            NAMESPACES.into_iter().flat_map(move |namespace| {
                NAMES.into_iter().map(move |name| Attributes {
                    verb,
                    group,
                    resource,
                    namespace,
                    name,
                })
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_index_gives_what_the_bindings_give_and_no_more(world in world()) {
        let index = world.index();
        for identity in identities() {
            for asked in every_question() {
                prop_assert_eq!(
                    index.decide(&identity, &asked).is_some(),
                    world.allows(&identity, &asked),
                    "{} {:?}", identity.user, asked
                );
            }
            for cluster in ["c-1", "c-2", "local", "c-9"] {
                let see = asked("get", "clusters", "", cluster);
                let groups = index.cluster_groups(&identity, cluster);
                prop_assert_eq!(groups.is_some(), world.allows(&identity, &see));
                let mut expected: BTreeSet<String> = world.in_cluster(&identity).into_iter()
                    .filter(|(of, _)| of == cluster)
                    .map(|(_, template)| drover_types::names::cluster_group(&template))
                    .collect();
                expected.extend(world.in_projects(&identity).into_iter()
                    .filter(|(of, _, _)| of == cluster)
                    .map(|(_, project, template)| drover_types::names::project_group(&project, &template)));
                if let Some(groups) = groups {
                    prop_assert_eq!(groups.into_iter().collect::<BTreeSet<_>>(), expected);
                }
            }
        }
    }

    #[test]
    fn changes_in_any_order_end_where_a_fresh_start_does(
        worlds in prop::collection::vec(world(), 2..4),
        seed in any::<u64>(),
    ) {
        let mut order = StdRng::seed_from_u64(seed);
        let mut compiler = Compiler::default();
        let mut before = World::default().facts();
        let mut index = World::default().index();
        for world in worlds {
            let after = world.facts();
            let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let mut changed: Vec<_> = keys.into_iter().filter(|key| before.get(key) != after.get(key)).collect();
            changed.shuffle(&mut order);
            for key in changed {
                Fact::tell(&mut compiler, &key.1, before.get(key), after.get(key));
                // Now and then it is published.
                if order.random_ratio(1, 3) && let Some(compiled) = compiler.compile() {
                    index = compiled;
                }
            }
            if let Some(compiled) = compiler.compile() {
                index = compiled;
            }
            prop_assert!(compiler.compile().is_none(), "nothing changed, nothing is compiled");
            let fresh = world.index();
            for identity in identities() {
                for asked in every_question() {
                    prop_assert_eq!(
                        index.decide(&identity, &asked).map(Reason::grant),
                        fresh.decide(&identity, &asked).map(Reason::grant),
                        "{} {:?}", identity.user, asked
                    );
                }
                for cluster in ["c-1", "c-2", "local"] {
                    prop_assert_eq!(
                        index.cluster_groups(&identity, cluster),
                        fresh.cluster_groups(&identity, cluster)
                    );
                }
                prop_assert_eq!(index.clusters_visible(&identity), fresh.clusters_visible(&identity));
            }
            let subjects = |index: &Index| index.subjects().collect::<BTreeSet<_>>();
            prop_assert_eq!(subjects(&index), subjects(&fresh), "who holds nothing is forgotten");
            before = after;
        }
    }
}
