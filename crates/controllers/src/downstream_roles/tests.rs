use serde_json::{Value, json};

use super::*;

fn template(name: &str, fields: Value) -> RoleTemplate {
    let mut template = RoleTemplate::named(name);
    let Value::Object(fields) = fields else {
        panic!("fields")
    };
    let mut whole = serde_json::to_value(&template).unwrap();
    whole.as_object_mut().unwrap().extend(fields);
    template = serde_json::from_value(whole).unwrap();
    template
}

fn given() -> Given {
    let pods = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    Given {
        templates: vec![
            template("edit", json!({"external": true, "context": "project"})),
            template("pods", json!({"context": "project", "rules": pods})),
            template(
                "project-member",
                json!({
                    "context": "project",
                    "roleTemplateNames": ["edit", "pods"],
                    "rules": [
                        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create"]},
                        {"apiGroups": [""], "resources": ["nodes", "secrets"], "verbs": ["get", "list"]},
                        {"apiGroups": ["management.cattle.io"], "resources": ["projectroletemplatebindings"], "verbs": ["get"]},
                    ],
                }),
            ),
            template(
                "read-only",
                json!({"context": "project", "roleTemplateNames": ["pods"]}),
            ),
            template(
                "nodes-view",
                json!({"context": "cluster", "rules": [
                    {"apiGroups": ["", "management.cattle.io"], "resources": ["nodes"], "verbs": ["get"]},
                ]}),
            ),
        ],
        cluster: ["cluster-owner", "cluster-member", "nodes-view", "gone"]
            .map(str::to_owned)
            .into(),
        projects: [
            ("p-1", "project-member"),
            ("p-2", "project-member"),
            ("p-1", "read-only"),
            ("p-3", "read-only"),
        ]
        .map(|(project, role)| (project.to_owned(), role.to_owned()))
        .into(),
        namespaces: [
            ("one", "p-1"),
            ("two", "p-1"),
            ("three", "p-2"),
            ("four", "p-9"),
        ]
        .map(|(namespace, project)| (namespace.to_owned(), project.to_owned()))
        .into(),
    }
}

