//! Passwords that the peer still keeps as bcrypt: of users who have not signed in since it changed its form.
//!
//! Owns reading and checking them; nothing is hashed this way here (decision 0011).

use std::fmt;

/// Rounds are two to the power of this; the peer's own have 10. A hash that asks for more is not worked out: it would
/// hold a thread for minutes.
const MOST_COST: u32 = 14;
/// `$2a$10$`, 22 letters of salt, 31 of the hash.
const LENGTH: usize = 60;

/// A bcrypt hash of bounded cost. Hidden, as it can be attacked off line.
#[derive(Clone)]
pub(crate) struct Bcrypt(String);

impl fmt::Debug for Bcrypt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bcrypt(..)")
    }
}

impl Bcrypt {
    /// Reads `$2a$10$...`; `None` if it is something else or costs too much.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let parts: Vec<&str> = text.split('$').collect();
        let ["", "2a" | "2b" | "2y", cost, rest] = parts.as_slice() else {
            return None;
        };
        let is_number = cost.len() == 2 && cost.bytes().all(|digit| digit.is_ascii_digit());
        let is_bounded = is_number && cost.parse::<u32>().is_ok_and(|cost| cost <= MOST_COST);
        let is_plain = rest
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'/'));
        (text.len() == LENGTH && is_bounded && is_plain).then(|| Self(text.to_owned()))
    }

    /// Whether this is the password, of which bcrypt looks at 72 bytes. Takes tenths of a second: for blocking threads.
    pub(super) fn verifies(&self, password: &str) -> bool {
        bcrypt::verify(password, &self.0).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `rasmuslerdorf`, by libxcrypt's `crypt`.
    const KNOWN: &str = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";

    #[test]
    fn known_hashes_verify_and_only_with_their_password() {
        let hash = Bcrypt::parse(KNOWN.as_bytes()).unwrap();
        assert!(hash.verifies("rasmuslerdorf"));
        assert!(!hash.verifies("rasmuslerdorg"));
        assert!(!hash.verifies(""));
        // The peer's marker for the same.
        let hash = Bcrypt::parse(KNOWN.replace("2y", "2a").as_bytes()).unwrap();
        assert!(hash.verifies("rasmuslerdorf"));
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_not_read() {
        let is_read = |text: &str| Bcrypt::parse(text.as_bytes()).is_some();
        assert!(is_read(&KNOWN.replace("$07$", "$14$")));
        for text in [
            String::new(),
            "password".to_owned(),
            KNOWN[1..].to_owned(),
            format!("{KNOWN}x"),
            KNOWN.replace("$07$", "$15$"),
            KNOWN.replace("$07$", "$31$"),
            KNOWN.replace("$07$", "$+7$"),
            KNOWN.replace("$2y$", "$3y$"),
            KNOWN.replace("Chrcte", "Chr te"),
        ] {
            assert!(!is_read(&text), "{text}");
        }
        assert_eq!(
            format!("{:?}", Bcrypt::parse(KNOWN.as_bytes()).unwrap()),
            "Bcrypt(..)"
        );
    }
}
