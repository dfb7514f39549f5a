//! Workloads of a project: seven kinds under one name, their identifiers, revisions and actions.

use drover_auth::web::ApiError;
use futures::future::try_join_all;
use serde_json::{Map, Value, json};

use super::Inside;
use crate::call::Item;
use crate::crossed::until_settled;
use crate::kinds::{self, text, workload};
use crate::mapping::{self, Reveal};
use crate::schema::Workload;
use crate::store::Store;

/// The types that `workload` stands for.
pub(super) const KINDS: [&str; 7] = [
    "deployment",
    "daemonSet",
    "statefulSet",
    "job",
    "cronJob",
    "replicaSet",
    "replicationController",
];

impl<'a> Inside<'a> {
    /// Whether identifiers here name a kind before namespace and name.
    pub(super) fn has_workloads(&self) -> bool {
        self.kind
            .workload
            .is_some_and(|workload| workload != Workload::Pod)
    }

    /// The same place with objects of another type.
    pub(super) fn among(&self, id: &str) -> Result<Self, ApiError> {
        let unknown = || ApiError::not_found(format!("failed to find schema {id}"));
        let kind = self.call.registry().get(id).ok_or_else(unknown)?;
        Ok(Self {
            call: self.call,
            kind,
            object: kind.object.ok_or_else(unknown)?,
            context: self.context,
            place: self.place.clone(),
            store: Store::of(self.store.client().clone(), kind.api),
        })
    }

    /// The kind that an identifier names, and the rest of it.
    pub(super) fn narrowed(self, id: &str) -> Result<(Self, String), ApiError> {
        let absent = || ApiError::not_found(format!("{} \"{id}\" not found", self.kind.id));
        let (word, rest) = id.split_once(':').ok_or_else(absent)?;
        let named = KINDS.iter().find(|kind| kind.to_ascii_lowercase() == word);
        let named = *named.ok_or_else(absent)?;
        if self.kind.workload != Some(Workload::Any) && self.kind.id != named {
            return Err(absent());
        }
        Ok((self.among(named)?, rest.to_owned()))
    }

    /// Workloads of every kind.
    pub(super) async fn all_kinds(&self) -> Result<Vec<Item>, ApiError> {
        let places: Vec<Self> = KINDS
            .iter()
            .map(|kind| self.among(kind))
            .collect::<Result<_, _>>()?;
        let lists = try_join_all(places.iter().map(Self::list)).await?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// Makes a workload of the kind that the fields tell.
    pub(super) async fn create_wanted(&self, sent: Map<String, Value>) -> Result<Item, ApiError> {
        self.among(workload::wanted(&sent))?.create(sent).await
    }

    /// The ReplicaSets that a deployment made.
    pub(super) async fn revisions(&self, id: &str) -> Result<Vec<Item>, ApiError> {
        let deployment = self.get(id, "get").await?;
        let sets = self.among("replicaSet")?;
        let all = sets
            .store
            .list(sets.object, mapping::namespace(&deployment))
            .await?;
        let own = all.iter().filter(|set| is_made_by(set, &deployment));
        Ok(own.map(|set| sets.item(set, Reveal::No)).collect())
    }

    /// Pauses, resumes, rolls back or makes new pods.
    pub(super) async fn act(
        &self,
        id: &str,
        action: &str,
        input: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let known = self.kind.actions.iter().any(|known| known.name == action);
        let Some(workload) = self.kind.workload.filter(|_| known) else {
            return Err(kinds::unknown_action(action));
        };
        until_settled(|| async {
            let mut object = self.get(id, "update").await?;
            match action {
                "pause" => pause(&mut object, true)?,
                "resume" => pause(&mut object, false)?,
                "rollback" => self.roll_back(&mut object, input).await?,
                _ => workload::redeploy(workload, &mut object, self.call.now),
            }
            self.store.replace(self.object, &object).await.map(drop)
        })
        .await
    }

    async fn roll_back(
        &self,
        deployment: &mut Value,
        input: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let id = text(input, "replicaSetId");
        let refused = |message: String| {
            ApiError::invalid("InvalidReference", message).with_field("replicaSetId")
        };
        let namespace = mapping::namespace(deployment);
        let name = id
            .strip_prefix("replicaset:")
            .and_then(|rest| rest.split_once(':'))
            .filter(|(place, name)| Some(*place) == namespace && !name.is_empty())
            .map(|(_, name)| name)
            .ok_or_else(|| refused(format!("{id:?} is no replicaset:<namespace>:<name> of it")))?;
        let sets = self.among("replicaSet")?;
        let found = sets.store.find(sets.object, namespace, name).await?;
        let set = found
            .filter(|set| is_made_by(set, deployment))
            .ok_or_else(|| refused(format!("{id} is no revision of it")))?;
        deployment["spec"]["template"]["spec"] = set["spec"]["template"]["spec"].clone();
        Ok(())
    }
}

fn pause(object: &mut Value, wanted: bool) -> Result<(), ApiError> {
    let paused = object.pointer("/spec/paused") == Some(&json!(true));
    if paused == wanted {
        let message = if wanted {
            "it is paused already"
        } else {
            "it is not paused"
        };
        return Err(ApiError::invalid("InvalidAction", message));
    }
    object["spec"]["paused"] = json!(wanted);
    Ok(())
}

fn is_made_by(set: &Value, deployment: &Value) -> bool {
    let owners = set.pointer("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    let uid = &deployment["metadata"]["uid"];
    owners.clone().count() > 0
        && owners
            .into_iter()
            .any(|owner| owner["kind"] == "Deployment" && &owner["uid"] == uid)
}
