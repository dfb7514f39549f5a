//! What the levels of pod security forbid (k8s.io/pod-security-admission `policy`, v0.36).
//!
//! Owns which version of Kubernetes forbids what, and how that is told.

mod baseline;
mod restricted;

use serde_json::Value;

use super::levels::Level;

/// The minor version in which something last changed.
const NEWEST: u32 = 35;

/// A pod, or the template of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pod<'p> {
    annotations: &'p Value,
    spec: &'p Value,
}

impl<'p> Pod<'p> {
    pub(super) fn of(object: &'p Value) -> Self {
        Self {
            annotations: &object["metadata"]["annotations"],
            spec: &object["spec"],
        }
    }

    fn containers(self) -> impl Iterator<Item = &'p Value> {
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |list| self.spec[list].as_array().into_iter().flatten())
    }

    /// The containers of which something holds, and `None` for the pod itself, each with its security context.
    fn contexts(self) -> impl Iterator<Item = (Option<&'p str>, &'p Value)> {
        let own = (None, &self.spec["securityContext"]);
        let of = self
            .containers()
            .map(|container| (Some(name(container)), &container["securityContext"]));
        std::iter::once(own).chain(of)
    }

    fn is_for_windows(self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// Whether it has users of its own.
    fn has_own_users(self) -> bool {
        self.spec["hostUsers"] == false
    }
}

fn name(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

/// All that is forbidden of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violations {
    pub(super) reason: String,
    /// The reasons, each with what it is about.
    pub(super) detail: String,
}

/// A reason, and what it is about.
type Found = Option<(String, String)>;

/// Something that is forbidden.
struct Check {
    level: Level,
    /// Since this minor version.
    since: u32,
    /// On the level `restricted`, another forbids more since this one.
    until: Option<u32>,
    look: fn(Pod<'_>, u32) -> Found,
}

const fn always(since: u32, until: Option<u32>, look: fn(Pod<'_>, u32) -> Found) -> Check {
    Check {
        level: Level::Baseline,
        since,
        until,
        look,
    }
}

const fn strictly(since: u32, look: fn(Pod<'_>, u32) -> Found) -> Check {
    Check {
        level: Level::Restricted,
        since,
        until: None,
        look,
    }
}

/// In the order in which they are told.
const CHECKS: [Check; 19] = [
    always(0, None, baseline::app_armor),
    always(0, Some(22), baseline::added_capabilities),
    always(0, None, baseline::host_namespaces),
    always(0, Some(0), baseline::host_paths),
    always(0, None, baseline::host_ports),
    always(34, None, baseline::probed_hosts),
    always(0, None, baseline::privileged),
    always(0, Some(35), baseline::proc_mount_unless_own_users),
    always(0, None, baseline::se_linux),
    always(0, Some(19), baseline::seccomp),
    always(0, None, baseline::sysctls),
    always(0, None, baseline::host_process),
    strictly(8, restricted::privilege_escalation),
    strictly(22, restricted::capabilities),
    strictly(35, |pod, _| baseline::proc_mount(pod)),
    strictly(0, restricted::volumes),
    strictly(0, restricted::non_root),
    strictly(23, restricted::root_user),
    strictly(19, restricted::seccomp_profile),
];

/// What a level, as a minor version understood it, forbids of a pod.
pub(super) fn violations(level: Level, version: Option<u32>, pod: &Pod<'_>) -> Option<Violations> {
    let version = version.unwrap_or(NEWEST).min(NEWEST);
    let applies = |check: &&Check| {
        let replaced = check.until.is_some_and(|until| version >= until);
        check.level <= level && version >= check.since && !(level == Level::Restricted && replaced)
    };
    let found: Vec<(String, String)> = CHECKS
        .iter()
        .filter(applies)
        .filter_map(|check| (check.look)(*pod, version))
        .collect();
    if found.is_empty() {
        return None;
    }
    let reasons: Vec<&str> = found.iter().map(|(reason, _)| reason.as_str()).collect();
    let details: Vec<String> = found
        .iter()
        .map(|(reason, detail)| format!("{reason} ({detail})"))
        .collect();
    Some(Violations {
        reason: reasons.join(", "),
        detail: details.join(", "),
    })
}

fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted = items
        .into_iter()
        .map(|item| format!("\"{}\"", item.as_ref()));
    quoted.collect::<Vec<_>>().join(", ")
}

fn counted(singular: &str, n: usize) -> String {
    if n == 1 {
        singular.to_owned()
    } else {
        format!("{singular}s")
    }
}

/// `container "a"`, `containers "a", "b"`.
fn several(what: &str, names: &[&str]) -> String {
    format!("{} {}", counted(what, names.len()), quoted(names))
}

/// The pod and the containers that did something, as one subject.
fn setters<'p>(found: impl IntoIterator<Item = Option<&'p str>>) -> Option<String> {
    let mut subjects = Vec::new();
    let mut containers = Vec::new();
    for setter in found {
        match setter {
            None => subjects.push("pod".to_owned()),
            Some(container) => containers.push(container),
        }
    }
    if !containers.is_empty() {
        subjects.push(several("container", &containers));
    }
    (!subjects.is_empty()).then(|| subjects.join(" and "))
}

fn forbids(reason: &str, detail: String) -> Found {
    Some((reason.to_owned(), detail))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

fn texts<'v>(value: &'v Value, member: &str) -> impl Iterator<Item = &'v str> {
    let items = value[member].as_array().into_iter().flatten();
    items.filter_map(Value::as_str)
}

fn of_spec<'p>(pod: Pod<'p>, list: &str) -> impl Iterator<Item = &'p Value> {
    pod.spec[list].as_array().into_iter().flatten()
}

fn uses(n: usize) -> &'static str {
    if n == 1 { "uses" } else { "use" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(level: Level, version: Option<u32>, spec: &Value, expected: &str) {
        let pod = json!({"metadata": {}, "spec": spec});
        let found = violations(level, version, &Pod::of(&pod));
        assert_eq!(
            found.map(|found| found.detail).unwrap_or_default(),
            expected
        );
    }

    #[test]
    fn what_is_forbidden_follows_level_and_version() {
        let plain = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        check(Level::Baseline, None, &plain, "");
        check(
            Level::Restricted,
            Some(7),
            &plain,
            "runAsNonRoot != true (pod or containers \"a\", \"b\" must set securityContext.runAsNonRoot=true)",
        );
        let sysctl = json!({"containers": [], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}});
        check(Level::Baseline, None, &sysctl, "");
        check(
            Level::Baseline,
            Some(31),
            &sysctl,
            "forbidden sysctls (net.ipv4.tcp_rmem)",
        );
    }

    #[test]
    fn the_restricted_level_tells_of_volumes_once() {
        let spec = json!({"containers": [], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]});
        check(
            Level::Baseline,
            None,
            &spec,
            "hostPath volumes (volume \"v\")",
        );
        check(
            Level::Restricted,
            None,
            &spec,
            "restricted volume types (volume \"v\" uses restricted volume type \"hostPath\")",
        );
    }
}
