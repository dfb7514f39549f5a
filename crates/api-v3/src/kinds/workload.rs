//! Workloads and pods: how their fields lie in Kubernetes objects.
//!
//! Pure. A *view* holds the fields of a resource by their names, as if the object were flat; what is declared maps
//! from it and to it like any other object. [`view`] and [`store`] are each other's reverse, by one table.
//!
//! Invariant: what no field shows stays in an object as it was.

mod affinity;
mod container;
mod places;
pub(crate) mod registries;
pub(crate) mod services;

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use self::places::{ELSEWHERE, POD, places, template};
use crate::mapping::{self, merge_metadata};
use crate::paths::{at, copy, put};
use crate::schema::{Type, Workload};

/// By this label a workload finds its pods.
const SELECTOR: &str = "workload.user.cattle.io/workloadselector";
/// What Kubernetes does not keep of ports, of all containers, as JSON.
const PORTS: &str = "field.cattle.io/ports";
/// A new value makes new pods.
const TIMESTAMP: &str = "cattle.io/timestamp";

/// The fields of a resource by their names.
pub(crate) fn view(kind: &Type, workload: Workload, object: &Value) -> Value {
    let mut view = json!({ "metadata": object["metadata"] });
    let empty = json!({});
    let pod = object.pointer(template(workload)).unwrap_or(&empty);
    for (field, place) in places(workload) {
        copy(object, &place, &mut view, &field);
    }
    if let Some(spec) = pod.get("spec") {
        for name in POD {
            copy(spec, name, &mut view, name);
        }
        for (field, place) in ELSEWHERE {
            copy(spec, place, &mut view, field);
        }
        let node = affinity::show(spec);
        if !node.is_empty() {
            view["scheduling"]["node"] = Value::Object(node);
        }
        view["volumes"] = volumes_shown(spec, mapping::namespace(object));
        let ports = at(pod, "metadata/annotations")
            .and_then(|all| all.get(PORTS))
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok());
        view["containers"] = container::show_all(spec, ports.as_ref(), object.get("status"));
    }
    if let Some(volumes) = view.get("volumes")
        && volumes.as_array().is_none_or(Vec::is_empty)
    {
        put(&mut view, "volumes", Value::Null);
    }
    if workload == Workload::Pod {
        view["status"] = container::status(object);
    } else {
        for (field, name) in [
            ("workloadLabels", "labels"),
            ("workloadAnnotations", "annotations"),
        ] {
            if let Some(own) = object["metadata"].get(name) {
                view[field] = own.clone();
            }
        }
        for name in ["labels", "annotations"] {
            let of_pods = at(pod, "metadata").and_then(|metadata| metadata.get(name));
            put(
                &mut view,
                &format!("metadata/{name}"),
                of_pods.cloned().unwrap_or_default(),
            );
        }
        let status = object.get("status").cloned().unwrap_or_else(|| json!({}));
        view[format!("{}Status", kind.id)] = status;
        if workload == Workload::CronJob
            && at(&view, "cronJobConfig/suspend") == Some(&json!(false))
        {
            // Recorded: shown only when it counts.
            put(&mut view, "cronJobConfig/suspend", Value::Null);
        }
    }
    if let Some(shown) = view
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        shown.remove(PORTS);
    }
    view
}

/// Claims are named with their namespace.
fn volumes_shown(spec: &Value, namespace: Option<&str>) -> Value {
    let mut volumes = spec.get("volumes").cloned().unwrap_or_default();
    for volume in volumes.as_array_mut().into_iter().flatten() {
        if let Some(claim) = volume.get_mut("persistentVolumeClaim")
            && let Some(name) = claim.get("claimName").and_then(Value::as_str)
        {
            let id = format!("{}:{name}", namespace.unwrap_or_default());
            claim["persistentVolumeClaimName"] = json!(id);
        }
    }
    volumes
}

