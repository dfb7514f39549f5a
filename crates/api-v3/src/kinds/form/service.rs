//! Services, and the same objects as names in DNS.
//!
//! Lists that Kubernetes has no place for lie in annotations, as JSON; what they point at is made real by `inside`.

use std::net::IpAddr;

use drover_auth::web::ApiError;
use drover_types::targets::{self, RECORDS};
use serde_json::{Map, Value, json};

use crate::paths::{at, put};
use crate::schema::Form;

/// Addresses that a name stands for.
pub(crate) const ADDRESSES: &str = "field.cattle.io/ipAddresses";
/// Workloads whose pods a Service leads to.
pub(crate) use drover_types::targets::WORKLOADS as TARGETS;
const ENDPOINTS: &str = "field.cattle.io/publicEndpoints";
/// The field of other names.
pub(crate) const RECORD_IDS: &str = "targetDnsRecordIds";
const LISTS: [&str; 4] = [ADDRESSES, TARGETS, RECORDS, ENDPOINTS];

/// The port of a Service that has none of its own: without one, DNS does not know it.
pub(crate) fn default_port() -> Value {
    json!({"name": "default", "port": 42, "targetPort": 42, "protocol": "TCP"})
}

/// A list in an annotation.
pub(crate) fn listed(object: &Value, annotation: &str) -> Vec<String> {
    let text = object["metadata"]["annotations"][annotation]
        .as_str()
        .unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

pub(super) fn view(view: &mut Value) {
    if at(view, "spec/clusterIP") == Some(&json!("None")) {
        view["spec"]["clusterIP"] = Value::Null;
    }
    decode(view);
}

/// Opens the lists in annotations.
pub(super) fn decode(view: &mut Value) {
    let annotations = view.pointer_mut("/metadata/annotations");
    let Some(annotations) = annotations.and_then(Value::as_object_mut) else {
        return;
    };
    for name in LISTS {
        let Some(text) = annotations.get(name).and_then(Value::as_str) else {
            continue;
        };
        match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => drop(annotations.insert(name.to_owned(), list)),
            // Somebody else's words are no list, and are shown as none.
            _ => drop(annotations.remove(name)),
        }
    }
}

/// Closes the lists in annotations; empty ones go.
pub(super) fn encode(view: &mut Value) {
    let annotations = view.pointer_mut("/metadata/annotations");
    let Some(annotations) = annotations.and_then(Value::as_object_mut) else {
        return;
    };
    for name in LISTS {
        match annotations.get(name).and_then(Value::as_array) {
            Some(list) if list.is_empty() => drop(annotations.remove(name)),
            Some(list) => {
                let text = json!(list).to_string();
                annotations.insert(name.to_owned(), json!(text));
            }
            None => {}
        }
    }
}

