//! Figures of benchmarks as JSON lines, each beside its reference of the same run.

use serde_json::{Value, json};

/// Which way a figure is better.
#[derive(Clone, Copy, Debug)]
pub enum Better {
    /// At most the target.
    Less,
    /// At least the target.
    More,
}

/// One figure. With a reference, the ratio to it is what is compared with the target.
#[must_use]
pub fn line(
    name: &str,
    unit: &str,
    value: f64,
    reference: Option<f64>,
    target: f64,
    better: Better,
) -> Value {
    let compared = reference.map_or(value, |reference| value / reference);
    let met = match better {
        Better::Less => compared <= target,
        Better::More => compared >= target,
    };
    json!({
        "name": name, "unit": unit, "value": round(value), "reference": reference.map(round),
        "ratio": reference.map(|reference| round(value / reference)), "target": target, "met": met,
    })
}

/// A figure without a target: there is nothing to miss.
#[must_use]
pub fn plain(name: &str, unit: &str, value: f64) -> Value {
    json!({ "name": name, "unit": unit, "value": round(value) })
}

/// To three places.
#[must_use]
pub fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Of bytes.
#[must_use]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
