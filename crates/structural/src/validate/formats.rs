//! Formats of strings.
//!
//! Names are those a CRD may use; unknown ones are ignored (k8s.io/apiextensions-apiserver
//! `apiserver/validation/formats.go`, v0.36). Dashes in names do not count.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

macro_rules! patterns {
    ($($name:ident = $source:expr;)*) => {
        $(static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($source).ok());)*
    };
}

patterns! {
    UUID = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID3 = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID4 = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    UUID5 = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    OBJECT_ID = r"^[0-9a-fA-F]{24}$";
    SSN = r"^\d{3}[- ]?\d{2}[- ]?\d{4}$";
    HEX_COLOR = r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
    RGB_COLOR = r"^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$";
    MAC = r"^([0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}(([:-][0-9a-fA-F]{2}){2}|([:-][0-9a-fA-F]{2}){14})?|[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4})?)$";
    DATE_TIME = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?$";
    DURATION = r"^([+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$|^[+-]?0$";
    LONG_DURATION = r"(?i)^(\d+)\s*(ns|nano|nanosecond|us|µs|micro|microsecond|ms|milli|millisecond|s|sec|second|m|min|minute|h|hr|hour|d|day|w|week)s?$";
    EMAIL = r#"^[^\s@<>()\[\],;:\\"]+@[^\s@<>()\[\],;:\\"]+$"#;
    HOST_LABEL = r"^[a-zA-Z0-9\p{L}]([a-zA-Z0-9\p{L}-]*[a-zA-Z0-9\p{L}])?$";
}

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(text))
}

/// Whether `text` has the format; `None` if there is no such format.
pub(super) fn matches(format: &str, text: &str) -> Option<bool> {
    let name = format.replace('-', "");
    Some(match name.as_str() {
        "bsonobjectid" => fits(&OBJECT_ID, text),
        "uri" => is_uri(text),
        "email" => fits(&EMAIL, text),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.contains(':') && text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => fits(&MAC, text),
        "uuid" => fits(&UUID, text),
        "uuid3" => fits(&UUID3, text),
        "uuid4" => fits(&UUID4, text),
        "uuid5" => fits(&UUID5, text),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "creditcard" => is_credit_card(text),
        "ssn" => fits(&SSN, text),
        "hexcolor" => fits(&HEX_COLOR, text),
        "rgbcolor" => fits(&RGB_COLOR, text),
        "byte" => base64::engine::general_purpose::STANDARD
            .decode(text)
            .is_ok(),
        "password" => true,
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => fits(&DURATION, text) || fits(&LONG_DURATION, text),
        "datetime" => {
            fits(&DATE_TIME, text)
                && text
                    .get(..10)
                    .is_some_and(|date| date.parse::<jiff::civil::Date>().is_ok())
        }
        "k8sshortname" => crate::names::dns_1123_label(text).is_empty(),
        "k8slongname" => crate::names::dns_1123_subdomain(text).is_empty(),
        _ => return None,
    })
}

/// An absolute URI or an absolute path.
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let starts_well = scheme
        .as_bytes()
        .first()
        .is_some_and(u8::is_ascii_alphabetic);
    starts_well
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && !rest.is_empty()
}

fn is_hostname(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text.len() <= 255
        && text
            .split('.')
            .all(|label| label.len() <= 63 && fits(&HOST_LABEL, label))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let max = if address.parse::<Ipv4Addr>().is_ok() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    !bits.is_empty()
        && bits.bytes().all(|byte| byte.is_ascii_digit())
        && bits.parse::<u8>().is_ok_and(|bits| bits <= max)
}

fn digits(text: &str) -> Vec<u32> {
    text.chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .map(|c| match c {
            'X' | 'x' => 10,
            c => c.to_digit(10).unwrap_or(99),
        })
        .collect()
}

fn is_isbn10(text: &str) -> bool {
    let digits = digits(text);
    digits.len() == 10
        && digits[..9].iter().all(|&digit| digit < 10)
        && digits[9] <= 10
        && (1..=10)
            .zip(&digits)
            .map(|(weight, digit)| weight * digit)
            .sum::<u32>()
            % 11
            == 0
}

fn is_isbn13(text: &str) -> bool {
    let digits = digits(text);
    digits.len() == 13
        && digits.iter().all(|&digit| digit < 10)
        && digits
            .iter()
            .zip([1, 3].into_iter().cycle())
            .map(|(digit, weight)| digit * weight)
            .sum::<u32>()
            % 10
            == 0
}

fn is_credit_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    (13..=16).contains(&digits.len())
        && digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, &digit)| match (place % 2, digit * 2) {
                (0, _) => digit,
                (_, double) if double > 9 => double - 9,
                (_, double) => double,
            })
            .sum::<u32>()
            % 10
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_right_from_wrong() {
        for (format, right, wrong) in [
            (
                "uri",
                &["https://a/b", "/x", "mailto:a@b"][..],
                &["a b", "x", ""][..],
            ),
            ("email", &["a@b.c"], &["a", "@"]),
            ("hostname", &["a.b", "A-1"], &["-a", "a..b", ""]),
            ("ipv4", &["1.2.3.4"], &["::1", "1.2.3"]),
            ("ipv6", &["::1"], &["1.2.3.4"]),
            (
                "cidr",
                &["10.0.0.0/8", "::/0"],
                &["10.0.0.0/33", "10.0.0.0", "a/8"],
            ),
            ("mac", &["00:11:22:33:44:55"], &["00:11"]),
            ("uuid", &["123e4567-e89b-12d3-a456-426614174000"], &["123"]),
            (
                "date-time",
                &["2020-01-02T03:04:05Z", "2020-01-02T03:04:05.678+01:00"],
                &["2020-13-02T03:04:05Z", "now"],
            ),
            ("date", &["2020-02-29"], &["2021-02-29"]),
            ("duration", &["1h2m", "22 ns", "1.5s"], &["x", "1"]),
            ("byte", &["YQ=="], &["a"]),
            ("isbn", &["0321751043", "978-0321751041"], &["0321751044"]),
            ("hexcolor", &["#fff"], &["#ff"]),
            ("creditcard", &["4111111111111111"], &["4111111111111112"]),
            ("k8s-short-name", &["a-b"], &["a.b"]),
        ] {
            for text in right {
                assert_eq!(matches(format, text), Some(true), "{format} {text}");
            }
            for text in wrong {
                assert_eq!(matches(format, text), Some(false), "{format} {text}");
            }
        }
        assert_eq!(matches("int-or-string", "x"), None);
    }
}
