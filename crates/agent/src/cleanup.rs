//! Removes from a cluster what importing it made, and nothing else.
//!
//! Owns the list of what is ours: names and labels of the import manifest, of what the hub adds later, and the marks it
//! leaves on namespaces and nodes (peer: `pkg/agent/clean/cluster.go` of `rancher/rancher`). Runs in a Job of the hub, by
//! hand, or through the tunnel; may be repeated at any time.
//!
//! * A namespace of ours that holds somebody else's workloads stays; only our objects in it go.
//! * Labels, annotations and finalizers of others on namespaces stay.
//! * Nothing is done at all in the cluster that a hub itself runs in.
//! * The rights we act with must not vanish before the end. They are made dependents of the object that is deleted last,
//!   and the cluster's garbage collector removes them after it.

use std::time::Duration;

use drover_dial::Chain;
use drover_types::names::{
    AGENT_DEPLOYMENT, AGENT_SERVICE_ACCOUNT, CREATOR_LABEL, CREATOR_NORMAN, PROJECT_ANNOTATION,
    SYSTEM_NAMESPACE,
};
use drover_types::review::KEPT_SECRET;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tracing::info;

use crate::{
    housekeeping::{CREDENTIALS_PREFIX, PULL_SECRET_LABEL},
    kubernetes::{Api, ApiError, segment},
};

/// How long the hub gets to let go of the cluster when it asks for a wait (peer: `SLEEP_FIRST`).
pub const WAIT_FIRST: Duration = Duration::from_secs(60);

/// Namespaces that importing a cluster makes.
const NAMESPACES: [&str; 2] = ["cattle-impersonation-system", SYSTEM_NAMESPACE];
/// Services that show that a hub runs in this cluster.
const HUB_SERVICES: [&str; 2] = ["rancher", "drover"];
/// Workloads in our namespaces that importing a cluster makes, with either agent.
const WORKLOADS: [&str; 7] = [
    AGENT_DEPLOYMENT,
    "cattle-cluster-agent-bootstrap",
    "cattle-node-agent",
    "kube-api-auth",
    "rancher-webhook",
    "system-upgrade-controller",
    "helm-operation",
];
/// Made by the import manifest without a label.
const UNLABELLED: [&str; 3] = [
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/proxy-role-binding-kubernetes-master",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/proxy-clusterrole-kubeapiserver",
    "/apis/scheduling.k8s.io/v1/priorityclasses/cattle-cluster-agent-priority-class",
];
const NAMESPACE_LABELS: [&str; 1] = [PROJECT_ANNOTATION];
const NAMESPACE_ANNOTATIONS: [&str; 10] = [
    PROJECT_ANNOTATION,
    "cattle.io/status",
    "cattle.io/appIds",
    "field.cattle.io/creatorId",
    "field.cattle.io/resourceQuota",
    "field.cattle.io/resourceQuotaTemplateId",
    "field.cattle.io/containerDefaultResourceLimit",
    "lifecycle.cattle.io/create.namespace-auth",
    "management.cattle.io/no-default-sa-token",
    "management.cattle.io/system-namespace",
];
const NAMESPACE_FINALIZER: &str = "controller.cattle.io/namespace-auth";
const NODE_ANNOTATIONS: [&str; 2] = [
    "management.cattle.io/pod-requests",
    "management.cattle.io/pod-limits",
];
const WEBHOOK: &str = "rancher.cattle.io";
/// The start of the names of the clean-up's own objects.
const OWN_PREFIX: &str = "cattle-cleanup-";
const OWN_NAMESPACE: &str = "default";
const ADMIN_ROLE: &str = "cattle-admin";
const ADMIN_BINDING: &str = "cattle-admin-binding";

const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_ROLE_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const POLICY_BINDINGS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

/// Tries of one patch against other writers.
const TRIES: usize = 5;

/// What was done. Paths are those of the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects removed, and marks removed from objects.
    pub removed: Vec<String>,
    /// Objects of ours that stay, with the reason.
    pub kept: Vec<String>,
    /// What could not be removed, with the reason.
    pub failures: Vec<String>,
}

