//! How many warnings an answer's headers hold (apiserver `endpoints/filters/warning.go`).
//!
//! All of them, if they are short altogether. Else each is cut short, and what comes after the limit is left out.

/// Most characters of all warnings of one answer.
const MAX_ALL: usize = 4 * 1024;
/// Most characters of each, where all have not found a place.
const MAX_EACH: usize = 256;

/// What of `texts` is sent, in their order.
pub(super) fn fitting(texts: &[String]) -> Vec<&str> {
    let mut sum = 0;
    let fits = |text: &String| {
        sum += text.chars().count();
        sum <= MAX_ALL
    };
    let Some(first_beyond) = texts.iter().map(fits).position(|fits| !fits) else {
        return texts.iter().map(String::as_str).collect();
    };
    // The one that found no place is sent too, cut as all others; those after it as long as there is any.
    let mut written = 0;
    let mut sent = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        if index > first_beyond && written >= MAX_ALL {
            break;
        }
        let text = cut(text);
        written += text.chars().count();
        sent.push(text);
    }
    sent
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_EACH);
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and lengths are those of kube-apiserver 1.36 for as many unknown fields of such lengths.
    #[test]
    fn as_many_are_sent_as_the_real_server_sends() {
        let check = |count: usize, length: usize, sent: usize, longest: usize| {
            let texts: Vec<String> = (0..count)
                .map(|n| format!("{n:-<length$}", n = n.to_string()))
                .collect();
            let fitting = fitting(&texts);
            let lengths = fitting.iter().map(|text| text.chars().count());
            assert_eq!(
                (fitting.len(), lengths.max()),
                (sent, (count > 0).then_some(longest)),
                "{count} of {length}"
            );
        };
        check(0, 0, 0, 0);
        check(100, 19, 100, 19);
        check(13, 315, 13, 315);
        check(14, 315, 14, 256);
        check(150, 319, 16, 256);
        check(20, 319, 16, 256);
        check(1, 5015, 1, 256);
        check(2, 5015, 2, 256);
        check(2, 4000, 2, 256);
        let letters = vec!["ä".repeat(300), "b".repeat(4000)];
        assert_eq!(fitting(&letters)[0], "ä".repeat(256));
    }
}
