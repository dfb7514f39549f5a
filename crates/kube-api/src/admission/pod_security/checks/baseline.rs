//! What the level `baseline` forbids: what is known to lead out of a container.

use std::collections::BTreeSet;

use super::{
    Found, Pod, counted, forbids, name, of_spec, quoted, setters, several, text, texts, uses,
};

pub(super) fn app_armor(pod: Pod<'_>, _: u32) -> Found {
    let mut values = BTreeSet::new();
    let bad = pod.contexts().filter(|(_, context)| {
        let profile = &context["appArmorProfile"];
        let kind = text(profile, "type");
        let allowed = profile.is_null() || matches!(kind, "RuntimeDefault" | "Localhost");
        if !allowed {
            values.insert(kind.to_owned());
        }
        !allowed
    });
    let mut subjects: Vec<String> = setters(bad.map(|(setter, _)| setter).collect::<Vec<_>>())
        .into_iter()
        .collect();
    let allowed = |value: &str| {
        value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")
    };
    let mut annotations: Vec<String> = pod
        .annotations
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .filter(|(name, value)| {
            name.starts_with("container.apparmor.security.beta.kubernetes.io/") && !allowed(value)
        })
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let mut values: Vec<String> = values.into_iter().collect();
    if !annotations.is_empty() {
        subjects.push(counted("annotation", annotations.len()));
        annotations.sort();
        values.extend(annotations);
    }
    if subjects.is_empty() {
        return None;
    }
    forbids(
        &counted("forbidden AppArmor profile", values.len()),
        format!(
            "{} must not set AppArmor profile type to {}",
            subjects.join(" and "),
            quoted(&values)
        ),
    )
}

const USUAL_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Containers that add other capabilities, and which.
pub(super) fn adding<'p>(pod: Pod<'p>, allowed: &[&str]) -> Option<String> {
    let mut others = BTreeSet::new();
    let mut names = Vec::new();
    for container in pod.containers() {
        let added = texts(&container["securityContext"]["capabilities"], "add");
        let bad: Vec<&'p str> = added.filter(|added| !allowed.contains(added)).collect();
        if !bad.is_empty() {
            names.push(name(container));
            others.extend(bad);
        }
    }
    (!names.is_empty()).then(|| {
        format!(
            "{} must not include {} in securityContext.capabilities.add",
            several("container", &names),
            quoted(&others)
        )
    })
}

pub(super) fn added_capabilities(pod: Pod<'_>, _: u32) -> Found {
    let detail = adding(pod, &USUAL_CAPABILITIES)?;
    forbids("non-default capabilities", detail)
}

pub(super) fn host_namespaces(pod: Pod<'_>, _: u32) -> Found {
    let shared: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|member| pod.spec[*member] == true)
        .map(|member| format!("{member}=true"))
        .collect();
    if shared.is_empty() {
        return None;
    }
    forbids("host namespaces", shared.join(", "))
}

pub(super) fn host_paths(pod: Pod<'_>, _: u32) -> Found {
    let volumes: Vec<&str> = of_spec(pod, "volumes")
        .filter(|volume| !volume["hostPath"].is_null())
        .map(name)
        .collect();
    if volumes.is_empty() {
        return None;
    }
    forbids("hostPath volumes", several("volume", &volumes))
}

pub(super) fn host_ports(pod: Pod<'_>, _: u32) -> Found {
    let mut ports = BTreeSet::new();
    let mut names = Vec::new();
    for container in pod.containers() {
        let listed = container["ports"].as_array().into_iter().flatten();
        let own: Vec<String> = listed
            .filter_map(|port| port["hostPort"].as_i64())
            .filter(|port| *port != 0)
            .map(|port| port.to_string())
            .collect();
        if !own.is_empty() {
            names.push(name(container));
            ports.extend(own);
        }
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} {} {} {}",
        several("container", &names),
        uses(names.len()),
        counted("hostPort", ports.len()),
        ports.into_iter().collect::<Vec<_>>().join(", ")
    );
    forbids("hostPort", detail)
}

pub(super) fn probed_hosts(pod: Pod<'_>, _: u32) -> Found {
    let mut hosts = BTreeSet::new();
    let mut names = BTreeSet::new();
    for container in pod.containers() {
        let life = &container["lifecycle"];
        let handlers = [
            &container["livenessProbe"],
            &container["readinessProbe"],
            &container["startupProbe"],
            &life["postStart"],
            &life["preStop"],
        ];
        for handler in handlers {
            for way in ["httpGet", "tcpSocket"] {
                let host = text(&handler[way], "host");
                if !host.is_empty() {
                    hosts.insert(host);
                    names.insert(name(container));
                }
            }
        }
    }
    if names.is_empty() {
        return None;
    }
    let names: Vec<&str> = names.into_iter().collect();
    let detail = format!(
        "{} {} {} {}",
        several("container", &names),
        uses(names.len()),
        counted("probe or lifecycle host", hosts.len()),
        quoted(&hosts)
    );
    forbids("probe or lifecycle host", detail)
}