/// Removes everything. Single failures are collected in the report; an error means that nothing could be decided.
pub async fn run(api: &Api, dry_run: bool) -> Result<Report, ApiError> {
    let mut work = Cleanup {
        api,
        dry_run,
        report: Report::default(),
    };
    for service in HUB_SERVICES {
        if api
            .find(&format!(
                "/api/v1/namespaces/{SYSTEM_NAMESPACE}/services/{service}"
            ))
            .await?
            .is_some()
        {
            let reason = format!(
                "everything: the Service {SYSTEM_NAMESPACE}/{service} shows that a hub runs here"
            );
            info!(%reason, "kept");
            work.report.kept.push(reason);
            work.own_objects().await;
            return Ok(work.report);
        }
    }
    work.namespace_marks().await;
    work.node_marks().await;
    work.pull_secrets().await;
    work.webhooks().await;
    work.labelled().await;
    for path in UNLABELLED {
        work.delete(path).await;
    }
    work.namespaces_and_rights().await;
    work.own_objects().await;
    Ok(work.report)
}

struct Cleanup<'a> {
    api: &'a Api,
    dry_run: bool,
    report: Report,
}

impl Cleanup<'_> {
    fn removed(&mut self, what: String) {
        info!(object = %what, dry_run = self.dry_run, "removed");
        self.report.removed.push(what);
    }

    fn failed(&mut self, what: &str, error: &ApiError) {
        // A kind that this cluster does not have cannot hold anything of ours.
        if error.status() != Some(StatusCode::NOT_FOUND) {
            self.report
                .failures
                .push(format!("{what}: {}", Chain(error)));
        }
    }

    async fn delete(&mut self, path: &str) {
        let outcome = if self.dry_run {
            self.api.find(path).await.map(|found| found.is_some())
        } else {
            self.api.delete(path).await
        };
        match outcome {
            Ok(true) => self.removed(path.to_owned()),
            Ok(false) => {}
            Err(error) => self.failed(path, &error),
        }
    }

    /// The items of a collection, or none and a failure in the report.
    async fn items(&mut self, path: &str, selector: &str) -> Vec<Value> {
        let mut items = Vec::new();
        if let Err(error) = self
            .api
            .list(path, selector, |item| items.push(trimmed(item)))
            .await
        {
            self.failed(path, &error);
        }
        items
    }

    async fn namespace_marks(&mut self) {
        for namespace in self.items("/api/v1/namespaces", "").await {
            self.unmark(
                "/api/v1/namespaces",
                namespace,
                &NAMESPACE_ANNOTATIONS,
                &NAMESPACE_LABELS,
            )
            .await;
        }
    }

    async fn node_marks(&mut self) {
        for node in self.items("/api/v1/nodes", "").await {
            self.unmark("/api/v1/nodes", node, &NODE_ANNOTATIONS, &[])
                .await;
        }
    }

    async fn unmark(
        &mut self,
        collection: &str,
        mut object: Value,
        annotations: &[&str],
        labels: &[&str],
    ) {
        let path = format!("{collection}/{}", segment(name(&object)));
        for _ in 0..TRIES {
            let Some(patch) = unmarking(&object, annotations, labels) else {
                return;
            };
            if self.dry_run {
                return self.removed(format!("{path} (marks)"));
            }
            match self.api.patch(&path, &patch).await {
                Ok(_) => return self.removed(format!("{path} (marks)")),
                Err(error) if error.status() == Some(StatusCode::CONFLICT) => {
                    match self.api.get(&path).await {
                        Ok(fresh) => object = fresh,
                        Err(error) => return self.failed(&path, &error),
                    }
                }
                Err(error) => return self.failed(&path, &error),
            }
        }
        self.report.failures.push(format!(
            "{path}: changed by somebody else {TRIES} times in a row"
        ));
    }

    async fn pull_secrets(&mut self) {
        for secret in self
            .items("/api/v1/secrets", &format!("{PULL_SECRET_LABEL}=true"))
            .await
        {
            let path = format!(
                "/api/v1/namespaces/{}/secrets/{}",
                segment(namespace(&secret)),
                segment(name(&secret))
            );
            self.delete(&path).await;
        }
    }

    async fn webhooks(&mut self) {
        for kind in [
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
        ] {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}/{WEBHOOK}");
            match self.api.find(&path).await {
                Ok(Some(found)) if served_here(&found) => self.delete(&path).await,
                Ok(Some(_)) => self
                    .report
                    .kept
                    .push(format!("{path}: it is served from another namespace")),
                Ok(None) => {}
                Err(error) => self.failed(&path, &error),
            }
        }
    }

    /// Policies of admission, and roles given in the cluster.
    async fn labelled(&mut self) {
        let selector = format!("{CREATOR_LABEL}={CREATOR_NORMAN}");
        for kind in ["rolebindings", "roles"] {
            for object in self.items(&format!("{RBAC}/{kind}"), &selector).await {
                let (space, name) = (segment(namespace(&object)), segment(name(&object)));
                self.delete(&format!("{RBAC}/namespaces/{space}/{kind}/{name}"))
                    .await;
            }
        }
        // Bindings first: a policy alone refuses nothing, a role alone gives nothing.
        for collection in [
            POLICY_BINDINGS,
            POLICIES,
            CLUSTER_ROLE_BINDINGS,
            CLUSTER_ROLES,
        ] {
            for object in self.items(collection, &selector).await {
                let name = name(&object);
                // These may be what we act with.
                if name.starts_with(OWN_PREFIX) || name == ADMIN_ROLE || name == ADMIN_BINDING {
                    continue;
                }
                self.delete(&format!("{collection}/{}", segment(name)))
                    .await;
            }
        }
    }

    /// Our namespaces, and the agent's rights with the last of them.
    async fn namespaces_and_rights(&mut self) {
        let mut rights = vec![
            format!("{CLUSTER_ROLE_BINDINGS}/{ADMIN_BINDING}"),
            format!("{CLUSTER_ROLES}/{ADMIN_ROLE}"),
        ];
        let acting_as_agent = self.acting_as_agent().await;
        if !acting_as_agent {
            for path in std::mem::take(&mut rights) {
                self.delete(&path).await;
            }
        }
        for namespace in NAMESPACES {
            let path = format!("/api/v1/namespaces/{namespace}");
            let found = match self.api.find(&path).await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    self.failed(&path, &error);
                    continue;
                }
            };
            match self.foreign_workload(&path).await {
                Ok(None) => {
                    if namespace == SYSTEM_NAMESPACE {
                        self.delete_with(
                            &path,
                            &found,
                            "v1",
                            "Namespace",
                            std::mem::take(&mut rights),
                        )
                        .await;
                    } else {
                        self.delete(&path).await;
                    }
                }
                Ok(Some(foreign)) => {
                    self.report
                        .kept
                        .push(format!("{path}: {foreign} in it is not ours"));
                    if namespace == SYSTEM_NAMESPACE {
                        self.agent_objects(&path, acting_as_agent, std::mem::take(&mut rights))
                            .await;
                    }
                }
                Err(error) => self.failed(&path, &error),
            }
        }
        // The namespace was gone already; then so is the service account, and these rights belong to nobody.
        for path in rights {
            self.delete(&path).await;
        }
    }

    /// Whether we act with the agent's service account. When that cannot be asked, yes: the order for it is safe for all.
    async fn acting_as_agent(&self) -> bool {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        match self
            .api
            .create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review)
            .await
        {
            Ok(answer) => {
                answer["status"]["userInfo"]["username"]
                    == format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{AGENT_SERVICE_ACCOUNT}")
            }
            Err(_) => true,
        }
    }

    /// A workload in a namespace of ours that importing did not make.
    async fn foreign_workload(&self, namespace: &str) -> Result<Option<String>, ApiError> {
        let kinds = [
            ("apps/v1", "deployments"),
            ("apps/v1", "statefulsets"),
            ("apps/v1", "daemonsets"),
            ("batch/v1", "cronjobs"),
            ("batch/v1", "jobs"),
            ("v1", "pods"),
        ];
        for (group, kind) in kinds {
            let root = if group == "v1" {
                "/api/v1".to_owned()
            } else {
                format!("/apis/{group}")
            };
            let path = format!("{root}{}/{kind}", namespace.trim_start_matches("/api/v1"));
            let mut foreign = None;
            let listed = self.api.list(&path, "", |item| {
                let name = name(&item);
                // What has an owner is judged by the owner.
                let owned = item["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(|owners| !owners.is_empty());
                if !owned && !WORKLOADS.iter().any(|ours| is_ours(name, ours)) {
                    foreign.get_or_insert_with(|| format!("{kind}/{name}"));
                }
            });
            match listed.await {
                Ok(()) => {}
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
                Err(error) => return Err(error),
            }
            if foreign.is_some() {
                return Ok(foreign);
            }
        }
        Ok(None)
    }

    /// Our objects in a namespace that stays.
    async fn agent_objects(&mut self, namespace: &str, acting_as_agent: bool, rights: Vec<String>) {
        let within = |group: &str, kind: &str, name: &str| {
            format!(
                "{group}{}/{kind}/{name}",
                namespace.trim_start_matches("/api/v1")
            )
        };
        for (group, kind, name) in [
            ("/apis/apps/v1", "deployments", AGENT_DEPLOYMENT),
            (
                "/apis/apps/v1",
                "deployments",
                "cattle-cluster-agent-bootstrap",
            ),
            ("/apis/apps/v1", "daemonsets", "kube-api-auth"),
            (
                "/apis/policy/v1",
                "poddisruptionbudgets",
                "cattle-cluster-agent-pod-disruption-budget",
            ),
            ("/api/v1", "services", AGENT_DEPLOYMENT),
            ("/api/v1", "secrets", "stv-aggregation"),
            ("/api/v1", "secrets", KEPT_SECRET),
        ] {
            self.delete(&within(group, kind, name)).await;
        }
        for secret in self.items(&format!("{namespace}/secrets"), "").await {
            if name(&secret).starts_with(CREDENTIALS_PREFIX) {
                self.delete(&within("/api/v1", "secrets", &segment(name(&secret))))
                    .await;
            }
        }
        let account = within("/api/v1", "serviceaccounts", AGENT_SERVICE_ACCOUNT);
        if !acting_as_agent {
            // Its token Secrets go with it.
            return self.delete(&account).await;
        }
        let role = format!("{CLUSTER_ROLES}/{ADMIN_ROLE}");
        match self.api.find(&role).await {
            Ok(Some(found)) => {
                let dependents = rights
                    .into_iter()
                    .filter(|path| *path != role)
                    .chain([account])
                    .collect();
                self.delete_with(
                    &role,
                    &found,
                    "rbac.authorization.k8s.io/v1",
                    "ClusterRole",
                    dependents,
                )
                .await;
            }
            Ok(None) => self.delete(&account).await,
            Err(error) => self.failed(&role, &error),
        }
    }

    /// What the hub made to run this clean-up: Job, service account, role, binding.
    async fn own_objects(&mut self) {
        let selector = format!("{CREATOR_LABEL}={CREATOR_NORMAN}");
        let mut own = Vec::new();
        for collection in [
            CLUSTER_ROLE_BINDINGS.to_owned(),
            format!("/api/v1/namespaces/{OWN_NAMESPACE}/serviceaccounts"),
            format!("/apis/batch/v1/namespaces/{OWN_NAMESPACE}/jobs"),
        ] {
            // The agent's own rights are gone by now when they were what we acted with; then there is no Job.
            let mut names = Vec::new();
            let listed = self.api.list(&collection, &selector, |item| {
                names.push(name(&item).to_owned())
            });
            if listed.await.is_ok() {
                let ours = names.iter().filter(|name| name.starts_with(OWN_PREFIX));
                own.extend(ours.map(|name| format!("{collection}/{}", segment(name))));
            }
        }
        let mut roles = Vec::new();
        if self
            .api
            .list(CLUSTER_ROLES, &selector, |item| roles.push(trimmed(item)))
            .await
            .is_err()
        {
            return;
        }
        roles.retain(|role| name(role).starts_with(OWN_PREFIX));
        match roles.pop() {
            Some(last) => {
                for role in roles {
                    self.delete(&format!("{CLUSTER_ROLES}/{}", segment(name(&role))))
                        .await;
                }
                let path = format!("{CLUSTER_ROLES}/{}", segment(name(&last)));
                self.delete_with(
                    &path,
                    &last,
                    "rbac.authorization.k8s.io/v1",
                    "ClusterRole",
                    own,
                )
                .await;
            }
            None => {
                for path in own {
                    self.delete(&path).await;
                }
            }
        }
    }

    /// Makes `dependents` follow `anchor`, then deletes the anchor as the last thing our rights are needed for.
    async fn delete_with(
        &mut self,
        path: &str,
        anchor: &Value,
        api_version: &str,
        kind: &str,
        dependents: Vec<String>,
    ) {
        let owner = json!({"metadata": {"ownerReferences": [{
            "apiVersion": api_version,
            "kind": kind,
            "name": anchor["metadata"]["name"],
            "uid": anchor["metadata"]["uid"],
        }]}});
        for dependent in dependents {
            if self.dry_run {
                self.delete(&dependent).await;
                continue;
            }
            match self.api.patch(&dependent, &owner).await {
                Ok(_) => self.removed(dependent),
                Err(error) => self.failed(&dependent, &error),
            }
        }
        self.delete(path).await;
    }
}

