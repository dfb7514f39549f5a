//! Differences between two answers, and those meant to stay.

use std::fmt;

use serde_json::Value;

/// One place at which the answers to a request differ.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) scenario: String,
    pub(crate) request: String,
    /// JSON pointer into status, headers and body.
    pub(crate) place: String,
    pub(crate) real: Option<Value>,
    pub(crate) ours: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(value) => value.to_string().chars().take(600).collect(),
        };
        let request = self.request.chars().take(220).collect::<String>();
        writeln!(out, "{} | {request} | {}", self.scenario, self.place)?;
        write!(
            out,
            "    real {}\n    ours {}",
            show(&self.real),
            show(&self.ours)
        )
    }
}

/// Calls `found` for every place at which `real` and `ours` differ.
pub(crate) fn compare(
    place: &str,
    real: Option<&Value>,
    ours: Option<&Value>,
    found: &mut impl FnMut(&str, Option<&Value>, Option<&Value>),
) {
    match (real, ours) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for (name, value) in a {
                compare(&format!("{place}/{name}"), Some(value), b.get(name), found);
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                compare(&format!("{place}/{name}"), None, Some(value), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                compare(
                    &format!("{place}/{index}"),
                    a.get(index),
                    b.get(index),
                    found,
                );
            }
        }
        (real, ours) if real != ours => found(place, real, ours),
        _ => {}
    }
}

/// A line of `differences.txt`: `scenario | request | place | reason`, each but the reason a beginning or `*`.
#[derive(Debug)]
struct Excuse {
    scenario: String,
    request: String,
    place: String,
    line: String,
    /// Whether it covered something, or need not.
    used: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Excuses(Vec<Excuse>);

impl Excuses {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| {
                    let parts = line.split(" | ").map(str::trim).collect::<Vec<_>>();
                    let [scenario, request, place, reason] = parts.as_slice() else {
                        panic!("not `scenario | request | place | reason`: {line}");
                    };
                    assert!(!reason.is_empty(), "no reason: {line}");
                    Excuse {
                        scenario: (*scenario).to_owned(),
                        request: (*request).to_owned(),
                        place: (*place).to_owned(),
                        line: line.to_owned(),
                        used: reason.starts_with("chance:"),
                    }
                })
                .collect(),
        )
    }

    /// Whether a difference is meant to stay.
    pub(crate) fn cover(&mut self, difference: &Difference) -> bool {
        let fits = |pattern: &str, text: &str| match pattern.strip_prefix('*') {
            Some(part) => text.contains(part),
            None => text.starts_with(pattern),
        };
        let mut covered = false;
        for excuse in &mut self.0 {
            if fits(&excuse.scenario, &difference.scenario)
                && fits(&excuse.request, &difference.request)
                && fits(&excuse.place, &difference.place)
            {
                excuse.used = true;
                covered = true;
            }
        }
        covered
    }

    /// Lines that covered nothing.
    pub(crate) fn unused(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter(|excuse| !excuse.used)
            .map(|excuse| excuse.line.as_str())
            .collect()
    }
}
