//! What API servers warn of, in the form that the peer's clients know.

use drover_auth::web::Response;
use http::header::{HeaderValue, WARNING};

/// The answer with what the API server warned of, in the peer's form, by which its dashboard tells what it shows of them.
pub(crate) fn warned(mut response: Response, warnings: Vec<HeaderValue>) -> Response {
    for warning in warnings {
        let passed = unquoted(&warning).unwrap_or(warning);
        response.headers_mut().append(WARNING, passed);
    }
    response
}

/// `299 - "a \"b\""` of RFC 9111 as `299 - a "b"`, without a date behind it, as the peer writes warnings
/// (rancher/apiserver v0.9.7, pkg/types/server_types.go, line 163); `None` if it is of another form.
fn unquoted(warning: &HeaderValue) -> Option<HeaderValue> {
    let bytes = warning.as_bytes();
    let start = bytes.iter().position(|byte| *byte == b'"')?;
    let mut plain = bytes[..start].to_vec();
    let mut rest = bytes[start + 1..].iter();
    loop {
        match *rest.next()? {
            b'"' => break,
            b'\\' => plain.push(*rest.next()?),
            byte => plain.push(byte),
        }
    }
    let is_all = matches!(rest.as_slice(), [] | [b' ', b'"', ..]);
    is_all.then(|| HeaderValue::from_bytes(&plain).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_passed_on_in_the_form_of_the_peer() {
        let check = |warning: &str, expected: Option<&str>| {
            let warning = HeaderValue::from_str(warning).unwrap();
            let expected = expected.map(|text| HeaderValue::from_str(text).unwrap());
            assert_eq!(unquoted(&warning), expected, "{warning:?}");
        };
        check(
            r#"299 - "unknown field \"a\"""#,
            Some(r#"299 - unknown field "a""#),
        );
        check(r#"299 - "a \\ b" "Sat, 1 Jan""#, Some(r"299 - a \ b"));
        for odd in [
            "299 - a",
            r#"299 - "a"#,
            r#"299 - "a\"#,
            r#"299 - "a", 299 - "b""#,
        ] {
            check(odd, None);
        }
    }
}