/// Only what decisions are made by, so that a list of a large cluster stays small.
fn trimmed(mut item: Value) -> Value {
    json!({"metadata": {
        "name": item["metadata"]["name"].take(),
        "namespace": item["metadata"]["namespace"].take(),
        "uid": item["metadata"]["uid"].take(),
        "resourceVersion": item["metadata"]["resourceVersion"].take(),
        "labels": item["metadata"]["labels"].take(),
        "annotations": item["metadata"]["annotations"].take(),
        "finalizers": item["metadata"]["finalizers"].take(),
    }})
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// `name` is `ours`, or was generated from it.
fn is_ours(name: &str, ours: &str) -> bool {
    name.strip_prefix(ours)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn served_here(configuration: &Value) -> bool {
    configuration["webhooks"].as_array().is_none_or(|webhooks| {
        webhooks
            .iter()
            .all(|webhook| webhook["clientConfig"]["service"]["namespace"] == SYSTEM_NAMESPACE)
    })
}

/// The merge patch that takes our marks away, or none if there are none.
fn unmarking(object: &Value, annotations: &[&str], labels: &[&str]) -> Option<Value> {
    let metadata = &object["metadata"];
    let nulls = |field: &str, keys: &[&str]| -> Map<String, Value> {
        let present = keys.iter().filter(|key| !metadata[field][**key].is_null());
        present
            .map(|key| ((*key).to_owned(), Value::Null))
            .collect()
    };
    let annotations = nulls("annotations", annotations);
    let labels = nulls("labels", labels);
    let finalizers = metadata["finalizers"]
        .as_array()
        .filter(|list| list.iter().any(|f| f == NAMESPACE_FINALIZER));
    if annotations.is_empty() && labels.is_empty() && finalizers.is_none() {
        return None;
    }
    let mut patch = json!({"metadata": {"resourceVersion": metadata["resourceVersion"]}});
    if !annotations.is_empty() {
        patch["metadata"]["annotations"] = Value::Object(annotations);
    }
    if !labels.is_empty() {
        patch["metadata"]["labels"] = Value::Object(labels);
    }
    if let Some(finalizers) = finalizers {
        let others = finalizers
            .iter()
            .filter(|finalizer| *finalizer != NAMESPACE_FINALIZER);
        patch["metadata"]["finalizers"] = others.cloned().collect();
    }
    Some(patch)
}

#[cfg(test)]
mod tests;
