//! Which pods Services find: by the labels of the workloads they name, as far as the caller may read those.
//!
//! Names that stand for others are looked up only; their addresses are kept by the hub (`drover_controllers::targets`).

use drover_auth::web::ApiError;
use drover_types::targets::{self, NO_LABELS, selector};
use serde_json::{Map, Value, json};

use super::Inside;
use super::provide::SERVICES;
use super::workloads::KINDS;
use crate::kinds::form::{service, workload_id};
use crate::mapping;
use crate::schema::Form;
use crate::store::Store;

impl Inside<'_> {
    /// Points a Service at the pods of the workloads it names, and looks whether the other names are there.
    pub(super) async fn aim(&self, object: &mut Value) -> Result<(), ApiError> {
        if !matches!(self.kind.form, Some(Form::Service | Form::DnsRecord)) {
            return Ok(());
        }
        let namespace = mapping::namespace(object).unwrap_or_default().to_owned();
        for record in service::listed(object, targets::RECORDS) {
            self.find_record(&record, &namespace).await?;
        }
        if object["metadata"]["annotations"][NO_LABELS] == "true" {
            return Ok(());
        }
        let workloads = service::listed(object, service::TARGETS);
        if !workloads.is_empty() {
            let name = mapping::name(object).to_owned();
            let labels = self
                .labels_of_all(&workloads, &namespace, "targetWorkloadIds", &name)
                .await?;
            object["spec"]["selector"] = Value::Object(labels);
        }
        Ok(())
    }

    /// Looks whether a name that another shall stand for is in the same project, for the caller to see.
    async fn find_record(&self, id: &str, namespace: &str) -> Result<(), ApiError> {
        let refused = |message: String| {
            Err(ApiError::invalid("InvalidReference", message).with_field(service::RECORD_IDS))
        };
        let Some((place, name)) = targets::record_id(id) else {
            return refused(format!("{id:?} is no <namespace>:<name> of a name"));
        };
        if place != namespace && !self.is_own(place).await? {
            return refused(format!("{id} is not in the same project"));
        }
        let store = Store::of_core(self.store.client().clone());
        match store.find(SERVICES, Some(place), name).await? {
            Some(_) => Ok(()),
            None => refused(format!("there is no name {id}")),
        }
    }

    /// The labels by which a Service finds the pods of workloads: those of the one, or one that is put on the pods of
    /// several (`drover_controllers::targets`).
    pub(super) async fn labels_of_all(
        &self,
        workloads: &[String],
        namespace: &str,
        field: &'static str,
        service: &str,
    ) -> Result<Map<String, Value>, ApiError> {
        let mut found = Map::new();
        for workload in workloads {
            found = self.labels_of(workload, namespace, field).await?;
        }
        if workloads
            .iter()
            .all(|other| Some(other) == workloads.first())
        {
            return Ok(found);
        }
        let label = targets::pod_label(service).ok_or_else(|| {
            let message = "a name for several workloads has 52 letters at most";
            ApiError::invalid("MaxLengthExceeded", message).with_field("name")
        })?;
        Ok([(label, json!(targets::POD_LABEL_VALUE))]
            .into_iter()
            .collect())
    }

    /// The labels by which a workload, which the caller may read, finds its pods.
    async fn labels_of(
        &self,
        id: &str,
        namespace: &str,
        field: &'static str,
    ) -> Result<Map<String, Value>, ApiError> {
        let refused =
            |message: String| Err(ApiError::invalid("InvalidReference", message).with_field(field));
        let (word, place, name) = workload_id(id, field)?;
        let kind = KINDS.iter().find(|kind| kind.to_ascii_lowercase() == word);
        let Some(kind) = kind.filter(|_| place == namespace) else {
            return refused(format!("{id} is not in the namespace {namespace}"));
        };
        let workloads = self.among(kind)?;
        let found = workloads
            .store
            .find(workloads.object, Some(place), name)
            .await?;
        match found.as_ref().and_then(selector) {
            Some(labels) => Ok(labels.clone()),
            None => refused(format!("{id} is no workload with pods of its own")),
        }
    }
}
