//! Quotas of projects and what their namespaces have of them (reference rbac-and-projects 6).
//!
//! Pure. Owns the names of limited things in `/v3` and in Kubernetes, and the one decision that matters: which
//! namespaces fit. The management API asks it before it makes a namespace, the controller for those made otherwise.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::quantity::Quantity;

/// Names of limited things, and Kubernetes' keys for them.
const KEYS: [(&str, &str); 13] = [
    ("configMaps", "configmaps"),
    ("limitsCpu", "limits.cpu"),
    ("limitsMemory", "limits.memory"),
    ("persistentVolumeClaims", "persistentvolumeclaims"),
    ("pods", "pods"),
    ("replicationControllers", "replicationcontrollers"),
    ("requestsCpu", "requests.cpu"),
    ("requestsMemory", "requests.memory"),
    ("requestsStorage", "requests.storage"),
    ("secrets", "secrets"),
    ("services", "services"),
    ("servicesLoadBalancers", "services.loadbalancers"),
    ("servicesNodePorts", "services.nodeports"),
];
/// Field with further limits, by Kubernetes' keys.
const EXTENDED: &str = "extended";

/// Amounts by Kubernetes' keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<String, Quantity>);

/// An amount that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not an amount such as 2, 500m or 1Gi")]
pub struct BadAmount {
    /// Which.
    pub field: String,
    /// What stands there.
    pub value: String,
    /// It would be an amount if it were not below zero.
    pub negative: bool,
}

/// What a namespace asks for beyond what is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wanted} asked for, {used} of {limit} used")]
pub struct Excess {
    /// Which, by the name in `/v3`.
    pub field: String,
    /// Kubernetes' key for it.
    pub key: String,
    /// Asked for.
    pub wanted: Quantity,
    /// Held by the other namespaces.
    pub used: Quantity,
    /// What the project may hold.
    pub limit: Quantity,
}

fn key_of(field: &str) -> Option<&'static str> {
    KEYS.iter()
        .find(|(name, _)| *name == field)
        .map(|(_, key)| *key)
}

fn field_of(key: &str) -> Option<&'static str> {
    KEYS.iter()
        .find(|(_, known)| *known == key)
        .map(|(name, _)| *name)
}

fn amount(field: &str, value: &Value) -> Result<Quantity, BadAmount> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let parsed = Quantity::parse(&text);
    parsed
        .filter(|amount| !amount.is_negative())
        .ok_or_else(|| BadAmount {
            field: field.to_owned(),
            value: text,
            negative: parsed.is_some(),
        })
}

impl Amounts {
    /// Reads `{"limit": {...}}`; absent is empty.
    ///
    /// # Errors
    ///
    /// The first amount that is none.
    pub fn read(quota: Option<&Value>) -> Result<Self, BadAmount> {
        let mut amounts = BTreeMap::new();
        let limit = quota
            .and_then(|quota| quota.get("limit"))
            .and_then(Value::as_object);
        let given = |value: &&Value| !value.is_null() && value.as_str() != Some("");
        for (name, value) in limit.into_iter().flatten() {
            if name == EXTENDED {
                for (key, value) in value.as_object().into_iter().flatten() {
                    // The fixed fields win.
                    let fixed = field_of(key)
                        .and_then(|field| limit?.get(field))
                        .filter(given);
                    if fixed.is_none() {
                        amounts.insert(key.clone(), amount(key, value)?);
                    }
                }
            } else if let (Some(key), Some(value)) = (key_of(name), Some(value).filter(given)) {
                amounts.insert(key.to_owned(), amount(name, value)?);
            }
        }
        Ok(Self(amounts))
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the `limit` of a quota in `/v3`.
    #[must_use]
    pub fn limit(&self) -> Value {
        let mut limit = Map::new();
        let mut extended = Map::new();
        for (key, amount) in &self.0 {
            match field_of(key) {
                Some(field) => limit.insert(field.to_owned(), json!(amount.to_string())),
                None => extended.insert(key.clone(), json!(amount.to_string())),
            };
        }
        if !extended.is_empty() {
            limit.insert(EXTENDED.to_owned(), Value::Object(extended));
        }
        Value::Object(limit)
    }

    /// As the `hard` of a ResourceQuota.
    #[must_use]
    pub fn hard(&self) -> BTreeMap<String, String> {
        self.0
            .iter()
            .map(|(key, amount)| (key.clone(), amount.to_string()))
            .collect()
    }

    /// The same with nothing left of these.
    #[must_use]
    pub fn without(&self, excess: &[Excess]) -> Self {
        let mut amounts = self.clone();
        for excess in excess {
            amounts.0.insert(excess.key.clone(), Quantity::default());
        }
        amounts
    }

    /// What a namespace has: the default of its project, where it says nothing itself; nothing but what that limits.
    #[must_use]
    pub fn of_namespace(default: &Self, own: &Self) -> Self {
        let amounts = default.0.iter().map(|(key, amount)| {
            let amount = own.0.get(key).unwrap_or(amount);
            (key.clone(), *amount)
        });
        Self(amounts.collect())
    }

    /// The fields that are limited here and not in `other`.
    #[must_use]
    pub fn fields_beyond(&self, other: &Self) -> Vec<&str> {
        let beyond = self.0.keys().filter(|key| !other.0.contains_key(*key));
        beyond.map(|key| field_of(key).unwrap_or(key)).collect()
    }

    /// Those of them that are not limited in `other`.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let mut amounts = self.clone();
        amounts.0.retain(|key, _| !other.0.contains_key(key));
        amounts
    }

