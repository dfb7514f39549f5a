//! How names that are none in expressions are written there (k8s.io/apiserver `cel/escaping.go`, v0.36).

const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether the grammar takes `name` for itself.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name of a property in expressions; none if it cannot be written there.
pub(super) fn escaped(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if is_reserved(name) {
        return Some(format!("__{name}__"));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    if !name.chars().all(known) {
        return None;
    }
    Some(
        name.replace("__", "\u{0}")
            .replace('.', "__dot__")
            .replace('-', "__dash__")
            .replace('/', "__slash__")
            .replace('\u{0}', "__underscores__"),
    )
}

/// The name that `__dash__` and the like stand for, if there are any.
pub(super) fn unescaped(field: &str) -> Option<String> {
    if !field.contains("__") {
        return None;
    }
    if let Some(keyword) = field
        .strip_prefix("__")
        .and_then(|rest| rest.strip_suffix("__"))
        && is_reserved(keyword)
    {
        return Some(keyword.to_owned());
    }
    Some(
        field
            .replace("__underscores__", "\u{0}")
            .replace("__dot__", ".")
            .replace("__dash__", "-")
            .replace("__slash__", "/")
            .replace('\u{0}', "__"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_back() {
        for (name, expected) in [
            ("a", Some("a")),
            ("a-b.c/d", Some("a__dash__b__dot__c__slash__d")),
            ("a__b", Some("a__underscores__b")),
            ("a___b", Some("a__underscores___b")),
            ("namespace", Some("__namespace__")),
            ("namespaces", Some("namespaces")),
            ("1a", None),
            ("", None),
            ("a b", None),
        ] {
            let escaped = escaped(name);
            assert_eq!(escaped.as_deref(), expected, "{name}");
            if let Some(escaped) = escaped.filter(|escaped| escaped != name) {
                assert_eq!(unescaped(&escaped).as_deref(), Some(name));
            }
        }
    }
}
