//! `include`, `exclude` and `excludeValues`: which fields of objects are answered.

use serde_json::{Map, Value};

use super::Pairs;

/// Paths, each as its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Projection {
    include: Vec<Vec<String>>,
    exclude: Vec<Vec<String>>,
    blank: Vec<Vec<String>>,
}

impl Projection {
    pub(crate) fn parse(pairs: &Pairs) -> Self {
        let of = |key: &str| {
            pairs
                .all(key)
                .filter(|path| !path.is_empty())
                .map(steps)
                .collect()
        };
        Self {
            include: of("include"),
            exclude: of("exclude"),
            blank: of("excludeValues"),
        }
    }

    /// Whether this path is left out by itself.
    pub(crate) fn excludes(&self, path: &[&str]) -> bool {
        self.exclude.iter().any(|excluded| excluded == path)
    }

    /// Leaves of an object what was asked for.
    pub(crate) fn apply(&self, object: Map<String, Value>) -> Map<String, Value> {
        let mut object = object;
        if !self.include.is_empty() {
            let mut kept = Map::new();
            for path in &self.include {
                copy(&object, &mut kept, path);
            }
            object = kept;
        }
        for path in &self.exclude {
            if let Some((last, way)) = path.split_last()
                && let Some(inner) = inner(&mut object, way)
            {
                inner.remove(last);
            }
        }
        for path in &self.blank {
            if let Some(values) = inner(&mut object, path) {
                for value in values.values_mut() {
                    *value = Value::String(String::new());
                }
            }
        }
        object
    }
}

/// `a.b[c.d/e].f` as steps.
pub(crate) fn steps(path: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut bracket = false;
    for letter in path.chars() {
        match letter {
            '[' if !bracket => {
                bracket = true;
                found.push(String::new());
            }
            ']' if bracket => bracket = false,
            '.' if !bracket => found.push(String::new()),
            _ => {
                if let Some(last) = found.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    found.retain(|step| !step.is_empty());
    found
}

fn inner<'a>(
    object: &'a mut Map<String, Value>,
    path: &[String],
) -> Option<&'a mut Map<String, Value>> {
    let mut found = object;
    for step in path {
        found = found.get_mut(step)?.as_object_mut()?;
    }
    Some(found)
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let Some(value) = from.get(first) else { return };
    if rest.is_empty() {
        to.insert(first.clone(), value.clone());
        return;
    }
    if let Value::Object(inner) = value {
        let target = to
            .entry(first.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(target) = target {
            copy(inner, target, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(query: &str, object: Value) -> Value {
        let Value::Object(object) = object else {
            return Value::Null;
        };
        Value::Object(Projection::parse(&Pairs::parse(Some(query))).apply(object))
    }

    #[test]
    fn fields_are_kept_dropped_and_blanked() {
        let object = json!({"id": "a", "metadata": {"name": "a", "managedFields": [1], "labels": {"a.b/c": "x", "d": "y"}},
            "data": {"k": "secret"}});
        assert_eq!(
            applied(
                "exclude=metadata.managedFields&exclude=nope.deep&exclude=metadata.labels[a.b/c]",
                object.clone()
            ),
            json!({"id": "a", "metadata": {"name": "a", "labels": {"d": "y"}}, "data": {"k": "secret"}})
        );
        assert_eq!(
            applied(
                "include=id&include=metadata.name&include=nope",
                object.clone()
            ),
            json!({"id": "a", "metadata": {"name": "a"}})
        );
        assert_eq!(
            applied("include=data&excludeValues=data", object.clone()),
            json!({"data": {"k": ""}})
        );
        assert_eq!(applied("", object.clone()), object);
    }
}
