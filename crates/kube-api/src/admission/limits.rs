//! LimitRanges: what containers get that do not say what they need, and what pods and claims may ask for
//! (kubernetes `plugin/pkg/admission/limitranger`, v1.36).

use std::collections::BTreeMap;

use drover_structural::quantity::Quantity;
use serde_json::{Map, Value, json};

use super::{Operation, Write, forbidden};
use crate::rest::Api;
use crate::rest::object::{self, meta, metadata_mut};
use crate::status::StatusError;
use crate::store::Range;

/// Where a pod says what was added to it.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// What pods may ask for as a whole.
const OF_PODS: [&str; 2] = ["cpu", "memory"];
/// Larger amounts are compared in whole units.
const MAX_MILLIS: i64 = i64::MAX / 1000;

/// Amounts by their names.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// The limits of all ranges of a namespace, each range's in a list.
fn ranges(api: &Api, namespace: &str) -> Vec<Vec<Value>> {
    let range = Range {
        namespace: Some(namespace),
        ..Range::default()
    };
    let page = api.store.list("/limitranges", &range);
    let items = page.map(|page| page.items).unwrap_or_default();
    let limits = |range: &Value| range["spec"]["limits"].as_array().cloned();
    items
        .iter()
        .filter_map(|(_, item)| limits(&item.value()))
        .collect()
}

/// The amounts in a map of them.
pub(super) fn amounts(value: &Value) -> Amounts {
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, amount)| Some((name.clone(), quantity(amount)?)))
        .collect()
}

/// Quantities are kept as their canonical text; a number may stand for one.
fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Gives the containers of a new pod what they do not say.
pub(crate) fn fill(api: &Api, pod: &mut Value) {
    for limits in ranges(api, meta(pod, "namespace")) {
        let mut usual = [Map::new(), Map::new()];
        for limit in limits.iter().filter(|limit| limit["type"] == "Container") {
            for (usual, member) in usual.iter_mut().zip(["defaultRequest", "default"]) {
                usual.extend(limit[member].as_object().cloned().unwrap_or_default());
            }
        }
        let mut said = Vec::new();
        for (list, what) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                said.extend(fill_container(container, &usual, what));
            }
        }
        if said.is_empty() {
            continue;
        }
        let annotations = metadata_mut(pod)
            .entry("annotations")
            .or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            let text = format!("LimitRanger plugin set: {}", said.join("; "));
            annotations.insert(ANNOTATION.to_owned(), text.into());
        }
    }
}

/// Gives one container what it does not say; tells what that was.
fn fill_container(
    container: &mut Value,
    [requests, limits]: &[Map<String, Value>; 2],
    what: &str,
) -> Vec<String> {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let mut said = Vec::new();
    for (member, singular, usual) in [
        ("requests", "request", requests),
        ("limits", "limit", limits),
    ] {
        let Some(container) = container.as_object_mut() else {
            continue;
        };
        let resources = container.entry("resources").or_insert_with(|| json!({}));
        let missing: Vec<(&String, &Value)> = usual
            .iter()
            .filter(|(name, _)| resources[member].get(name.as_str()).is_none())
            .collect();
        if missing.is_empty() {
            continue;
        }
        let mut names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        said.push(format!("{} {singular} for {what} {name}", names.join(", ")));
        for (name, amount) in missing {
            resources[member][name.as_str()] = amount.clone();
        }
    }
    said
}

/// Holds a pod or a claim against the limits of its namespace.
pub(super) fn check(api: &Api, write: &Write<'_>) -> Result<(), StatusError> {
    let Some(object) = write.new else {
        return Ok(());
    };
    let creates = write.operation == Operation::Create;
    let claim = match (&*write.resource.storage, write.subresource) {
        ("/pods", "") if creates => false,
        ("/pods", "resize") if !creates => false,
        ("/persistentvolumeclaims", "") => true,
        _ => return Ok(()),
    };
    if write.old.is_some_and(object::is_deleting) {
        return Ok(());
    }
    for limits in ranges(api, write.namespace) {
        let mut problems = Vec::new();
        for limit in &limits {
            if claim {
                check_claim(limit, object, &mut problems);
            } else {
                check_pod(limit, object, &mut problems);
            }
        }
        if let Some(problem) = joined(problems) {
            return Err(forbidden(write, object, &problem));
        }
    }
    Ok(())
}

