//! Finds out what callers may do in a cluster, and remembers it briefly.
//!
//! Owns the questions to the cluster: a `SelfSubjectRulesReview` under the
//! caller's identity for the whole cluster and for each namespace with a role
//! binding that names the caller. An answer counts for two seconds (as long as
//! the peer takes to see a change inside the cluster) and ends at once when the
//! index of role bindings changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use drover_auth::identity::{GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED};
use drover_auth::web::ApiError;
use drover_auth::{Access, ClustersVisible, Identity};
use drover_types::management::GROUP;
use drover_types::names::LOCAL_CLUSTER;
use drover_types::provisioning::GROUP as PROVISIONING;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cache::Caches;
use crate::fields::Field;
use crate::format::text;
use crate::kind::Kind;
use crate::kubernetes::{Ask, JSON, ask, get_whole, is_unavailable};
use crate::reach::Reach;
use crate::rights::{Indexed, Rights, Rule, Rules, rules_of};

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(2);
/// Namespaces asked about at once.
const AT_ONCE: usize = 8;
/// Answers kept before old ones are thrown out.
const KEPT: usize = 1024;
/// No namespace can have this name, so what holds there holds everywhere.
const NOWHERE: &str = "_";

/// In which cluster who asks, with all groups and principals.
type Whom = (String, String, Vec<String>);

#[derive(Default)]
struct Answer {
    /// Held while the cluster is asked, so that it is asked once.
    known: tokio::sync::Mutex<Option<(Instant, u64, Arc<Rights>)>>,
}

/// What callers may do.
pub(crate) struct Guard {
    reach: Arc<dyn Reach>,
    access: Access,
    caches: Arc<Caches>,
    answers: Mutex<HashMap<Whom, Arc<Answer>>>,
}

impl Guard {
    pub(crate) fn new(reach: Arc<dyn Reach>, access: Access, caches: Arc<Caches>) -> Self {
        Self {
            reach,
            access,
            caches,
            answers: Mutex::default(),
        }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// What `identity` may do in `cluster`; `None` if it may not enter it.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn rights(
        &self,
        identity: &Identity,
        cluster: &str,
    ) -> Result<Option<Arc<Rights>>, ApiError> {
        let is_hub = cluster == LOCAL_CLUSTER;
        // Read before the groups, so that a change in between is asked about again.
        let version = *self.access.changes().borrow();
        let groups = self.access.cluster_groups(identity, cluster);
        if groups.is_none() && !is_hub {
            return Ok(None);
        }
        let mut all: Vec<String> = identity.groups.iter().cloned().collect();
        all.extend(groups.iter().flatten().cloned());
        let answer = self.answer((cluster.to_owned(), identity.user.to_string(), all.clone()));
        let mut known = answer.known.lock().await;
        if let Some((at, of, rights)) = &*known
            && *of == version
            && at.elapsed() < FRESH
        {
            return Ok(Some(Arc::clone(rights)));
        }
        let mut rules = match &groups {
            Some(_) => self.ask(identity, cluster, &all).await?,
            None => Rules::default(),
        };
        let mut provisioned = BTreeMap::new();
        if is_hub {
            // As the peer's role `<user>-view` gives it.
            let own = Rule::to_read(GROUP, "users", &[identity.user.as_str()]);
            rules.everywhere.push(own);
            let clusters = self.clusters(identity);
            if !clusters.is_empty() {
                provisioned = self.provisioned(&clusters).await?;
            }
            for (namespace, name) in provisioned.keys() {
                let rule = Rule::to_read(PROVISIONING, "clusters", &[name]);
                let of = rules.namespaces.entry(namespace.clone()).or_default();
                of.push(rule);
            }
        }
        let rights = Arc::new(Rights {
            rules,
            indexed: is_hub.then(|| Indexed {
                access: self.access.clone(),
                identity: identity.clone(),
            }),
            provisioned,
        });
        *known = Some((Instant::now(), version, Arc::clone(&rights)));
        Ok(Some(rights))
    }

    fn answer(&self, whom: Whom) -> Arc<Answer> {
        let mut answers = self.answers.lock();
        if answers.len() >= KEPT && !answers.contains_key(&whom) {
            answers.retain(|_, answer| {
                answer.known.try_lock().map_or(true, |known| {
                    known
                        .as_ref()
                        .is_some_and(|(at, _, _)| at.elapsed() < FRESH)
                })
            });
        }
        Arc::clone(answers.entry(whom).or_default())
    }

