//! Columns and cells of Tables.
//!
//! Pure. A cell that shows an age is kept as the time it counts from and is
//! written anew in each answer, as kubectl would (reference section 1.3).

use drover_types::duration::{self, DAY, HOUR, MINUTE, YEAR};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fields::CellPart;

/// A column of a kind's Table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    format: String,
    description: String,
    priority: i64,
}

/// What a cell counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// Nothing; it is no age.
    No,
    /// The object's creation.
    Creation,
    /// The duration it shows, back from now.
    Shown,
}

impl Column {
    pub(crate) fn read(definition: &Value) -> Self {
        let text = |name: &str| {
            definition
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description: text("description"),
            priority: definition
                .get("priority")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
        }
    }

    /// As a schema shows it.
    pub(crate) fn document(&self, at: usize) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format,
            "description": self.description, "priority": self.priority,
            "field": format!("$.metadata.fields[{at}]"),
        })
    }

    fn time(&self) -> Time {
        match self.name.to_ascii_lowercase().as_str() {
            "age" | "created at" => Time::Creation,
            "last seen" | "first seen" | "last schedule" => Time::Shown,
            _ if self.kind == "date" => Time::Shown,
            _ => Time::No,
        }
    }
}

/// The columns of a Table.
pub(crate) fn columns_of(table: &Value) -> Vec<Column> {
    let definitions = table.get("columnDefinitions").and_then(Value::as_array);
    definitions
        .into_iter()
        .flatten()
        .map(Column::read)
        .collect()
}

/// A cell as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// As the cluster wrote it.
    Value(Value),
    /// An age, counted from here.
    Since(Timestamp),
}

impl Cell {
    /// As it is written in an answer.
    pub(crate) fn shown(&self, now: Timestamp) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Since(since) => {
                Value::String(duration::short(now.duration_since(*since).as_secs()))
            }
        }
    }
}

impl Cell {
    /// A part of a cell like `2 (5m ago)`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of ages are far below 2^53"
    )]
    pub(crate) fn part(&self, part: CellPart) -> Option<f64> {
        let text = match self {
            Self::Value(Value::Number(number)) if part == CellPart::Count => {
                return number.as_f64();
            }
            Self::Value(Value::String(text)) => text,
            Self::Value(_) | Self::Since(_) => return None,
        };
        let (count, ago) = text.split_once(" (").unwrap_or((text, ""));
        match part {
            CellPart::Count => count.parse().ok(),
            CellPart::Last => {
                let ago = parse(ago.strip_suffix(" ago)")?)?;
                Some(-(ago.as_secs() as f64))
            }
        }
    }
}

/// Takes the cells of a row.
pub(crate) fn cells(
    columns: &[Column],
    values: Vec<Value>,
    created: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Cell> {
    values
        .into_iter()
        .enumerate()
        .map(|(at, value)| {
            let since = match columns.get(at).map_or(Time::No, Column::time) {
                Time::No => None,
                Time::Creation => created,
                Time::Shown => value.as_str().and_then(|text| {
                    text.parse()
                        .ok()
                        .or_else(|| now.checked_sub(parse(text)?).ok())
                }),
            };
            since.map_or(Cell::Value(value), Cell::Since)
        })
        .collect()
}

/// Reads a duration back that [`duration::short`] wrote.
fn parse(text: &str) -> Option<SignedDuration> {
    let mut total = 0_i64;
    let mut number = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let unit = match letter {
            's' => 1,
            'm' => MINUTE,
            'h' => HOUR,
            'd' => DAY,
            'y' => YEAR,
            _ => return None,
        };
        let count: i64 = number.parse().ok()?;
        total = total.checked_add(count.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && !text.is_empty()).then(|| SignedDuration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_writes_them() {
        let check = |seconds: i64, expected: &str| {
            let shown = duration::short(seconds);
            assert_eq!(shown, expected);
            let back = parse(&shown).unwrap().as_secs();
            assert!(back <= seconds && seconds - back < YEAR, "{shown}");
        };
        check(0, "0s");
        check(119, "119s");
        check(125, "2m5s");
        check(180, "3m");
        check(840, "14m");
        check(3 * HOUR + 60, "3h1m");
        check(9 * HOUR, "9h");
        check(3 * DAY + 2 * HOUR, "3d2h");
        check(30 * DAY, "30d");
        check(3 * YEAR + 5 * DAY, "3y5d");
        check(20 * YEAR, "20y");
        assert_eq!(parse("<unknown>"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn cells_of_what_happened_again_have_parts() {
        let parts = |value: Value| {
            let cell = Cell::Value(value);
            (cell.part(CellPart::Count), cell.part(CellPart::Last))
        };
        assert_eq!(parts(json!("12 (5m3s ago)")), (Some(12.0), Some(-303.0)));
        assert_eq!(parts(json!("0")), (Some(0.0), None));
        assert_eq!(parts(json!(3)), (Some(3.0), None));
        assert_eq!(parts(json!("Running")), (None, None));
    }

    #[test]
    fn ages_are_counted_when_they_are_shown() {
        let columns: Vec<Column> = [("Name", "string"), ("Age", "string"), ("Expires", "date")]
            .map(|(name, kind)| Column::read(&json!({"name": name, "type": kind})))
            .to_vec();
        let now: Timestamp = "2026-11-20T21:22:00Z".parse().unwrap();
        let created: Timestamp = "2026-11-20T21:08:00Z".parse().unwrap();
        let row = ["a", "14m", "2m"].map(Value::from).to_vec();
        let cells = cells(&columns, row, Some(created), now);
        let later = now + SignedDuration::from_mins(60);
        let shown: Vec<Value> = cells.iter().map(|cell| cell.shown(later)).collect();
        assert_eq!(shown, [json!("a"), json!("74m"), json!("62m")]);
    }
}
