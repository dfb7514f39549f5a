//! Decisions of an index over worlds made by hand.

mod matrix;
mod plain;
mod random;
pub(super) mod world;

use drover_types::management::{GROUP, GlobalRole, RoleTemplate};
use world::World;

use super::index::Index;
use super::{Attributes, ClustersVisible};
use crate::Identity;
use crate::identity::TokenRef;

fn asked<'a>(
    verb: &'a str,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
) -> Attributes<'a> {
    let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    Attributes {
        verb,
        group: GROUP,
        resource,
        namespace: some(namespace),
        name: some(name),
    }
}

fn check(
    index: &Index,
    user: &str,
    verb: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> bool {
    index
        .decide(&Identity::of(user), &asked(verb, resource, namespace, name))
        .is_some()
}

#[test]
fn nobody_may_anything_in_an_empty_index() {
    let index = Index::default();
    assert!(!check(&index, "u-1", "get", "clusters", "", "c-1"));
    assert!(
        check(&index, "u-1", "get", "users", "", "u-1"),
        "except see themselves"
    );
    assert!(!check(&index, "u-1", "get", "users", "", "u-2"));
    assert_eq!(index.cluster_groups(&Identity::of("u-1"), "c-1"), None);
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::These(vec![])
    );
}

#[test]
fn an_admin_may_everything_and_owns_every_cluster() {
    let index = World::built_in().global("admin", "u-1").index();
    assert!(check(&index, "u-1", "delete", "clusters", "", "c-9"));
    assert!(check(&index, "u-1", "list", "tokens", "", ""));
    assert_eq!(
        index.cluster_groups(&Identity::of("u-1"), "local").unwrap(),
        ["drover:cluster-owner"]
    );
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::All
    );
    assert!(!check(&index, "u-2", "list", "tokens", "", ""));
}

#[test]
fn a_standard_user_creates_clusters_but_sees_none() {
    let index = World::built_in().global("user", "u-1").index();
    assert!(check(&index, "u-1", "create", "clusters", "", ""));
    assert!(check(&index, "u-1", "get", "settings", "", "server-url"));
    assert!(!check(
        &index,
        "u-1",
        "update",
        "settings",
        "",
        "server-url"
    ));
    assert!(!check(
        &index,
        "u-1",
        "create",
        "globalrolebindings",
        "",
        ""
    ));
    assert!(!check(&index, "u-1", "get", "clusters", "", "c-1"));
    let secrets = Attributes {
        group: "",
        ..asked("create", "secrets", "cattle-global-data", "")
    };
    assert!(index.decide(&Identity::of("u-1"), &secrets).is_some());
    let elsewhere = Attributes {
        namespace: Some("cattle-system"),
        ..secrets
    };
    assert!(index.decide(&Identity::of("u-1"), &elsewhere).is_none());
}

