//! Orders against a second evaluation: values compared as they are, one with another.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn pod() -> Kind {
    Kind::new("", "v1", "Pod", "pods")
}

fn seen(text: Option<&str>) -> Seen<'_> {
    text.map_or(Seen::Missing, |text| {
        text.parse()
            .map_or_else(|_| Seen::Text(Cow::Borrowed(text)), Seen::Number)
    })
}

/// As the bytes of an order compare.
fn compare(order: &str, one: Option<&str>, other: Option<&str>) -> Ordering {
    let order = Order::parse(&pod(), Some(order)).unwrap();
    let bytes = |text: Option<&str>| {
        let mut bytes = Vec::new();
        order.write(&|_| seen(text), &mut bytes);
        bytes
    };
    bytes(one).cmp(&bytes(other))
}

fn is_label(field: &Field) -> bool {
    matches!(field, Field::Label(_))
}

/// As the values compare, key by key.
fn evaluated(order: &str, one: Option<&str>, other: Option<&str>) -> Ordering {
    let order = Order::parse(&pod(), Some(order)).unwrap();
    let each = order.0.iter().map(|key| match (seen(one), seen(other)) {
        (Seen::Missing, Seen::Missing) => Ordering::Equal,
        (Seen::Missing, _) if key.descending && is_label(&key.field) => Ordering::Less,
        (_, Seen::Missing) if key.descending && is_label(&key.field) => Ordering::Greater,
        (Seen::Missing, _) => Ordering::Greater,
        (_, Seen::Missing) => Ordering::Less,
        (one, other) => {
            let ascending = match key.compare {
                Compare::Value => by_value(&one, &other),
                Compare::Address => by_address(&one, &other),
                Compare::Natural => by_nature(&one, &other),
            };
            if key.descending {
                ascending.reverse()
            } else {
                ascending
            }
        }
    });
    each.fold(Ordering::Equal, Ordering::then)
}

/// Numbers before texts, so that the order is one also where a column mixes them.
fn by_value(one: &Seen<'_>, other: &Seen<'_>) -> Ordering {
    match (one, other) {
        (Seen::Number(one), Seen::Number(other)) => one.total_cmp(other),
        (Seen::Number(_), _) => Ordering::Less,
        (_, Seen::Number(_)) => Ordering::Greater,
        (one, other) => {
            let (one, other) = (
                one.text().unwrap_or_default(),
                other.text().unwrap_or_default(),
            );
            one.bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .cmp(other.bytes().map(|byte| byte.to_ascii_lowercase()))
        }
    }
}

/// As [`by_value`], but digits within texts compare by the number they make.
fn by_nature(one: &Seen<'_>, other: &Seen<'_>) -> Ordering {
    if matches!(one, Seen::Number(_)) || matches!(other, Seen::Number(_)) {
        return by_value(one, other);
    }
    let (one, other) = (
        one.text().unwrap_or_default(),
        other.text().unwrap_or_default(),
    );
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        let (Some(first), Some(second)) = (one.first(), other.first()) else {
            return one.len().cmp(&other.len());
        };
        let ordering = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (this, that) = (number(&mut one), number(&mut other));
            this.len().cmp(&that.len()).then_with(|| this.cmp(that))
        } else {
            let ordering = first.to_ascii_lowercase().cmp(&second.to_ascii_lowercase());
            (one, other) = (&one[1..], &other[1..]);
            ordering
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
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

/// Addresses by their numbers, IPv4 before IPv6; what is none comes after, as text.
fn by_address(one: &Seen<'_>, other: &Seen<'_>) -> Ordering {
    let address = |seen: &Seen<'_>| seen.text().and_then(|text| text.parse::<IpAddr>().ok());
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => by_value(one, other),
    }
}

