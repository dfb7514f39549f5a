//! The JSONPath of printer columns, scale paths and selectable fields.
//!
//! Owns parsing and evaluation of the dialect that custom resource
//! definitions use: members, quoted members, indexes, slices, wildcards,
//! recursive descent and filters with one comparison. A path is parsed once,
//! when its definition is accepted, and evaluated many times.
//!
//! Source: <https://kubernetes.io/docs/reference/kubectl/jsonpath/>.

use serde_json::Value;

/// How deep recursive descent follows a document; documents are no deeper.
const MAX_DEPTH: usize = 256;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

/// Why a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSONPath at offset {offset}: {reason}")]
pub(crate) struct JsonPathError {
    /// Where in the text.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Wildcard,
    Descend,
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Index(i64),
    /// What several steps find, one after the other.
    Union(Vec<Self>),
    Filter {
        left: Vec<Self>,
        comparison: Option<(Comparison, Operand)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Literal(Value),
    Path(Vec<Step>),
}

impl JsonPath {
    /// Parses `text`, with or without the surrounding braces and the leading dot.
    ///
    /// # Errors
    ///
    /// When the text is not a path of this dialect.
    pub(crate) fn parse(text: &str) -> Result<Self, JsonPathError> {
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(trimmed);
        let mut parser = Parser {
            text: inner,
            offset: 0,
        };
        if parser.rest().starts_with('$') || parser.rest().starts_with('@') {
            parser.offset += 1;
        }
        let steps = parser.steps(false)?;
        if parser.offset < inner.len() {
            return Err(parser.error("unexpected character"));
        }
        Ok(Self { steps })
    }

    /// All values the path leads to, in document order.
    #[must_use]
    pub(crate) fn find<'v>(&self, document: &'v Value) -> Vec<&'v Value> {
        evaluate(&self.steps, vec![document])
    }

    /// The first value the path leads to.
    #[must_use]
    pub(crate) fn first<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.find(document).into_iter().next()
    }
}

fn evaluate<'v>(steps: &[Step], mut values: Vec<&'v Value>) -> Vec<&'v Value> {
    for step in steps {
        let mut next = Vec::with_capacity(values.len());
        for value in values {
            apply(step, value, &mut next);
        }
        values = next;
    }
    values
}

fn apply<'v>(step: &Step, value: &'v Value, found: &mut Vec<&'v Value>) {
    match step {
        Step::Member(name) => found.extend(value.get(name)),
        Step::Wildcard => match value {
            Value::Array(items) => found.extend(items),
            Value::Object(members) => found.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        },
        Step::Descend => descend(value, found, 0),
        Step::Index(index) => {
            if let Value::Array(items) = value {
                found.extend(position(*index, items.len()).and_then(|index| items.get(index)));
            }
        }
        Step::Union(steps) => steps.iter().for_each(|step| apply(step, value, found)),
        Step::Slice { start, end, step } => {
            if let Value::Array(items) = value {
                let length = items.len() as i64;
                let bound = |at: i64| {
                    if at < 0 {
                        (at + length).max(0)
                    } else {
                        at.min(length)
                    }
                };
                let mut at = bound(start.unwrap_or(0));
                let end = bound(end.unwrap_or(length));
                while at < end {
                    found.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
                    at += *step;
                }
            }
        }
        Step::Filter { left, comparison } => {
            if let Value::Array(items) = value {
                found.extend(
                    items
                        .iter()
                        .filter(|item| passes(left, comparison.as_ref(), item)),
                );
            }
        }
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    if index < 0 {
        usize::try_from(index + length as i64).ok()
    } else {
        usize::try_from(index).ok()
    }
}

