use drover_types::names::PROJECT_ANNOTATION;

use super::objects::meta;
use super::*;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn project(spec: &Value) -> Project {
    let mut project = Project::named("p-1");
    project.metadata.namespace = Some("c-1".to_owned());
    project.spec.other = spec.as_object().unwrap().clone();
    project
}

fn namespace(name: &str, minute: u8, annotations: &Value) -> ObjectMeta {
    let mut all = annotations.clone();
    all[PROJECT_ANNOTATION] = json!("c-1:p-1");
    serde_json::from_value(json!({
        "name": name, "annotations": all, "creationTimestamp": format!("2026-11-29T11:{minute:02}:00Z"),
    }))
    .unwrap()
}

fn limited() -> Project {
    project(&json!({
        "resourceQuota": {"limit": {"pods": "10", "limitsCpu": "4"}},
        "namespaceDefaultResourceQuota": {"limit": {"pods": "2", "limitsCpu": "500m"}},
        "containerDefaultResourceLimit": {"limitsCpu": "200m", "requestsMemory": "64Mi"},
    }))
}

/// Carries a plan out on what was observed, as API servers would.
fn act(observed: &mut Observed, plan: &Plan) {
    for action in &plan.actions {
        let target = action.target();
        let (kind, name) = (target.kind().to_owned(), target.name().to_owned());
        match (action, kind.as_str()) {
            (Action::Create { object, .. }, "ResourceQuota") => {
                observed
                    .quotas
                    .push(serde_json::from_value(object.clone()).unwrap());
            }
            (Action::Create { object, .. }, "LimitRange") => {
                observed
                    .limits
                    .push(serde_json::from_value(object.clone()).unwrap());
            }
            (Action::Patch { patch, .. }, "Namespace") => {
                let found = observed
                    .namespaces
                    .iter_mut()
                    .find(|namespace| namespace.name.as_deref() == Some(&name))
                    .unwrap();
                *found = merged(found, &patch["metadata"]);
            }
            (Action::Patch { patch, .. }, "Project") => {
                observed.projects[0] = merged(&observed.projects[0], patch);
            }
            (Action::Patch { patch, .. }, "ResourceQuota") => {
                observed.quotas[0] = merged(&observed.quotas[0], patch);
            }
            (Action::Delete { .. }, "ResourceQuota") => observed.quotas.clear(),
            (Action::Delete { .. }, "LimitRange") => observed.limits.clear(),
            other => panic!("not expected: {other:?}"),
        }
    }
}

fn merged<T: serde::Serialize + serde::de::DeserializeOwned>(object: &T, patch: &Value) -> T {
    fn merge(into: &mut Value, patch: &Value) {
        let Value::Object(fields) = patch else {
            *into = patch.clone();
            return;
        };
        if !into.is_object() {
            *into = json!({});
        }
        for (name, value) in fields {
            if value.is_null() {
                into.as_object_mut().unwrap().remove(name);
            } else {
                merge(&mut into[name], value);
            }
        }
    }
    let mut value = serde_json::to_value(object).unwrap();
    merge(&mut value, patch);
    serde_json::from_value(value).unwrap()
}

fn hard(observed: &Observed, name: &str) -> Value {
    let quota = observed
        .quotas
        .iter()
        .find(|quota| quota.metadata.namespace.as_deref() == Some(name));
    serde_json::to_value(quota.unwrap().spec.as_ref().unwrap().hard.as_ref().unwrap()).unwrap()
}

