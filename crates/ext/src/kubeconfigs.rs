//! `kubeconfigs`: one file for many clusters, with tokens of its own that end with it.
//!
//! Kept as a ConfigMap without the file itself, which holds a key and is shown once.

mod file;
mod kept;

use std::collections::BTreeMap;

use drover_auth::ClustersVisible;
use drover_auth::ext::{HOLDS_LABEL, NAMESPACE, OWNER_LABEL, PREFIX};
use drover_auth::web::{ApiError, Response};
use drover_types::management::Cluster;
use http::request::Parts;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use kept::{
    CONDITIONS, DESCRIPTION, OWNERS, SUMMARY, Spec, condition, owner_of, shown, tokens_of, value,
};

use crate::owners::{Wanted, owners_of};
use crate::request::{Sent, text, texts};
use crate::tokens::own_labels;
use crate::watch::Watched;
use crate::{Call, bad_request, gone, made, status};

const PLURAL: &str = "kubeconfigs";
const KIND: &str = "Kubeconfig";
const GENERATED: &str = "kubeconfig-";
/// Value of [`HOLDS_LABEL`].
const HOLDS: &str = "kubeconfig";
/// The kubeconfig's own unique id.
const UID: &str = "cattle.io/uid";
/// Label of a token with the kubeconfig it is part of.
const PART_OF: &str = "authn.management.cattle.io/kubeconfig-id";
/// Name of the entry for the server itself, and of the user.
const DEFAULT: &str = "rancher";

