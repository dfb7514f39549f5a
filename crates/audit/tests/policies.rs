//! Policies as they are written to the API: in force from then on, and told what came of them.

#![cfg(test)]

use drover_audit::{Level, Policies, follow};
use drover_testkit::embedded::{Embedded, PATIENCE, put};
use drover_types::auditlog::AuditPolicy;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

struct World {
    _server: Embedded,
    api: Api<AuditPolicy>,
    policies: Policies,
}

impl World {
    async fn start() -> Self {
        let server = Embedded::start().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(server.client());
        let all = drover_types::crds::all().into_iter();
        for definition in all.filter(|one| one.spec.group == drover_types::auditlog::GROUP) {
            let made = definitions.create(&Default::default(), &definition).await;
            made.expect("a definition is taken");
        }
        let api: Api<AuditPolicy> = Api::all(server.client());
        within("the kind to be served", || async {
            api.list(&ListParams::default()).await.is_ok()
        })
        .await;
        let policies = Policies::default();
        let now = || Timestamp::from_second(1_000).expect("a time");
        tokio::spawn(follow(server.client(), policies.clone(), now));
        Self {
            _server: server,
            api,
            policies,
        }
    }

    async fn make(&self, name: &str, spec: Value) {
        put(self.api.clone(), json!({
            "apiVersion": "auditlog.cattle.io/v1", "kind": "AuditPolicy", "metadata": {"name": name}, "spec": spec,
        }))
        .await;
    }

    async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let patched = self.api.patch(name, &PatchParams::default(), &patch).await;
        patched.expect("it is taken");
    }

    /// Waits until a policy says this of its present generation.
    async fn says(&self, name: &str, status: &str, reason: &str) -> Condition {
        let mut found = None;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while found.is_none() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{name} to say {reason}"
            );
            let policy = self.api.get(name).await.expect("it is there");
            let generation = policy.metadata.generation;
            found = policy.status.conditions.into_iter().find(|condition| {
                condition.type_ == "Active"
                    && condition.status == status
                    && condition.reason == reason
                    && condition.observed_generation == generation
            });
            tokio::task::yield_now().await;
        }
        found.expect("it was found")
    }

    async fn writes(&self, uri: &str, expected: bool) {
        within(&format!("{uri} to be written: {expected}"), || async {
            let verdict = self.policies.decide(Level::Metadata, uri, false);
            verdict.is_some() == expected
        })
        .await;
    }
}

async fn within<F, Fut>(what: &str, fits: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let waiting = async {
        while !fits().await {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(done.is_ok(), "waited for {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_in_force_until_it_is_disabled_or_gone() {
    let world = World::start().await;
    let deny = json!({"enabled": true, "filters": [{"action": "deny", "requestURI": "^/noise"}]});
    world.make("quiet", deny).await;
    let condition = world.says("quiet", "True", "PolicyIsActive").await;
    assert_eq!(condition.message, "");
    world.writes("/noise", false).await;
    world.writes("/else", true).await;

    world.change("quiet", json!({"enabled": false})).await;
    world.says("quiet", "False", "PolicyWasDisabled").await;
    world.writes("/noise", true).await;

    world.change("quiet", json!({"enabled": true})).await;
    world.writes("/noise", false).await;
    let gone = world.api.delete("quiet", &DeleteParams::default()).await;
    gone.expect("it was there");
    world.writes("/noise", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_policy_says_what_is_wrong_and_has_no_effect() {
    let world = World::start().await;
    let deny = json!([{"action": "deny", "requestURI": "^/noise"}]);
    world
        .make("a", json!({"enabled": true, "filters": deny}))
        .await;
    world.writes("/noise", false).await;
    let wrong = json!([{"action": "deny", "requestURI": "("}]);
    world.change("a", json!({ "filters": wrong })).await;
    let condition = world.says("a", "False", "PolicyIsInvalid").await;
    assert!(
        condition
            .message
            .starts_with("spec.filters[0].requestURI: "),
        "{}",
        condition.message
    );
    world.writes("/noise", true).await;
    // A disabled one is not looked at.
    world
        .make("b", json!({"enabled": false, "filters": wrong}))
        .await;
    world.says("b", "False", "PolicyWasDisabled").await;
    // Mended, it is in force.
    world.change("a", json!({ "filters": deny })).await;
    world.says("a", "True", "PolicyIsActive").await;
    world.writes("/noise", false).await;
}
