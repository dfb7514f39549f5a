//! Containers of a pod: the peer's flat words for probes, hooks and security, and the state of each.

mod ports;

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use ports::{ports_shown, ports_stored};

use crate::paths::{at, copy, put};

/// Fields with the same name on both sides.
const SAME: [&str; 15] = [
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "name",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "workingDir",
];
const ELSEWHERE: [(&str, &str); 17] = [
    ("entrypoint", "command"),
    ("command", "args"),
    ("volumeDevices", "volumeDevices"),
    ("volumeMounts", "volumeMounts"),
    ("stopSignal", "lifecycle/stopSignal"),
    (
        "allowPrivilegeEscalation",
        "securityContext/allowPrivilegeEscalation",
    ),
    ("appArmorProfile", "securityContext/appArmorProfile"),
    ("capAdd", "securityContext/capabilities/add"),
    ("capDrop", "securityContext/capabilities/drop"),
    ("privileged", "securityContext/privileged"),
    ("procMount", "securityContext/procMount"),
    ("readOnly", "securityContext/readOnlyRootFilesystem"),
    ("runAsGroup", "securityContext/runAsGroup"),
    ("runAsNonRoot", "securityContext/runAsNonRoot"),
    ("uid", "securityContext/runAsUser"),
    ("seccompProfile", "securityContext/seccompProfile"),
    ("windowsOptions", "securityContext/windowsOptions"),
];
/// What looks at a container, and what it does when it begins and ends; flat on our side.
const HANDLERS: [(&str, &str); 5] = [
    ("livenessProbe", "livenessProbe"),
    ("readinessProbe", "readinessProbe"),
    ("startupProbe", "startupProbe"),
    ("postStart", "lifecycle/postStart"),
    ("preStop", "lifecycle/preStop"),
];
/// What is asked over HTTP.
const HTTP: [&str; 5] = ["host", "httpHeaders", "path", "port", "scheme"];

/// The field `containers`: those that run, then those that prepare.
pub(super) fn show_all(spec: &Value, ports: Option<&Value>, status: Option<&Value>) -> Value {
    let mut shown = Vec::new();
    let list = |name: &str| spec[name].as_array().into_iter().flatten();
    for (index, container) in list("containers").enumerate() {
        let known = ports.and_then(|ports| ports.get(index));
        shown.push(show(container, false, known, status));
    }
    for container in list("initContainers") {
        shown.push(show(container, true, None, status));
    }
    Value::Array(shown)
}

fn show(container: &Value, prepares: bool, known: Option<&Value>, status: Option<&Value>) -> Value {
    let mut view = json!({ "initContainer": prepares });
    for name in SAME {
        copy(container, name, &mut view, name);
    }
    for (field, place) in ELSEWHERE {
        copy(container, place, &mut view, field);
    }
    for (field, place) in HANDLERS {
        if let Some(handler) = at(container, place).filter(|handler| handler.is_object()) {
            put(&mut view, field, flat(handler));
        }
    }
    let ports = container["ports"].as_array();
    if ports.is_some() || known.is_some() {
        view["ports"] = ports_shown(ports.map_or(&[], Vec::as_slice), known);
    }
    let told = ["containerStatuses", "initContainerStatuses"]
        .iter()
        .filter_map(|list| status?.get(list)?.as_array())
        .flatten()
        .find(|told| told["name"] == container["name"]);
    if let Some(told) = told {
        state(told, &mut view);
    }
    view
}

fn flat(handler: &Value) -> Value {
    let mut flat = handler.clone();
    for name in ["httpGet", "tcpSocket", "exec"] {
        put(&mut flat, name, Value::Null);
    }
    for name in HTTP {
        copy(&handler["httpGet"], name, &mut flat, name);
    }
    if handler["tcpSocket"].is_object() {
        flat["tcp"] = json!(true);
        for name in ["host", "port"] {
            copy(&handler["tcpSocket"], name, &mut flat, name);
        }
    }
    copy(&handler["exec"], "command", &mut flat, "command");
    flat
}

fn nested(flat: &Value) -> Value {
    let mut handler = flat.clone();
    for name in HTTP.iter().chain(&["tcp", "command"]) {
        put(&mut handler, name, Value::Null);
    }
    let port = match flat.get("port") {
        // Both forms are sent; Kubernetes keeps numbers as numbers.
        Some(Value::String(text)) => text.parse::<i64>().map_or(json!(text), |port| json!(port)),
        Some(port) => port.clone(),
        None => Value::Null,
    };
    if let Some(command) = flat["command"].as_array().filter(|list| !list.is_empty()) {
        handler["exec"] = json!({ "command": command });
    } else if flat["tcp"] == true {
        copy(flat, "host", &mut handler, "tcpSocket/host");
        put(&mut handler, "tcpSocket/port", port);
    } else if !port.is_null() {
        for name in HTTP {
            copy(flat, name, &mut handler, &format!("httpGet/{name}"));
        }
        put(&mut handler, "httpGet/port", port);
    }
    handler
}

