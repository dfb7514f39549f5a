//! Levels of pod security, as labels of namespaces ask for them (k8s.io/pod-security-admission `api`, v0.36).

use std::fmt;

use serde_json::Value;

use super::checks::{self, Pod, Violations};
use crate::status::FieldError;

/// What stands before the names of the labels.
const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much is forbidden; what comes later forbids more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A level as a minor version of Kubernetes understood it; `None` is the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: Option<u32>,
}

impl Standard {
    const NOTHING: Self = Self {
        level: Level::Privileged,
        version: None,
    };

    /// What it forbids of a pod, if anything.
    pub(super) fn violations(&self, pod: &Pod<'_>) -> Option<Violations> {
        checks::violations(self.level, self.version, pod)
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(minor) => write!(f, "{}:v1.{minor}", self.level.name()),
            None => write!(f, "{}:latest", self.level.name()),
        }
    }
}

/// What is refused in a namespace, and what is warned of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standards {
    pub(super) enforce: Standard,
    pub(super) warn: Standard,
}

impl Standards {
    /// What labels ask for, and what is wrong with them.
    pub(super) fn of(labels: &Value) -> (Self, Vec<FieldError>) {
        let mut wrong = Vec::new();
        let mut read = |mode: &str, otherwise: Level| {
            let mut standard = Standard::NOTHING;
            let mut stated = None;
            if let Some(text) = label(labels, mode) {
                let level = Level::parse(text);
                stated = Some(level);
                standard.level = level.unwrap_or(otherwise);
                if level.is_none() {
                    let detail = "must be one of privileged, baseline, restricted";
                    wrong.push(FieldError::invalid(path(mode), text, detail));
                }
            }
            let version = format!("{mode}-version");
            let text = label(labels, &version);
            if let Some(text) = text {
                let parsed = parse_version(text);
                standard.version = parsed.flatten();
                if parsed.is_none() {
                    let detail = "must be \"latest\" or \"v1.x\"";
                    wrong.push(FieldError::invalid(path(&version), text, detail));
                }
            }
            (standard, stated, text.is_some())
        };
        let (enforce, stated, _) = read("enforce", Level::Restricted);
        read("audit", Level::Privileged);
        let (mut warn, warns, versioned) = read("warn", Level::Privileged);
        // Who is refused pods wants to be told of what would make them.
        let enforces = stated.flatten().is_some();
        if warns.is_none() && enforces && enforce.level > warn.level {
            warn.level = enforce.level;
            if !versioned {
                warn.version = enforce.version;
            }
        }
        (Self { enforce, warn }, wrong)
    }

    pub(super) fn allow_everything(&self) -> bool {
        [self.enforce, self.warn]
            .iter()
            .all(|standard| standard.level == Level::Privileged)
    }
}

fn label<'l>(labels: &'l Value, name: &str) -> Option<&'l str> {
    labels.get(format!("{PREFIX}{name}"))?.as_str()
}

fn path(name: &str) -> String {
    format!("metadata.labels[{PREFIX}{name}]")
}

/// `latest` or `v1.N`.
fn parse_version(text: &str) -> Option<Option<u32>> {
    if text == "latest" {
        return Some(None);
    }
    let minor = text.strip_prefix("v1.")?;
    let plain = minor.bytes().all(|byte| byte.is_ascii_digit())
        && !minor.is_empty()
        && (minor == "0" || !minor.starts_with('0'));
    plain.then(|| minor.parse().ok()).flatten().map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(labels: &Value, enforce: &str, warn: &str, wrong: usize) {
        let labels: Value = labels
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (format!("{PREFIX}{name}"), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let (standards, problems) = Standards::of(&labels);
        assert_eq!(standards.enforce.to_string(), enforce, "{labels}");
        assert_eq!(standards.warn.to_string(), warn, "{labels}");
        assert_eq!(problems.len(), wrong, "{problems:?}");
    }

    #[test]
    fn labels_say_what_is_refused_and_warned_of() {
        check(&json!({}), "privileged:latest", "privileged:latest", 0);
        check(
            &json!({"enforce": "baseline", "enforce-version": "v1.20"}),
            "baseline:v1.20",
            "baseline:v1.20",
            0,
        );
        check(
            &json!({"enforce": "baseline", "warn": "privileged"}),
            "baseline:latest",
            "privileged:latest",
            0,
        );
        check(
            &json!({"enforce": "odd", "enforce-version": "v1.01", "warn": "odd", "audit": "odd"}),
            "restricted:latest",
            "privileged:latest",
            4,
        );
    }
}