#[test]
fn namespaces_get_their_part_and_the_project_learns_what_is_used() {
    let own = json!({"limit": {"pods": "8", "limitsCpu": "1"}}).to_string();
    let mut observed = Observed {
        projects: vec![limited()],
        namespaces: vec![
            namespace("second", 2, &json!({ QUOTA_ANNOTATION: own })),
            namespace("first", 1, &json!({})),
            namespace("third", 3, &json!({})),
        ],
        ..Observed::default()
    };
    let plan = reconcile(&observed, "c-1", now());
    act(&mut observed, &plan);
    assert_eq!(
        hard(&observed, "first"),
        json!({"pods": "2", "limits.cpu": "500m"})
    );
    assert_eq!(
        hard(&observed, "second"),
        json!({"pods": "8", "limits.cpu": "1"})
    );
    // Ten pods are gone; the late one gets none, but what is left of the rest.
    assert_eq!(
        hard(&observed, "third"),
        json!({"pods": "0", "limits.cpu": "500m"})
    );
    let status = annotation(&observed.namespaces[2], STATUS_ANNOTATION).unwrap();
    assert!(
        status.contains("\"Status\":\"False\"")
            && status.contains("pods: 2 asked for, 10 of 10 used")
    );
    assert_eq!(
        observed.projects[0].spec.other["resourceQuota"]["usedLimit"],
        json!({"pods": "10", "limitsCpu": "1500m"})
    );
    let item = &observed.limits[0].spec.as_ref().unwrap().limits[0];
    assert_eq!(
        serde_json::to_value(item).unwrap(),
        json!({"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"memory": "64Mi"}})
    );
    assert_eq!(observed.limits.len(), 3);
    assert!(reconcile(&observed, "c-1", now()).is_empty());

    // A namespace that goes makes room for the one that did not fit.
    observed
        .namespaces
        .retain(|namespace| namespace.name.as_deref() != Some("second"));
    observed
        .quotas
        .retain(|quota| quota.metadata.namespace.as_deref() == Some("third"));
    observed.limits.clear();
    let plan = reconcile(&observed, "c-1", now());
    act(&mut observed, &plan);
    assert_eq!(
        hard(&observed, "third"),
        json!({"pods": "2", "limits.cpu": "500m"})
    );
    assert!(reconcile(&observed, "c-1", now()).is_empty());
}

#[test]
fn a_quota_that_goes_takes_its_objects_along() {
    let mut observed = Observed {
        projects: vec![limited()],
        namespaces: vec![namespace("one", 1, &json!({}))],
        ..Observed::default()
    };
    let plan = reconcile(&observed, "c-1", now());
    act(&mut observed, &plan);
    assert_eq!(observed.quotas.len(), 1);
    let used = observed.projects[0].spec.other["resourceQuota"]["usedLimit"].clone();
    observed.projects = vec![project(&json!({"resourceQuota": {"usedLimit": used}}))];
    let plan = reconcile(&observed, "c-1", now());
    act(&mut observed, &plan);
    assert!(observed.quotas.is_empty() && observed.limits.is_empty());
    assert_eq!(annotation(&observed.namespaces[0], QUOTA_ANNOTATION), None);
    assert!(reconcile(&observed, "c-1", now()).is_empty());
}

#[test]
fn namespaces_of_no_project_or_another_cluster_s_have_nothing() {
    let mut stranger = namespace("stranger", 1, &json!({}));
    stranger
        .annotations
        .as_mut()
        .unwrap()
        .insert(PROJECT_ANNOTATION.to_owned(), "c-2:p-1".to_owned());
    let mut left: ResourceQuota = ResourceQuota {
        metadata: meta("stranger"),
        ..ResourceQuota::default()
    };
    left.metadata.name = Some("default-abcde".to_owned());
    let observed = Observed {
        projects: vec![limited()],
        namespaces: vec![stranger],
        quotas: vec![left],
        ..Observed::default()
    };
    let plan = reconcile(&observed, "c-1", now());
    let [Action::Delete { target, .. }, Action::Patch { patch, .. }] = plan.actions.as_slice()
    else {
        let [Action::Patch { patch, .. }, Action::Delete { target, .. }] = plan.actions.as_slice()
        else {
            panic!("{plan:?}")
        };
        assert_eq!(target.name(), "default-abcde");
        assert_eq!(patch["spec"]["resourceQuota"]["usedLimit"], json!({}));
        return;
    };
    assert_eq!(target.name(), "default-abcde");
    assert_eq!(patch["spec"]["resourceQuota"]["usedLimit"], json!({}));
}
