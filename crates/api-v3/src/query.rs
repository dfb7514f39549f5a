//! The query of a request: filters, order, page, and switches.
//!
//! Pure. Unknown keys, fields and modifiers are ignored silently, as Norman
//! ignores them (reference section 1.5).

use serde_json::Value;

use crate::schema::{Field, Type};

const DEFAULT_LIMIT: usize = 1000;
const MAX_LIMIT: usize = 10_000;

/// A parsed query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        Self { pairs }
    }

    /// The first value of `key`, if it is not empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Items on a page.
    pub(crate) fn limit(&self) -> usize {
        match self.get("limit").map(str::parse::<i64>) {
            Some(Ok(limit)) => usize::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT),
            Some(Err(_)) | None => DEFAULT_LIMIT,
        }
    }

    pub(crate) fn descending(&self) -> bool {
        self.get("order")
            .is_some_and(|order| order.eq_ignore_ascii_case("desc"))
    }

    /// The field to sort by, if the type can be filtered by it.
    pub(crate) fn sort<'a>(&self, kind: &'a Type) -> Option<&'a Field> {
        let name = self.get("sort")?;
        crate::registry::filters(kind).find(|field| field.name == name)
    }

    /// The conditions asked for, by field.
    pub(crate) fn conditions<'a>(&self, kind: &'a Type) -> Vec<(&'a Field, Condition)> {
        let mut conditions = Vec::new();
        for field in crate::registry::filters(kind) {
            for modifier in Modifier::ALL {
                if !field.kind.modifiers().contains(&modifier.name()) {
                    continue;
                }
                let long = format!("{}_{}", field.name, modifier.name());
                let mut values: Vec<String> = self.all(&long).map(str::to_owned).collect();
                if modifier == Modifier::Eq {
                    values.extend(self.all(field.name).map(str::to_owned));
                }
                if matches!(modifier, Modifier::Eq | Modifier::Ne) {
                    values.truncate(1);
                }
                if !values.is_empty() {
                    conditions.push((field, Condition { modifier, values }));
                }
            }
        }
        conditions
    }
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    Eq,
    Ne,
    In,
    NotIn,
}

impl Modifier {
    const ALL: [Self; 4] = [Self::Eq, Self::Ne, Self::In, Self::NotIn];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::In => "in",
            Self::NotIn => "notin",
        }
    }
}

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) modifier: Modifier,
    pub(crate) values: Vec<String>,
}

impl Condition {
    /// Whether a value, shown as text, fits.
    pub(crate) fn accepts(&self, shown: &str) -> bool {
        let among = self.values.iter().any(|value| value == shown);
        match self.modifier {
            Modifier::Eq | Modifier::In => among,
            Modifier::Ne | Modifier::NotIn => !among,
        }
    }
}

/// A value as filters and sorting see it; a missing one counts as the field's default.
pub(crate) fn shown(field: &Field, value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => match &field.default {
            Some(default) => shown(field, Some(default)),
            None => String::new(),
        },
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn limits_follow_the_peer() {
        let limit = |query: &str| Query::parse(Some(query)).limit();
        assert_eq!(limit(""), 1000);
        assert_eq!(limit("limit=5"), 5);
        assert_eq!(limit("limit=0"), 0);
        assert_eq!(limit("limit=-1"), 10_000);
        assert_eq!(limit("limit=20000"), 10_000);
        assert_eq!(limit("limit=many"), 1000);
    }

    #[test]
    fn only_known_fields_and_modifiers_filter() {
        let registry = Registry::new();
        let kind = registry.get("project").unwrap();
        let conditions = |query: &str| -> Vec<(String, String, Vec<String>)> {
            Query::parse(Some(query))
                .conditions(kind)
                .into_iter()
                .map(|(field, condition)| {
                    (
                        field.name.to_owned(),
                        condition.modifier.name().to_owned(),
                        condition.values,
                    )
                })
                .collect()
        };
        assert_eq!(
            conditions("removed_null=1&ProjectID=x&name_prefix=ui&system=false&all=true"),
            []
        );
        assert_eq!(
            conditions("state_ne=a&state_ne=b"),
            [("state".to_owned(), "ne".to_owned(), vec!["a".to_owned()])]
        );
        assert_eq!(
            conditions("name_in=a&name_in=b"),
            [(
                "name".to_owned(),
                "in".to_owned(),
                vec!["a".to_owned(), "b".to_owned()]
            )]
        );
        assert_eq!(
            conditions("clusterId=c%3A1"),
            [(
                "clusterId".to_owned(),
                "eq".to_owned(),
                vec!["c:1".to_owned()]
            )]
        );
    }
}
