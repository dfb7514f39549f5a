//! What an agent found of an authority that the hub no longer has.
//!
//! Its checks stay where people look for them while it joins. Once the authority changes an agent that was not told of
//! the new one trusts the hub no more and cannot say so; the hub says it in its place.

use drover_types::checks::{ANNOTATION, Checks};
use drover_types::management::Cluster;
use serde_json::json;

use crate::clusters::annotation;
use crate::plan::{Action, Plan, Reference, Site};
use crate::settings::Settings;

/// Corrects what is kept of a cluster's checks.
pub(super) fn reconcile(cluster: &Cluster, settings: &Settings) -> Plan {
    let mut plan = Plan::default();
    let meta = &cluster.metadata;
    let (Some(id), None) = (&meta.name, &meta.deletion_timestamp) else {
        return plan;
    };
    let kept = annotation(meta, ANNOTATION);
    let Some(told) = kept.and_then(|text| serde_json::from_str::<Checks>(text).ok()) else {
        return plan;
    };
    if told.authority.is_empty() || told.authority == settings.ca_checksum() {
        return plan;
    }
    let outdated = told.clone().outdated();
    if outdated == told {
        return plan;
    }
    let text = serde_json::to_string(&outdated).expect("texts and flags are JSON");
    plan.actions.push(Action::patch(
        Site::Hub,
        Reference::new::<Cluster>(None, id),
        json!({"metadata": {
            "resourceVersion": meta.resource_version, "annotations": {ANNOTATION: text},
        }}),
    ));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(authority: &str) -> Cluster {
        let told = json!({
            "ready": true, "authority": authority,
            "checks": [{"step": "clock", "outcome": "ok"}, {"step": "ca-checksum", "outcome": "ok"}],
        });
        let mut cluster = Cluster::named("c-abcde");
        cluster.metadata.annotations = Some([(ANNOTATION.to_owned(), told.to_string())].into());
        cluster
    }

    #[test]
    fn checks_of_another_authority_are_corrected_once() {
        let settings = Settings::of([("cacerts", "pem")]);
        let check = |authority: &str, n_actions: usize| {
            let plan = reconcile(&cluster(authority), &settings);
            assert_eq!(plan.actions.len(), n_actions, "{authority}");
            plan
        };
        check("", 0);
        check(&settings.ca_checksum(), 0);
        let plan = check("of another", 1);
        let Some(Action::Patch { patch, .. }) = plan.actions.first() else {
            panic!("{plan:?}")
        };
        let text = patch["metadata"]["annotations"][ANNOTATION]
            .as_str()
            .unwrap();
        let corrected: Checks = serde_json::from_str(text).unwrap();
        assert!(!corrected.ready);
        assert_eq!(corrected.checks.len(), 2);
        let mut after = cluster("of another");
        after.metadata.annotations = Some([(ANNOTATION.to_owned(), text.to_owned())].into());
        assert!(reconcile(&after, &settings).is_empty());
    }
}
