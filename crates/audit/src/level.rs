//! How much of a request is written down.

use std::fmt;
use std::str::FromStr;

/// The levels of the peer (rancher/rancher `pkg/auth/audit` 2.15, reference apps-observability-backup-cli 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Who, what, from where, outcome.
    #[default]
    Metadata,
    /// And headers.
    Headers,
    /// And bodies of requests.
    RequestBodies,
    /// And bodies of answers.
    Bodies,
}

/// Not one of the four levels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no audit level; 0 is metadata, 1 adds headers, 2 bodies of requests, 3 bodies of answers"
)]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text.trim() {
            "0" => Ok(Self::Metadata),
            "1" => Ok(Self::Headers),
            "2" => Ok(Self::RequestBodies),
            "3" => Ok(Self::Bodies),
            other => Err(UnknownLevel(other.to_owned())),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self as u8).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_are_the_peers_numbers() {
        for number in ["0", "1", "2", "3"] {
            assert_eq!(number.parse::<Level>().unwrap().to_string(), number);
        }
        assert!(
            "4".parse::<Level>()
                .unwrap_err()
                .to_string()
                .contains("`4`")
        );
        assert!(Level::Bodies > Level::Headers);
    }
}
