use drover_types::names::{CREATOR_ANNOTATION, PROJECT_ANNOTATION};

use super::*;

fn project(label: Option<&str>) -> Project {
    let mut project = Project::named("p-dsjq7");
    project.metadata.namespace = Some("c-96nwv".to_owned());
    project.metadata.annotations =
        Some([(CREATOR_ANNOTATION.to_owned(), "user-p8sfq".to_owned())].into());
    project.metadata.labels = label.map(|label| [(label.to_owned(), "true".to_owned())].into());
    project.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    project
}

fn meta(name: &str, project: Option<&str>) -> ObjectMeta {
    let annotations =
        project.map(|project| [(PROJECT_ANNOTATION.to_owned(), project.to_owned())].into());
    ObjectMeta {
        name: Some(name.to_owned()),
        annotations,
        ..ObjectMeta::default()
    }
}

fn plan(project: &Project, backing: Option<&Namespace>, namespaces: Option<&[ObjectMeta]>) -> Plan {
    let observed = Observed {
        project,
        backing,
        creator_roles: &["project-owner".to_owned()],
        namespaces,
        system_namespaces: &["kube-system".to_owned()],
    };
    reconcile(&observed, Timestamp::UNIX_EPOCH)
}

fn targets(plan: &Plan) -> Vec<String> {
    plan.actions
        .iter()
        .map(|action| action.target().to_string())
        .collect()
}

fn after(plan: &Plan) -> Project {
    let Some(Action::Replace { object, .. }) = &plan.status else {
        panic!("no status")
    };
    serde_json::from_value(object.clone()).unwrap()
}

#[test]
fn nothing_is_made_before_the_finalizer_holds_it() {
    let mut new = project(Some(DEFAULT_PROJECT_LABEL));
    new.metadata.finalizers = None;
    let first = plan(&new, None, Some(&[meta("default", None)]));
    assert_eq!(targets(&first), ["Project c-96nwv/p-dsjq7"]);
    assert!(first.status.is_none() && first.requeue_at.is_some());
}

#[test]
fn a_new_project_gets_what_was_recorded_and_then_rests() {
    let first = plan(
        &project(Some(DEFAULT_PROJECT_LABEL)),
        None,
        Some(&[meta("default", None)]),
    );
    let expected = [
        "Namespace c-96nwv-p-dsjq7",
        "ProjectRoleTemplateBinding c-96nwv-p-dsjq7/creator-project-owner",
        "Namespace default",
    ];
    assert_eq!(targets(&first), expected);
    let made = after(&first);
    let kinds: Vec<_> = made
        .status
        .conditions
        .iter()
        .map(|condition| condition.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "BackingNamespaceCreated",
            "CreatorMadeOwner",
            "InitialRolesPopulated",
            "DefaultNamespacesAssigned"
        ]
    );
    let bindings = made.metadata.annotations.as_ref().unwrap()[CREATOR_BINDINGS].as_str();
    assert_eq!(
        bindings,
        r#"{"created":["project-owner"],"required":["project-owner"]}"#
    );
    let backing = backing_namespace("c-96nwv-p-dsjq7");
    assert!(
        plan(
            &made,
            Some(&backing),
            Some(&[meta("default", Some("c-96nwv:p-dsjq7"))])
        )
        .is_empty()
    );
    assert!(plan(&made, Some(&backing), None).is_empty());
}

#[test]
fn namespaces_that_are_in_a_project_stay_there() {
    let namespaces = [
        meta("kube-system", Some("c-96nwv:p-other")),
        meta("mine", None),
    ];
    let plan = plan(
        &project(Some(SYSTEM_PROJECT_LABEL)),
        Some(&backing_namespace("c-96nwv-p-dsjq7")),
        Some(&namespaces),
    );
    assert_eq!(
        targets(&plan),
        ["ProjectRoleTemplateBinding c-96nwv-p-dsjq7/creator-project-owner"]
    );
}

#[test]
fn a_deleted_project_lets_its_namespaces_go_and_leaves_foreign_ones() {
    let mut project = project(None);
    project.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-11-20T21:21:51Z")).unwrap());
    project.metadata.finalizers = Some(vec![FINALIZER.to_owned(), "other".to_owned()]);
    let namespaces = [
        meta("shop", Some("c-96nwv:p-dsjq7")),
        meta("other", Some("c-96nwv:p-x")),
    ];
    let mut backing = backing_namespace("c-96nwv-p-dsjq7");
    let plan_for = |backing: &Namespace| targets(&plan(&project, Some(backing), Some(&namespaces)));
    assert_eq!(
        plan_for(&backing),
        [
            "Namespace c-96nwv-p-dsjq7",
            "Namespace shop",
            "Project c-96nwv/p-dsjq7"
        ]
    );
    backing.metadata.annotations = None;
    assert_eq!(
        plan_for(&backing),
        ["Namespace shop", "Project c-96nwv/p-dsjq7"]
    );
}