fn volumes_stored(view: &Value) -> Value {
    let mut volumes = view.get("volumes").cloned().unwrap_or_default();
    for volume in volumes.as_array_mut().into_iter().flatten() {
        if let Some(claim) = volume
            .get_mut("persistentVolumeClaim")
            .and_then(Value::as_object_mut)
            && let Some(Value::String(id)) = claim.remove("persistentVolumeClaimName")
        {
            let name = id.rsplit(':').next().unwrap_or_default();
            claim.insert("claimName".to_owned(), json!(name));
        }
    }
    volumes
}

/// Writes what a view says into the object.
///
/// # Errors
/// 422 naming the field for what no pod can be.
pub(crate) fn store(workload: Workload, view: &Value, object: &mut Value) -> Result<(), ApiError> {
    for (field, place) in places(workload) {
        put(
            object,
            &place,
            at(view, &field).cloned().unwrap_or_default(),
        );
    }
    for strategy in ["spec/strategy", "spec/updateStrategy"] {
        let kind = at(object, strategy).and_then(|strategy| strategy.get("type"));
        let rolls = kind.is_none_or(|kind| kind == "RollingUpdate");
        let place = format!("{strategy}/rollingUpdate");
        let empty = at(object, &place)
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty);
        if !rolls || empty {
            put(object, &place, Value::Null);
        }
    }
    let at_template = template(workload).trim_start_matches('/');
    let inner = |path: &str| match at_template {
        "" => path.to_owned(),
        template => format!("{template}/{path}"),
    };
    let mut spec = at(object, &inner("spec"))
        .cloned()
        .unwrap_or_else(|| json!({}));
    for name in POD {
        put(&mut spec, name, at(view, name).cloned().unwrap_or_default());
    }
    for (field, place) in ELSEWHERE {
        put(
            &mut spec,
            place,
            at(view, field).cloned().unwrap_or_default(),
        );
    }
    affinity::store(view, &mut spec)?;
    put(&mut spec, "volumes", volumes_stored(view));
    let name = mapping::name(view).to_owned();
    let annotation = inner("metadata/annotations");
    let told = at(object, &annotation)
        .and_then(|all| all.get(PORTS))
        .is_some();
    let ports = container::store_all(view, &mut spec, &name, told)?;
    put(object, &inner("spec"), spec);
    if workload != Workload::Pod {
        for (field, own) in [
            ("workloadLabels", "labels"),
            ("workloadAnnotations", "annotations"),
        ] {
            let place = format!("metadata/{own}");
            let current = at(object, &place).and_then(Value::as_object).cloned();
            let sent = view.get(field).and_then(Value::as_object);
            let merged = merge_metadata(&current.unwrap_or_default(), sent);
            put(object, &place, Value::Object(merged));
        }
        for name in ["labels", "annotations"] {
            let of_pods = at(view, &format!("metadata/{name}")).cloned();
            put(
                object,
                &inner(&format!("metadata/{name}")),
                of_pods.unwrap_or_default(),
            );
        }
        object["metadata"]["name"] = json!(name);
    } else {
        for name in ["name", "labels", "annotations"] {
            let place = format!("metadata/{name}");
            put(
                object,
                &place,
                at(view, &place).cloned().unwrap_or_default(),
            );
        }
    }
    if let Some(ports) = ports {
        let mut all = at(object, &annotation)
            .cloned()
            .unwrap_or_else(|| json!({}));
        all[PORTS] = json!(ports);
        put(object, &annotation, all);
    }
    Ok(())
}

/// What a new workload has that the client need not say.
pub(crate) fn begin(kind: &Type, workload: Workload, object: &mut Value) {
    let place = template(workload);
    let is_job = matches!(workload, Workload::Job | Workload::CronJob);
    if is_job {
        let policy = format!("{place}/spec/restartPolicy");
        if object.pointer(&policy).is_none() {
            put(object, policy.trim_start_matches('/'), json!("OnFailure"));
        }
    }
    if is_job || workload == Workload::Pod || at(object, "spec/selector").is_some() {
        return;
    }
    let own = format!(
        "{}-{}-{}",
        kind.id,
        mapping::namespace(object).unwrap_or_default(),
        mapping::name(object)
    );
    object["spec"]["selector"] = json!({"matchLabels": {SELECTOR: own}});
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let mut all = object.pointer(labels).cloned().unwrap_or_default();
        if !all.is_object() {
            all = json!({});
        }
        all[SELECTOR] = json!(own);
        put(object, labels.trim_start_matches('/'), all);
    }
}