    /// What so many namespaces have together if each has this.
    #[must_use]
    pub fn times(&self, n_namespaces: usize) -> Self {
        let mut sum = Self::default();
        for _ in 0..n_namespaces {
            sum.add(self);
        }
        sum
    }

    fn add(&mut self, other: &Self) {
        for (key, amount) in &other.0 {
            let sum = self.0.entry(key.clone()).or_default();
            *sum = sum.plus(*amount);
        }
    }

    /// What does not fit when `wanted` is added to `used`.
    #[must_use]
    pub fn excess(&self, used: &Self, wanted: &Self) -> Vec<Excess> {
        let mut found = Vec::new();
        for (key, limit) in &self.0 {
            let zero = Quantity::default();
            let (used, wanted) = (
                *used.0.get(key).unwrap_or(&zero),
                *wanted.0.get(key).unwrap_or(&zero),
            );
            if used.plus(wanted).exceeds(*limit) {
                found.push(Excess {
                    field: field_of(key).unwrap_or(key).to_owned(),
                    key: key.clone(),
                    wanted,
                    used,
                    limit: *limit,
                });
            }
        }
        found
    }
}

/// What a project holds once its namespaces, oldest first, have taken what fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The sum of those that fit.
    pub used: Amounts,
    /// For each namespace, what does not fit.
    pub excess: Vec<Vec<Excess>>,
}

/// Gives each namespace, in order, what it asks for if that is left.
#[must_use]
pub fn admit(limit: &Amounts, namespaces: &[Amounts]) -> Admission {
    let mut admission = Admission::default();
    for wanted in namespaces {
        let excess = limit.excess(&admission.used, wanted);
        if excess.is_empty() {
            admission.used.add(wanted);
        }
        admission.excess.push(excess);
    }
    admission
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(limit: &Value) -> Amounts {
        Amounts::read(Some(&json!({ "limit": limit }))).unwrap()
    }

    #[test]
    fn names_become_kubernetes_keys_and_back() {
        let quota = amounts(&json!({
            "limitsCpu": "1500m", "pods": "10", "servicesNodePorts": 2, "secrets": "",
            "extended": {"count/jobs.batch": "5", "pods": "99"},
        }));
        assert_eq!(
            quota.hard(),
            [
                ("count/jobs.batch", "5"),
                ("limits.cpu", "1500m"),
                ("pods", "10"),
                ("services.nodeports", "2")
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
        );
        assert_eq!(
            quota.limit(),
            json!({
                "limitsCpu": "1500m", "pods": "10", "servicesNodePorts": "2",
                "extended": {"count/jobs.batch": "5"},
            })
        );
        let bad = Amounts::read(Some(&json!({"limit": {"pods": "many"}}))).unwrap_err();
        assert_eq!((bad.field.as_str(), bad.value.as_str()), ("pods", "many"));
        assert!(!bad.negative);
        let bad = Amounts::read(Some(&json!({"limit": {"pods": "-1"}}))).unwrap_err();
        assert!(bad.negative);
        let few = amounts(&json!({"pods": "3"}));
        assert_eq!(
            quota.fields_beyond(&few),
            ["count/jobs.batch", "limitsCpu", "servicesNodePorts"]
        );
        assert_eq!(few.times(4).hard()["pods"], "12");
        assert!(few.beyond(&quota).is_empty());
    }

    #[test]
    fn namespaces_fit_until_nothing_is_left() {
        // The reference's check 27.
        let limit = amounts(&json!({"pods": "10"}));
        let default = amounts(&json!({"pods": "2"}));
        let own = |pods: &str| {
            Amounts::of_namespace(&default, &amounts(&json!({ "pods": pods, "secrets": "1" })))
        };
        let wanted = [
            Amounts::of_namespace(&default, &Amounts::default()),
            own("8"),
            own("1"),
        ];
        let admission = admit(&limit, &wanted);
        assert_eq!(admission.used, limit);
        assert!(admission.excess[0].is_empty() && admission.excess[1].is_empty());
        assert_eq!(
            admission.excess[2][0].to_string(),
            "pods: 1 asked for, 10 of 10 used"
        );
        assert_eq!(wanted[2].without(&admission.excess[2]).hard()["pods"], "0");
    }
}
