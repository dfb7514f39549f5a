//! Reading the keywords of a schema: none, the type asked for, or an error that names the place.

use serde_json::{Map, Value};

use super::parse::SchemaError;
use super::{MapType, PatchStrategy, Rule};
use crate::path::Path;

/// The keywords of one schema, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Keywords<'a> {
    pub(super) schema: &'a Value,
    pub(super) path: &'a Path<'a>,
}

impl<'a> Keywords<'a> {
    pub(super) fn wrong(self, keyword: &'static str, expected: &'static str) -> SchemaError {
        SchemaError::Keyword {
            path: self.path.to_string(),
            keyword,
            expected,
        }
    }

    pub(super) fn get(self, keyword: &str) -> Option<&'a Value> {
        self.schema.get(keyword).filter(|value| !value.is_null())
    }

    pub(super) fn read<T>(
        self,
        keyword: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, SchemaError> {
        match self.get(keyword) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.wrong(keyword, expected)),
        }
    }

    pub(super) fn text(self, keyword: &'static str) -> Result<Option<&'a str>, SchemaError> {
        self.read(keyword, "a string", Value::as_str)
    }

    pub(super) fn flag(self, keyword: &'static str) -> Result<bool, SchemaError> {
        Ok(self
            .read(keyword, "a boolean", Value::as_bool)?
            .unwrap_or(false))
    }

    pub(super) fn number(self, keyword: &'static str) -> Result<Option<f64>, SchemaError> {
        self.read(keyword, "a number", Value::as_f64)
    }

    pub(super) fn patch_strategy(self) -> Result<PatchStrategy, SchemaError> {
        let mut strategy = PatchStrategy::default();
        let text = self.text("x-kubernetes-patch-strategy")?;
        for word in text.unwrap_or_default().split(',') {
            match word {
                "merge" => strategy.merge = true,
                "replace" => strategy.replace = true,
                "retainKeys" => strategy.retain_keys = true,
                _ => {}
            }
        }
        Ok(strategy)
    }

    /// The least of something, of which there is never less than nothing.
    pub(super) fn least(self, keyword: &'static str) -> Result<Option<u64>, SchemaError> {
        self.read(keyword, "a count", |value| {
            let negative = value.as_i64().is_some_and(i64::is_negative);
            value.as_u64().or(negative.then_some(0))
        })
    }

    pub(super) fn count(self, keyword: &'static str) -> Result<Option<u64>, SchemaError> {
        self.read(keyword, "a count", Value::as_u64)
    }

    pub(super) fn array(
        self,
        keyword: &'static str,
    ) -> Result<Option<&'a Vec<Value>>, SchemaError> {
        self.read(keyword, "an array", Value::as_array)
    }

    pub(super) fn object(
        self,
        keyword: &'static str,
    ) -> Result<Option<&'a Map<String, Value>>, SchemaError> {
        self.read(keyword, "an object", Value::as_object)
    }

    pub(super) fn texts(self, keyword: &'static str) -> Result<Box<[Box<str>]>, SchemaError> {
        let Some(values) = self.array(keyword)? else {
            return Ok(Box::default());
        };
        values
            .iter()
            .map(|value| value.as_str().map(Into::into))
            .collect::<Option<_>>()
            .ok_or_else(|| self.wrong(keyword, "an array of strings"))
    }

    pub(super) fn map_type(self) -> Result<Option<MapType>, SchemaError> {
        match self.text("x-kubernetes-map-type")? {
            None => Ok(None),
            Some("atomic") => Ok(Some(MapType::Atomic)),
            Some("granular") => Ok(Some(MapType::Granular)),
            Some(_) => Err(self.wrong("x-kubernetes-map-type", "one of atomic, granular")),
        }
    }

    pub(super) fn rules(self) -> Result<Box<[Rule]>, SchemaError> {
        let Some(rules) = self.array("x-kubernetes-validations")? else {
            return Ok(Box::default());
        };
        rules
            .iter()
            .map(|rule| {
                let text = |name: &str| rule.get(name).and_then(Value::as_str).map(str::to_owned);
                Ok(Rule {
                    rule: text("rule").ok_or_else(|| {
                        self.wrong(
                            "x-kubernetes-validations",
                            "a list of rules with a rule each",
                        )
                    })?,
                    message: text("message").filter(|text| !text.is_empty()),
                    message_expression: text("messageExpression").filter(|text| !text.is_empty()),
                    reason: text("reason"),
                    field_path: text("fieldPath").filter(|text| !text.is_empty()),
                    optional_old_self: rule
                        .get("optionalOldSelf")
                        .and_then(Value::as_bool)
                        .unwrap_or(false),
                })
            })
            .collect()
    }
}
