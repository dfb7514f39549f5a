//! Defaults of what the server itself goes by: webhooks, admission policies, levels of priority.

use serde_json::json;

use super::{Members, each, set, set_number, with};

/// Shares of a priority level, and how its queues are.
pub(super) fn priority_level(spec: &mut Members) {
    for (member, shares) in [("exempt", 0), ("limited", 30)] {
        with(spec, member, |level| {
            set(level, "nominalConcurrencyShares", json!(shares));
            set(level, "lendablePercent", json!(0));
            with(level, "limitResponse", |response| {
                with(response, "queuing", |queuing| {
                    set_number(queuing, "handSize", 8);
                    set_number(queuing, "queues", 64);
                    set_number(queuing, "queueLengthLimit", 50);
                });
            });
        });
    }
}

pub(super) fn admission(kind: &str, object: &mut Members) {
    match kind {
        "ValidatingWebhookConfiguration" => each(object, "webhooks", webhook),
        "MutatingWebhookConfiguration" => each(object, "webhooks", |hook| {
            webhook(hook);
            set(hook, "reinvocationPolicy", json!("Never"));
        }),
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => with(object, "spec", |spec| {
            set(spec, "failurePolicy", json!("Fail"));
            with(spec, "matchConstraints", match_resources);
        }),
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            with(object, "spec", |spec| {
                with(spec, "matchResources", match_resources)
            });
        }
        _ => {}
    }
}

fn webhook(hook: &mut Members) {
    set(hook, "failurePolicy", json!("Fail"));
    set(hook, "matchPolicy", json!("Equivalent"));
    set(hook, "namespaceSelector", json!({}));
    set(hook, "objectSelector", json!({}));
    set(hook, "timeoutSeconds", json!(10));
    with(hook, "clientConfig", |config| {
        with(config, "service", |service| {
            set(service, "port", json!(443))
        })
    });
    each(hook, "rules", |rule| set(rule, "scope", json!("*")));
}

fn match_resources(resources: &mut Members) {
    set(resources, "matchPolicy", json!("Equivalent"));
    set(resources, "namespaceSelector", json!({}));
    set(resources, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(resources, rules, |rule| set(rule, "scope", json!("*")));
    }
}
