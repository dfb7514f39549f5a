//! What is wrong with an expression, and where.

use std::fmt::Write as _;

/// More lines of a source than this are not shown, nor longer ones.
const MAX_SNIPPET: usize = 16 * 1024;
/// More problems of one expression than these are only counted.
const MAX_PROBLEMS: usize = 100;

/// Something wrong at a byte of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) text: String,
}

impl Problem {
    pub(super) fn at(at: usize, text: impl Into<String>) -> Self {
        Self {
            at,
            text: text.into(),
        }
    }

    fn print(&self, source: &str, out: &mut String) {
        let before = source.get(..self.at).unwrap_or(source);
        let start = before.rfind('\n').map_or(0, |place| place + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[start..].chars().count();
        // Writing into a String does not fail.
        let _ = write!(out, "ERROR: <input>:{line}:{}: {}", column + 1, self.text);
        let shown = source[start..].lines().next().unwrap_or_default();
        if shown.len() > MAX_SNIPPET {
            return;
        }
        let wide = |c: char| c.len_utf8() > 1;
        let mut rest = shown.chars();
        let dots = rest
            .by_ref()
            .take(column)
            .map(|c| if wide(c) { '\u{ff0e}' } else { '.' })
            .collect::<String>();
        let mark = if rest.next().is_some_and(wide) {
            '\u{ff3e}'
        } else {
            '^'
        };
        let _ = write!(out, "\n | {}\n | {dots}{mark}", shown.replace('\t', " "));
    }
}

/// All problems, in the order of the source, each with its line and a mark below it
/// (google/cel-go `common/errors.go`, v0.26).
pub(super) fn print(mut problems: Vec<Problem>, source: &str) -> String {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    problems.sort_by_key(|problem| problem.at);
    let mut out = String::new();
    for problem in &problems {
        if !out.is_empty() {
            out.push('\n');
        }
        problem.print(source, &mut out);
    }
    if more > 0 {
        let _ = write!(out, "\n{more} more errors were truncated");
    }
    out
}
