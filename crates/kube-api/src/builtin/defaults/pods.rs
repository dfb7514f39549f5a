//! Defaults of pods and of templates of pods.

use serde_json::{Value, json};

use super::{Members, each, set, set_missing, set_number, with, within};
use crate::admission::limits::of_containers;

pub(super) fn pod_template(template: &mut Members) {
    with(template, "spec", pod_spec);
}

/// What holds for pods and for templates of pods.
pub(super) fn pod_spec(spec: &mut Members) {
    // The older name of the same member is always written too.
    if let Some(account) = spec
        .get("serviceAccountName")
        .or_else(|| spec.get("serviceAccount"))
        .cloned()
    {
        for name in ["serviceAccountName", "serviceAccount"] {
            spec.insert(name.to_owned(), account.clone());
        }
    }
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "schedulerName", json!("default-scheduler"));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
}

/// What holds for pods only.
pub(super) fn pod(spec: &mut Members) {
    set(spec, "enableServiceLinks", json!(true));
    for list in ["containers", "initContainers"] {
        each(spec, list, |container| {
            with(container, "resources", |resources| {
                let limits = resources
                    .get("limits")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                if limits.is_empty() {
                    return;
                }
                within(resources, "requests", |requests| {
                    for (resource, limit) in limits {
                        requests.entry(resource).or_insert(limit);
                    }
                });
            });
        });
    }
    whole(spec);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            each(spec, list, |container| {
                each(container, "ports", |port| {
                    if let Some(number) = port.get("containerPort").and_then(Value::as_i64) {
                        set_number(port, "hostPort", number);
                    }
                });
            });
        }
    }
}

/// What a pod says as a whole, where it says a part only: huge pages are those of its containers, requests those of its
/// containers or else its limits.
fn whole(spec: &mut Members) {
    let [requests, limits] = ["requests", "limits"].map(|member| of_containers(spec, member));
    with(spec, "resources", |resources| {
        let stated = |resources: &Members, member: &str| {
            let stated = resources.get(member).and_then(Value::as_object);
            stated.cloned().unwrap_or_default()
        };
        let asked = stated(resources, "requests");
        if asked.is_empty() && stated(resources, "limits").is_empty() {
            return;
        }
        let huge = |name: &str| name.starts_with("hugepages-");
        let overcommitted = |name: &str| matches!(name, "cpu" | "memory");
        let pages = limits
            .into_iter()
            .filter(|(name, _)| huge(name) && !asked.contains_key(name))
            .map(|(name, amount)| (name, json!(amount.to_string())));
        fill(resources, "limits", pages.collect());
        let most = stated(resources, "limits");
        if most.is_empty() {
            return;
        }
        let used = requests
            .into_iter()
            .filter(|(name, _)| overcommitted(name))
            .map(|(name, amount)| (name, json!(amount.to_string())));
        fill(resources, "requests", used.collect());
        let rest = most
            .into_iter()
            .filter(|(name, _)| overcommitted(name) || huge(name));
        fill(resources, "requests", rest.collect());
    });
}

/// Adds what a list of amounts lacks.
fn fill(resources: &mut Members, member: &str, amounts: Vec<(String, Value)>) {
    if amounts.is_empty() {
        return;
    }
    within(resources, member, |held| {
        for (name, amount) in amounts {
            held.entry(name).or_insert(amount);
        }
    });
}

/// `Always` for an image without a tag or with the tag `latest`.
fn pull_policy(image: Option<&Value>) -> Value {
    let image = image.and_then(Value::as_str).unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or(image);
    let latest =
        !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    json!(if latest { "Always" } else { "IfNotPresent" })
}

fn container(container: &mut Members) {
    let policy = pull_policy(container.get("image"));
    set(container, "imagePullPolicy", policy);
    set(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set(container, "terminationMessagePolicy", json!("File"));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(container, probe, |probe| {
            set_number(probe, "timeoutSeconds", 1);
            set_number(probe, "periodSeconds", 10);
            set_number(probe, "successThreshold", 1);
            set_number(probe, "failureThreshold", 3);
            with(probe, "httpGet", http_get);
            with(probe, "grpc", |grpc| {
                set_missing(grpc, "service", json!(""))
            });
        });
    }
    with(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            with(lifecycle, hook, |hook| with(hook, "httpGet", http_get));
        }
    });
    each(container, "env", |variable| {
        with(variable, "valueFrom", |source| {
            with(source, "fieldRef", |field| {
                set(field, "apiVersion", json!("v1"))
            })
        });
    });
}

fn http_get(get: &mut Members) {
    set(get, "path", json!("/"));
    set(get, "scheme", json!("HTTP"));
}

fn volume(volume: &mut Members) {
    if volume.keys().all(|name| name == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        with(volume, source, |source| {
            set_missing(source, "defaultMode", json!(0o644))
        });
    }
    with(volume, "downwardAPI", downward_items);
    with(volume, "hostPath", |path| {
        set_missing(path, "type", json!(""))
    });
    with(volume, "projected", |projected| {
        each(projected, "sources", |source| {
            with(source, "serviceAccountToken", |token| {
                set_missing(token, "expirationSeconds", json!(3600))
            });
            with(source, "downwardAPI", downward_items);
        });
    });
    with(volume, "iscsi", |iscsi| {
        set(iscsi, "iscsiInterface", json!("default"))
    });
    with(volume, "ephemeral", |ephemeral| {
        with(ephemeral, "volumeClaimTemplate", |template| {
            with(template, "spec", |spec| {
                set(spec, "volumeMode", json!("Filesystem"))
            });
        });
    });
    with(volume, "image", |image| {
        let policy = pull_policy(image.get("reference"));
        set(image, "pullPolicy", policy);
    });
}

fn downward_items(source: &mut Members) {
    each(source, "items", |item| {
        with(item, "fieldRef", |field| {
            set(field, "apiVersion", json!("v1"))
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policies_follow_the_tag() {
        for (image, expected) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(Some(&json!(image))), json!(expected), "{image}");
        }
    }
}
