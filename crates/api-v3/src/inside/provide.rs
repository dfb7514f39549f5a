//! What an object needs beside itself: Services of workloads and ingresses, Endpoints of addresses.
//!
//! In the peer a controller in each cluster makes them. Here they are made with the write that asks for them, with the
//! caller's own rights, and owned by the object, so that they go with it.
//!
//! Invariant: what somebody else made is left alone.

use drover_auth::web::ApiError;
use drover_types::names::{CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN};
use drover_types::targets::{NO_LABELS, selector};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Inside, Place, permitted};
use crate::crossed::until_settled;
use crate::kinds::form::{ingress, service};
use crate::kinds::workload::registries;
use crate::kinds::workload::services::{Wanted, wanted};
use crate::mapping;
use crate::paths::{at, put};
use crate::schema::{Form, Layout, Object, Workload};
use crate::store::Store;

/// The Service follows from the ports of a workload.
const OF_PORTS: &str = "workload.cattle.io/workloadPortBased";

pub(super) const SERVICES: Object = Object {
    kind: "Service",
    resource: "services",
    namespaced: true,
    layout: Layout::Flat,
};
const SECRETS: Object = Object {
    kind: "Secret",
    resource: "secrets",
    namespaced: true,
    layout: Layout::Flat,
};
const ENDPOINTS: Object = Object {
    kind: "Endpoints",
    resource: "endpoints",
    namespaced: true,
    layout: Layout::Flat,
};