/// Problems as one, each told once.
fn joined(mut problems: Vec<String>) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    problems.retain(|problem| {
        let new = !told.contains(problem);
        told.push(problem.clone());
        new
    });
    match problems.len() {
        0 => None,
        1 => problems.pop(),
        _ => Some(format!("[{}]", problems.join(", "))),
    }
}

fn check_claim(limit: &Value, claim: &Value, problems: &mut Vec<String>) {
    if limit["type"] != "PersistentVolumeClaim" {
        return;
    }
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    let asked = Asked {
        what: "PersistentVolumeClaim",
        requests: &requests,
        limits: &Amounts::new(),
    };
    for (name, least) in &amounts(&limit["min"]) {
        problems.extend(asked.below(name, *least));
    }
    for (name, most) in &amounts(&limit["max"]) {
        problems.extend(asked.requests_above(name, *most));
    }
}

fn check_pod(limit: &Value, pod: &Value, problems: &mut Vec<String>) {
    match limit["type"].as_str() {
        Some("Container") => {
            for container in containers(pod) {
                let resources = &container["resources"];
                Asked {
                    what: "Container",
                    requests: &amounts(&resources["requests"]),
                    limits: &amounts(&resources["limits"]),
                }
                .check(limit, problems);
            }
        }
        Some("Pod") => Asked {
            what: "Pod",
            requests: &of_pod(pod, "requests"),
            limits: &of_pod(pod, "limits"),
        }
        .check(limit, problems),
        _ => {}
    }
}

/// The containers of a pod, then those that run before them.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

/// What something asks for.
struct Asked<'a> {
    what: &'a str,
    requests: &'a Amounts,
    limits: &'a Amounts,
}

impl Asked<'_> {
    fn check(&self, limit: &Value, problems: &mut Vec<String>) {
        for (name, least) in &amounts(&limit["min"]) {
            problems.extend(self.below(name, *least));
        }
        for (name, most) in &amounts(&limit["max"]) {
            problems.extend(self.above(name, *most));
        }
        for (name, most) in &amounts(&limit["maxLimitRequestRatio"]) {
            problems.extend(self.ratio(name, *most));
        }
    }

    fn below(&self, name: &str, least: Quantity) -> Option<String> {
        let what = self.what;
        let told = format!("minimum {name} usage per {what} is {least}");
        let Some(request) = self.requests.get(name).copied() else {
            return Some(format!("{told}.  No request is specified"));
        };
        let limit = self.limits.get(name).copied();
        let [asked, most, enforced] = comparable([Some(request), limit, Some(least)]);
        if asked < enforced {
            return Some(format!("{told}, but request is {request}"));
        }
        limit
            .filter(|_| most < enforced)
            .map(|limit| format!("{told}, but limit is {limit}"))
    }

    fn above(&self, name: &str, most: Quantity) -> Option<String> {
        let what = self.what;
        let told = format!("maximum {name} usage per {what} is {most}");
        let Some(limit) = self.limits.get(name).copied() else {
            return Some(format!("{told}.  No limit is specified"));
        };
        let request = self.requests.get(name).copied();
        let [asked, limited, enforced] = comparable([request, Some(limit), Some(most)]);
        if limited > enforced {
            return Some(format!("{told}, but limit is {limit}"));
        }
        request
            .filter(|_| asked > enforced)
            .map(|request| format!("{told}, but request is {request}"))
    }

    fn requests_above(&self, name: &str, most: Quantity) -> Option<String> {
        let what = self.what;
        let told = format!("maximum {name} usage per {what} is {most}");
        let Some(request) = self.requests.get(name).copied() else {
            return Some(format!("{told}.  No request is specified"));
        };
        let [asked, _, enforced] = comparable([Some(request), None, Some(most)]);
        (asked > enforced).then(|| format!("{told}, but request is {request}"))
    }

    fn ratio(&self, name: &str, most: Quantity) -> Option<String> {
        let what = self.what;
        let told = format!("{name} max limit to request ratio per {what} is {most}");
        let [request, limit] = [self.requests, self.limits].map(|all| all.get(name).copied());
        let [asked, limited, _] = comparable([request, limit, Some(most)]);
        if asked == 0 {
            return Some(format!(
                "{told}, but no request is specified or request is 0"
            ));
        }
        if limited == 0 {
            return Some(format!("{told}, but no limit is specified or limit is 0"));
        }
        #[expect(clippy::cast_precision_loss, reason = "as the real server divides")]
        let (ratio, enforced) = (limited as f64 / asked as f64, most.millis() as f64 / 1000.0);
        (ratio > enforced).then(|| format!("{told}, but provided ratio is {ratio:.6}"))
    }
}