/// Makes new pods of an unchanged template.
pub(crate) fn redeploy(workload: Workload, object: &mut Value, now: jiff::Timestamp) {
    let place = format!("{}/metadata/annotations", template(workload));
    let place = place.trim_start_matches('/');
    let mut all = at(object, place).cloned().unwrap_or_else(|| json!({}));
    all[TIMESTAMP] = json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    put(object, place, all);
}

/// The kind that a new workload is of: the one whose configuration is given, else a deployment.
pub(crate) fn wanted(sent: &Map<String, Value>) -> &'static str {
    const CONFIGS: [(&str, &str); 6] = [
        ("daemonSetConfig", "daemonSet"),
        ("statefulSetConfig", "statefulSet"),
        ("cronJobConfig", "cronJob"),
        ("jobConfig", "job"),
        ("replicaSetConfig", "replicaSet"),
        ("replicationControllerConfig", "replicationController"),
    ];
    let given = |name: &str| sent.get(name).is_some_and(|value| !value.is_null());
    let found = CONFIGS.iter().find(|(config, _)| given(config));
    found.map_or("deployment", |(_, kind)| *kind)
}

/// Whether a list leaves the object out because another one made it and is listed itself.
pub(crate) fn is_made(object: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences");
    owners
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|owner| owner["kind"] == "Deployment" || owner["kind"] == "CronJob")
}

/// The workload that keeps a pod, as far as its owner tells.
pub(crate) fn keeper(pod: &Value) -> Option<String> {
    let owners = pod.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let (kind, name) = (owner["kind"].as_str()?, owner["name"].as_str()?);
    let labels = pod.pointer("/metadata/labels");
    let hash = labels
        .and_then(|labels| labels.get("pod-template-hash"))
        .and_then(Value::as_str);
    let namespace = mapping::namespace(pod)?;
    let of_deployment = hash
        .filter(|_| kind == "ReplicaSet")
        .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    Some(match of_deployment {
        Some(name) => format!("deployment:{namespace}:{name}"),
        None => format!("{}:{namespace}:{name}", kind.to_ascii_lowercase()),
    })
}

/// What a resource shows that does not follow from its fields.
pub(crate) fn amend(
    kind: &Type,
    workload: Workload,
    object: &Value,
    item: &mut Map<String, Value>,
) {
    if workload == Workload::Pod {
        item.insert("workloadId".to_owned(), json!(keeper(object)));
        return;
    }
    let id = format!(
        "{}:{}:{}",
        kind.id.to_ascii_lowercase(),
        mapping::namespace(object).unwrap_or_default(),
        mapping::name(object)
    );
    item.insert("id".to_owned(), json!(id));
    item.insert("baseType".to_owned(), json!("workload"));
    item.insert("creatorId".to_owned(), Value::Null);
    item.remove("nodeId");
    let count = |name: &str| {
        object
            .pointer(&format!("/status/{name}"))
            .and_then(Value::as_i64)
            .unwrap_or_default()
    };
    let lacks = match workload {
        Workload::Deployment | Workload::StatefulSet => count("replicas") != count("readyReplicas"),
        Workload::DaemonSet => count("desiredNumberScheduled") != count("numberReady"),
        _ => false,
    };
    if lacks && item.get("transitioning").is_some_and(|now| now == "no") {
        item.insert("state".to_owned(), json!("updating"));
        item.insert("transitioning".to_owned(), json!("yes"));
        item.insert(
            "transitioningMessage".to_owned(),
            json!("waiting for its pods to be ready"),
        );
    }
}