impl Inside<'_> {
    /// Names the Secrets with which a new image can be pulled, as far as the caller may see them.
    pub(super) async fn find_pull_secrets(
        &self,
        before: Option<&Value>,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        let Some(workload) = self.kind.workload.filter(|of| *of != Workload::Pod) else {
            return Ok(());
        };
        let was = before.map(|before| registries::images(workload, before));
        if was
            .as_ref()
            .is_some_and(|was| *was == registries::images(workload, object))
        {
            return Ok(());
        }
        let store = Store::of_core(self.store.client().clone());
        let mut secrets = permitted(store.list(SECRETS, mapping::namespace(object)).await)?;
        if let Some(whole) = self.of_whole_project("dockerCredential") {
            secrets.extend(whole.objects().await?);
        }
        registries::name_secrets(workload, object, &was.unwrap_or_default(), &secrets);
        Ok(())
    }

    /// The same project's own objects of a type, which lie on the hub and are for all its namespaces; none outside of
    /// projects.
    fn of_whole_project(&self, id: &str) -> Option<Self> {
        let Place::Project {
            project, backing, ..
        } = &self.place
        else {
            return None;
        };
        let kind = self.call.registry().get(id)?;
        Some(Self {
            call: self.call,
            kind,
            object: kind.object?,
            context: self.context,
            place: Place::Hub {
                project: project.clone(),
                backing: backing.clone(),
            },
            store: Store::of(self.call.store().client().clone(), kind.api),
        })
    }

    /// Makes what an object needs beside itself; `before` is the object as it was, if it was there.
    pub(super) async fn provide(
        &self,
        before: Option<&Value>,
        object: &Value,
    ) -> Result<(), ApiError> {
        let store = Store::of_core(self.store.client().clone());
        match (self.kind.workload, self.kind.form) {
            (Some(workload), _) => {
                let created = object["metadata"]["annotations"].get(CREATOR_ANNOTATION);
                if created.is_none() {
                    return Ok(());
                }
                let now = wanted(workload, object);
                for one in &now {
                    self.workload_service(&store, object, one).await?;
                }
                let was = before.map(|before| wanted(workload, before));
                let was = was.iter().flatten().map(|one| one.name.as_str());
                let gone = was.filter(|name| now.iter().all(|one| one.name != *name));
                remove_services(&store, object, gone.collect()).await
            }
            (None, Some(Form::Ingress)) => {
                let now = ingress::services(object);
                for one in &now {
                    self.ingress_service(&store, object, one).await?;
                }
                let was = before.map(ingress::services);
                let was = was.iter().flatten().map(|one| one.name.as_str());
                let gone = was.filter(|name| now.iter().all(|one| one.name != *name));
                remove_services(&store, object, gone.collect()).await
            }
            (None, Some(Form::Service | Form::DnsRecord)) => {
                until_settled(|| keep_addresses(&store, before, object)).await
            }
            (None, Some(Form::Autoscaler) | None) => Ok(()),
        }
    }

    async fn workload_service(
        &self,
        store: &Store,
        workload: &Value,
        wanted: &Wanted,
    ) -> Result<(), ApiError> {
        let id = format!(
            "{}:{}:{}",
            self.kind.id.to_ascii_lowercase(),
            mapping::namespace(workload).unwrap_or_default(),
            mapping::name(workload)
        );
        let mut spec = wanted.spec.clone();
        spec["selector"] = json!(selector(workload));
        let marks =
            json!({service::TARGETS: json!([id]).to_string(), NO_LABELS: "true", OF_PORTS: "true"});
        let made = self
            .keep_service(store, workload, &wanted.name, &spec, &marks)
            .await;
        match made {
            // Nobody asked for it: a name like the workload's is there as far as one may make it.
            Err(error)
                if !wanted.asked
                    && [StatusCode::FORBIDDEN, StatusCode::CONFLICT].contains(&error.status) =>
            {
                tracing::debug!(service = %wanted.name, %error, "a workload goes without a Service");
                Ok(())
            }
            other => other,
        }
    }

    async fn ingress_service(
        &self,
        store: &Store,
        ingress: &Value,
        needed: &ingress::Needed,
    ) -> Result<(), ApiError> {
        let namespace = mapping::namespace(ingress).unwrap_or_default();
        let labels = self
            .labels_of_all(&needed.workloads, namespace, "workloadIds", &needed.name)
            .await?;
        let port = json!({"port": needed.port, "targetPort": needed.port, "protocol": "TCP"});
        let spec = json!({"type": "ClusterIP", "ports": [port], "selector": labels});
        let marks = json!({service::TARGETS: json!(needed.workloads).to_string()});
        self.keep_service(store, ingress, &needed.name, &spec, &marks)
            .await
    }

    /// Makes a Service that an object owns, or changes it to what is wanted.
    async fn keep_service(
        &self,
        store: &Store,
        owner: &Value,
        name: &str,
        spec: &Value,
        marks: &Value,
    ) -> Result<(), ApiError> {
        until_settled(|| self.put_service(store, owner, name, spec, marks)).await
    }

    async fn put_service(
        &self,
        store: &Store,
        owner: &Value,
        name: &str,
        spec: &Value,
        marks: &Value,
    ) -> Result<(), ApiError> {
        let namespace = mapping::namespace(owner);
        let make = || {
            json!({
                "metadata": {
                    "name": name, "namespace": namespace, "annotations": marks, "ownerReferences": [self.owned_by(owner)],
                    "labels": {CREATOR_LABEL: CREATOR_NORMAN},
                },
                "spec": spec,
            })
        };
        let Some(found) = store.find(SERVICES, namespace, name).await? else {
            return store.create(SERVICES, namespace, make()).await.map(drop);
        };
        if !is_owned(&found, owner) && !self.was_owned(&found, owner) {
            let message =
                format!("the Service {name} is there already and belongs to something else");
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "AlreadyExists",
                message,
            ));
        }
        let headless = |spec: &Value| spec["clusterIP"] == "None";
        if headless(&found["spec"]) != headless(spec) {
            // An address cannot be given or taken away later.
            store.delete(SERVICES, namespace, name).await?;
            return store.create(SERVICES, namespace, make()).await.map(drop);
        }
        let mut changed = found.clone();
        changed["metadata"]["ownerReferences"] = json!([self.owned_by(owner)]);
        for (key, value) in marks.as_object().into_iter().flatten() {
            changed["metadata"]["annotations"][key] = value.clone();
        }
        for part in ["type", "selector"] {
            changed["spec"][part] = spec[part].clone();
        }
        changed["spec"]["ports"] = ports_kept(&found, spec);
        if changed == found {
            return Ok(());
        }
        store.replace(SERVICES, &changed).await.map(drop)
    }

    fn owned_by(&self, owner: &Value) -> Value {
        json!({
            "apiVersion": self.kind.api, "kind": self.object.kind, "name": mapping::name(owner),
            "uid": owner["metadata"]["uid"], "controller": true,
        })
    }

    /// Whether a Service was made for an earlier object of that kind and name, which is gone.
    fn was_owned(&self, service: &Value, owner: &Value) -> bool {
        let marked = service["metadata"]["annotations"]
            .get(service::TARGETS)
            .is_some();
        let owners = service["metadata"]["ownerReferences"].as_array();
        marked
            && owners.into_iter().flatten().any(|reference| {
                let kind = reference["kind"].as_str().unwrap_or_default();
                kind.eq_ignore_ascii_case(self.object.kind)
                    && reference["name"] == mapping::name(owner)
            })
    }

    /// Removes an object that was made in vain.
    pub(super) async fn take_back(&self, object: &Value) {
        let (namespace, name) = (mapping::namespace(object), mapping::name(object));
        if let Err(error) = self.store.delete(self.object, namespace, name).await {
            tracing::error!(resource = self.object.resource, %name, %error, "an object made in vain could not be removed");
        }
    }
}