pub(super) fn store(form: Form, mut view: Value, before: &Value) -> Result<Value, ApiError> {
    check_targets(&view)?;
    encode(&mut view);
    let text = |object: &Value, path: &str| {
        at(object, path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if text(before, "spec/clusterIP") == "None" && text(&view, "spec/clusterIP").is_empty() {
        view["spec"]["clusterIP"] = json!("None");
    }
    numbers(&mut view);
    if form == Form::DnsRecord {
        let (old, new) = (
            text(before, "spec/externalName"),
            text(&view, "spec/externalName"),
        );
        if old.is_empty() != new.is_empty() {
            points_elsewhere(&mut view, !new.is_empty());
        }
    }
    Ok(view)
}

/// A name for a host elsewhere has no addresses of its own; any other has.
fn points_elsewhere(view: &mut Value, elsewhere: bool) {
    for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        put(view, &format!("spec/{name}"), Value::Null);
    }
    if elsewhere {
        view["spec"]["type"] = json!("ExternalName");
    } else {
        view["spec"]["type"] = json!("ClusterIP");
        view["spec"]["clusterIP"] = json!("None");
        view["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    }
}

/// Ports that are numbers are kept as such, however they were sent; zero is none.
fn numbers(view: &mut Value) {
    let ports = view
        .pointer_mut("/spec/ports")
        .and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        if let Some(number) = port["targetPort"]
            .as_str()
            .and_then(|text| text.parse::<i64>().ok())
        {
            port["targetPort"] = json!(number);
        }
        for name in ["targetPort", "nodePort"] {
            if port[name] == 0 || port[name] == "" {
                put(port, name, Value::Null);
            }
        }
    }
    if at(view, "spec/healthCheckNodePort") == Some(&json!(0)) {
        put(view, "spec/healthCheckNodePort", Value::Null);
    }
}

fn check_targets(view: &Value) -> Result<(), ApiError> {
    let list = |name: &str| -> Vec<&str> {
        let list = view["metadata"]["annotations"][name].as_array();
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let refused =
        |message: String, field| Err(ApiError::invalid("InvalidOption", message).with_field(field));
    for address in list(ADDRESSES) {
        let reason = match address.parse::<IpAddr>() {
            Err(_) => "is no IP address",
            Ok(ip) if ip.is_unspecified() => "is the address of nothing",
            Ok(ip) if ip.is_loopback() => "leads back to where it is asked",
            Ok(ip) if is_link_local(ip) => "holds within one link only",
            Ok(_) => continue,
        };
        return refused(format!("{address} {reason}"), "ipAddresses");
    }
    for id in list(RECORDS) {
        if targets::record_id(id).is_none() {
            let message = format!("{id:?} is no <namespace>:<name> of a name");
            return Err(ApiError::invalid("InvalidReference", message).with_field(RECORD_IDS));
        }
    }
    Ok(())
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.is_unicast_link_local() || (ip.segments()[0] & 0xff0f) == 0xff02,
    }
}

pub(super) fn begin(form: Form, sent: &Map<String, Value>, object: &mut Value) {
    // A null that is sent asks for no address; `validate` leaves nulls out.
    let headless = sent.get("clusterIp").is_some_and(Value::is_null);
    if form == Form::DnsRecord {
        let elsewhere = at(object, "spec/externalName")
            .and_then(Value::as_str)
            .is_some_and(|host| !host.is_empty());
        points_elsewhere(object, elsewhere);
        if let Some(policy) = sent
            .get("ipFamilyPolicy")
            .filter(|policy| policy.is_string())
        {
            object["spec"]["ipFamilyPolicy"] = policy.clone();
        }
    } else if headless && at(object, "spec/clusterIP").is_none() {
        object["spec"]["clusterIP"] = json!("None");
    }
    if form == Form::Service
        && at(object, "spec/clusterIP") == Some(&json!("None"))
        && at(object, "spec/ipFamilyPolicy").is_none()
    {
        // Two families would be asked for by themselves, which most clusters do not have.
        object["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    }
    let ports = at(object, "spec/ports").and_then(Value::as_array);
    if ports.is_none_or(Vec::is_empty) {
        object["spec"]["ports"] = json!([default_port()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(form: Form, view: Value) -> Result<Value, String> {
        store(form, view, &json!({})).map_err(|error| {
            format!(
                "{} {}",
                error.code,
                error.field_name.as_deref().unwrap_or_default()
            )
        })
    }

    fn pointing(name: &str, list: &[&str]) -> Value {
        json!({"metadata": {"annotations": {name: list}}, "spec": {}})
    }

    #[test]
    fn lists_lie_in_annotations_as_json() {
        let kept = stored(Form::DnsRecord, pointing(ADDRESSES, &["192.0.2.1"])).unwrap();
        assert_eq!(
            kept["metadata"]["annotations"][ADDRESSES],
            "[\"192.0.2.1\"]"
        );
        assert_eq!(listed(&kept, ADDRESSES), ["192.0.2.1"]);
        let mut shown = kept.clone();
        view(&mut shown);
        assert_eq!(
            shown["metadata"]["annotations"][ADDRESSES],
            json!(["192.0.2.1"])
        );
        let none = stored(Form::DnsRecord, pointing(ADDRESSES, &[])).unwrap();
        assert_eq!(none["metadata"]["annotations"], json!({}));
    }

    #[test]
    fn addresses_that_lead_nowhere_are_refused() {
        for address in [
            "x",
            "0.0.0.0",
            "127.0.0.1",
            "::1",
            "169.254.1.1",
            "224.0.0.1",
            "fe80::1",
            "ff02::1",
        ] {
            assert_eq!(
                stored(Form::DnsRecord, pointing(ADDRESSES, &[address])),
                Err("InvalidOption ipAddresses".to_owned()),
                "{address}"
            );
        }
        assert!(stored(Form::Service, pointing(ADDRESSES, &["2001:db8::1"])).is_ok());
    }

    #[test]
    fn several_targets_are_kept_and_what_names_nothing_is_refused() {
        let two = ["deployment:a:b", "deployment:a:c"];
        let kept = stored(Form::Service, pointing(TARGETS, &two)).unwrap();
        assert_eq!(listed(&kept, TARGETS), two);
        let kept = stored(Form::DnsRecord, pointing(RECORDS, &["a:b"])).unwrap();
        assert_eq!(listed(&kept, RECORDS), ["a:b"]);
        assert_eq!(
            stored(Form::DnsRecord, pointing(RECORDS, &["a:b", "c"])),
            Err("InvalidReference targetDnsRecordIds".to_owned())
        );
    }

    #[test]
    fn a_name_changes_between_a_host_elsewhere_and_addresses() {
        let before = json!({"metadata": {}, "spec": {"clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP"}});
        let mut shown = before.clone();
        view(&mut shown);
        assert_eq!(
            store(Form::DnsRecord, shown.clone(), &before).unwrap(),
            before
        );
        shown["spec"]["externalName"] = json!("example.org");
        let elsewhere = store(Form::DnsRecord, shown, &before).unwrap();
        assert_eq!(
            elsewhere["spec"],
            json!({"type": "ExternalName", "externalName": "example.org"})
        );
        let mut shown = elsewhere.clone();
        put(&mut shown, "spec/externalName", Value::Null);
        let back = store(Form::DnsRecord, shown, &elsewhere).unwrap();
        assert_eq!(
            back["spec"],
            json!({"type": "ClusterIP", "clusterIP": "None", "ipFamilyPolicy": "SingleStack"})
        );
    }

    #[test]
    fn a_service_without_ports_gets_one_and_null_is_no_address() {
        let mut object = json!({"spec": {"type": "ClusterIP"}});
        let sent = json!({ "clusterIp": null });
        begin(Form::Service, sent.as_object().unwrap(), &mut object);
        assert_eq!(
            object["spec"],
            json!({
                "type": "ClusterIP", "clusterIP": "None", "ipFamilyPolicy": "SingleStack", "ports": [default_port()],
            })
        );
    }
}
