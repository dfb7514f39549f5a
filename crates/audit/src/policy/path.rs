//! Paths into bodies, as policies write them: the JSONPath of the peer (`rancher/jsonpath`, after Goessner).
//!
//! `$`, then steps: `.name`, `['any name']`, `.*`, `.[a,b]`, each also with `..` before it for any depth; after a step, what
//! of a list is meant: `[0]`, `[0,2]`, `[1:5]`, `[::2]`, `[*]`. Negative numbers count from the end. Why no library:
//! `docs/decisions/0008-paths-of-audit-policies.md`.

use serde_json::Value;

/// Longest path that is read, in bytes.
const LONGEST: usize = 4096;

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// At any depth.
    deep: bool,
    select: Select,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Select {
    Fields(Vec<String>),
    AllFields,
    Items(Vec<i64>),
    Range {
        start: Option<i64>,
        end: Option<i64>,
        step: usize,
    },
    AllItems,
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub(super) struct PathError {
    at: usize,
    what: &'static str,
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, at: 0 };
        if text.len() > LONGEST {
            return Err(parser.error("it is too long"));
        }
        if !parser.takes("$") {
            return Err(parser.error("it begins with `$`"));
        }
        let mut steps = Vec::new();
        while !parser.rest().is_empty() {
            steps.push(parser.step(steps.is_empty())?);
        }
        if steps.is_empty() {
            return Err(parser.error("it names nothing"));
        }
        Ok(Self(steps))
    }

    /// Puts `with` in place of everything that the path leads to.
    pub(super) fn set(&self, body: &mut Value, with: &Value) {
        set(body, &self.0, with);
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, what: &'static str) -> PathError {
        PathError { at: self.at, what }
    }

    fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str, what: &'static str) -> Result<(), PathError> {
        if self.takes(token) {
            Ok(())
        } else {
            Err(self.error(what))
        }
    }

    fn step(&mut self, first: bool) -> Result<Step, PathError> {
        if self.takes("..") {
            let select = self.fields()?;
            return Ok(Step { deep: true, select });
        }
        let select = if self.takes(".") {
            self.fields()?
        } else if self.rest().starts_with("['") {
            self.quoted()?
        } else if !first && self.takes("[") {
            self.items()?
        } else {
            return Err(self.error("a step begins with `.` or `['`"));
        };
        Ok(Step {
            deep: false,
            select,
        })
    }

    fn fields(&mut self) -> Result<Select, PathError> {
        if self.rest().starts_with("['") {
            return self.quoted();
        }
        if self.takes("*") {
            return Ok(Select::AllFields);
        }
        if !self.takes("[") {
            return Ok(Select::Fields(vec![self.name()?]));
        }
        let mut names = vec![self.name()?];
        while self.takes(",") {
            names.push(self.name()?);
        }
        self.expect("]", "names in brackets end with `]`")?;
        Ok(Select::Fields(names))
    }

    fn name(&mut self) -> Result<String, PathError> {
        let name: String = self.rest().chars().take_while(|c| is_plain(*c)).collect();
        if name.is_empty() {
            return Err(self.error("a name of letters, digits, `_` and `-` is missing"));
        }
        self.at += name.len();
        Ok(name)
    }

    fn quoted(&mut self) -> Result<Select, PathError> {
        self.at += "['".len();
        let mut name = String::new();
        loop {
            if self.takes("']") {
                return Ok(Select::Fields(vec![name]));
            }
            if self.takes("\\") {
                // What follows stands for itself.
            } else if self.rest().starts_with('\'') {
                return Err(self.error("a quote in a name is written `\\'`"));
            }
            let Some(letter) = self.rest().chars().next() else {
                return Err(self.error("a name in quotes ends with `']`"));
            };
            name.push(letter);
            self.at += letter.len_utf8();
        }
    }

    fn items(&mut self) -> Result<Select, PathError> {
        let select = if self.takes("*") {
            Select::AllItems
        } else {
            let start = self.number()?;
            if self.takes(":") {
                let end = self.number()?;
                let step = if self.takes(":") {
                    self.number()?
                } else {
                    None
                };
                let step = usize::try_from(step.unwrap_or(1))
                    .ok()
                    .filter(|step| *step > 0);
                let step = step.ok_or_else(|| self.error("a range goes by at least one"))?;
                Select::Range { start, end, step }
            } else {
                let missing = || self.error("a number is missing");
                let mut items = vec![start.ok_or_else(missing)?];
                while self.takes(",") {
                    let next = self.number()?;
                    items.push(next.ok_or_else(|| self.error("a number is missing"))?);
                }
                Select::Items(items)
            }
        };
        self.expect("]", "what of a list is meant ends with `]`")?;
        Ok(select)
    }

    fn number(&mut self) -> Result<Option<i64>, PathError> {
        let digits: String = (self.rest().chars())
            .take_while(|c| c.is_ascii_digit() || *c == '-')
            .collect();
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse();
        let number = number.map_err(|_| self.error("it is no number"))?;
        self.at += digits.len();
        Ok(Some(number))
    }
}