/// What the cluster tells about a container.
fn state(told: &Value, view: &mut Value) {
    copy(told, "restartCount", view, "restartCount");
    view["exitCode"] = Value::Null;
    let Some((state, facts)) = told["state"]
        .as_object()
        .and_then(|state| state.iter().next())
    else {
        return;
    };
    view["state"] = json!(state);
    let message = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
    let reason = message("reason");
    let progress = match state.as_str() {
        "waiting"
            if ["CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff"]
                .contains(&reason.as_str()) =>
        {
            "error"
        }
        "waiting" => "yes",
        "terminated" if facts["exitCode"] != 0 => "error",
        _ => "no",
    };
    view["transitioning"] = json!(progress);
    let text = [reason, message("message")];
    let text: Vec<&str> = text
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    view["transitioningMessage"] = json!(text.join(": "));
    copy(facts, "exitCode", view, "exitCode");
}

/// The field `status` of a pod, with the peer's names for addresses.
pub(super) fn status(pod: &Value) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
    for (ours, theirs) in [("podIp", "podIP"), ("nodeIp", "hostIP")] {
        let Some(address) = status.get(theirs).cloned() else {
            continue;
        };
        status[ours] = address;
    }
    status
}

/// Writes `containers` into a pod's specification; gives what Kubernetes cannot keep of their ports, as JSON, if there is
/// such: for new containers, for those that have it already (`told`), and for ports that say how they are reached.
///
/// # Errors
/// 422 for ports that are none and sources of variables that are unknown.
pub(super) fn store_all(
    view: &Value,
    spec: &mut Value,
    name: &str,
    told: bool,
) -> Result<Option<String>, ApiError> {
    let Some(sent) = view["containers"].as_array() else {
        return Ok(None);
    };
    let before = spec.clone();
    let (mut running, mut preparing, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    for container in sent {
        let prepares = container["initContainer"] == true;
        let list = if prepares {
            "initContainers"
        } else {
            "containers"
        };
        let mut old = before[list].as_array().into_iter().flatten();
        let mut stored = old
            .find(|old| old["name"] == container["name"])
            .cloned()
            .unwrap_or_else(|| json!({}));
        store(container, &mut stored)?;
        let known = ports_stored(container, &mut stored, name)?;
        if prepares {
            preparing.push(stored);
        } else {
            ports.push(known);
            running.push(stored);
        }
    }
    spec["containers"] = json!(running);
    let preparing = if preparing.is_empty() {
        Value::Null
    } else {
        json!(preparing)
    };
    put(spec, "initContainers", preparing);
    let says = |port: &Value| port["kind"].as_str().is_some_and(|kind| !kind.is_empty());
    let needed = told || before["containers"].is_null() || ports.iter().flatten().any(says);
    Ok(needed.then(|| json!(ports).to_string()))
}

fn store(view: &Value, container: &mut Value) -> Result<(), ApiError> {
    for name in SAME {
        put(container, name, view.get(name).cloned().unwrap_or_default());
    }
    for (field, place) in ELSEWHERE {
        put(
            container,
            place,
            view.get(field).cloned().unwrap_or_default(),
        );
    }
    for (field, place) in HANDLERS {
        let handler = view.get(field).filter(|handler| handler.is_object());
        put(container, place, handler.map(nested).unwrap_or_default());
    }
    for place in [
        "securityContext/capabilities",
        "securityContext",
        "lifecycle",
    ] {
        if at(container, place)
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty)
        {
            put(container, place, Value::Null);
        }
    }
    variables(view, container)
}

/// The older fields for variables, `environment` and `environmentFrom`, beside `env` and `envFrom`.
fn variables(view: &Value, container: &mut Value) -> Result<(), ApiError> {
    let list =
        |container: &Value, name: &str| container[name].as_array().cloned().unwrap_or_default();
    let (mut env, mut from) = (list(container, "env"), list(container, "envFrom"));
    for (name, value) in view["environment"].as_object().into_iter().flatten() {
        env.push(json!({"name": name, "value": value}));
    }
    for entry in view["environmentFrom"].as_array().into_iter().flatten() {
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let (source, key, target) = (text("sourceName"), text("sourceKey"), text("targetKey"));
        let reference =
            || json!({"name": source, "key": key, "optional": entry["optional"] == true});
        let taken = match text("source") {
            "field" => json!({"fieldRef": {"fieldPath": source}}),
            "resource" => json!({"resourceFieldRef": {"containerName": source, "resource": key}}),
            "configMap" if key.is_empty() => {
                from.push(json!({"prefix": text("prefix"), "configMapRef": {"name": source}}));
                continue;
            }
            "secret" if key.is_empty() => {
                from.push(json!({"prefix": text("prefix"), "secretRef": {"name": source}}));
                continue;
            }
            "configMap" => json!({ "configMapKeyRef": reference() }),
            "secret" => json!({ "secretKeyRef": reference() }),
            other => {
                let message = format!("{other:?} is no source of variables");
                return Err(
                    ApiError::invalid("InvalidOption", message).with_field("environmentFrom")
                );
            }
        };
        let name = if target.is_empty() { key } else { target };
        env.push(json!({"name": name, "valueFrom": taken}));
    }
    for (name, list) in [("env", env), ("envFrom", from)] {
        let list = if list.is_empty() {
            Value::Null
        } else {
            json!(list)
        };
        put(container, name, list);
    }
    Ok(())
}
