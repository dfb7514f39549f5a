//! The one place where an error is printed with all its causes.

use std::{error::Error, fmt};

/// Displays an error followed by its sources, separated by `: `.
///
/// A source whose text already ends the text before it is left out, since some libraries repeat their cause.
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
                last = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Chain;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Door(#[source] io::Error);

    #[test]
    fn a_chain_shows_every_cause_once() {
        let error = Door(io::Error::other("it is locked"));
        assert_eq!(
            Chain(&error).to_string(),
            "cannot open the door: it is locked"
        );
    }
}
