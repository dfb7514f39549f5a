//! The file itself, with tokens of its own.
//!
//! One token is good for all clusters that are reached through the hub. A cluster with an endpoint of its own sees the
//! token, so it has one that is good there only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::Logins;
use drover_auth::logins::NewExtToken;
use drover_auth::token::KUBECONFIG;
use drover_auth::web::{self, ApiError};
use drover_types::condition::timestamp;
use drover_types::management::{Cluster, Node};
use http::request::Parts;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::kept::{CONDITIONS, SUMMARY, Spec, TOKENS, condition};
use super::{DEFAULT, PART_OF};
use crate::Call;
use crate::kubeconfig::{self, Credential, Entry};

/// What a file is made of, before there are tokens.
#[derive(Default)]
struct Plan {
    entries: Vec<Entry>,
    /// Users, and the cluster that their token is good for only.
    users: Vec<(String, Option<String>)>,
    current: String,
}

impl Plan {
    fn has(&self, user: &str) -> bool {
        self.users.iter().any(|(known, _)| known == user)
    }

    /// The user whose token is good everywhere.
    fn everywhere(&mut self) -> String {
        if !self.has(DEFAULT) {
            self.users.push((DEFAULT.to_owned(), None));
        }
        DEFAULT.to_owned()
    }

    /// A user whose token is good for this cluster only; named after it, and like no other.
    fn only_in(&mut self, id: &str, called: &str) -> String {
        let user = if called == DEFAULT || self.has(called) {
            format!("{called}-{id}")
        } else {
            called.to_owned()
        };
        self.users.push((user.clone(), Some(id.to_owned())));
        user
    }
}

/// What people call a cluster.
fn called(cluster: &Cluster) -> String {
    match cluster.spec.display_name.as_str() {
        "" => cluster.name_any(),
        shown => shown.to_owned(),
    }
}

impl Call<'_> {
    /// Makes the tokens, notes them, and writes the file.
    pub(super) async fn file(
        &self,
        spec: &Spec,
        with_default: bool,
        clusters: &[Cluster],
        kept: &mut ConfigMap,
        parts: &Parts,
    ) -> Result<String, ApiError> {
        let settings = &self.parts.settings;
        let server = match settings.get("server-url") {
            url if url.is_empty() && parts.headers.contains_key(http::header::HOST) => {
                web::link_base(parts)
            }
            url if url.is_empty() => {
                return Err(ApiError::server_error(
                    "the URL of this server is not known",
                ));
            }
            url => url,
        };
        let host = server
            .split_once("://")
            .map_or(server.as_str(), |(_, host)| host);
        let ca = settings.get("cacerts");
        let ca = match ca.trim_end() {
            "" => String::new(),
            pem => STANDARD.encode(pem),
        };
        let host = host.trim_end_matches('/');
        let mut plan = Plan::default();
        if with_default {
            let user = plan.everywhere();
            plan.entries.push(Entry {
                name: DEFAULT.to_owned(),
                server: server.trim_end_matches('/').to_owned(),
                ca: ca.clone(),
                user,
            });
        }
        for cluster in clusters {
            let id = cluster.name_any();
            let called = called(cluster);
            // What is shown to a cluster itself must be good for that cluster only.
            let user = if cluster.spec.auth_endpoint().enabled {
                plan.only_in(&id, &called)
            } else {
                plan.everywhere()
            };
            let direct = self.around(cluster, &called, &user).await?;
            if id == spec.current {
                // As with the peer: where there is a way around the hub, it is taken first.
                let first = direct.first();
                plan.current = first.map_or(&called, |entry| &entry.name).clone();
            }
            plan.entries
                .push(Entry::through(&server, &id, &called, &ca, &user));
            plan.entries.extend(direct);
        }
        if plan.current.is_empty() {
            DEFAULT.clone_into(&mut plan.current);
        }
        let users = self.users(&plan, spec, host, kept).await?;
        let name = kept.name_any();
        let file = kubeconfig::text(&plan.entries, &plan.current, &users)
            .map_err(|error| ApiError::server_error(error.to_string()))?;
        let made = kept.metadata.creation_timestamp.as_ref();
        let made = made.map(|at| timestamp(at.0)).unwrap_or_default();
        Ok(format!(
            "# name: {name}\n# createdTimestamp: {made}\n# ttl: {}\n{file}",
            spec.ttl
        ))
    }

    /// The ways to a cluster that do not lead through the hub.
    async fn around(
        &self,
        cluster: &Cluster,
        called: &str,
        user: &str,
    ) -> Result<Vec<Entry>, ApiError> {
        if !cluster.spec.auth_endpoint().enabled {
            return Ok(Vec::new());
        }
        let nodes: Api<Node> = Api::namespaced(self.parts.client.0.clone(), &cluster.name_any());
        let nodes = nodes.list(&ListParams::default()).await?.items;
        Ok(kubeconfig::direct(cluster, &nodes, called, user))
    }

    /// Makes a token for each user of the file, and notes them: they are known from then on to whoever removes what could
    /// not be finished.
    async fn users(
        &self,
        plan: &Plan,
        spec: &Spec,
        host: &str,
        kept: &mut ConfigMap,
    ) -> Result<Vec<(String, Credential)>, ApiError> {
        let makes_tokens = self.parts.settings.is_true("kubeconfig-generate-token");
        let (mut users, mut names, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for (user, scope) in &plan.users {
            let credential = if makes_tokens {
                let made = self.token_for(spec, scope.clone(), kept).await;
                let (name, bearer) = match made {
                    Ok(made) => made,
                    Err(error) => {
                        // Those that were made end with what is removed.
                        self.note(kept, &names, &conditions, "Failed").await?;
                        return Err(error);
                    }
                };
                let now = self.parts.clock.now();
                conditions.push(condition("TokenCreated", &name, now));
                names.push(name);
                Credential::Token(bearer)
            } else {
                Credential::Command {
                    server: host.to_owned(),
                    user: self.identity.user.to_string(),
                    cluster: scope.clone(),
                }
            };
            users.push((user.clone(), credential));
        }
        self.note(kept, &names, &conditions, "Complete").await?;
        Ok(users)
    }

    async fn token_for(
        &self,
        spec: &Spec,
        cluster: Option<String>,
        kept: &ConfigMap,
    ) -> Result<(String, String), ApiError> {
        let new = NewExtToken {
            kind: KUBECONFIG.to_owned(),
            description: "Kubeconfig token".to_owned(),
            ttl: spec.ttl.saturating_mul(1_000),
            cluster,
            enabled: true,
            labels: [(PART_OF.to_owned(), kept.name_any())].into(),
            ..NewExtToken::default()
        };
        let made = self.parts.logins.create_ext_token(self.identity, new);
        let (token, key) = made.await?;
        let bearer = Logins::ext_bearer(&token.name, &key);
        Ok((token.name, bearer.expose_secret().to_owned()))
    }

    /// Writes down which tokens belong to the file.
    async fn note(
        &self,
        kept: &mut ConfigMap,
        tokens: &[String],
        conditions: &[Value],
        summary: &str,
    ) -> Result<(), ApiError> {
        let data = kept.data.get_or_insert_default();
        if !tokens.is_empty() {
            data.insert(TOKENS.to_owned(), json!(tokens).to_string());
            data.insert(CONDITIONS.to_owned(), json!(conditions).to_string());
        }
        data.insert(SUMMARY.to_owned(), summary.to_owned());
        *kept = self
            .config_maps()
            .replace(&kept.name_any(), &PostParams::default(), kept)
            .await?;
        Ok(())
    }
}
