//! What the level `restricted` forbids beyond that: what is not known to be needed.

use std::collections::BTreeSet;

use super::baseline::{adding, bad_seccomp};
use super::{Found, Pod, counted, forbids, name, of_spec, quoted, setters, several, texts, uses};

pub(super) fn capabilities(pod: Pod<'_>, version: u32) -> Found {
    if version >= 25 && pod.is_for_windows() {
        return None;
    }
    let keeping: Vec<&str> = pod
        .containers()
        .filter(|container| {
            let held = &container["securityContext"]["capabilities"];
            !texts(held, "drop").any(|dropped| dropped == "ALL")
        })
        .map(name)
        .collect();
    let keeping = (!keeping.is_empty()).then(|| {
        format!(
            "{} must set securityContext.capabilities.drop=[\"ALL\"]",
            several("container", &keeping)
        )
    });
    let details: Vec<String> = keeping
        .into_iter()
        .chain(adding(pod, &["NET_BIND_SERVICE"]))
        .collect();
    if details.is_empty() {
        return None;
    }
    forbids("unrestricted capabilities", details.join("; "))
}

pub(super) fn seccomp_profile(pod: Pod<'_>, version: u32) -> Found {
    if version >= 25 && pod.is_for_windows() {
        return None;
    }
    if let Some(found) = bad_seccomp(pod) {
        return Some(found);
    }
    if !pod.spec["securityContext"]["seccompProfile"].is_null() {
        return None;
    }
    let names: Vec<&str> = pod
        .containers()
        .filter(|container| container["securityContext"]["seccompProfile"].is_null())
        .map(name)
        .collect();
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        several("container", &names)
    );
    forbids("seccompProfile", detail)
}

pub(super) fn privilege_escalation(pod: Pod<'_>, version: u32) -> Found {
    if version >= 25 && pod.is_for_windows() {
        return None;
    }
    let names: Vec<&str> = pod
        .containers()
        .filter(|container| container["securityContext"]["allowPrivilegeEscalation"] != false)
        .map(name)
        .collect();
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must set securityContext.allowPrivilegeEscalation=false",
        several("container", &names)
    );
    forbids("allowPrivilegeEscalation != false", detail)
}

const ALLOWED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

const OTHER_VOLUMES: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

pub(super) fn volumes(pod: Pod<'_>, _: u32) -> Found {
    let mut types = BTreeSet::new();
    let mut names = Vec::new();
    for volume in of_spec(pod, "volumes") {
        let has = |kind: &&str| !volume[*kind].is_null();
        if ALLOWED_VOLUMES.iter().any(&has) {
            continue;
        }
        names.push(name(volume));
        types.insert(OTHER_VOLUMES.into_iter().find(has).unwrap_or("unknown"));
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} {} {} {}",
        several("volume", &names),
        uses(names.len()),
        counted("restricted volume type", types.len()),
        quoted(&types)
    );
    forbids("restricted volume types", detail)
}

pub(super) fn non_root(pod: Pod<'_>, version: u32) -> Found {
    if version >= 35 && pod.has_own_users() {
        return None;
    }
    const REASON: &str = "runAsNonRoot != true";
    let bad: Vec<Option<&str>> = pod
        .contexts()
        .filter(|(_, context)| context["runAsNonRoot"] == false)
        .map(|(setter, _)| setter)
        .collect();
    if let Some(subject) = setters(bad) {
        let detail = format!("{subject} must not set securityContext.runAsNonRoot=false");
        return forbids(REASON, detail);
    }
    if pod.spec["securityContext"]["runAsNonRoot"] == true {
        return None;
    }
    let names: Vec<&str> = pod
        .containers()
        .filter(|container| container["securityContext"]["runAsNonRoot"].is_null())
        .map(name)
        .collect();
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "pod or {} must set securityContext.runAsNonRoot=true",
        several("container", &names)
    );
    forbids(REASON, detail)
}

pub(super) fn root_user(pod: Pod<'_>, version: u32) -> Found {
    if version >= 35 && pod.has_own_users() {
        return None;
    }
    let bad: Vec<Option<&str>> = pod
        .contexts()
        .filter(|(_, context)| context["runAsUser"] == 0)
        .map(|(setter, _)| setter)
        .collect();
    let subject = setters(bad)?;
    forbids("runAsUser=0", format!("{subject} must not set runAsUser=0"))
}