fn is_owned(object: &Value, owner: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let uid = &owner["metadata"]["uid"];
    uid.is_string() && owners.into_iter().flatten().any(|one| &one["uid"] == uid)
}

/// The ports wanted, with the node's ports that the cluster has given them.
fn ports_kept(found: &Value, spec: &Value) -> Value {
    let mut ports = spec["ports"].clone();
    for port in ports.as_array_mut().into_iter().flatten() {
        let known = found["spec"]["ports"].as_array();
        let same =
            |known: &&Value| known["port"] == port["port"] && known["protocol"] == port["protocol"];
        let known = known.into_iter().flatten().find(same);
        let given = known.and_then(|known| known.get("nodePort")).cloned();
        if let Some(given) =
            given.filter(|_| spec["type"] != "ClusterIP" && port.get("nodePort").is_none())
        {
            port["nodePort"] = given;
        }
    }
    ports
}

async fn remove_services(store: &Store, owner: &Value, names: Vec<&str>) -> Result<(), ApiError> {
    let namespace = mapping::namespace(owner);
    for name in names {
        let found = store.find(SERVICES, namespace, name).await?;
        if found.is_some_and(|found| is_owned(&found, owner)) {
            store.delete(SERVICES, namespace, name).await?;
        }
    }
    Ok(())
}

/// Keeps the addresses that a name stands for, where pods' would be.
async fn keep_addresses(
    store: &Store,
    before: Option<&Value>,
    service: &Value,
) -> Result<(), ApiError> {
    let addresses = service::listed(service, service::ADDRESSES);
    let had = before.is_some_and(|before| !service::listed(before, service::ADDRESSES).is_empty());
    let finds_pods = at(service, "spec/selector")
        .and_then(Value::as_object)
        .is_some_and(|selector| !selector.is_empty());
    if (addresses.is_empty() && !had) || finds_pods {
        return Ok(());
    }
    let (namespace, name) = (mapping::namespace(service), mapping::name(service));
    let found = store.find(ENDPOINTS, namespace, name).await?;
    if found
        .as_ref()
        .is_some_and(|found| !is_owned(found, service))
    {
        let message =
            format!("the Endpoints {name} are there already and belong to something else");
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "AlreadyExists",
            message,
        ));
    }
    let addresses: Vec<Value> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let ports: Vec<Value> = ports
        .map(|port| {
            let number = port["targetPort"]
                .as_i64()
                .map_or_else(|| port["port"].clone(), Value::from);
            let mut end = json!({"port": number, "protocol": port["protocol"]});
            put(&mut end, "name", port["name"].clone());
            end
        })
        .collect();
    let subsets = json!([{"addresses": addresses, "ports": ports}]);
    match found {
        Some(_) if addresses.is_empty() => store.delete(ENDPOINTS, namespace, name).await,
        Some(mut found) => {
            found["subsets"] = subsets;
            store.replace(ENDPOINTS, &found).await.map(drop)
        }
        None if addresses.is_empty() => Ok(()),
        None => {
            let owner = json!({
                "apiVersion": "v1", "kind": "Service", "name": name, "uid": service["metadata"]["uid"], "controller": true,
            });
            let made = json!({
                "metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner]}, "subsets": subsets,
            });
            store.create(ENDPOINTS, namespace, made).await.map(drop)
        }
    }
}
