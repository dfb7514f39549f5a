//! The executor, which makes no choices.

use kube::Client;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};

use super::{Action, FIELD_MANAGER, Plan, Site};

/// A change that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The API refused it or could not be reached.
    #[error("cannot {verb} {target}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// On what.
        target: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// A change for the managed cluster without a way to reach it.
    #[error("cannot {verb} {target} in a cluster that cannot be reached")]
    NoCluster {
        /// What was tried.
        verb: &'static str,
        /// On what.
        target: String,
    },
}

impl ExecuteError {
    /// Whether the object had changed since it was read: nothing is wrong,
    /// the next reconciliation sees the newer one.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_answer(409)
    }

    /// Whether there is no such object, or the API knows no such kind.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.is_answer(404)
    }

    fn is_answer(&self, code: u16) -> bool {
        match self {
            Self::Api { source, .. } => {
                matches!(&**source, kube::Error::Api(status) if status.code == code)
            }
            Self::NoCluster { .. } => false,
        }
    }
}

/// The APIs that a plan acts on.
#[derive(Clone)]
pub struct Sites {
    /// The hub's.
    pub hub: Client,
    /// The managed cluster's, when it can be reached.
    pub cluster: Option<Client>,
}

impl std::fmt::Debug for Sites {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sites")
            .field("cluster", &self.cluster.is_some())
            .finish_non_exhaustive()
    }
}

impl Sites {
    /// The hub only.
    #[must_use]
    pub fn hub(client: &Client) -> Self {
        Self {
            hub: client.clone(),
            cluster: None,
        }
    }

    /// Does what a plan says.
    ///
    /// # Errors
    /// The first change that did not come about; those after it were not tried.
    pub async fn execute(&self, plan: &Plan) -> Result<(), ExecuteError> {
        for action in plan.actions.iter().chain(&plan.status) {
            self.perform(action).await?;
        }
        Ok(())
    }

    /// Makes one change.
    ///
    /// # Errors
    /// When it did not come about.
    pub async fn perform(&self, action: &Action) -> Result<(), ExecuteError> {
        let (verb, target) = (action.verb(), action.target());
        let client = match action.site() {
            Site::Hub => &self.hub,
            Site::Cluster => self
                .cluster
                .as_ref()
                .ok_or_else(|| ExecuteError::NoCluster {
                    verb,
                    target: target.to_string(),
                })?,
        };
        tracing::debug!(verb, object = %target, "changing an object");
        let outcome = change(client, action).await;
        outcome.map_err(|source| ExecuteError::Api {
            verb,
            target: target.to_string(),
            source: Box::new(source),
        })
    }
}

async fn change(client: &Client, action: &Action) -> Result<(), kube::Error> {
    match action {
        Action::Create { target, object, .. } => {
            let object: DynamicObject =
                serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            match target.api(client).create(&params, &object).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                answer => answer.map(drop),
            }
        }
        Action::Apply { target, object, .. } => {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            target
                .api(client)
                .patch(&target.name, &params, &Patch::Apply(object))
                .await
                .map(drop)
        }
        Action::Replace {
            target,
            subresource,
            object,
            ..
        } => {
            let object: DynamicObject =
                serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            match subresource {
                Some(subresource) => target
                    .api(client)
                    .replace_subresource(subresource, &target.name, &params, &object)
                    .await
                    .map(drop),
                None => target
                    .api(client)
                    .replace(&target.name, &params, &object)
                    .await
                    .map(drop),
            }
        }
        Action::Patch {
            target,
            subresource,
            patch,
            ..
        } => {
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let api = target.api(client);
            match subresource {
                Some(subresource) => api
                    .patch_subresource(subresource, &target.name, &params, &Patch::Merge(patch))
                    .await
                    .map(drop),
                None => api
                    .patch(&target.name, &params, &Patch::Merge(patch))
                    .await
                    .map(drop),
            }
        }
        Action::Delete { target, uid, .. } => {
            let mut params = DeleteParams::background();
            if let Some(uid) = uid {
                params = params.preconditions(Preconditions {
                    uid: Some(uid.clone()),
                    resource_version: None,
                });
            }
            match target.api(client).delete(&target.name, &params).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                answer => answer.map(drop),
            }
        }
    }
}
