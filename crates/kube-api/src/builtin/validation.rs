//! What is refused in built-in kinds, in the words that clients see.
//!
//! Owns the checks that people meet: required members, immutable members, keys and names, selectors. The exhaustive
//! validation of every member (as kubernetes `pkg/apis/*/validation` has it) is not attempted.

use base64::Engine as _;
use drover_structural::FieldError;
use serde_json::{Value, json};

use super::services;
use crate::rbac::selects;
use crate::registry::NameRule;
use crate::rest::{Api, object};

const IMMUTABLE: &str = "field is immutable";
const IMMUTABLE_WHEN_SET: &str = "field is immutable when `immutable` is set";

fn at<'o>(object: &'o Value, pointer: &str) -> Option<&'o Value> {
    object.pointer(pointer).filter(|value| !value.is_null())
}

fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    at(object, pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn empty(object: &Value, pointer: &str) -> bool {
    match at(object, pointer) {
        None => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) => false,
    }
}

fn required(object: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    if empty(object, pointer) {
        errors.push(FieldError::required(
            pointer.trim_start_matches('/').replace('/', "."),
            "",
        ));
    }
}

fn not_negative(object: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    if let Some(number) = at(object, pointer)
        .and_then(Value::as_i64)
        .filter(|number| *number < 0)
    {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        errors.push(FieldError::invalid(
            field,
            number,
            "must be greater than or equal to 0",
        ));
    }
}

fn immutable(new: &Value, old: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    if at(new, pointer) != at(old, pointer) {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        errors.push(FieldError::invalid(
            field,
            at(new, pointer).cloned().unwrap_or(Value::Null),
            IMMUTABLE,
        ));
    }
}

/// What is wrong with a new object.
pub(super) fn create(api: &Api, group: &str, kind: &str, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    every_write(api, group, kind, object, &mut errors);
    errors
}