    /// The clusters that are not seen for being administrator.
    fn clusters(&self, identity: &Identity) -> Vec<String> {
        match self.access.clusters_visible(identity) {
            ClustersVisible::All => Vec::new(),
            ClustersVisible::These(names) => names,
        }
    }

    /// What these clusters were provisioned from, with their ids: who sees a cluster may read it. It knows the cluster's id
    /// and not the other way around.
    async fn provisioned(
        &self,
        clusters: &[String],
    ) -> Result<BTreeMap<(String, String), String>, ApiError> {
        let kind = Kind {
            namespaced: true,
            verbs: ["list", "watch"].map(str::to_owned).to_vec(),
            ..Kind::new(PROVISIONING, "v1", "Cluster", "clusters")
        };
        let Some(held) = self.caches.get(LOCAL_CLUSTER, &kind).await? else {
            tracing::warn!("there are too many provisioning clusters to show members theirs");
            return Ok(BTreeMap::new());
        };
        held.settled().await;
        let cluster = Field::parse(&kind, "status.clusterName")?;
        Ok(held.read(|contents| {
            let entries = contents.entries.values();
            let seen = entries.filter_map(|entry| {
                let seen = entry.seen(&cluster);
                let text = seen.text()?;
                let id = clusters.iter().find(|id| **id == text)?;
                let at = (entry.namespace()?.to_owned(), entry.name().to_owned());
                Some((at, id.clone()))
            });
            seen.collect()
        }))
    }

    async fn ask(
        &self,
        identity: &Identity,
        cluster: &str,
        groups: &[String],
    ) -> Result<Rules, ApiError> {
        let client = self.reach.as_user(identity, cluster);
        let mut rules = Rules {
            everywhere: review(&client, NOWHERE).await?,
            ..Rules::default()
        };
        if rules.allow_everything() {
            return Ok(rules);
        }
        let mut groups: BTreeSet<&str> = groups.iter().map(String::as_str).collect();
        groups.extend([GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED]);
        let namespaces = self
            .bound_namespaces(cluster, identity.user.as_str(), &groups)
            .await?;
        let client = &client;
        rules.namespaces =
            futures::stream::iter(namespaces.into_iter().map(|namespace| async move {
                let rules = review(client, &namespace).await?;
                Ok::<_, ApiError>((namespace, rules))
            }))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(rules)
    }

    /// Namespaces with a role binding for this caller.
    async fn bound_namespaces(
        &self,
        cluster: &str,
        user: &str,
        groups: &BTreeSet<&str>,
    ) -> Result<BTreeSet<String>, ApiError> {
        let mut kind = Kind::new(
            "rbac.authorization.k8s.io",
            "v1",
            "RoleBinding",
            "rolebindings",
        );
        kind.namespaced = true;
        let names = |binding: &Value| -> bool {
            let subjects = binding.get("subjects").and_then(Value::as_array);
            subjects.into_iter().flatten().any(|subject| {
                let name = text(subject, "/name");
                match text(subject, "/kind") {
                    "User" => name == user,
                    "Group" => groups.contains(name),
                    _ => false,
                }
            })
        };
        if let Some(held) = self.caches.get(cluster, &kind).await? {
            held.settled().await;
            return Ok(held.read(|contents| {
                contents
                    .entries
                    .values()
                    .filter(|entry| names(&entry.object()))
                    .filter_map(|entry| entry.namespace().map(str::to_owned))
                    .collect()
            }));
        }
        let list = get_whole(&*self.reach, cluster, &kind.path(None, None), JSON).await?;
        let items = list.get("items").and_then(Value::as_array);
        Ok(items
            .into_iter()
            .flatten()
            .filter(|binding| names(binding))
            .map(|binding| text(binding, "/metadata/namespace").to_owned())
            .collect())
    }
}

async fn review(client: &Client, namespace: &str) -> Result<Vec<Rule>, ApiError> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    let request = Ask {
        method: Method::POST,
        url: "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        accept: JSON,
        body: Some((JSON, body.to_string().into_bytes())),
    };
    // A review stores nothing, so that it may be repeated when the cluster's agent is replaced meanwhile.
    let (_, answer) = match ask(client, request.clone()).await {
        Err(error) if is_unavailable(&error) => ask(client, request).await?,
        other => other?,
    };
    Ok(rules_of(&answer))
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}
