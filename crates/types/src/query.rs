//! Parameters of requests to API servers, read as those read them.

/// Whether a parameter is set: only its absence, `false` in any case, and `0` are not; of several values the first
/// counts (apimachinery `pkg/runtime/conversion.go`, `Convert_Slice_string_To_bool`, which is not Go's `ParseBool`:
/// `watch=f` and a bare `watch` are set).
#[must_use]
pub fn flag(query: Option<&str>, name: &str) -> bool {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs
        .find(|(key, _)| key == name)
        .is_some_and(|(_, value)| value != "0" && !value.eq_ignore_ascii_case("false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_false_and_zero_are_set() {
        for (query, expected) in [
            (None, false),
            (Some(""), false),
            (Some("limit=500"), false),
            (Some("labelSelector=watch%3Dtrue"), false),
            (Some("watch=true"), true),
            (Some("limit=1&watch=1"), true),
            (Some("watch"), true),
            (Some("watch="), true),
            (Some("watch=f"), true),
            (Some("%77atch=t%72ue"), true),
            (Some("watch=false"), false),
            (Some("watch=False"), false),
            (Some("watch=0"), false),
            (Some("watch=%30"), false),
            (Some("watch=false&watch=true"), false),
            (Some("watchful=true"), false),
        ] {
            assert_eq!(flag(query, "watch"), expected, "{query:?}");
        }
    }
}
