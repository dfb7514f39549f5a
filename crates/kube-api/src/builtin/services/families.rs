//! Families of addresses: which a service has, in a cluster whose services have addresses of one family
//! (kubernetes `pkg/registry/core/service/storage/alloc.go`, `initIPFamilyFields`).

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::text;
use crate::status::FieldError;

/// The family that addresses of services are of.
const OURS: &str = "IPv4";
const OTHER: &str = "IPv6";

fn list(spec: &Map<String, Value>, member: &str) -> Vec<String> {
    let items = spec.get(member).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn family_of(address: &str) -> Option<&'static str> {
    Some(match address.parse().ok()? {
        IpAddr::V4(_) => OURS,
        IpAddr::V6(_) => OTHER,
    })
}

/// A service that has no address and selects nothing leads wherever its author says, in either family.
fn is_free(spec: &Map<String, Value>) -> bool {
    let selector = spec.get("selector").and_then(Value::as_object);
    text(spec, "clusterIP") == "None" && selector.is_none_or(Map::is_empty)
}

/// Whether the first family of a service is that of the range.
pub(super) fn is_ours(spec: &Map<String, Value>) -> bool {
    list(spec, "ipFamilies")
        .first()
        .is_none_or(|first| first == OURS)
}

/// Says which families a service has, and by what policy, as far as nobody said so.
pub(super) fn give(spec: &mut Map<String, Value>, old: Option<&Map<String, Value>>) {
    if !spec.contains_key("ipFamilyPolicy") {
        let policy = if is_free(spec) {
            "RequireDualStack"
        } else {
            "SingleStack"
        };
        spec.insert("ipFamilyPolicy".to_owned(), json!(policy));
    }
    let single = text(spec, "ipFamilyPolicy") == "SingleStack";
    if let (true, Some(old)) = (single, old) {
        for member in ["clusterIPs", "ipFamilies"] {
            let same = spec.get(member) == old.get(member);
            if let (true, Some(Value::Array(items))) = (same, spec.get_mut(member)) {
                items.truncate(1);
            }
        }
    }
    let mut families = list(spec, "ipFamilies");
    for (index, address) in list(spec, "clusterIPs").iter().enumerate() {
        // Addresses of the other family are refused, and so is what follows from them.
        let is_new = index >= families.len() && !families.iter().any(|family| family == OURS);
        if is_new && family_of(address) == Some(OURS) {
            families.push(OURS.to_owned());
        }
    }
    let addresses = list(spec, "clusterIPs");
    let strange = addresses
        .iter()
        .any(|address| family_of(address) == Some(OTHER));
    let required = !is_free(spec) && text(spec, "ipFamilyPolicy") == "RequireDualStack";
    if families.is_empty() && !strange && !required {
        families.push(OURS.to_owned());
    }
    // Who had both and names one is refused.
    let released = old.is_some_and(|old| list(old, "ipFamilies").len() == 2);
    let named = spec.contains_key("ipFamilies");
    if is_free(spec) && !single && families.len() == 1 && !(released && named) {
        let second = if families[0] == OURS { OTHER } else { OURS };
        families.push(second.to_owned());
    }
    if !families.is_empty() {
        spec.insert("ipFamilies".to_owned(), json!(families));
    }
}

/// What is wrong with the families of a service.
pub(super) fn problems(
    spec: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (families, addresses) = (list(spec, "ipFamilies"), list(spec, "clusterIPs"));
    let policy = text(spec, "ipFamilyPolicy");
    let mut refuse = |detail: &str| {
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", policy, detail));
    };
    if policy == "SingleStack" {
        for (several, what) in [(&addresses, "cluster IPs"), (&families, "IP families")] {
            if several.len() == 2 {
                refuse(&format!(
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                ));
            }
        }
    } else if let Some(old) = old {
        for (member, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
            if list(old, member).len() == 2 && list(spec, member).len() == 1 {
                refuse(&format!(
                    "must be 'SingleStack' to release the secondary {what}"
                ));
            }
        }
    }
    for (index, address) in addresses.iter().enumerate().skip(families.len()) {
        if address == "None" {
            break;
        }
        if let Some(family) = family_of(address).filter(|family| *family != OURS) {
            errors.push(FieldError::invalid(
                format!("spec.clusterIPs[{index}]"),
                json!(addresses),
                format!("{family} is not configured on this cluster"),
            ));
        }
    }
    if !errors.is_empty() || is_free(spec) {
        return errors;
    }
    if policy == "RequireDualStack" {
        errors.push(FieldError::invalid(
            "spec.ipFamilyPolicy",
            policy,
            "this cluster is not configured for dual-stack services",
        ));
    }
    for (index, family) in families.iter().enumerate() {
        if family != OURS {
            errors.push(FieldError::invalid(
                format!("spec.ipFamilies[{index}]"),
                family.as_str(),
                "not configured on this cluster",
            ));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: &Value, families: &Value, refused: &[&str]) {
        let mut spec = spec.as_object().expect("a spec").clone();
        give(&mut spec, None);
        let errors = problems(&spec, None);
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, refused, "{spec:?}");
        assert_eq!(spec.get("ipFamilies").unwrap_or(&Value::Null), families);
    }

    #[test]
    fn families_follow_from_policy_and_addresses() {
        check(&json!({}), &json!(["IPv4"]), &[]);
        check(&json!({"clusterIP": "None"}), &json!(["IPv4", "IPv6"]), &[]);
        let selects = json!({"clusterIP": "None", "selector": {"a": "b"}});
        check(&selects, &json!(["IPv4"]), &[]);
        let both = json!({"ipFamilyPolicy": "RequireDualStack"});
        check(&both, &Value::Null, &["spec.ipFamilyPolicy"]);
        let other = json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]});
        check(&other, &Value::Null, &["spec.clusterIPs[0]"]);
    }
}
