//! Tokens of the language.

use super::problem::Problem;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Ident(String),
    Int(u64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// An operator or bracket.
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 27] = [
    "==", "!=", "<=", ">=", "&&", "||", "[?", ".?", "<", ">", "+", "-", "*", "/", "%", "!", "?",
    ":", ".", ",", "(", ")", "[", "]", "{", "}", "=",
];

/// Splits `source` into tokens with their places.
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, usize)>, Problem> {
    let mut out = Vec::new();
    let mut rest = source;
    loop {
        rest = skip_blank(rest);
        let place = source.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            out.push((Token::End, place));
            return Ok(out);
        };
        let (token, length) = if let Some(found) = string(rest, place)? {
            found
        } else if first.is_ascii_digit()
            || (first == '.'
                && rest[1..].starts_with(|c: char| c.is_ascii_digit())
                && !ends_operand(out.last()))
        {
            number(rest, place)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            (Token::Ident(rest[..length].to_owned()), length)
        } else if first == '`' {
            return Err(Problem::at(place, "unsupported syntax: '`'"));
        } else {
            let symbol = SYMBOLS
                .into_iter()
                .find(|symbol| rest.starts_with(symbol))
                .ok_or_else(|| {
                    Problem::at(place, format!("token recognition error at: '{first}'"))
                })?;
            (Token::Symbol(symbol), symbol.len())
        };
        out.push((token, place));
        rest = &rest[length..];
    }
}

fn ends_operand(token: Option<&(Token, usize)>) -> bool {
    matches!(
        token,
        Some((Token::Ident(_) | Token::Symbol(")" | "]" | "}"), _))
    )
}

fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
        match text.strip_prefix("//") {
            Some(comment) => text = &comment[comment.find('\n').unwrap_or(comment.len())..],
            None => return text,
        }
    }
}

fn number(text: &str, place: usize) -> Result<(Token, usize), Problem> {
    let wrong = || Problem::at(place, "invalid number");
    if let Some(hex) = text.strip_prefix("0x") {
        let length = hex
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(hex.len());
        let value = u64::from_str_radix(&hex[..length], 16).map_err(|_| wrong())?;
        return Ok(if hex[length..].starts_with(['u', 'U']) {
            (Token::Uint(value), length + 3)
        } else {
            (Token::Int(value), length + 2)
        });
    }
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let mut length = digits(text);
    let mut double = false;
    if text[length..].starts_with('.')
        && text[length + 1..].starts_with(|c: char| c.is_ascii_digit())
    {
        double = true;
        length += 1 + digits(&text[length + 1..]);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[length + 1 + sign..]);
        if exponent > 0 {
            double = true;
            length += 1 + sign + exponent;
        }
    }
    if double {
        return Ok((
            Token::Double(text[..length].parse().map_err(|_| wrong())?),
            length,
        ));
    }
    let value = text[..length].parse().map_err(|_| wrong())?;
    Ok(if text[length..].starts_with(['u', 'U']) {
        (Token::Uint(value), length + 1)
    } else {
        (Token::Int(value), length)
    })
}

/// A string or bytes literal, if one begins here.
fn string(text: &str, place: usize) -> Result<Option<(Token, usize)>, Problem> {
    let rest = text.strip_prefix(['b', 'B']).unwrap_or(text);
    let bytes = rest.len() < text.len();
    let unmarked = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
    let raw = unmarked.len() < rest.len();
    let rest = unmarked;
    let prefix = text.len() - rest.len();
    if !rest.starts_with(['"', '\'']) {
        return Ok(None);
    }
    let quote = if rest.starts_with("\"\"\"") || rest.starts_with("'''") {
        &rest[..3]
    } else {
        &rest[..1]
    };
    let mut out: Vec<u8> = Vec::new();
    let mut at = quote.len();
    let unterminated = || Problem::at(place, "unterminated string");
    loop {
        let here = &rest[at..];
        if here.starts_with(quote) {
            at += quote.len();
            break;
        }
        let c = here.chars().next().ok_or_else(unterminated)?;
        if quote.len() == 1 && c == '\n' {
            return Err(unterminated());
        }
        at += c.len_utf8();
        if c != '\\' || raw {
            let mut buffer = [0; 4];
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        at += escape(&rest[at..], bytes, &mut out)
            .ok_or_else(|| Problem::at(place, "invalid escape in string"))?;
    }
    let token = if bytes {
        Token::Bytes(out)
    } else {
        Token::Text(String::from_utf8(out).map_err(|_| Problem::at(place, "string is not UTF-8"))?)
    };
    Ok(Some((token, prefix + at)))
}

/// Reads the escape after a backslash into `out`; its length.
fn escape(text: &str, bytes: bool, out: &mut Vec<u8>) -> Option<usize> {
    let c = text.chars().next()?;
    let simple = match c {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' | '\'' | '"' | '`' | '?' => u8::try_from(c).ok(),
        _ => None,
    };
    if let Some(byte) = simple {
        out.push(byte);
        return Some(1);
    }
    let (digits, radix, skip) = match c {
        'x' | 'X' => (2, 16, 1),
        'u' => (4, 16, 1),
        'U' => (8, 16, 1),
        '0'..='3' => (3, 8, 0),
        _ => return None,
    };
    let code = u32::from_str_radix(text.get(skip..skip + digits)?, radix).ok()?;
    if bytes && digits < 4 {
        out.push(u8::try_from(code).ok()?);
    } else {
        let mut buffer = [0; 4];
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
    }
    Some(skip + digits)
}
