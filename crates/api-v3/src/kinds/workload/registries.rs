//! Pull Secrets of a workload's images, found by the registries they come from.
//!
//! Pure. Secrets of a whole project count before they have been copied into the namespace.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::places::template;
use super::{at, put};
use crate::mapping;
use crate::schema::Workload;

const TYPE: &str = "kubernetes.io/dockerconfigjson";
const KEY: &str = ".dockerconfigjson";
/// What images without a registry come from, as logins to it are written.
const DOCKER: &str = "index.docker.io";

fn same(host: &str) -> &str {
    if host == "docker.io" { DOCKER } else { host }
}

/// The registry of an image.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => same(first),
        _ => DOCKER,
    }
}

/// The images of a workload's pods, in order.
pub(crate) fn images(workload: Workload, object: &Value) -> Vec<String> {
    let spec = object
        .pointer(template(workload))
        .and_then(|pod| pod.get("spec"));
    let containers = ["containers", "initContainers"]
        .into_iter()
        .filter_map(|list| spec?.get(list)?.as_array())
        .flatten();
    containers
        .filter_map(|container| container["image"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The registries that a Secret lets in to.
fn lets_in_to(secret: &Value) -> BTreeSet<String> {
    if secret["type"] != TYPE {
        return BTreeSet::new();
    }
    let config = secret["data"][KEY]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .unwrap_or_default();
    let hosts = config["auths"].as_object().into_iter().flatten();
    hosts
        .map(|(host, _)| {
            let bare = host
                .split_once("://")
                .map_or(host.as_str(), |(_, rest)| rest);
            same(bare.split('/').next().unwrap_or_default()).to_owned()
        })
        .collect()
}

/// Names the Secrets that let in to the registries of the images. Those that are named already stay, but for what let in
/// to registries of the images `before` only.
pub(crate) fn name_secrets(
    workload: Workload,
    object: &mut Value,
    before: &[String],
    secrets: &[Value],
) {
    let registries = |images: &[String]| {
        images
            .iter()
            .map(|image| registry(image).to_owned())
            .collect()
    };
    let wanted: BTreeSet<String> = registries(&images(workload, object));
    let unwanted: BTreeSet<String> = registries(before);
    let (mut fitting, mut outdated) = (Vec::new(), Vec::new());
    for secret in secrets {
        let hosts = lets_in_to(secret);
        if !hosts.is_disjoint(&wanted) {
            fitting.push(mapping::name(secret));
        } else if !hosts.is_disjoint(&unwanted) {
            outdated.push(mapping::name(secret));
        }
    }
    let place = format!("{}/spec/imagePullSecrets", template(workload));
    let place = place.trim_start_matches('/');
    let mut named = at(object, place)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let were_any = !named.is_empty();
    named.retain(|known| !outdated.iter().any(|name| known["name"] == *name));
    for name in fitting {
        if named.iter().all(|known| known["name"] != name) {
            named.push(json!({ "name": name }));
        }
    }
    if were_any || !named.is_empty() {
        put(object, place, json!(named));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, hosts: &[&str]) -> Value {
        let auths: serde_json::Map<String, Value> = hosts
            .iter()
            .map(|host| ((*host).to_owned(), json!({})))
            .collect();
        let config = STANDARD.encode(json!({ "auths": auths }).to_string());
        json!({"metadata": {"name": name}, "type": TYPE, "data": {KEY: config}})
    }

    #[test]
    fn images_tell_their_registry() {
        for (image, expected) in [
            ("nginx", DOCKER),
            ("library/nginx:1.27", DOCKER),
            ("docker.io/library/nginx", DOCKER),
            ("quay.io/a/b@sha256:0", "quay.io"),
            ("localhost/a", "localhost"),
            ("host:5000/a:b", "host:5000"),
        ] {
            assert_eq!(registry(image), expected, "{image}");
        }
    }

    #[test]
    fn secrets_are_added_by_the_registries_they_let_in_to() {
        let mut object = json!({"spec": {"template": {"spec": {
            "containers": [{"image": "quay.io/a/b"}], "initContainers": [{"image": "nginx"}],
            "imagePullSecrets": [{"name": "own"}],
        }}}});
        let secrets = [
            secret("own", &["quay.io"]),
            secret("quay", &["https://quay.io/v2/", "other"]),
            secret("docker", &["https://index.docker.io/v1/"]),
            secret("other", &["other"]),
            json!({"metadata": {"name": "opaque"}, "type": "Opaque", "data": {KEY: "e30="}}),
            json!({"metadata": {"name": "broken"}, "type": TYPE, "data": {KEY: "?"}}),
        ];
        name_secrets(Workload::Deployment, &mut object, &[], &secrets);
        assert_eq!(
            object["spec"]["template"]["spec"]["imagePullSecrets"],
            json!([{"name": "own"}, {"name": "quay"}, {"name": "docker"}])
        );
    }

    #[test]
    fn secrets_of_registries_that_no_image_comes_from_any_more_go() {
        let mut object = json!({"spec": {"template": {"spec": {
            "containers": [{"image": "quay.io/a/b"}],
            "imagePullSecrets": [{"name": "docker"}, {"name": "both"}, {"name": "of-somebody"}],
        }}}});
        let secrets = [
            secret("docker", &["docker.io"]),
            secret("both", &["docker.io", "quay.io"]),
            secret("of-somebody", &["elsewhere"]),
        ];
        name_secrets(
            Workload::Deployment,
            &mut object,
            &["nginx".to_owned()],
            &secrets,
        );
        assert_eq!(
            object["spec"]["template"]["spec"]["imagePullSecrets"],
            json!([{"name": "both"}, {"name": "of-somebody"}])
        );
    }
}
