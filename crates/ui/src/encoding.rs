//! Whether a client takes gzip, and the plain form for those that do not.

use std::io::{self, Read as _};

use flate2::read::GzDecoder;
use http::HeaderValue;

/// Its name in HTTP.
pub(crate) const GZIP: &str = "gzip";

/// Whether the client takes gzip (RFC 9110, 12.5.3). A wildcard is not taken at its word.
pub(crate) fn is_accepted(header: Option<&HeaderValue>) -> bool {
    let header = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    header.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(GZIP))
            && !parts.any(refuses)
    })
}

/// `q=0` in any of its spellings.
fn refuses(parameter: &str) -> bool {
    parameter
        .strip_prefix("q=")
        .and_then(|quality| quality.parse::<f32>().ok())
        .is_some_and(|quality| quality <= 0.0)
}

/// What was compressed.
///
/// # Errors
/// If it is not gzip, or not whole.
pub(crate) fn plain(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_name_it() {
        let check = |header: &str, expected: bool| {
            let header = HeaderValue::from_str(header).unwrap();
            assert_eq!(is_accepted(Some(&header)), expected, "{header:?}");
        };
        check("gzip, deflate, br", true);
        check("GZIP;q=0.5", true);
        check("br;q=0, gzip", true);
        check("gzip; q=0.000", false);
        check("br", false);
        check("*", false);
        check("identity", false);
        check("", false);
        assert!(!is_accepted(None));
    }
}