/// What is wrong with a changed object.
pub(super) fn update(
    api: &Api,
    group: &str,
    kind: &str,
    new: &Value,
    old: &Value,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (group, kind) {
        ("", "Secret") => {
            immutable(new, old, "/type", &mut errors);
            frozen(new, old, &["/data"], &mut errors);
        }
        ("", "ConfigMap") => frozen(new, old, &["/data", "/binaryData"], &mut errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => {
            immutable(new, old, "/spec/selector", &mut errors)
        }
        ("apps", "StatefulSet") => stateful_set(new, old, &mut errors),
        ("batch", "Job") => {
            immutable(new, old, "/spec/selector", &mut errors);
            immutable(new, old, "/spec/completionMode", &mut errors);
            if at(old, "/spec/suspend") != Some(&json!(true)) {
                immutable(new, old, "/spec/template", &mut errors);
            }
        }
        ("", "Pod") => pod(new, old, &mut errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if at(new, "/roleRef") != at(old, "/roleRef") =>
        {
            let held = |name: &str| text(new, &format!("/roleRef/{name}")).to_owned();
            let held =
                json!({"APIGroup": held("apiGroup"), "Kind": held("kind"), "Name": held("name")});
            errors.push(FieldError::invalid(
                "roleRef",
                held,
                "cannot change roleRef",
            ));
        }
        ("", "Service") => {
            let (held, wanted) = (text(old, "/spec/clusterIP"), text(new, "/spec/clusterIP"));
            let both = text(old, "/spec/type") != "ExternalName"
                && text(new, "/spec/type") != "ExternalName";
            if both && !held.is_empty() && held != wanted {
                errors.push(FieldError::invalid(
                    "spec.clusterIPs[0]",
                    json!([wanted]),
                    "may not change once set",
                ));
            }
        }
        ("storage.k8s.io", "StorageClass") => {
            for (pointer, what) in [
                ("/provisioner", "updates to provisioner are forbidden."),
                ("/parameters", "updates to parameters are forbidden."),
                ("/reclaimPolicy", "updates to reclaimPolicy are forbidden."),
            ] {
                if at(new, pointer) != at(old, pointer) {
                    errors.push(FieldError::forbidden(&pointer[1..], what));
                }
            }
        }
        ("scheduling.k8s.io", "PriorityClass") if at(new, "/value") != at(old, "/value") => {
            errors.push(FieldError::forbidden(
                "value",
                "may not be changed in an update.",
            ));
        }
        ("apps", "ControllerRevision") => immutable(new, old, "/data", &mut errors),
        ("node.k8s.io", "RuntimeClass") => immutable(new, old, "/handler", &mut errors),
        _ => {}
    }
    every_write(api, group, kind, new, &mut errors);
    errors
}

/// An object with `immutable: true` stays as it is.
fn frozen(new: &Value, old: &Value, members: &[&str], errors: &mut Vec<FieldError>) {
    if at(old, "/immutable") != Some(&json!(true)) {
        return;
    }
    if at(new, "/immutable") != Some(&json!(true)) {
        errors.push(FieldError::forbidden("immutable", IMMUTABLE_WHEN_SET));
    }
    for member in members {
        if at(new, member) != at(old, member) {
            errors.push(FieldError::forbidden(&member[1..], IMMUTABLE_WHEN_SET));
        }
    }
}

fn stateful_set(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    const OPEN: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let rest = |object: &Value| {
        let members = at(object, "/spec")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        members
            .filter(|(name, _)| !OPEN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    if rest(new) != rest(old) {
        errors.push(FieldError::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn pod(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    // What may change is made equal; the rest must be.
    let mut rest = new.get("spec").cloned().unwrap_or(Value::Null);
    let held = old.get("spec").cloned().unwrap_or(Value::Null);
    for list in ["containers", "initContainers"] {
        let before = held[list].as_array().cloned().unwrap_or_default();
        for (index, container) in rest
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .enumerate()
        {
            if let (Some(container), Some(image)) = (
                container.as_object_mut(),
                before.get(index).and_then(|before| before.get("image")),
            ) {
                container.insert("image".to_owned(), image.clone());
            }
        }
    }
    if let Some(rest) = rest.as_object_mut() {
        for member in [
            "activeDeadlineSeconds",
            "tolerations",
            "schedulingGates",
            "ephemeralContainers",
        ] {
            match held.get(member) {
                Some(value) => rest.insert(member.to_owned(), value.clone()),
                None => rest.remove(member),
            };
        }
    }
    if rest != held {
        errors.push(FieldError::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

fn every_write(api: &Api, group: &str, kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    match (group, kind) {
        ("", "ConfigMap") => config_map(object, errors),
        ("", "Secret") => secret(object, errors),
        ("", "Service") => service(api, object, errors),
        ("", "Pod") => pod_spec(object, "/spec", errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => {
            not_negative(object, "/spec/replicas", errors);
            workload(object, errors);
        }
        ("", "ReplicationController") => {
            not_negative(object, "/spec/replicas", errors);
            required(object, "/spec/selector", errors);
            pod_spec(object, "/spec/template/spec", errors);
        }
        ("batch", "Job") => {
            pod_spec(object, "/spec/template/spec", errors);
            job_restarts(object, "/spec/template/spec/restartPolicy", errors);
        }
        ("batch", "CronJob") => {
            required(object, "/spec/schedule", errors);
            pod_spec(object, "/spec/jobTemplate/spec/template/spec", errors);
            job_restarts(
                object,
                "/spec/jobTemplate/spec/template/spec/restartPolicy",
                errors,
            );
        }
        ("", "Event") => event(object, errors),
        ("", "PersistentVolumeClaim") => {
            if empty(object, "/spec/accessModes") {
                errors.push(FieldError::required(
                    "spec.accessModes",
                    "at least 1 access mode is required",
                ));
            }
            if at(object, "/spec/resources/requests/storage").is_none() {
                errors.push(FieldError::required("spec.resources[storage]", ""));
            }
        }
        ("", "PersistentVolume") => {
            if empty(object, "/spec/accessModes") {
                errors.push(FieldError::required("spec.accessModes", ""));
            }
            if empty(object, "/spec/capacity") {
                errors.push(FieldError::required("spec.capacity", ""));
            }
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => role(kind, object, errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            binding(kind, object, errors)
        }
        ("networking.k8s.io", "Ingress")
            if empty(object, "/spec/rules") && empty(object, "/spec/defaultBackend") =>
        {
            let detail = "either `defaultBackend` or `rules` must be specified";
            errors.push(FieldError::invalid(
                "spec",
                Value::Array(Vec::new()),
                detail,
            ));
        }
        ("storage.k8s.io", "StorageClass") => required(object, "/provisioner", errors),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object, errors),
        ("coordination.k8s.io", "Lease") => {
            if let Some(seconds) = at(object, "/spec/leaseDurationSeconds")
                .and_then(Value::as_i64)
                .filter(|seconds| *seconds <= 0)
            {
                errors.push(FieldError::invalid(
                    "spec.leaseDurationSeconds",
                    seconds,
                    "must be greater than 0",
                ));
            }
        }
        ("policy", "PodDisruptionBudget")
            if at(object, "/spec/minAvailable").is_some()
                && at(object, "/spec/maxUnavailable").is_some() =>
        {
            let detail = "minAvailable and maxUnavailable cannot be both set";
            errors.push(FieldError::invalid(
                "spec",
                at(object, "/spec").cloned().unwrap_or(Value::Null),
                detail,
            ));
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            let name = object::meta(object, "name");
            if name.starts_with("system-")
                && !matches!(name, "system-node-critical" | "system-cluster-critical")
            {
                let detail = "priority class names with 'system-' prefix are reserved for system use only. error: only the following names are allowed: system-node-critical, system-cluster-critical";
                errors.push(FieldError::forbidden("metadata.name", detail));
            }
        }
        _ => {}
    }
}

/// A key of a ConfigMap or Secret, which is a file name too.
fn data_key(key: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if key.len() > 253 {
        problems.push("must be no more than 253 bytes".to_owned());
    }
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(plain) {
        problems.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    if key == "." || key == ".." {
        problems.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        problems.push("must not start with '..'".to_owned());
    }
    problems
}

fn data_keys(object: &Value, member: &str, errors: &mut Vec<FieldError>) {
    for key in at(object, &format!("/{member}"))
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|data| data.keys())
    {
        errors.extend(
            data_key(key).into_iter().map(|problem| {
                FieldError::invalid(format!("{member}[{key}]"), key.as_str(), problem)
            }),
        );
    }
}

/// The most that a ConfigMap or Secret holds (kubernetes `MaxSecretSize`).
const MOST_DATA: usize = 1024 * 1024;

fn config_map(object: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for member in ["data", "binaryData"] {
        data_keys(object, member, errors);
        let values = at(object, &format!("/{member}"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        size += values
            .map(|(_, value)| value.as_str().map_or(0, str::len))
            .sum::<usize>();
    }
    for key in at(object, "/data")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|data| data.keys())
    {
        if at(object, "/binaryData").is_some_and(|binary| binary.get(key).is_some()) {
            let detail = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(
                format!("data[{key}]"),
                key.as_str(),
                detail,
            ));
        }
    }
    if size > MOST_DATA {
        // Go prints a path without a name so.
        errors.push(FieldError::too_long("[]", MOST_DATA));
    }
}

fn secret(object: &Value, errors: &mut Vec<FieldError>) {
    data_keys(object, "data", errors);
    let mut size = 0;
    for (key, value) in at(object, "/data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match value
            .as_str()
            .map(|text| base64::engine::general_purpose::STANDARD.decode(text))
        {
            Some(Ok(bytes)) => size += bytes.len(),
            Some(Err(_)) | None => {
                errors.push(FieldError::invalid(
                    format!("data[{key}]"),
                    "<secret contents redacted>",
                    "illegal base64 data",
                ));
            }
        }
    }
    if size > MOST_DATA {
        errors.push(FieldError::too_long("data", MOST_DATA));
    }
    let needed: &[&str] = match text(object, "/type") {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/service-account-token" => {
            let account = at(object, "/metadata/annotations")
                .and_then(|annotations| annotations["kubernetes.io/service-account.name"].as_str());
            if account.is_none_or(str::is_empty) {
                errors.push(FieldError::required(
                    "metadata.annotations[kubernetes.io/service-account.name]",
                    "",
                ));
            }
            &[]
        }
        _ => &[],
    };
    for key in needed {
        if at(object, "/data").and_then(|data| data.get(key)).is_none() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    }
}

fn service(api: &Api, object: &Value, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let kind = text(object, "/spec/type");
    let headless = text(object, "/spec/clusterIP") == "None";
    if !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported("spec.type", kind, TYPES));
    }
    let ports = at(object, "/spec/ports")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if kind == "ExternalName" {
        required(object, "/spec/externalName", errors);
    }
    for (index, port) in ports.iter().enumerate() {
        let field = |member: &str| format!("spec.ports[{index}].{member}");
        let number = port["port"].as_i64().unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            errors.push(FieldError::invalid(
                field("port"),
                number,
                "must be between 1 and 65535, inclusive",
            ));
        }
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(field("name"), ""));
        }
        if !name.is_empty() {
            let problems = object::name_problems(NameRule::Label, name);
            errors.extend(
                problems
                    .into_iter()
                    .map(|problem| FieldError::invalid(field("name"), name, problem)),
            );
            if ports[..index]
                .iter()
                .any(|before| before["name"] == port["name"])
            {
                errors.push(FieldError::duplicate(field("name"), name));
            }
        }
        let protocol = port["protocol"].as_str().unwrap_or_default();
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            errors.push(FieldError::not_supported(
                field("protocol"),
                protocol,
                ["SCTP", "TCP", "UDP"],
            ));
        }
    }
    services::validate(api, object, errors);
}

fn pod_spec(object: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    let field = |rest: &str| {
        format!(
            "{}.{rest}",
            pointer.trim_start_matches('/').replace('/', ".")
        )
    };
    let containers = at(object, &format!("{pointer}/containers"))
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if containers.is_empty() {
        errors.push(FieldError::required(field("containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let name = container["name"].as_str().unwrap_or_default();
        let at = |member: &str| field(&format!("containers[{index}].{member}"));
        if name.is_empty() {
            errors.push(FieldError::required(at("name"), ""));
        } else {
            let problems = object::name_problems(NameRule::Label, name);
            errors.extend(
                problems
                    .into_iter()
                    .map(|problem| FieldError::invalid(at("name"), name, problem)),
            );
            if names.contains(&name) {
                errors.push(FieldError::duplicate(at("name"), name));
            }
        }
        names.push(name);
        if container["image"].as_str().unwrap_or_default().is_empty() {
            errors.push(FieldError::required(at("image"), ""));
        }
    }
    let policy = text(object, &format!("{pointer}/restartPolicy"));
    if !matches!(policy, "" | "Always" | "OnFailure" | "Never") {
        errors.push(FieldError::not_supported(
            field("restartPolicy"),
            policy,
            ["Always", "OnFailure", "Never"],
        ));
    }
}

fn job_restarts(object: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    let policy = text(object, pointer);
    if !matches!(policy, "OnFailure" | "Never") {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        if policy == "Always" {
            errors.push(FieldError::required(
                field,
                "valid values: \"OnFailure\", \"Never\"",
            ));
        } else {
            errors.push(FieldError::not_supported(
                field,
                policy,
                ["OnFailure", "Never"],
            ));
        }
    }
}

fn workload(object: &Value, errors: &mut Vec<FieldError>) {
    let selector = at(object, "/spec/selector");
    let labels = at(object, "/spec/template/metadata/labels")
        .cloned()
        .unwrap_or_else(|| json!({}));
    match selector {
        None => errors.push(FieldError::required("spec.selector", "")),
        Some(selector) => {
            let nothing = selector.as_object().is_none_or(serde_json::Map::is_empty);
            if nothing {
                let detail = "empty selector is invalid for deployment";
                errors.push(FieldError::invalid(
                    "spec.selector",
                    selector.clone(),
                    detail,
                ));
            } else if !selects(selector, &labels) {
                let detail = "`selector` does not match template `labels`";
                errors.push(FieldError::invalid(
                    "spec.template.metadata.labels",
                    labels,
                    detail,
                ));
            }
        }
    }
    let policy = text(object, "/spec/template/spec/restartPolicy");
    if !policy.is_empty() && policy != "Always" {
        errors.push(FieldError::not_supported(
            "spec.template.spec.restartPolicy",
            policy,
            ["Always"],
        ));
    }
    pod_spec(object, "/spec/template/spec", errors);
}

fn event(object: &Value, errors: &mut Vec<FieldError>) {
    let namespace = object::meta(object, "namespace");
    let involved = text(object, "/involvedObject/namespace");
    let fits = if involved.is_empty() {
        namespace == "default" || namespace.is_empty()
    } else {
        involved == namespace
    };
    if !fits {
        let detail = "does not match event.namespace";
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            involved,
            detail,
        ));
    }
}

fn role(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    for (index, rule) in at(object, "/rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = |member: &str| format!("rules[{index}].{member}");
        let none = |member: &str| rule[member].as_array().is_none_or(Vec::is_empty);
        if none("verbs") {
            errors.push(FieldError::required(
                field("verbs"),
                "verbs must contain at least one value",
            ));
        }
        if none("nonResourceURLs") {
            if none("apiGroups") {
                errors.push(FieldError::required(
                    field("apiGroups"),
                    "resource rules must supply at least one api group",
                ));
            }
            if none("resources") {
                errors.push(FieldError::required(
                    field("resources"),
                    "resource rules must supply at least one resource",
                ));
            }
        } else {
            let urls = rule["nonResourceURLs"].clone();
            if kind == "Role" {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                errors.push(FieldError::invalid(field("nonResourceURLs"), urls, detail));
            } else if !none("apiGroups") || !none("resources") || !none("resourceNames") {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                errors.push(FieldError::invalid(field("nonResourceURLs"), urls, detail));
            }
        }
    }
}

fn binding(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    let role = text(object, "/roleRef/kind");
    let allowed: &[&str] = if kind == "RoleBinding" {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !allowed.contains(&role) {
        errors.push(FieldError::not_supported("roleRef.kind", role, allowed));
    }
    required(object, "/roleRef/name", errors);
    for (index, subject) in at(object, "/subjects")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = |member: &str| format!("subjects[{index}].{member}");
        let part = |member: &str| subject[member].as_str().unwrap_or_default();
        if part("name").is_empty() {
            errors.push(FieldError::required(field("name"), ""));
        }
        match part("kind") {
            "ServiceAccount" => {
                if part("namespace").is_empty() && kind == "ClusterRoleBinding" {
                    errors.push(FieldError::required(field("namespace"), ""));
                }
            }
            "User" | "Group" => {
                if part("apiGroup") != "rbac.authorization.k8s.io" {
                    errors.push(FieldError::not_supported(
                        field("apiGroup"),
                        part("apiGroup"),
                        ["rbac.authorization.k8s.io"],
                    ));
                }
            }
            other => errors.push(FieldError::not_supported(
                field("kind"),
                other,
                ["Group", "ServiceAccount", "User"],
            )),
        }
    }
}

fn autoscaler(object: &Value, errors: &mut Vec<FieldError>) {
    let most = at(object, "/spec/maxReplicas")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let least = at(object, "/spec/minReplicas")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    if least < 1 {
        errors.push(FieldError::invalid(
            "spec.minReplicas",
            least,
            "must be greater than or equal to 1",
        ));
    }
    if most < 1 {
        errors.push(FieldError::invalid(
            "spec.maxReplicas",
            most,
            "must be greater than 0",
        ));
    }
    if most < least {
        let detail = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid("spec.maxReplicas", most, detail));
    }
    required(object, "/spec/scaleTargetRef/kind", errors);
    required(object, "/spec/scaleTargetRef/name", errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(check: impl FnOnce(&mut Vec<FieldError>)) -> Vec<String> {
        let mut errors = Vec::new();
        check(&mut errors);
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn secrets_need_the_keys_of_their_type() {
        let secret = json!({"type": "kubernetes.io/tls", "data": {"tls.crt": "YQ==", "a/b": "!"}});
        assert_eq!(
            fields(|errors| super::secret(&secret, errors)),
            ["data[a/b]", "data[a/b]", "data[tls.key]"]
        );
    }

    #[test]
    fn a_workload_must_select_its_own_pods() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let object = |labels: Value| json!({"spec": {"selector": {"matchLabels": labels}, "template": template}});
        assert!(fields(|errors| workload(&object(json!({"a": "b"})), errors)).is_empty());
        assert_eq!(
            fields(|errors| workload(&object(json!({"a": "c"})), errors)),
            ["spec.template.metadata.labels"]
        );
    }

    #[test]
    fn frozen_objects_stay() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let new = json!({"immutable": true, "data": {"a": "2"}});
        assert_eq!(
            fields(|errors| frozen(&new, &old, &["/data"], errors)),
            ["data"]
        );
        assert!(fields(|errors| frozen(&old, &old, &["/data"], errors)).is_empty());
    }
}