pub(super) fn privileged(pod: Pod<'_>, _: u32) -> Found {
    let names: Vec<&str> = pod
        .containers()
        .filter(|container| container["securityContext"]["privileged"] == true)
        .map(name)
        .collect();
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.privileged=true",
        several("container", &names)
    );
    forbids("privileged", detail)
}

pub(super) fn proc_mount_unless_own_users(pod: Pod<'_>, version: u32) -> Found {
    if version >= 35 && pod.has_own_users() {
        return None;
    }
    proc_mount(pod)
}

pub(super) fn proc_mount(pod: Pod<'_>) -> Found {
    let mut ways = BTreeSet::new();
    let mut names = Vec::new();
    for container in pod.containers() {
        let way = container["securityContext"]["procMount"].as_str();
        if let Some(way) = way.filter(|way| *way != "Default") {
            names.push(name(container));
            ways.insert(way);
        }
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.procMount to {}",
        several("container", &names),
        quoted(&ways)
    );
    forbids("procMount", detail)
}

pub(super) fn se_linux(pod: Pod<'_>, version: u32) -> Found {
    let mut types = BTreeSet::new();
    let (mut user, mut role) = (false, false);
    let bad: Vec<Option<&str>> = pod
        .contexts()
        .filter(|(_, context)| {
            let options = &context["seLinuxOptions"];
            let kind = text(options, "type");
            let allowed = matches!(
                kind,
                "" | "container_t" | "container_init_t" | "container_kvm_t"
            ) || (version >= 31 && kind == "container_engine_t");
            if !allowed {
                types.insert(kind);
            }
            let (own_user, own_role) = (
                !text(options, "user").is_empty(),
                !text(options, "role").is_empty(),
            );
            user |= own_user;
            role |= own_role;
            !allowed || own_user || own_role
        })
        .map(|(setter, _)| setter)
        .collect();
    let subject = setters(bad)?;
    let mut details = Vec::new();
    if !types.is_empty() {
        let types: Vec<&str> = types.into_iter().collect();
        details.push(several("type", &types));
    }
    if user {
        details.push("user may not be set".to_owned());
    }
    if role {
        details.push("role may not be set".to_owned());
    }
    let detail = format!(
        "{subject} set forbidden securityContext.seLinuxOptions: {}",
        details.join("; ")
    );
    forbids("seLinuxOptions", detail)
}

/// Who sets a seccomp profile that is none or another than the runtime's or the node's, and which.
pub(super) fn bad_seccomp(pod: Pod<'_>) -> Found {
    let mut values = BTreeSet::new();
    let bad: Vec<Option<&str>> = pod
        .contexts()
        .filter(|(_, context)| {
            let profile = &context["seccompProfile"];
            let kind = text(profile, "type");
            let allowed = profile.is_null() || matches!(kind, "Localhost" | "RuntimeDefault");
            if !allowed {
                values.insert(kind);
            }
            !allowed
        })
        .map(|(setter, _)| setter)
        .collect();
    let subject = setters(bad)?;
    let detail = format!(
        "{subject} must not set securityContext.seccompProfile.type to {}",
        quoted(&values)
    );
    forbids("seccompProfile", detail)
}

pub(super) fn seccomp(pod: Pod<'_>, version: u32) -> Found {
    if version >= 19 {
        return bad_seccomp(pod);
    }
    let of_pod = "seccomp.security.alpha.kubernetes.io/pod".to_owned();
    let of_containers = pod.containers().map(|container| {
        format!(
            "container.seccomp.security.alpha.kubernetes.io/{}",
            name(container)
        )
    });
    let forbidden: BTreeSet<String> = std::iter::once(of_pod)
        .chain(of_containers)
        .filter_map(|annotation| {
            let value = pod.annotations.get(&annotation)?.as_str()?;
            let allowed = matches!(value, "runtime/default" | "docker/default")
                || value.starts_with("localhost/");
            (!allowed).then(|| format!("{annotation}={value:?}"))
        })
        .collect();
    if forbidden.is_empty() {
        return None;
    }
    let what = counted("annotation", forbidden.len());
    let listed = forbidden.into_iter().collect::<Vec<_>>().join(", ");
    forbids("seccompProfile", format!("forbidden {what} {listed}"))
}

/// Settings of the kernel that are a pod's own, each with the version since which that is known.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

pub(super) fn sysctls(pod: Pod<'_>, version: u32) -> Found {
    let allowed = |name: &str| {
        SYSCTLS
            .iter()
            .any(|(known, since)| *known == name && version >= *since)
    };
    let set = pod.spec["securityContext"]["sysctls"].as_array();
    let others: Vec<&str> = set
        .into_iter()
        .flatten()
        .map(name)
        .filter(|name| !allowed(name))
        .collect();
    if others.is_empty() {
        return None;
    }
    forbids("forbidden sysctls", others.join(", "))
}

pub(super) fn host_process(pod: Pod<'_>, _: u32) -> Found {
    let bad: Vec<Option<&str>> = pod
        .contexts()
        .filter(|(_, context)| context["windowsOptions"]["hostProcess"] == true)
        .map(|(setter, _)| setter)
        .collect();
    let subject = setters(bad)?;
    let detail = format!("{subject} must not set securityContext.windowsOptions.hostProcess=true");
    forbids("hostProcess", detail)
}