fn set(value: &mut Value, steps: &[Step], with: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = with.clone();
        return;
    };
    if step.deep {
        match value {
            Value::Object(fields) => {
                for (_, inner) in fields.iter_mut() {
                    set(inner, steps, with);
                }
            }
            Value::Array(items) => {
                for inner in items {
                    set(inner, steps, with);
                }
            }
            _ => {}
        }
    }
    match (&step.select, value) {
        (Select::Fields(names), Value::Object(fields)) => {
            for name in names {
                if let Some(inner) = fields.get_mut(name) {
                    set(inner, rest, with);
                }
            }
        }
        (Select::AllFields, Value::Object(fields)) => {
            for (_, inner) in fields.iter_mut() {
                set(inner, rest, with);
            }
        }
        (Select::AllItems, Value::Array(items)) => {
            for inner in items {
                set(inner, rest, with);
            }
        }
        (Select::Items(wanted), Value::Array(items)) => {
            let length = items.len();
            for at in wanted.iter().filter_map(|at| place(*at, length)) {
                if let Some(inner) = items.get_mut(at) {
                    set(inner, rest, with);
                }
            }
        }
        (Select::Range { start, end, step }, Value::Array(items)) => {
            let length = items.len();
            let bound = |at: Option<i64>, default: usize| match at {
                None => default,
                Some(at) => place(at, length).unwrap_or(0).min(length),
            };
            let (start, end) = (bound(*start, 0), bound(*end, length));
            for at in (start..end).step_by(*step) {
                set(&mut items[at], rest, with);
            }
        }
        _ => {}
    }
}

/// The place that a number stands for in a list so long.
fn place(at: i64, length: usize) -> Option<usize> {
    if at >= 0 {
        return usize::try_from(at).ok();
    }
    length.checked_sub(usize::try_from(at.unsigned_abs()).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "written where they are checked"
    )]
    fn check(path: &str, mut body: Value, expected: Value) {
        Path::parse(path).unwrap().set(&mut body, &json!("x"));
        assert_eq!(body, expected, "{path}");
    }

    #[test]
    fn what_a_path_leads_to_is_replaced_and_nothing_else() {
        check(
            "$.a.b",
            json!({"a": {"b": 1, "c": 2}}),
            json!({"a": {"b": "x", "c": 2}}),
        );
        check(
            "$['a']['b.c']",
            json!({"a": {"b.c": [1]}}),
            json!({"a": {"b.c": "x"}}),
        );
        check(r"$['it\'s']", json!({"it's": 1}), json!({"it's": "x"}));
        check(
            "$.*.b",
            json!({"a": {"b": 1}, "c": 2}),
            json!({"a": {"b": "x"}, "c": 2}),
        );
        check(
            "$.[a,c]",
            json!({"a": 1, "b": 2, "c": 3}),
            json!({"a": "x", "b": 2, "c": "x"}),
        );
        check(
            "$..[a,b]",
            json!({"a": 1, "d": [{"b": {"a": 1}}, {"e": {"a": 2}}]}),
            json!({"a": "x", "d": [{"b": "x"}, {"e": {"a": "x"}}]}),
        );
        check(
            "$..*",
            json!({"a": [1], "b": {}}),
            json!({"a": "x", "b": "x"}),
        );
        check(
            "$..metadata.annotations['a.b/c']",
            json!({"items": [{"metadata": {"annotations": {"a.b/c": "1", "d": "2"}}}]}),
            json!({"items": [{"metadata": {"annotations": {"a.b/c": "x", "d": "2"}}}]}),
        );
        check("$.missing.b", json!({"a": 1}), json!({"a": 1}));
        check("$.a.b", json!([{"a": 1}]), json!([{"a": 1}]));
    }

    #[test]
    fn parts_of_lists_are_meant_by_numbers() {
        let list = || json!({"a": [0, 1, 2, 3, 4]});
        check("$.a[0]", list(), json!({"a": ["x", 1, 2, 3, 4]}));
        check("$.a[-1]", list(), json!({"a": [0, 1, 2, 3, "x"]}));
        check("$.a[1,3]", list(), json!({"a": [0, "x", 2, "x", 4]}));
        check("$.a[1:3]", list(), json!({"a": [0, "x", "x", 3, 4]}));
        check("$.a[3:]", list(), json!({"a": [0, 1, 2, "x", "x"]}));
        check("$.a[::2]", list(), json!({"a": ["x", 1, "x", 3, "x"]}));
        check("$.a[9]", list(), list());
        check("$.a[4:99]", list(), json!({"a": [0, 1, 2, 3, "x"]}));
        check("$.a[9:99]", list(), list());
        check(
            "$.a[*].b",
            json!({"a": [{"b": 1}, 2]}),
            json!({"a": [{"b": "x"}, 2]}),
        );
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_place() {
        for (path, at) in [
            ("", 0),
            ("a.b", 0),
            ("$", 1),
            ("$a", 1),
            ("$.", 2),
            ("$..", 3),
            ("$.a?", 3),
            ("$.a[", 4),
            ("$.a[b]", 4),
            ("$.a[0,]", 6),
            ("$.a[0:1:0]", 9),
            ("$.a[0:1:2:3]", 9),
            ("$[parent']", 1),
            ("$['parent]", 10),
            ("$['a'b']", 4),
            ("$.[]", 3),
            ("$.[a,,b]", 5),
        ] {
            assert_eq!(Path::parse(path).unwrap_err().at, at, "{path}");
        }
        assert!(Path::parse(&format!("$.{}", "a".repeat(LONGEST))).is_err());
    }
}
