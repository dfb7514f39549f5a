use super::super::tests::world::World;
use super::*;

fn asked<'a>(
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: Option<&'a str>,
) -> Attributes<'a> {
    Attributes {
        verb,
        group,
        resource,
        namespace,
        name: None,
    }
}

fn reads_pods() -> BTreeMap<String, Vec<PolicyRule>> {
    let rule = PolicyRule {
        api_groups: vec![String::new()],
        resources: vec!["pods".to_owned()],
        verbs: vec!["get".to_owned(), "list".to_owned()],
        ..PolicyRule::default()
    };
    [("view".to_owned(), vec![rule])].into()
}

#[test]
fn the_chain_leads_from_the_binding_to_the_rule() {
    let index = World::built_in()
        .project("c-1", "p-1", "read-only", "u-1")
        .index();
    let external = reads_pods();
    let question = Question {
        cluster: Some("c-1"),
        asked: asked("list", "", "pods", Some("one")),
        project: Some("p-1"),
        external: &external,
    };
    let explained = explain(&index, &Identity::of("u-1"), &question);
    let grant = explained.grant.expect("allowed");
    assert_eq!(grant.binding, "ProjectRoleTemplateBinding c-1-p-1/prtb-0");
    assert_eq!(grant.roles, ["read-only", "view"]);
    assert_eq!(grant.rule, "get,list on pods");
    assert_eq!(
        explained.groups,
        Some(vec!["drover:project:p-1:read-only".to_owned()])
    );
    assert_eq!(explained.missing, Vec::<String>::new());
    // In another project, or without a namespace, the role says nothing.
    for elsewhere in [Some("p-2"), None] {
        let question = Question {
            project: elsewhere,
            ..question
        };
        assert_eq!(explain(&index, &Identity::of("u-1"), &question).grant, None);
    }
}

#[test]
fn a_refusal_names_the_roles_that_are_missing() {
    let index = World::built_in()
        .cluster("c-1", "cluster-member", "u-1")
        .index();
    let external = BTreeMap::new();
    let question = Question {
        cluster: Some("c-1"),
        asked: asked("delete", "", "persistentvolumes", None),
        project: None,
        external: &external,
    };
    let explained = explain(&index, &Identity::of("u-1"), &question);
    assert_eq!(explained.grant, None);
    assert_eq!(
        explained.missing,
        [
            "globalRole admin",
            "roleTemplate cluster-owner",
            "roleTemplate storage-manage",
        ]
    );
    // Who is no member at all has no groups.
    let stranger = explain(&index, &Identity::of("u-2"), &question);
    assert_eq!((stranger.grant, stranger.groups), (None, None));
}

#[test]
fn who_can_lists_everybody_with_their_reason() {
    let index = World::built_in()
        .global("admin", "boss")
        .cluster("c-1", "storage-manage", "keeper")
        .cluster("c-2", "storage-manage", "other")
        .cluster("c-1", "cluster-owner", "owner")
        .cluster("c-1", "cluster-member", "member")
        .index();
    let external = BTreeMap::new();
    let question = Question {
        cluster: Some("c-1"),
        asked: asked("delete", "", "persistentvolumes", None),
        project: None,
        external: &external,
    };
    let holders = who_can(&index, &question);
    let names: Vec<&str> = holders.iter().map(|holder| holder.name.as_str()).collect();
    assert_eq!(names, ["boss", "keeper", "owner"]);
    assert!(holders.iter().all(|holder| holder.kind == HolderKind::User));
    // On the hub the same index answers.
    let question = Question {
        cluster: None,
        asked: asked("create", GROUP, "users", None),
        ..question
    };
    let holders = who_can(&index, &question);
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].grant.roles, ["admin"]);
}
