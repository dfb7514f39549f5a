//! What to say of several documents of which one was refused: those before it are there, those after it are not.

use drover_auth::web::ApiError;

/// Objects that are named; of more, the last ones.
const NAMED: usize = 10;

/// The refusal of one of several documents: which it was, and what was applied before it.
#[must_use]
pub fn stopped(mut error: ApiError, at: usize, n_documents: usize, before: &[String]) -> ApiError {
    if n_documents <= 1 {
        return error;
    }
    let named = before.len().saturating_sub(NAMED);
    let said = match (before, named) {
        ([], _) => "nothing was applied".to_owned(),
        (_, 0) => format!("applied before it: {}", before.join(", ")),
        (_, more) => format!(
            "applied before it: {more} and {}",
            before[more..].join(", ")
        ),
    };
    error.message = format!(
        "document {} of {n_documents}: {} ({said}, and none after it)",
        at + 1,
        error.message
    );
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_is_there_already() {
        let check = |before: usize, whole: usize, expected: &str| {
            let before: Vec<_> = (0..before).map(|n| format!("pods/p{n}")).collect();
            let error = ApiError::invalid_body("no");
            let error = stopped(error, before.len(), whole, &before);
            assert_eq!(error.message, expected);
            assert_eq!(error.status, 422);
        };
        check(0, 1, "no");
        check(
            0,
            2,
            "document 1 of 2: no (nothing was applied, and none after it)",
        );
        check(
            2,
            4,
            "document 3 of 4: no (applied before it: pods/p0, pods/p1, and none after it)",
        );
        check(
            12,
            13,
            "document 13 of 13: no (applied before it: 2 and pods/p2, pods/p3, pods/p4, pods/p5, pods/p6, pods/p7, pods/p8, \
             pods/p9, pods/p10, pods/p11, and none after it)",
        );
    }
}
