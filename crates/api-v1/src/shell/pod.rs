//! The pod of a shell and the Secret with its kubeconfig.
//!
//! Pure. The pod may do nothing in its cluster by itself: it has no account, and what its kubeconfig allows is what its
//! user may do. It fits the strictest of the Pod Security Standards.

use std::collections::BTreeMap;

use drover_types::names::{
    AGENT_REGISTRY_VARIABLE, CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN, SYSTEM_NAMESPACE,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, LocalObjectReference, Pod,
    PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, Secret, SecretVolumeSource,
    SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Label of the pods of shells.
pub(super) const LABEL: &str = "drover.dev/shell";
/// The container that terminals are in.
pub(super) const CONTAINER: &str = "shell";
/// Longest life of a shell, whatever becomes of the hub, in seconds.
pub(super) const DEADLINE: i64 = 8 * 3600;
/// The user of the image; any image's, so that none runs as root.
const USER: i64 = 1000;
const HOME: &str = "/home/user";
const GIVEN: &str = "/run/drover";
const KUBECONFIG: &str = "kubeconfig";

/// What is run in the container for a terminal.
const ENTER: &str = include_str!("enter.sh");

/// The command of a terminal.
pub(super) const COMMAND: [&str; 3] = ["sh", "-c", ENTER];

/// Where the pod can run, as the cluster's agent does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Site {
    /// The registry put in front of images.
    pub(super) registry: Option<String>,
    pull_secrets: Vec<LocalObjectReference>,
    tolerations: Vec<Toleration>,
}

impl Site {
    /// As the agent's Deployment says.
    pub(super) fn of(agent: &Deployment) -> Self {
        let pod = agent.spec.template.spec.as_ref();
        let registry = pod
            .iter()
            .flat_map(|pod| &pod.containers)
            .flat_map(|container| container.env.iter().flatten())
            .find(|variable| variable.name == AGENT_REGISTRY_VARIABLE)
            .and_then(|variable| variable.value.clone());
        let of = |pod: &PodSpec| (pod.image_pull_secrets.clone(), pod.tolerations.clone());
        let (pull_secrets, tolerations) = pod.map(of).unwrap_or_default();
        Self {
            registry,
            pull_secrets: pull_secrets.unwrap_or_default(),
            tolerations: tolerations.unwrap_or_default(),
        }
    }
}

/// The pod `name`, which mounts the Secret of the same name.
pub(super) fn pod(name: &str, user: &str, image: &str, site: Site) -> Pod {
    let mut metadata = metadata(name);
    metadata
        .labels
        .get_or_insert_default()
        .insert(LABEL.to_owned(), "true".to_owned());
    metadata.annotations = Some([(CREATOR_ANNOTATION.to_owned(), user.to_owned())].into());
    let folder = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity("256Mi".to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    };
    let kubeconfig = Volume {
        name: KUBECONFIG.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.to_owned()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    Pod {
        metadata,
        spec: Some(PodSpec {
            containers: vec![container(image)],
            restart_policy: Some("Never".to_owned()),
            active_deadline_seconds: Some(DEADLINE),
            // Nothing is to be saved when it goes.
            termination_grace_period_seconds: Some(1),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            node_selector: Some([("kubernetes.io/os".to_owned(), "linux".to_owned())].into()),
            tolerations: Some(site.tolerations),
            image_pull_secrets: Some(site.pull_secrets),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            volumes: Some(vec![kubeconfig, folder("home"), folder("tmp")]),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

fn container(image: &str) -> Container {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    };
    let variable = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    };
    let amounts = |cpu: &str, memory: &str| -> BTreeMap<String, Quantity> {
        [("cpu", cpu), ("memory", memory)]
            .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
            .into()
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec!["sleep".to_owned(), DEADLINE.to_string()]),
        working_dir: Some(HOME.to_owned()),
        env: Some(vec![
            variable("HOME", HOME.to_owned()),
            variable("KUBECONFIG", format!("{HOME}/.kube/config")),
        ]),
        resources: Some(ResourceRequirements {
            requests: Some(amounts("10m", "32Mi")),
            limits: Some(amounts("1", "512Mi")),
            ..ResourceRequirements::default()
        }),
        volume_mounts: Some(vec![
            VolumeMount {
                read_only: Some(true),
                ..mount(KUBECONFIG, GIVEN)
            },
            mount("home", HOME),
            mount("tmp", "/tmp"),
        ]),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// The Secret of the pod; it goes with the pod.
pub(super) fn secret(name: &str, pod_uid: &str, kubeconfig: String) -> Secret {
    let mut metadata = metadata(name);
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: name.to_owned(),
        uid: pod_uid.to_owned(),
        ..OwnerReference::default()
    }]);
    Secret {
        metadata,
        immutable: Some(true),
        string_data: Some([(KUBECONFIG.to_owned(), kubeconfig)].into()),
        ..Secret::default()
    }
}

fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(SYSTEM_NAMESPACE.to_owned()),
        labels: Some([(CREATOR_LABEL.to_owned(), CREATOR_NORMAN.to_owned())].into()),
        ..ObjectMeta::default()
    }
}

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// What it waits for.
    Waiting(String),
    /// Commands can be run in it.
    Running,
    /// It will not run, and why.
    Failed(String),
}

/// Reasons of a waiting container that do not pass by themselves. The kubelet tries a pull once more before it backs off.
const HOPELESS: [&str; 7] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ImageInspectError",
];