#[test]
fn members_see_their_cluster_and_owners_run_it() {
    let index = World::built_in()
        .cluster("c-1", "cluster-member", "u-1")
        .cluster("c-1", "cluster-owner", "u-2")
        .index();
    assert!(check(&index, "u-1", "get", "clusters", "", "c-1"));
    assert!(
        !check(&index, "u-1", "list", "clusters", "", ""),
        "lists are made of what may be got"
    );
    assert!(!check(&index, "u-1", "get", "clusters", "", "c-2"));
    assert!(!check(&index, "u-1", "delete", "clusters", "", "c-1"));
    assert!(check(&index, "u-2", "delete", "clusters", "", "c-1"));
    assert!(!check(&index, "u-2", "delete", "clusters", "", "c-2"));
    assert!(check(&index, "u-1", "list", "nodes", "c-1", ""));
    assert!(check(&index, "u-1", "create", "projects", "c-1", ""));
    assert!(!check(
        &index,
        "u-1",
        "list",
        "clusterregistrationtokens",
        "c-1",
        ""
    ));
    assert!(check(
        &index,
        "u-2",
        "list",
        "clusterregistrationtokens",
        "c-1",
        ""
    ));
    assert!(check(
        &index,
        "u-2",
        "create",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(check(
        &index,
        "u-2",
        "create",
        "projectroletemplatebindings",
        "p-1",
        ""
    ));
    assert!(!check(
        &index,
        "u-2",
        "create",
        "projectroletemplatebindings",
        "c-2-p-3",
        ""
    ));
    assert!(
        !check(&index, "u-2", "get", "settings", "", "server-url"),
        "rules of a cluster stay in the cluster"
    );
    let secret = Attributes {
        group: "",
        ..asked("get", "secrets", "c-1", "crt-token-x")
    };
    assert!(
        index.decide(&Identity::of("u-2"), &secret).is_none(),
        "secrets of the cluster's namespace are the hub's"
    );
    assert_eq!(
        index.cluster_groups(&Identity::of("u-1"), "c-1").unwrap(),
        ["drover:cluster-member"]
    );
    assert_eq!(
        index.cluster_groups(&Identity::of("u-2"), "c-1").unwrap(),
        ["drover:cluster-owner"]
    );
    assert_eq!(index.cluster_groups(&Identity::of("u-2"), "c-2"), None);
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::These(vec!["c-1".to_owned()])
    );
}

#[test]
fn project_members_see_the_cluster_and_their_project_only() {
    let index = World::built_in()
        .project("c-1", "p-1", "project-member", "u-1")
        .index();
    assert!(check(&index, "u-1", "get", "clusters", "", "c-1"));
    assert!(check(&index, "u-1", "get", "projects", "c-1", "p-1"));
    assert!(!check(&index, "u-1", "get", "projects", "c-1", "p-2"));
    assert!(!check(&index, "u-1", "update", "projects", "c-1", "p-1"));
    assert!(check(
        &index,
        "u-1",
        "list",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(!check(
        &index,
        "u-1",
        "create",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(!check(
        &index,
        "u-1",
        "list",
        "projectroletemplatebindings",
        "c-1-p-2",
        ""
    ));
    assert!(!check(&index, "u-1", "list", "nodes", "c-1", ""));
    assert_eq!(
        index.cluster_groups(&Identity::of("u-1"), "c-1").unwrap(),
        ["drover:project:p-1:project-member"]
    );

    let index = World::built_in()
        .project("c-1", "p-1", "project-owner", "u-1")
        .index();
    assert!(check(&index, "u-1", "update", "projects", "c-1", "p-1"));
    assert!(check(
        &index,
        "u-1",
        "create",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(!check(&index, "u-1", "update", "clusters", "", "c-1"));
}

#[test]
fn what_is_allowed_somewhere_needs_no_name() {
    let mut world = World::built_in()
        .cluster("c-1", "cluster-owner", "owner")
        .cluster("c-1", "cluster-member", "member")
        .project("c-1", "p-1", "project-owner", "lead")
        .project("c-1", "p-1", "project-member", "colleague")
        .global("user", "standard");
    let mut role = GlobalRole::named("reader");
    role.inherited_cluster_roles = vec!["cluster-member".to_owned()];
    world.global_roles.push(role);
    let index = world.global("reader", "reader").index();
    let bindings = "projectroletemplatebindings";
    for (user, verb, resource, expected) in [
        ("owner", "update", "clusters", true),
        ("owner", "create", "projects", true),
        ("owner", "delete", "projects", true),
        ("owner", "create", bindings, true),
        ("owner", "update", "settings", false),
        ("member", "get", "clusters", true),
        ("member", "update", "clusters", false),
        ("member", "create", "projects", true),
        ("member", "update", "projects", false),
        ("member", "list", bindings, false),
        ("lead", "update", "projects", true),
        ("lead", "create", "projects", false),
        ("lead", "create", bindings, true),
        ("lead", "update", "clusters", false),
        ("colleague", "list", bindings, true),
        ("colleague", "create", bindings, false),
        ("colleague", "update", "projects", false),
        ("standard", "create", "clusters", true),
        ("standard", "get", "clusters", false),
        ("standard", "list", bindings, false),
        ("reader", "get", "clusters", true),
        ("reader", "list", "nodes", true),
        ("reader", "update", "clusters", false),
        ("nobody", "get", "projects", false),
    ] {
        let asked = asked(verb, resource, "", "");
        let found = index.decide_somewhere(&Identity::of(user), &asked);
        assert_eq!(found, expected, "{user} {verb} {resource}");
    }
    let secrets = Attributes {
        group: "",
        ..asked("create", "secrets", "", "")
    };
    assert!(index.decide_somewhere(&Identity::of("standard"), &secrets));
    assert!(!index.decide_somewhere(&Identity::of("nobody"), &secrets));
}

#[test]
fn roles_inherited_globally_reach_every_cluster_but_the_local_one() {
    let mut world = World::built_in();
    let mut role = GlobalRole::named("fleet-reader");
    role.inherited_cluster_roles = vec!["cluster-member".to_owned()];
    world.global_roles.push(role);
    let index = world.global("fleet-reader", "u-1").index();
    let groups = |cluster| index.cluster_groups(&Identity::of("u-1"), cluster);
    assert_eq!(groups("c-1").unwrap(), ["drover:cluster-member"]);
    assert_eq!(groups("local"), None);
    assert_eq!(groups("c-unknown"), None);
    let both = ["c-1", "c-2"].map(str::to_owned).to_vec();
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::These(both)
    );
    let member = asked("get", "clusters", "", "c-1");
    let grant = index.decide(&Identity::of("u-1"), &member).unwrap().grant();
    assert_eq!(
        grant.to_string(),
        "GlobalRoleBinding grb-0 -> fleet-reader -> cluster-member: membership"
    );
}

#[test]
fn decisions_name_the_chain_that_allows() {
    let mut world = World::built_in();
    let mut role = RoleTemplate::named("mine");
    role.role_template_names = vec!["nodes-manage".to_owned(), "mine".to_owned()];
    world.templates.push(role);
    let index = world.cluster("c-1", "mine", "u-1").index();
    let grant = index
        .decide(
            &Identity::of("u-1"),
            &asked("delete", "nodes", "c-1", "m-1"),
        )
        .unwrap()
        .grant();
    assert_eq!(grant.binding, "ClusterRoleTemplateBinding c-1/crtb-0");
    assert_eq!(grant.roles, ["mine", "nodes-manage"]);
    assert_eq!(grant.rule, "* on management.cattle.io/nodes,nodepools");
}

#[test]
fn bindings_count_for_the_namespace_they_are_in_and_for_one_subject() {
    let mut world = World::built_in()
        .cluster("c-1", "cluster-owner", "u-1")
        .project("c-1", "p-1", "project-owner", "u-2");
    "c-2".clone_into(&mut world.cluster_bindings[0].cluster_name);
    "c-2:p-3".clone_into(&mut world.project_bindings[0].project_name);
    let mut both = world.cluster_bindings[0].clone();
    "c-1".clone_into(&mut both.cluster_name);
    both.metadata.name = Some("crtb-both".to_owned());
    "github_org://1".clone_into(&mut both.group_principal_name);
    world.cluster_bindings.push(both);
    let index = world.index();
    let mut member = Identity::of("u-3");
    member.groups.insert("github_org://1".to_owned());
    for cluster in ["c-1", "c-2"] {
        for identity in [&Identity::of("u-1"), &Identity::of("u-2"), &member] {
            assert_eq!(index.cluster_groups(identity, cluster), None);
        }
    }
}

#[test]
fn groups_and_principals_are_subjects_too() {
    let mut world = World::built_in()
        .cluster("c-1", "cluster-member", "")
        .cluster("c-2", "cluster-member", "");
    "github_org://1".clone_into(&mut world.cluster_bindings[0].group_principal_name);
    "github_user://7".clone_into(&mut world.cluster_bindings[1].user_principal_name);
    let index = world.index();
    let mut identity = Identity::of("u-1");
    assert_eq!(
        index.clusters_visible(&identity),
        ClustersVisible::These(vec![])
    );
    identity.groups.insert("github_org://1".to_owned());
    identity.principals.push("github_user://7".to_owned());
    let both = ["c-1", "c-2"].map(str::to_owned).to_vec();
    assert_eq!(
        index.clusters_visible(&identity),
        ClustersVisible::These(both)
    );
}

#[test]
fn a_clusters_token_reaches_no_other_cluster() {
    let index = World::built_in().global("admin", "u-1").index();
    let mut identity = Identity::of("u-1");
    identity.token = Some(TokenRef {
        name: "t".to_owned(),
        cluster: Some("c-1".to_owned()),
        kind: String::new(),
        derived: true,
    });
    assert!(index.cluster_groups(&identity, "c-1").is_some());
    assert_eq!(index.cluster_groups(&identity, "c-2"), None);
    assert_eq!(
        index.clusters_visible(&identity),
        ClustersVisible::These(vec!["c-1".to_owned()])
    );
}
