//! Secrets that hold no certificate or no key (Go's `crypto/tls`, whose words these are).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";

/// What is missing in a Secret of the type `kubernetes.io/tls`.
pub(super) fn of(secret: &Value) -> Option<String> {
    if secret["type"] != "kubernetes.io/tls" {
        return None;
    }
    let blocks = |member: &str| {
        let text = secret["data"][member].as_str().unwrap_or_default();
        kinds(&STANDARD.decode(text).unwrap_or_default())
    };
    let certificates = blocks("tls.crt");
    if !certificates.iter().any(|kind| kind == CERTIFICATE) {
        return Some(match &*certificates {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [one] if one.ends_with(KEY) => "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned(),
            others => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]",
                others.join(" ")
            ),
        });
    }
    let keys = blocks("tls.key");
    if keys.iter().any(|kind| kind.ends_with(KEY)) {
        return None;
    }
    Some(match &*keys {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [one] if one == CERTIFICATE => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        others => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
            others.join(" ")
        ),
    })
}

/// The types of the blocks of a text in PEM that are whole and readable.
fn kinds(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in text.lines().map(str::trim_end) {
        let marked = |mark: &str| line.strip_prefix(mark)?.strip_suffix("-----");
        if let Some(kind) = marked("-----BEGIN ") {
            open = Some((kind, String::new()));
        } else if let Some(kind) = marked("-----END ") {
            let whole = open.take().filter(|(begun, content)| {
                // Headers are no part of what is encoded.
                *begun == kind && STANDARD.decode(content).is_ok()
            });
            found.extend(whole.map(|(kind, _)| kind.to_owned()));
        } else if let Some((_, content)) = &mut open
            && !line.contains(':')
        {
            content.push_str(line.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let block = |kind: &str| format!("-----BEGIN {kind}-----\nYWJj\n-----END {kind}-----\n");
        let warned = |certificate: &str, key: &str| {
            let [certificate, key] = [certificate, key].map(|text| STANDARD.encode(text));
            let data = json!({"tls.crt": certificate, "tls.key": key});
            of(&json!({"type": "kubernetes.io/tls", "data": data})).unwrap_or_default()
        };
        let (certificate, key) = (block(CERTIFICATE), block("RSA PRIVATE KEY"));
        assert_eq!(warned(&certificate, &key), "");
        for (certificate, key, part) in [
            ("a", "b", "any PEM data in certificate input"),
            (&*key, &*certificate, "may have been switched"),
            (&*certificate, "", "any PEM data in key input"),
            (&*certificate, &*certificate, "a certificate rather than"),
            (&*block("X"), "", "of the following types: [X]"),
            (
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
                "",
                "any PEM data",
            ),
        ] {
            let warned = warned(certificate, key);
            assert!(warned.contains(part), "{warned}");
        }
        assert_eq!(of(&json!({"type": "Opaque"})), None);
    }
}
