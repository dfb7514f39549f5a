//! Values as bytes that compare as the values do.
//!
//! Pure. An entry is read once, however often it is compared, and what is
//! compared lies together, where each entry would have to be looked up.
//!
//! Invariant: no value's bytes are the beginning of another's, so that the bytes
//! of several keys may follow each other.

use std::net::IpAddr;

use super::Compare;
use crate::query::filter::Seen;

/// Comes last.
const MISSING: u8 = 0xff;
/// Kinds of values, in their order: numbers before texts, so that the order is one also where a column mixes them.
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
/// Kinds of addresses, in their order; what is none comes after, as what it is.
const V4: u8 = 1;
const V6: u8 = 2;
const NONE: u8 = 3;
/// Ends a text: nothing within one looks like it.
const END: [u8; 2] = [0, 0];
/// A zero within a text.
const ZERO: [u8; 2] = [0, 0xff];

/// Adds a value to `to`. What is missing comes last in both directions, unless it `turns`, too.
pub(super) fn write(
    seen: &Seen<'_>,
    compare: Compare,
    descending: bool,
    turns: bool,
    to: &mut Vec<u8>,
) {
    let start = to.len();
    match (seen, compare) {
        (Seen::Missing, _) if !turns => return to.push(MISSING),
        (Seen::Missing, _) => to.push(MISSING),
        (seen, Compare::Value) => value(seen, &plain, to),
        (seen, Compare::Natural) => value(seen, &natural, to),
        (seen, Compare::Address) => address(seen, to),
    }
    if descending {
        for byte in &mut to[start..] {
            *byte = !*byte;
        }
    }
}

fn value(seen: &Seen<'_>, text: &dyn Fn(&[u8], &mut Vec<u8>), to: &mut Vec<u8>) {
    if let Seen::Number(number) = seen {
        to.push(NUMBER);
        to.extend(in_order(*number).to_be_bytes());
        return;
    }
    to.push(TEXT);
    text(seen.text().unwrap_or_default().as_bytes(), to);
    to.extend(END);
}

/// The bits of a number, so that they compare as `f64::total_cmp` does.
fn in_order(number: f64) -> u64 {
    let bits = number.to_bits();
    let is_negative = bits >> 63 == 1;
    bits ^ if is_negative { u64::MAX } else { 1 << 63 }
}

/// In any case.
fn plain(text: &[u8], to: &mut Vec<u8>) {
    for byte in text {
        letter(*byte, to);
    }
}

fn letter(byte: u8, to: &mut Vec<u8>) {
    match byte {
        0 => to.extend(ZERO),
        _ => to.push(byte.to_ascii_lowercase()),
    }
}

/// As [`plain`], but digits within the text count by the number they make: a longer one is greater.
fn natural(text: &[u8], to: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        if !first.is_ascii_digit() {
            letter(*first, to);
            rest = others;
            continue;
        }
        let digits = number(&mut rest);
        // Among signs that are no digits, all digits stand in the same place.
        to.push(b'0');
        let mut length = digits.len();
        while length >= usize::from(u8::MAX) {
            to.push(u8::MAX);
            length -= usize::from(u8::MAX);
        }
        to.extend(u8::try_from(length));
        to.extend(digits);
    }
}

/// Takes the digits that a text begins with, without leading zeros.
fn number<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

fn address(seen: &Seen<'_>, to: &mut Vec<u8>) {
    match seen.text().and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(address)) => {
            to.push(V4);
            to.extend(address.octets());
        }
        Some(IpAddr::V6(address)) => {
            to.push(V6);
            to.extend(address.octets());
        }
        None => {
            to.push(NONE);
            value(seen, &plain, to);
        }
    }
}