/// Amounts at one precision: in thousandths, unless one is too large for that.
fn comparable(amounts: [Option<Quantity>; 3]) -> [i64; 3] {
    let whole = amounts.map(|amount| amount.map_or(0, Quantity::value));
    if whole.iter().all(|amount| *amount <= MAX_MILLIS) {
        amounts.map(|amount| amount.map_or(0, Quantity::millis))
    } else {
        whole
    }
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        to.entry(name.clone())
            .and_modify(|sum| *sum = sum.plus(*amount))
            .or_insert(*amount);
    }
}

fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        to.entry(name.clone())
            .and_modify(|most| *most = (*most).max(*amount))
            .or_insert(*amount);
    }
}

/// What a pod as a whole asks for in `requests` or `limits`: its containers together, and what it says of itself.
pub(super) fn of_pod(pod: &Value, member: &str) -> Amounts {
    let Some(spec) = pod["spec"].as_object() else {
        return Amounts::new();
    };
    let mut sum = of_containers(spec, member);
    let stated = spec
        .get("resources")
        .map(|stated| amounts(&stated[member]))
        .unwrap_or_default()
        .into_iter();
    sum.extend(stated.filter(|(name, _)| OF_PODS.contains(&name.as_str())));
    sum
}

/// What the containers of a pod's specification ask for in `requests` or `limits`: together, or more if one of those that
/// run before them needs more, together with those that stay.
pub(crate) fn of_containers(spec: &Map<String, Value>, member: &str) -> Amounts {
    let list = |name: &str| {
        let containers = spec.get(name).and_then(Value::as_array);
        containers.into_iter().flatten()
    };
    let mut sum = Amounts::new();
    for container in list("containers") {
        add(&mut sum, &amounts(&container["resources"][member]));
    }
    let (mut staying, mut before) = (Amounts::new(), Amounts::new());
    for container in list("initContainers") {
        let own = amounts(&container["resources"][member]);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &own);
            add(&mut staying, &own);
            raise(&mut before, &staying);
        } else {
            let mut together = own;
            add(&mut together, &staying);
            raise(&mut before, &together);
        }
    }
    raise(&mut sum, &before);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(amounts: &Amounts) -> String {
        let texts = amounts
            .iter()
            .map(|(name, amount)| format!("{name}={amount}"));
        texts.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_pod_asks_for_the_most_it_ever_needs() {
        let uses = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let pod = json!({"spec": {
            "containers": [{"resources": uses("100m")}, {"resources": uses("200m")}],
            "initContainers": [
                {"resources": uses("1")},
                {"resources": uses("50m"), "restartPolicy": "Always"},
                {"resources": uses("400m")},
            ],
        }});
        assert_eq!(text(&of_pod(&pod, "requests")), "cpu=1");
        let own =
            json!({"spec": {"resources": uses("2"), "containers": [{"resources": uses("1")}]}});
        assert_eq!(text(&of_pod(&own, "requests")), "cpu=2");
    }

    #[test]
    fn problems_are_told_once() {
        let problems = ["a", "b", "a"].map(str::to_owned).to_vec();
        assert_eq!(joined(problems).as_deref(), Some("[a, b]"));
        assert_eq!(joined(Vec::new()), None);
    }
}
