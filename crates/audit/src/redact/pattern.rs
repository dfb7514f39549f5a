//! Texts that are secrets wherever they stand.

use super::{MAX_TEXT, REDACTED};

/// Shortest run of letters and digits that passes for a key: those of tokens have 54, of registration tokens 54 as well.
const KEY_LENGTH: usize = 40;

/// The text, or [`REDACTED`] if it looks like a key, a token, a certificate or an address with a password.
pub(super) fn clean(text: &str) -> String {
    if text.len() > MAX_TEXT || looks_secret(text) {
        REDACTED.to_owned()
    } else {
        text.to_owned()
    }
}

fn looks_secret(text: &str) -> bool {
    text.contains("-----BEGIN")
        || text.contains("eyJ")
        || has_credentials(text)
        || text
            .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '+'))
            .any(|run| run.len() >= KEY_LENGTH && !is_digest(run))
}

/// `scheme://user:password@host`.
fn has_credentials(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?', '#'])
            .next()
            .is_some_and(|authority| authority.contains('@'))
    })
}

/// Digests of images and files are no secrets: 64 or 40 hexadecimal digits with letters in one case.
fn is_digest(run: &str) -> bool {
    matches!(run.len(), 40 | 64)
        && run
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tokens_and_certificates_are_known_by_their_look() {
        let check = |text: &str, secret: bool| assert_eq!(looks_secret(text), secret, "{text}");
        check("web", false);
        check("c-abcde:p-fghij", false);
        check("7b886405-72ec-492a-94b7-d5784c212cf6", false);
        check("kubeconfig-u-abcde", false);
        check(
            "token-abcde:bcdfghjklmnpqrstvwxz2456789bcdfghjklmnpqrstvwxz2456789",
            true,
        );
        check("eyJhbGciOiJSUzI1NiJ9.e30.sig", true);
        check("-----BEGIN PRIVATE KEY-----\nMII", true);
        check("https://me:word@registry.example/x", true);
        check("https://registry.example/a@b", false);
        check(
            "nginx@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            false,
        );
    }
}