/// Reads how far a pod is from its status.
pub(super) fn progress(pod: &Pod) -> Progress {
    let Some(status) = &pod.status else {
        return Progress::Waiting("the pod is about to be scheduled".to_owned());
    };
    if pod.metadata.deletion_timestamp.is_some() {
        return Progress::Failed("the pod is being deleted".to_owned());
    }
    let phase = status.phase.as_deref().unwrap_or_default();
    let state = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == CONTAINER)
        .and_then(|container| container.state.as_ref());
    if matches!(phase, "Failed" | "Succeeded") {
        let ended = state.and_then(|state| state.terminated.as_ref());
        let why = told(status.reason.as_deref(), status.message.as_deref()).or_else(|| {
            ended.and_then(|ended| told(ended.reason.as_deref(), ended.message.as_deref()))
        });
        return Progress::Failed(why.unwrap_or_else(|| "the pod has ended".to_owned()));
    }
    if state.is_some_and(|state| state.running.is_some()) {
        return Progress::Running;
    }
    if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
        let reason = waiting.reason.as_deref();
        let why = told(reason, waiting.message.as_deref());
        return if reason.is_some_and(|reason| HOPELESS.contains(&reason)) {
            Progress::Failed(why.unwrap_or_default())
        } else {
            Progress::Waiting(why.unwrap_or_else(|| "the container is being made".to_owned()))
        };
    }
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let why = unscheduled
        .and_then(|condition| told(condition.reason.as_deref(), condition.message.as_deref()));
    Progress::Waiting(why.unwrap_or_else(|| "the pod is being prepared".to_owned()))
}

fn told(reason: Option<&str>, message: Option<&str>) -> Option<String> {
    let parts: Vec<&str> = [reason, message]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_pod_may_do_nothing_by_itself() {
        let made =
            serde_json::to_value(pod("dashboard-shell-x", "u-1", "image:1", Site::default()))
                .unwrap();
        let spec = &made["spec"];
        let container = &spec["containers"][0];
        for (found, expected) in [
            (&spec["automountServiceAccountToken"], json!(false)),
            (&spec["serviceAccountName"], Value::Null),
            (&spec["hostNetwork"], Value::Null),
            (&spec["restartPolicy"], json!("Never")),
            (&spec["activeDeadlineSeconds"], json!(DEADLINE)),
            (&spec["securityContext"]["runAsNonRoot"], json!(true)),
            (
                &spec["securityContext"]["seccompProfile"]["type"],
                json!("RuntimeDefault"),
            ),
            (
                &container["securityContext"]["allowPrivilegeEscalation"],
                json!(false),
            ),
            (
                &container["securityContext"]["readOnlyRootFilesystem"],
                json!(true),
            ),
            (
                &container["securityContext"]["capabilities"],
                json!({"drop": ["ALL"]}),
            ),
            (
                &container["resources"]["limits"],
                json!({"cpu": "1", "memory": "512Mi"}),
            ),
        ] {
            assert_eq!(*found, expected, "{made}");
        }
        let kinds: Vec<&str> = spec["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|volume| volume.as_object().unwrap().keys())
            .map(String::as_str)
            .filter(|key| *key != "name")
            .collect();
        assert_eq!(kinds, ["secret", "emptyDir", "emptyDir"]);
    }

    #[test]
    fn the_pod_goes_where_the_agent_is() {
        let agent = serde_json::from_value(json!({"spec": {"selector": {}, "template": {"spec": {
            "containers": [{"name": "a", "env": [{"name": "CATTLE_SYSTEM_DEFAULT_REGISTRY", "value": "r.example"}]}],
            "imagePullSecrets": [{"name": "pull"}], "tolerations": [{"key": "k", "operator": "Exists"}],
        }}}}))
        .unwrap();
        let site = Site::of(&agent);
        assert_eq!(site.registry.as_deref(), Some("r.example"));
        let spec = pod("n", "u", "i", site).spec.unwrap();
        assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");
        assert_eq!(spec.tolerations.unwrap()[0].key.as_deref(), Some("k"));
        assert_eq!(Site::of(&Deployment::default()), Site::default());
    }

    #[test]
    fn progress_is_told_from_the_status() {
        let check = |status: Value, expected: Progress| {
            let pod: Pod = serde_json::from_value(json!({"status": status})).unwrap();
            assert_eq!(progress(&pod), expected, "{status}");
        };
        let container = |state: Value| {
            json!({"phase": "Pending", "containerStatuses": [{
                "name": "shell", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state,
            }]})
        };
        let waiting = |text: &str| Progress::Waiting(text.to_owned());
        let failed = |text: &str| Progress::Failed(text.to_owned());
        check(
            json!({"phase": "Pending"}),
            waiting("the pod is being prepared"),
        );
        check(
            json!({"phase": "Pending", "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
            }]}),
            waiting("Unschedulable: 0/3 nodes are available"),
        );
        check(
            container(json!({"waiting": {"reason": "ContainerCreating"}})),
            waiting("ContainerCreating"),
        );
        check(
            container(json!({"waiting": {"reason": "ErrImagePull", "message": "no route"}})),
            waiting("ErrImagePull: no route"),
        );
        check(
            container(json!({"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}})),
            failed("ImagePullBackOff: back-off"),
        );
        check(
            container(json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})),
            Progress::Running,
        );
        check(
            json!({"phase": "Failed", "reason": "Evicted", "message": "the node is full"}),
            failed("Evicted: the node is full"),
        );
        check(json!({"phase": "Succeeded"}), failed("the pod has ended"));
        let mut ended = container(json!({"terminated": {
            "exitCode": 128, "reason": "StartError", "message": "sleep: not found",
        }}));
        ended["phase"] = json!("Failed");
        check(ended, failed("StartError: sleep: not found"));
    }
}