fn descend<'v>(value: &'v Value, found: &mut Vec<&'v Value>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    found.push(value);
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| descend(item, found, depth + 1)),
        Value::Object(members) => members
            .values()
            .for_each(|member| descend(member, found, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn passes(left: &[Step], comparison: Option<&(Comparison, Operand)>, item: &Value) -> bool {
    let found = evaluate(left, vec![item]);
    let Some(value) = found.first() else {
        return false;
    };
    let Some((comparison, operand)) = comparison else {
        return true;
    };
    let right = match operand {
        Operand::Literal(literal) => literal,
        Operand::Path(path) => match evaluate(path, vec![item]).first() {
            Some(right) => right,
            None => return false,
        },
    };
    let order = match (value, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let Some(order) = order else {
        return *comparison == Comparison::NotEqual;
    };
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

struct Parser<'t> {
    text: &'t str,
    offset: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.offset..]
    }

    fn error(&self, reason: &'static str) -> JsonPathError {
        JsonPathError {
            offset: self.offset,
            reason,
        }
    }

    fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.offset += prefix.len();
        }
        found
    }

    fn skip_spaces(&mut self) {
        self.offset += self.rest().len() - self.rest().trim_start().len();
    }

    /// Steps until the text, or inside a filter the operand, ends.
    fn steps(&mut self, in_filter: bool) -> Result<Vec<Step>, JsonPathError> {
        let mut steps = Vec::new();
        loop {
            if self.take("..") {
                steps.push(Step::Descend);
                if !self.rest().starts_with('[') {
                    steps.push(self.member()?);
                }
            } else if self.take(".") {
                if self.rest().is_empty() {
                    return Ok(steps);
                }
                if !self.rest().starts_with('[') {
                    steps.push(self.member()?);
                }
            } else if self.take("[") {
                steps.push(self.bracket()?);
            } else if steps.is_empty() && !in_filter && !self.rest().is_empty() {
                steps.push(self.member()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn member(&mut self) -> Result<Step, JsonPathError> {
        if self.take("*") {
            return Ok(Step::Wildcard);
        }
        let mut name = String::new();
        let mut characters = self.rest().char_indices();
        let mut end = self.rest().len();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, escaped)) => name.push(escaped),
                    None => return Err(self.error("a backslash needs a character after it")),
                },
                '.' | '[' | ' ' | ']' | ')' | '=' | '!' | '<' | '>' | '{' | '}' | '(' | ','
                | '\'' | '"' => {
                    end = at;
                    break;
                }
                other => name.push(other),
            }
        }
        if name.is_empty() {
            return Err(self.error("a member name is missing"));
        }
        self.offset += end;
        Ok(Step::Member(name))
    }

    fn quoted(&mut self) -> Result<Option<String>, JsonPathError> {
        let Some(quote @ ('\'' | '"')) = self.rest().chars().next() else {
            return Ok(None);
        };
        let start = self.offset;
        self.offset += 1;
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, character)) = characters.next() {
            if character == '\\' {
                if let Some((_, escaped)) = characters.next() {
                    text.push(escaped);
                }
            } else if character == quote {
                self.offset += at + 1;
                return Ok(Some(text));
            } else {
                text.push(character);
            }
        }
        self.offset = start;
        Err(self.error("a quote is not closed"))
    }

    fn number(&mut self) -> Result<Option<i64>, JsonPathError> {
        let rest = self.rest();
        let length = rest
            .char_indices()
            .find(|(at, character)| {
                !(character.is_ascii_digit() || (*at == 0 && *character == '-'))
            })
            .map_or(rest.len(), |(at, _)| at);
        if length == 0 {
            return Ok(None);
        }
        let number = rest[..length]
            .parse()
            .map_err(|_| self.error("not a number"))?;
        self.offset += length;
        Ok(Some(number))
    }

    fn bracket(&mut self) -> Result<Step, JsonPathError> {
        let mut steps = vec![self.selector()?];
        while self.take(",") {
            steps.push(self.selector()?);
        }
        if !self.take("]") {
            return Err(self.error("a bracket is not closed"));
        }
        match steps.len() {
            1 => Ok(steps.remove(0)),
            _ => Ok(Step::Union(steps)),
        }
    }

    /// One of the things that stand between brackets.
    fn selector(&mut self) -> Result<Step, JsonPathError> {
        self.skip_spaces();
        let step = if self.take("*") {
            Step::Wildcard
        } else if self.take("?") {
            self.filter()?
        } else if let Some(name) = self.quoted()? {
            Step::Member(name)
        } else {
            let start = self.number()?;
            if self.take(":") {
                let end = self.number()?;
                let step = if self.take(":") {
                    self.number()?.unwrap_or(1)
                } else {
                    1
                };
                if step < 1 {
                    return Err(self.error("a slice's step must be positive"));
                }
                Step::Slice { start, end, step }
            } else {
                Step::Index(start.ok_or_else(|| self.error("an index is missing"))?)
            }
        };
        self.skip_spaces();
        Ok(step)
    }

    fn filter(&mut self) -> Result<Step, JsonPathError> {
        if !self.take("(") {
            return Err(self.error("a filter needs parentheses"));
        }
        self.skip_spaces();
        if !self.take("@") {
            return Err(self.error("a filter starts with @"));
        }
        let left = self.steps(true)?;
        self.skip_spaces();
        let comparison = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ]
        .into_iter()
        .find_map(|(text, comparison)| self.take(text).then_some(comparison));
        let comparison = match comparison {
            None => None,
            Some(comparison) => {
                self.skip_spaces();
                Some((comparison, self.operand()?))
            }
        };
        self.skip_spaces();
        if self.take(")") {
            Ok(Step::Filter { left, comparison })
        } else {
            Err(self.error("a parenthesis is not closed"))
        }
    }

    fn operand(&mut self) -> Result<Operand, JsonPathError> {
        if let Some(text) = self.quoted()? {
            return Ok(Operand::Literal(Value::String(text)));
        }
        if self.take("@") {
            return Ok(Operand::Path(self.steps(true)?));
        }
        let end = self.rest().find([')', ' ']).unwrap_or(self.rest().len());
        let word = &self.rest()[..end];
        let literal = serde_json::from_str(word).map_err(|_| self.error("not a literal"))?;
        self.offset += end;
        Ok(Operand::Literal(literal))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: &Value) {
        let document = json!({
            "spec": {"replicas": 3, "a.b": "dotted", "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}]},
        });
        let found = JsonPath::parse(path)
            .unwrap()
            .find(&document)
            .into_iter()
            .cloned()
            .collect::<Vec<_>>();
        assert_eq!(Value::Array(found), *expected, "{path}");
    }

    #[test]
    fn paths_lead_where_kubectl_says() {
        check(".spec.replicas", &json!([3]));
        check("spec.replicas", &json!([3]));
        check("{.spec.replicas}", &json!([3]));
        check(r".spec.a\.b", &json!(["dotted"]));
        check(".spec['a.b']", &json!(["dotted"]));
        check(".spec.ports[*].port", &json!([80, 443]));
        check(".spec.ports[-1].name", &json!(["https"]));
        check(".spec.ports[0:1].name", &json!(["http"]));
        check(
            r#".status.conditions[?(@.type=="Ready")].status"#,
            &json!(["True"]),
        );
        check(
            ".status.conditions[?(@.type == 'Ready')].status",
            &json!(["True"]),
        );
        check(".spec.ports[?(@.port>100)].name", &json!(["https"]));
        check("..port", &json!([80, 443]));
        check(".spec.nothing", &json!([]));
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in [
            ".spec[",
            ".spec['a",
            ".a[?(b)]",
            ".a..",
            ".a[?(@.b==)]",
            ".a]",
        ] {
            JsonPath::parse(path).unwrap_err();
        }
    }
}
