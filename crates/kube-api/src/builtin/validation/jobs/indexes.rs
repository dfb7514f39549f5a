//! Indexes of a job's pods, written as `0,3-5` (kubernetes `pkg/apis/batch/validation`, v1.36).

/// How many indexes `text` names, all of which must be below `completions`.
///
/// # Errors
///
/// What is wrong with the text, in the words of the real server.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let mut total = 0;
    let mut last: Option<i64> = None;
    for part in parts(text) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last
            && last >= first
        {
            return Err(not_rising(last, first));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// An index that both texts name. Parts that cannot be read are passed over; they are told of by [`count`].
pub(super) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let read = |text| {
        parts(text)
            .filter_map(|part| interval(part, completions).ok())
            .collect::<Vec<_>>()
    };
    let others = read(other);
    read(one)
        .into_iter()
        .flat_map(|held| others.iter().map(move |other| (held, *other)))
        .find(|((first, end), (start, last))| first <= last && start <= end)
        .map(|((first, _), (start, _))| first.max(start))
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn not_rising(previous: i64, current: i64) -> String {
    format!("non-increasing order, previous: {previous}, current: {current}")
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let limits = part.split('-').collect::<Vec<_>>();
    let index = |text: &str| {
        let index: i64 = text
            .parse()
            .map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= completions {
            return Err(format!("too large index: {text:?}"));
        }
        Ok(index)
    };
    match limits.as_slice() {
        [one] => index(one).map(|index| (index, index)),
        [first, last] => {
            let (first, last) = (index(first)?, index(last)?);
            if first >= last {
                return Err(not_rising(first, last));
            }
            Ok((first, last))
        }
        _ => Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_counted_or_refused() {
        let check = |text: &str, expected: Result<i64, &str>| {
            assert_eq!(count(text, 10), expected.map_err(str::to_owned), "{text}");
        };
        check("", Ok(0));
        check("0,3-5,9", Ok(5));
        check("3,2", Err("non-increasing order, previous: 3, current: 2"));
        check("5-5", Err("non-increasing order, previous: 5, current: 5"));
        check("10", Err("too large index: \"10\""));
        check(
            "x",
            Err("cannot convert string to integer for index: \"x\""),
        );
        assert!(count("1-2-3", 10).is_err());
    }

    #[test]
    fn shared_indexes_are_found() {
        assert_eq!(overlap("0-3", "3-5", 10), Some(3));
        assert_eq!(overlap("0,2", "1,3-4", 10), None);
        assert_eq!(overlap("0,x", "0", 10), Some(0));
    }
}