#[test]
fn orders_are_read_and_compare() {
    assert_eq!(
        compare("metadata.name", Some("a"), Some("B")),
        Ordering::Less
    );
    assert_eq!(
        compare("-metadata.name", Some("a"), Some("B")),
        Ordering::Greater
    );
    assert_eq!(
        compare("metadata.fields[3]", Some("9"), Some("10")),
        Ordering::Less
    );
    assert_eq!(compare("metadata.name", None, Some("x")), Ordering::Greater);
    assert_eq!(
        compare("-metadata.name", None, Some("x")),
        Ordering::Greater
    );
    assert_eq!(
        compare("-metadata.labels[a]", None, Some("x")),
        Ordering::Less
    );
    let address = |order: &str| compare(order, Some("10.0.0.9"), Some("10.0.0.10"));
    assert_eq!(address("ip(status.podIP)"), Ordering::Less);
    assert_eq!(address("-ip(status.podIP)"), Ordering::Greater);
    assert_eq!(address("ip(-status.podIP)"), Ordering::Greater);
    let natural =
        |one: &str, other: &str| compare("natural(metadata.name)", Some(one), Some(other));
    assert_eq!(natural("web-2", "web-10"), Ordering::Less);
    assert_eq!(natural("Web-10", "web-9x"), Ordering::Greater);
    assert_eq!(natural("web-02", "web-2"), Ordering::Equal);
    assert_eq!(natural("web", "web-1"), Ordering::Less);
    assert_eq!(natural("5 (3h ago)", "10 (2m ago)"), Ordering::Less);
    let order = Order::parse(&pod(), Some("-metadata.labels[a/b,c], metadata.name")).unwrap();
    assert_eq!(order.0.len(), 2);
    assert_eq!(order.0[0].field, Field::Label("a/b,c".to_owned()));
    assert_eq!(
        Order::parse(&pod(), Some("spec.nope")).unwrap_err().status,
        422
    );
}

fn word() -> impl Strategy<Value = Option<String>> {
    let plain = "[aAbB0-9.:]{0,4}";
    let odd = prop::collection::vec(
        prop::sample::select(&['a', 'Z', '0', '7', '/', ':', '\0', '\u{1}', 'ÿ', '|'][..]),
        0..5,
    )
    .prop_map(|letters| letters.into_iter().collect());
    let number = prop_oneof![
        Just("-0".to_owned()),
        "-?[0-9]{1,3}(\\.[0-9])?",
        "[0-9]{250,260}"
    ];
    let address = prop_oneof!["10\\.0\\.[0-9]\\.[0-9]{1,2}", "fe80::[0-9a-f]{1,3}"];
    prop::option::of(prop_oneof![plain, odd, number, address])
}

proptest! {
    #[test]
    fn bytes_compare_as_values_do(
        one in word(),
        other in word(),
        ways in proptest::collection::vec((0_usize..4, any::<bool>()), 1..3),
    ) {
        let fields = ["ip(status.podIP)", "metadata.name", "natural(metadata.name)", "metadata.labels[a]"];
        let order: Vec<String> = ways
            .iter()
            .map(|(way, descending)| format!("{}{}", if *descending { "-" } else { "" }, fields[*way]))
            .collect();
        let order = order.join(",");
        let (one, other) = (one.as_deref(), other.as_deref());
        prop_assert_eq!(compare(&order, one, other), evaluated(&order, one, other), "{}", order);
    }

    /// What comes after a value does not move it.
    #[test]
    fn earlier_keys_count_before_later_ones(words in proptest::collection::vec((word(), word()), 2)) {
        let order = Order::parse(&pod(), Some("metadata.name,-natural(metadata.namespace)")).unwrap();
        let bytes = |(name, namespace): &(Option<String>, Option<String>)| {
            let mut bytes = Vec::new();
            let of = |field: &Field| match field {
                Field::Name => seen(name.as_deref()),
                _ => seen(namespace.as_deref()),
            };
            order.write(&of, &mut bytes);
            bytes
        };
        let (one, other) = (&words[0], &words[1]);
        let names = evaluated("metadata.name", one.0.as_deref(), other.0.as_deref());
        let namespaces = evaluated("-natural(metadata.name)", one.1.as_deref(), other.1.as_deref());
        prop_assert_eq!(bytes(one).cmp(&bytes(other)), names.then(namespaces));
    }
}