impl Call<'_> {
    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.parts.client.0.clone(), NAMESPACE)
    }

    pub(crate) async fn kubeconfigs(
        &self,
        sent: Sent,
        parts: &Parts,
    ) -> Result<Response, ApiError> {
        match self.asked.verb {
            "create" => self.create_kubeconfig(&sent.into_inner(), parts).await,
            "get" => {
                let found = self.kubeconfig().await?;
                Ok(self.shown(KIND, shown(&found)))
            }
            "list" => {
                let (found, version) = self.listed_kubeconfigs().await?;
                let found: Vec<Value> = found.iter().map(shown).collect();
                Ok(self.listed(KIND, &found, &version))
            }
            "watch" => {
                let watched = Watched {
                    api: self.config_maps(),
                    labels: self.chosen(),
                    kind: KIND,
                    plural: PLURAL,
                    shown: Box::new(|config| Some(shown(config))),
                };
                self.watch(watched).await
            }
            "update" | "patch" => self.update_kubeconfig(sent).await,
            _ => self.delete_kubeconfigs().await,
        }
    }

    async fn kubeconfig(&self) -> Result<ConfigMap, ApiError> {
        let name = self.asked.name.as_deref().unwrap_or_default();
        let found = self.config_maps().get_opt(name).await?;
        found
            .filter(|found| found.labels().get(HOLDS_LABEL).map(String::as_str) == Some(HOLDS))
            .filter(|found| self.reaches(owner_of(found)))
            .ok_or_else(|| self.absent(PLURAL))
    }

    /// The labels of those that are listed.
    fn chosen(&self) -> String {
        let mut labels = format!("{HOLDS_LABEL}={HOLDS}");
        if let Some(owner) = self.owner() {
            labels.push_str(&format!(",{OWNER_LABEL}={owner}"));
        }
        if let Some(asked) = &self.asked.labels {
            labels.push(',');
            labels.push_str(asked);
        }
        labels
    }

    /// Those that are listed, and the version of the list.
    async fn listed_kubeconfigs(&self) -> Result<(Vec<ConfigMap>, String), ApiError> {
        let listed = self
            .config_maps()
            .list(&ListParams::default().labels(&self.chosen()))
            .await?;
        let name = self.asked.name.as_deref();
        let fits = |found: &ConfigMap| name.is_none_or(|name| found.name_any() == name);
        let version = listed.metadata.resource_version.unwrap_or_default();
        Ok((listed.items.into_iter().filter(fits).collect(), version))
    }

    /// Seconds the tokens live.
    fn lifetime(&self, asked: i64) -> Result<i64, ApiError> {
        if asked < 0 {
            return Err(bad_request("spec.ttl can't be negative (infinite)"));
        }
        let settings = &self.parts.settings;
        let most = settings
            .number("auth-token-max-ttl-minutes")
            .saturating_mul(60);
        let default = settings
            .number("kubeconfig-default-token-ttl-minutes")
            .saturating_mul(60);
        let wanted = if asked == 0 { default } else { asked };
        if asked > 0 && most > 0 && asked > most {
            return Err(bad_request(format!(
                "spec.ttl {asked} exceeds max ttl {most}"
            )));
        }
        Ok(if most > 0 && (wanted <= 0 || wanted > most) {
            most
        } else {
            wanted
        })
    }

    /// The clusters that are named, or all that the caller may see.
    async fn clusters(&self, named: &[String]) -> Result<Vec<Cluster>, ApiError> {
        if named.first().is_some_and(|first| first == "*") {
            let clusters: Api<Cluster> = Api::all(self.parts.client.0.clone());
            let mut all = clusters.list(&ListParams::default()).await?.items;
            if let ClustersVisible::These(names) = self.parts.access.clusters_visible(self.identity)
            {
                all.retain(|cluster| names.contains(&cluster.name_any()));
            }
            return Ok(all);
        }
        let mut found = Vec::new();
        for name in named {
            found.push(self.cluster(name).await?);
        }
        Ok(found)
    }

    async fn create_kubeconfig(&self, sent: &Value, parts: &Parts) -> Result<Response, ApiError> {
        let mut spec = Spec::of(sent)?;
        let with_default = spec.with_default.unwrap_or(true);
        let unique: std::collections::BTreeSet<&String> = spec.clusters.iter().collect();
        if unique.len() != spec.clusters.len() {
            return Err(bad_request("spec.clusters must be unique"));
        }
        if !with_default && spec.clusters.is_empty() {
            return Err(bad_request(
                "at least one cluster is required when includeDefaultEntry is false",
            ));
        }
        spec.ttl = self.lifetime(spec.ttl)?;
        let clusters = self.clusters(&spec.clusters).await?;
        let is_current = |cluster: &Cluster| cluster.name_any() == spec.current;
        if !spec.current.is_empty() && !clusters.iter().any(is_current) {
            return Err(bad_request(format!(
                "invalid currentContext {}",
                spec.current
            )));
        }
        if let (true, Some(first)) = (spec.current.is_empty(), clusters.first()) {
            spec.current = first.name_any();
        }
        let (labels, annotations) = (own_labels(sent)?, texts(sent, "/metadata/annotations")?);
        if self.asked.dry {
            return Ok(made(sent));
        }
        let owners = self.first_owners(KIND, sent)?;
        let mut kept = self.keep(&spec, labels, annotations, &owners).await?;
        let file = match self
            .file(&spec, with_default, &clusters, &mut kept, parts)
            .await
        {
            Ok(file) => file,
            Err(error) => {
                self.remove(&kept).await?;
                return Err(error);
            }
        };
        let mut answer = shown(&kept);
        answer["status"]["value"] = json!(file);
        Ok(made(&answer))
    }

    /// Stores what is to be remembered.
    async fn keep(
        &self,
        spec: &Spec,
        mut labels: BTreeMap<String, String>,
        mut annotations: BTreeMap<String, String>,
        owners: &Value,
    ) -> Result<ConfigMap, ApiError> {
        let logins = &self.parts.logins;
        labels.insert(HOLDS_LABEL.to_owned(), HOLDS.to_owned());
        labels.insert(OWNER_LABEL.to_owned(), self.identity.user.to_string());
        annotations.insert(UID.to_owned(), logins.unique_id()?);
        let mut data = BTreeMap::new();
        spec.write(&mut data);
        data.insert(SUMMARY.to_owned(), "Pending".to_owned());
        data.insert(OWNERS.to_owned(), owners.to_string());
        logins.ensure_ext_namespace().await?;
        let config = ConfigMap {
            metadata: ObjectMeta {
                generate_name: Some(GENERATED.to_owned()),
                labels: Some(labels),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        };
        let made = logins
            .create_named(
                &self.config_maps(),
                GENERATED,
                config,
                "store the kubeconfig",
            )
            .await;
        Ok(made?)
    }

    async fn update_kubeconfig(&self, sent: Sent) -> Result<Response, ApiError> {
        let mut config = self.kubeconfig().await?;
        let before = shown(&config);
        let wanted = match self.wanted(KIND, &before, sent)? {
            Wanted::This(wanted) => wanted,
            Wanted::Conflicts(conflicts) => return Ok(status::conflicts(conflicts)),
        };
        let (old, new) = (Spec::of_config_map(&config), Spec::of(&wanted)?);
        for (field, same) in [
            ("clusters", old.clusters == new.clusters),
            ("currentContext", old.current == new.current),
            ("ttl", old.ttl == new.ttl),
            ("includeDefaultEntry", old.with_default == new.with_default),
        ] {
            if !same {
                return Err(bad_request(format!("spec.{field} is immutable")));
            }
        }
        let mut labels = own_labels(&wanted)?;
        for ours in [HOLDS_LABEL, OWNER_LABEL] {
            if let Some(value) = config.labels().get(ours) {
                labels.insert(ours.to_owned(), value.clone());
            }
        }
        let mut annotations = texts(&wanted, "/metadata/annotations")?;
        if let Some(uid) = config.annotations().get(UID) {
            annotations.insert(UID.to_owned(), uid.clone());
        }
        config.metadata.labels = Some(labels);
        config.metadata.annotations = Some(annotations);
        let mut conditions: Vec<Value> =
            serde_json::from_str(value(&config, CONDITIONS)).unwrap_or_default();
        conditions.retain(|condition| condition["type"] != "Updated");
        conditions.push(condition("Updated", "", self.parts.clock.now()));
        let data = config.data.get_or_insert_default();
        data.insert(DESCRIPTION.to_owned(), new.description);
        data.insert(CONDITIONS.to_owned(), json!(conditions).to_string());
        data.insert(OWNERS.to_owned(), owners_of(&wanted).to_string());
        let version = text(&wanted, "/metadata/resourceVersion")?;
        if !version.is_empty() {
            config.metadata.resource_version = Some(version);
        }
        if !self.asked.dry {
            config = self
                .config_maps()
                .replace(&config.name_any(), &PostParams::default(), &config)
                .await?;
        }
        Ok(self.shown(KIND, shown(&config)))
    }

    async fn delete_kubeconfigs(&self) -> Result<Response, ApiError> {
        let one = self.asked.verb == "delete";
        let doomed = if one {
            vec![self.kubeconfig().await?]
        } else {
            self.listed_kubeconfigs().await?.0
        };
        for config in doomed.iter().filter(|_| !self.asked.dry) {
            self.remove(config).await?;
        }
        Ok(gone(KIND, one, doomed.iter().map(shown).collect()))
    }

    /// Ends the tokens first: what is left of a kubeconfig then lets nobody in.
    async fn remove(&self, config: &ConfigMap) -> Result<(), ApiError> {
        for token in tokens_of(config) {
            self.parts
                .logins
                .delete_token(&format!("{PREFIX}{token}"))
                .await?;
        }
        let deleted = self
            .config_maps()
            .delete(&config.name_any(), &DeleteParams::default())
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