fn groups(set: &BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[test]
fn groups_are_bound_where_their_roles_are_given_and_nowhere_else() {
    let wanted = Wanted::of("c-1", &given());
    assert_eq!(
        wanted.roles.keys().collect::<Vec<_>>(),
        [
            "drover-namespaces-create",
            "drover-promoted-project-member",
            "drover-role-nodes-view",
            "drover-role-project-member",
            "drover-role-read-only",
        ]
    );
    assert_eq!(
        groups(&wanted.cluster["drover-role-nodes-view"]),
        ["drover:cluster:nodes-view"]
    );
    assert_eq!(
        groups(&wanted.cluster["drover-namespaces-create"]),
        [
            "drover:project:p-1:project-member",
            "drover:project:p-2:project-member"
        ]
    );
    let in_one = |role: &str| groups(&wanted.namespaced[&("one".to_owned(), role.to_owned())]);
    assert_eq!(in_one("edit"), ["drover:project:p-1:project-member"]);
    assert_eq!(
        in_one("drover-role-read-only"),
        ["drover:project:p-1:read-only"]
    );
    let in_namespaces = |role: &str| wanted.roles[role].last().unwrap().verbs.clone();
    assert_eq!(in_namespaces("drover-role-read-only"), ["get"]);
    assert_eq!(in_namespaces("drover-role-project-member"), ["*"]);
    let bindings = wanted.namespaced.keys();
    let bindings = bindings.filter(|(namespace, _)| namespace == "one");
    assert_eq!(
        bindings.count(),
        3,
        "two roles, one of which stands for another"
    );
    assert!(
        !wanted
            .namespaced
            .keys()
            .any(|(namespace, _)| namespace == "four")
    );
    // Nobody outside of the namespaces reads secrets by a project's role.
    let promoted = &wanted.roles["drover-promoted-project-member"];
    assert_eq!(promoted.len(), 1);
    assert_eq!(promoted[0].resources, Some(vec!["nodes".to_owned()]));
}

#[test]
fn a_role_given_in_the_whole_cluster_too_says_nothing_of_all_namespaces() {
    let mut given = given();
    given.cluster.insert("read-only".to_owned());
    let wanted = Wanted::of("c-1", &given);
    let names_namespaces = |role: &str| {
        let rules = &wanted.roles[role];
        rules
            .iter()
            .any(|rule| rule.resources == Some(vec!["namespaces".to_owned()]))
    };
    assert!(!names_namespaces("drover-role-read-only"));
    assert!(names_namespaces("drover-project-read-only"));
    assert!(wanted.cluster.contains_key("drover-role-read-only"));
    let one = "one".to_owned();
    let role = |name: &str| (one.clone(), name.to_owned());
    assert!(
        wanted
            .namespaced
            .contains_key(&role("drover-project-read-only"))
    );
    assert!(
        !wanted
            .namespaced
            .contains_key(&role("drover-role-read-only"))
    );
}

#[test]
fn on_the_hub_roles_of_a_cluster_do_not_reach_the_objects_of_others() {
    let mut given = given();
    given.cluster.insert("bindings".to_owned());
    given.templates.push(template(
        "bindings",
        json!({"rules": [{"apiGroups": ["management.cattle.io"], "resources": ["*"], "verbs": ["*"]}]}),
    ));
    let wanted = Wanted::of("local", &given);
    assert!(!wanted.roles.contains_key("drover-role-bindings"));
    let nodes = &wanted.roles["drover-role-nodes-view"];
    assert_eq!(nodes[0].api_groups, Some(vec![String::new()]));
    assert!(
        Wanted::of("c-1", &given)
            .roles
            .contains_key("drover-role-bindings")
    );
}

/// Plays the cluster's part.
fn act(found: &mut Ours, plan: &Plan) {
    for action in &plan.actions {
        let value = serde_json::to_value(match action {
            Action::Apply { object, .. } => object.clone(),
            Action::Delete { .. } => Value::Null,
            Action::Create { .. } | Action::Replace { .. } | Action::Patch { .. } => {
                panic!("not expected: {action:?}")
            }
        })
        .unwrap();
        let name = action.target().name();
        let place = action.target().to_string();
        match action.target().kind() {
            "ClusterRole" => {
                found.roles.retain(|role| role.name_any() != name);
                found
                    .roles
                    .extend(serde_json::from_value::<Option<ClusterRole>>(value).unwrap());
            }
            "ClusterRoleBinding" => {
                found.cluster.retain(|binding| binding.name_any() != name);
                found
                    .cluster
                    .extend(serde_json::from_value::<Option<ClusterRoleBinding>>(value).unwrap());
            }
            "RoleBinding" => {
                found.namespaced.retain(|binding| {
                    place
                        != format!(
                            "RoleBinding {}/{}",
                            binding.namespace().unwrap(),
                            binding.name_any()
                        )
                });
                found
                    .namespaced
                    .extend(serde_json::from_value::<Option<RoleBinding>>(value).unwrap());
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn edits_are_put_back_and_what_nobody_uses_goes() {
    let wanted = Wanted::of("c-1", &given());
    let mut found = Ours::default();
    let plan = reconcile(&found, &wanted);
    act(&mut found, &plan);
    assert!(reconcile(&found, &wanted).is_empty());
    let edits: [&dyn Fn(&mut Ours); 5] = [
        &|found| found.roles[0].rules = None,
        &|found| found.cluster[0].subjects = None,
        &|found| "cluster-admin".clone_into(&mut found.namespaced[0].role_ref.name),
        &|found| drop(found.namespaced.pop()),
        &|found| {
            let mut more = found.cluster[0].clone();
            more.metadata.name = Some("drover-role-more".to_owned());
            found.cluster.push(more);
        },
    ];
    for edit in edits {
        let mut edited = found.clone();
        edit(&mut edited);
        let plan = reconcile(&edited, &wanted);
        assert!(!plan.is_empty());
        act(&mut edited, &plan);
        assert!(reconcile(&edited, &wanted).is_empty());
    }
    // A namespace that moved loses the rights of those it left.
    let mut moved = given();
    "p-9".clone_into(&mut moved.namespaces[0].1);
    let plan = reconcile(&found, &Wanted::of("c-1", &moved));
    assert!(
        plan.actions
            .iter()
            .all(|action| matches!(action, Action::Delete { .. }))
    );
    assert!(
        plan.actions
            .iter()
            .all(|action| action.target().to_string().contains(" one/"))
    );
    // Without bindings nothing remains.
    let plan = reconcile(&found, &Wanted::default());
    act(&mut found, &plan);
    assert_eq!(
        (
            found.roles.len(),
            found.cluster.len(),
            found.namespaced.len()
        ),
        (0, 0, 0)
    );
}
