//! Which compressed form a client takes.

use http::HeaderValue;

/// A compressed form that lies beside a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Smaller.
    Brotli,
    /// Understood by everyone.
    Gzip,
}

impl Encoding {
    /// What is added to the file's name.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// Its name in HTTP.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The forms the client takes, the smallest first (RFC 9110, 12.5.3). A wildcard is not taken at its word.
pub(crate) fn accepted(header: Option<&HeaderValue>) -> Vec<Encoding> {
    let header = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let takes = |encoding: Encoding| {
        header.split(',').any(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(encoding.name()))
                && !parts.any(refuses)
        })
    };
    [Encoding::Brotli, Encoding::Gzip]
        .into_iter()
        .filter(|encoding| takes(*encoding))
        .collect()
}

/// `q=0` in any of its spellings.
fn refuses(parameter: &str) -> bool {
    parameter
        .strip_prefix("q=")
        .and_then(|quality| quality.parse::<f32>().ok())
        .is_some_and(|quality| quality <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_form_that_is_taken_comes_first() {
        let check = |header: &str, expected: &[Encoding]| {
            let header = HeaderValue::from_str(header).unwrap();
            assert_eq!(accepted(Some(&header)), expected);
        };
        check("gzip, deflate, br", &[Encoding::Brotli, Encoding::Gzip]);
        check("GZIP;q=0.5", &[Encoding::Gzip]);
        check("br;q=0, gzip", &[Encoding::Gzip]);
        check("br; q=0.000", &[]);
        check("identity", &[]);
        check("", &[]);
        assert!(accepted(None).is_empty());
    }
}
