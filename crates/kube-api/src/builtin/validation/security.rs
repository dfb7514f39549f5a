//! As whom and with what rights containers run (kubernetes `pkg/apis/core/validation`, v1.36).
//!
//! Not looked at: what only Windows needs.

use std::collections::BTreeSet;

use drover_structural::FieldError;

use super::place::{Place, perhaps_one_of};
use super::volumes::descending;

const LONGEST_PROFILE: usize = 4095;
const LONGEST_SYSCTL: usize = 253;

/// Whether a pod has the users of its host.
pub(super) fn has_host_users(spec: &Place<'_>) -> bool {
    spec.child("hostUsers").value() != &serde_json::Value::Bool(false)
}

fn number_of(id: &Place<'_>, errors: &mut Vec<FieldError>) {
    if id
        .number()
        .is_some_and(|number| !(0..=i64::from(i32::MAX)).contains(&number))
    {
        errors.push(id.invalid("must be between 0 and 2147483647, inclusive"));
    }
}

/// The security context of a container.
pub(super) fn container(context: &Place<'_>, host_users: bool, errors: &mut Vec<FieldError>) {
    for member in ["runAsUser", "runAsGroup"] {
        number_of(&context.child(member), errors);
    }
    let mount = context.child("procMount");
    perhaps_one_of(&mount, &["Default", "Unmasked"], errors);
    if host_users && mount.text() == "Unmasked" {
        errors.push(mount.invalid("`hostUsers` must be false to use `Unmasked`"));
    }
    seccomp(&context.child("seccompProfile"), errors);
    app_armor(&context.child("appArmorProfile"), errors);
    if context.child("allowPrivilegeEscalation").value() != &serde_json::Value::Bool(false) {
        return;
    }
    if context.child("privileged").is_true() {
        errors
            .push(context.invalid(
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ));
    }
    for capability in context.child("capabilities").child("add").items() {
        if capability.text() == "CAP_SYS_ADMIN" {
            errors.push(context.invalid(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ));
        }
    }
}

/// The security context of a pod, and what it shares with its host.
pub(super) fn pod(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let context = spec.child("securityContext");
    for member in ["fsGroup", "runAsUser", "runAsGroup"] {
        number_of(&context.child(member), errors);
    }
    for group in context.child("supplementalGroups").items() {
        number_of(&group, errors);
    }
    if spec.child("shareProcessNamespace").is_true() && spec.child("hostPID").is_true() {
        // The real server keeps it in another place than it is said in.
        let shared = spec.child("shareProcessNamespace");
        let called = context.child("shareProcessNamespace").path().to_owned();
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(shared.called(called).invalid(detail));
    }
    sysctls(spec, &context.child("sysctls"), errors);
    perhaps_one_of(
        &context.child("fsGroupChangePolicy"),
        &["Always", "OnRootMismatch"],
        errors,
    );
    perhaps_one_of(
        &context.child("supplementalGroupsPolicy"),
        &["Merge", "Strict"],
        errors,
    );
    seccomp(&context.child("seccompProfile"), errors);
    app_armor(&context.child("appArmorProfile"), errors);
    if has_host_users(spec) {
        return;
    }
    for (member, called) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if spec.child(member).is_true() {
            errors.push(spec.child(called).forbidden("when `hostUsers` is false"));
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.child(list).items() {
            let devices = container.child("volumeDevices");
            if !devices.is_empty() {
                errors.push(devices.forbidden("when `hostUsers` is false"));
            }
        }
    }
}

fn sysctls(spec: &Place<'_>, sysctls: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for sysctl in sysctls.items() {
        let name = sysctl.child("name");
        let text = name.text();
        if name.is_empty() {
            errors.push(name.missing(""));
        } else if !is_sysctl(text) {
            errors.push(name.invalid(format!(
                "must have at most {LONGEST_SYSCTL} characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            )));
        } else if seen.contains(text) {
            errors.push(FieldError::duplicate(name.path(), text));
        }
        seen.insert(text);
        let dotted = text.replace('/', ".");
        let of_ipc = dotted == "kernel.sem"
            || ["kernel.shm", "kernel.msg", "fs.mqueue."]
                .iter()
                .any(|prefix| dotted.starts_with(prefix));
        for (shared, concerned) in [
            ("hostNetwork", dotted.starts_with("net.")),
            ("hostIPC", of_ipc),
        ] {
            if concerned && spec.child(shared).is_true() {
                let detail = format!("may not be specified when '{shared}' is true");
                errors.push(name.invalid(detail));
            }
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes
                .iter()
                .all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
    };
    name.len() <= LONGEST_SYSCTL && name.split(['.', '/']).all(is_part)
}

fn seccomp(profile: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !profile.is_set() {
        return;
    }
    let (kind, path) = (profile.child("type"), profile.child("localhostProfile"));
    if kind.is_empty() {
        errors.push(kind.missing("type is required when seccompProfile is set"));
    } else {
        perhaps_one_of(
            &kind,
            &["Localhost", "RuntimeDefault", "Unconfined"],
            errors,
        );
    }
    match (kind.text() == "Localhost", path.is_set()) {
        (true, false) => errors.push(path.missing("must be set when seccomp type is Localhost")),
        (true, true) => descending(&path, errors),
        (false, true) => errors.push(FieldError::invalid(
            path.path(),
            profile.value().clone(),
            "can only be set when seccomp type is Localhost",
        )),
        (false, false) => {}
    }
}

fn app_armor(profile: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !profile.is_set() {
        return;
    }
    let (kind, name) = (profile.child("type"), profile.child("localhostProfile"));
    match kind.text() {
        "Localhost" => {
            let text = name.text();
            if text.trim() != text {
                errors.push(name.invalid("must not be padded with whitespace"));
            } else if text.is_empty() {
                errors.push(name.missing("must be set when AppArmor type is Localhost"));
            }
            if text.len() > LONGEST_PROFILE {
                errors.push(FieldError::too_long(name.path(), LONGEST_PROFILE));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if name.is_set() {
                errors.push(name.invalid("can only be set when AppArmor type is Localhost"));
            }
        }
        "" => errors.push(kind.missing("type is required when appArmorProfile is set")),
        _ => errors.push(kind.unsupported(&["Localhost", "RuntimeDefault", "Unconfined"])),
    }
}
