//! How an object is tied to others: owners, what it uses, what it selects.
//!
//! Pure: only what the object itself says. What copies know besides is added
//! by `neighbours`.

use serde_json::{Value, json};

use crate::format::{namespace, text};
use crate::kind::{Kind, id_of, object_id};

/// `metadata.relationships`; null if there are none, as recorded.
pub(crate) fn relationships(kind: &Kind, object: &Value) -> Value {
    let mut found = Vec::new();
    owners(object, &mut found);
    if let Some((from, id)) = applier(object) {
        found.push(json!({"rel": "applies", "fromType": from, "fromId": id}));
    }
    selected(kind, object, &mut found);
    if let Some(pod) = pod(kind, object) {
        uses(pod, namespace(object), &mut found);
    }
    if found.is_empty() {
        Value::Null
    } else {
        Value::Array(found)
    }
}

fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    value
        .pointer(path)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn owners(object: &Value, found: &mut Vec<Value>) {
    for owner in items(object, "/metadata/ownerReferences") {
        found.push(json!({
            "rel": "owner",
            "fromType": id_of(text(owner, "/apiVersion"), text(owner, "/kind")),
            // An owner lies in the same namespace or in none; most lie in the same.
            "fromId": object_id(namespace(object), text(owner, "/name")),
        }));
    }
}

/// Type and id of what applied an object, as the peer's annotations say it: `management.cattle.io/v3, Kind=Cluster`.
pub(crate) fn applier(object: &Value) -> Option<(String, String)> {
    let annotation = |name: &str| {
        object
            .pointer("/metadata/annotations")?
            .get(format!("objectset.rio.cattle.io/{name}"))?
            .as_str()
            .filter(|value| !value.is_empty())
    };
    let (version, kind) = annotation("owner-gvk")?.split_once(", Kind=")?;
    let id = object_id(annotation("owner-namespace"), annotation("owner-name")?);
    Some((id_of(version, kind), id))
}

/// The pods that a selector finds.
fn selected(kind: &Kind, object: &Value, found: &mut Vec<Value>) {
    let (path, rel) = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Service") => ("/spec/selector", "selects"),
        ("", "ReplicationController") => ("/spec/selector", "creates"),
        ("apps", _) | ("batch", "Job") => ("/spec/selector/matchLabels", "creates"),
        _ => return,
    };
    let Some(labels) = object.pointer(path).and_then(Value::as_object) else {
        return;
    };
    let selector: Vec<String> = labels
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    if !selector.is_empty() {
        found.push(json!({
            "rel": rel, "toType": "pod", "toNamespace": namespace(object), "selector": selector.join(","),
        }));
    }
}

/// The specification of a pod, in a pod or in what makes pods.
fn pod<'a>(kind: &Kind, object: &'a Value) -> Option<&'a Value> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => object.pointer("/spec"),
        ("batch", "CronJob") => object.pointer("/spec/jobTemplate/spec/template/spec"),
        ("apps" | "batch", _) => object.pointer("/spec/template/spec"),
        _ => None,
    }
}

/// Types and names, each once.
#[derive(Default)]
struct Used<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Used<'a> {
    fn push(&mut self, kind: &'static str, name: &'a str) {
        if !name.is_empty() && !self.0.contains(&(kind, name)) {
            self.0.push((kind, name));
        }
    }
}

fn uses(pod: &Value, namespace: Option<&str>, found: &mut Vec<Value>) {
    let mut used = Used::default();
    used.push("serviceaccount", text(pod, "/serviceAccountName"));
    for volume in items(pod, "/volumes") {
        used.push("secret", text(volume, "/secret/secretName"));
        used.push("configmap", text(volume, "/configMap/name"));
        used.push(
            "persistentvolumeclaim",
            text(volume, "/persistentVolumeClaim/claimName"),
        );
        for source in items(volume, "/projected/sources") {
            used.push("secret", text(source, "/secret/name"));
            used.push("configmap", text(source, "/configMap/name"));
        }
    }
    for pull in items(pod, "/imagePullSecrets") {
        used.push("secret", text(pull, "/name"));
    }
    for container in items(pod, "/containers").chain(items(pod, "/initContainers")) {
        for variable in items(container, "/env") {
            used.push("secret", text(variable, "/valueFrom/secretKeyRef/name"));
            used.push(
                "configmap",
                text(variable, "/valueFrom/configMapKeyRef/name"),
            );
        }
        for source in items(container, "/envFrom") {
            used.push("secret", text(source, "/secretRef/name"));
            used.push("configmap", text(source, "/configMapRef/name"));
        }
    }
    for (kind, name) in used.0 {
        found.push(json!({"rel": "uses", "toType": kind, "toId": object_id(namespace, name)}));
    }
    let node = text(pod, "/nodeName");
    if !node.is_empty() {
        found.push(json!({"rel": "uses", "toType": "node", "toId": node}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_names_its_owner_and_what_it_uses_once() {
        let pod = Kind::new("", "v1", "Pod", "pods");
        let object = json!({
            "metadata": {"namespace": "d", "name": "p", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r"}]},
            "spec": {
                "nodeName": "n",
                "volumes": [{"secret": {"secretName": "s"}}, {"configMap": {"name": "c"}}],
                "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}],
            },
        });
        assert_eq!(
            relationships(&pod, &object),
            json!([
                {"rel": "owner", "fromType": "apps.replicaset", "fromId": "d/r"},
                {"rel": "uses", "toType": "secret", "toId": "d/s"},
                {"rel": "uses", "toType": "configmap", "toId": "d/c"},
                {"rel": "uses", "toType": "node", "toId": "n"},
            ])
        );
    }

    #[test]
    fn who_applied_an_object_is_read_as_the_peer_writes_it() {
        let kind = Kind::new("management.cattle.io", "v3", "Cluster", "clusters");
        let of = |annotations: Value| {
            relationships(&kind, &json!({"metadata": {"annotations": annotations}}))
        };
        let by = of(json!({
            "objectset.rio.cattle.io/owner-gvk": "provisioning.cattle.io/v1, Kind=Cluster",
            "objectset.rio.cattle.io/owner-name": "c", "objectset.rio.cattle.io/owner-namespace": "fleet-default",
        }));
        let expected = json!([{"rel": "applies", "fromType": "provisioning.cattle.io.cluster", "fromId": "fleet-default/c"}]);
        assert_eq!(by, expected);
        assert_eq!(of(json!({})), Value::Null);
        let odd = json!({"objectset.rio.cattle.io/owner-gvk": "x", "objectset.rio.cattle.io/owner-name": "c"});
        assert_eq!(of(odd), Value::Null);
    }

    #[test]
    fn selectors_lead_to_pods_and_nothing_is_null() {
        let service = Kind::new("", "v1", "Service", "services");
        let object =
            json!({"metadata": {"namespace": "d"}, "spec": {"selector": {"a": "b", "c": "d"}}});
        assert_eq!(
            relationships(&service, &object),
            json!([{"rel": "selects", "toType": "pod", "toNamespace": "d", "selector": "a=b,c=d"}])
        );
        assert_eq!(relationships(&service, &json!({})), Value::Null);
    }
}
