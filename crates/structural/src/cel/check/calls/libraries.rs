//! What calls of libraries can cost (google/cel-go `ext/lists.go`, `ext/sets.go`, v0.26; k8s.io/apiserver
//! `cel/library/cost.go`, v0.36).

use super::super::core::{Core, Kind, Literal};
use super::super::cost::{Estimate, Place, Step};
use super::super::range::Range;
use super::super::types::Type;
use super::{Call, Form, REGEX, TRAVERSAL};

/// The longest expression behind a named format, and the longest name of one.
const FORMAT_REGEX: f64 = 128.0;
const FORMAT_NAME: u64 = 64;
/// The bytes of an address.
const ADDRESS: Range = Range { min: 4, max: 16 };

impl<'e> Estimate<'e, '_> {
    /// Estimates that are told of signatures.
    pub(super) fn of_lists(&mut self, form: Form<'_, 'e>) -> Option<Call> {
        let size = match form.known {
            "sets" | "sets-twice" => {
                let factor = if form.known == "sets" { 1.0 } else { 2.0 };
                let [a, b] = form.args else { return None };
                let product = self.size_or_unknown(a).times(self.size_or_unknown(b));
                return Some(Call::costs(product.scaled(factor).plus(Range::ONE)));
            }
            "range" => {
                let count = whole_number(form.args.first()?, u64::MAX);
                return Some(Call::list(1.0, Range::exactly(count)));
            }
            "sort-by" | "sort-by-texts" => self.size_or_unknown(form.args.first()?),
            _ => self.size_or_unknown(form.target?),
        };
        let square = || size.times(size);
        Some(match form.known {
            "slice" => {
                let [start, end] = form.args else { return None };
                let (start, end) = (whole_number(start, 0), whole_number(end, size.max));
                // As the real one, which does not look whether the end comes first.
                Call::list(1.0, Range::exactly(end.wrapping_sub(start)))
            }
            "reverse" => Call::list(1.0, size),
            "flatten" => {
                let depth = form
                    .args
                    .first()
                    .map_or(1, |depth| whole_number(depth, u64::MAX));
                Call::list(as_double(depth), size)
            }
            "distinct" | "sort" | "sort-by" => Call::list(2.0, square()),
            "sort-texts" | "sort-by-texts" => Call::list(2.0 + TRAVERSAL, square()),
            _ => return None,
        })
    }

    /// Estimates that are told of functions, of whatever they are called on.
    pub(super) fn of_libraries(&mut self, form: Form<'_, 'e>) -> Option<Call> {
        match form.function {
            "check" => Some(Call::costs(Range::exactly(350_000))),
            "serviceAccount"
            | "path"
            | "group"
            | "resource"
            | "subresource"
            | "namespace"
            | "name"
            | "allowed"
            | "reason"
            | "error"
            | "errored"
            | "format.named"
            | "sign"
            | "asInteger"
            | "isInteger"
            | "asApproximateFloat"
            | "isGreaterThan"
            | "isLessThan"
            | "compareTo"
            | "add"
            | "sub"
            | "major"
            | "minor"
            | "patch"
            | "getScheme"
            | "getHostname"
            | "getHost"
            | "getPort"
            | "getEscapedPath"
            | "getQuery"
            | "masked"
            | "prefixLength"
            | "family"
            | "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast" => Some(Call::costs(Range::ONE)),
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                let target = form.target?;
                let size = self.size_or_unknown(target);
                Some(Call::costs(match item_type(self.type_of(target)) {
                    None => size.scaled(TRAVERSAL),
                    Some(Type::Text | Type::Bytes) => {
                        let item = self.item_size(target).scaled(TRAVERSAL);
                        size.times(Range::ONE.plus(item))
                    }
                    Some(_) => size,
                }))
            }
            "quantity" | "isQuantity" | "semver" | "isSemver" => {
                let size = self.size_or_unknown(form.args.first()?);
                Some(Call::costs(size.scaled(TRAVERSAL)))
            }
            "validate" => {
                let size = self.size_or_unknown(form.args.first()?);
                Some(Call::costs(
                    size.scaled(TRAVERSAL).scaled(FORMAT_REGEX * REGEX),
                ))
            }
            "url" => {
                let size = self.size_or_unknown(form.args.first()?);
                Some(Call::gives(size.scaled(TRAVERSAL), size))
            }
            _ => None,
        }
    }

    /// The size of an item of `list`.
    fn item_size(&self, list: &Core<'_>) -> Range {
        let place = self.place(list);
        let known = match place {
            Place::Nowhere => None,
            Place::At(_) => Self::declared_size(&self.step(&place, Step::Inside)),
        };
        known.unwrap_or(Range::UNKNOWN)
    }

    pub(super) fn of_texts(&mut self, form: Form<'_, 'e>) -> Option<Call> {
        match form.function {
            "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                let size = self.size_or_unknown(form.target?);
                Some(Call::gives(size.scaled(TRAVERSAL), size))
            }
            "replace" => self.replace(form),
            "split" => {
                let size = self.size_or_unknown(form.target?);
                let limit = form.args.get(1).map(|limit| &limit.kind);
                let max = match limit {
                    // A negative limit is none, and a large number.
                    Some(Kind::Literal(Literal::Int(limit))) => limit.cast_unsigned(),
                    _ => size.max,
                };
                Some(Call::gives(
                    size.scaled(2.0 * TRAVERSAL),
                    Range { min: 0, max },
                ))
            }
            "join" => {
                let target = form.target?;
                let list = self.size_or_unknown(target);
                let mut size = match item_type(self.type_of(target)) {
                    Some(_) => list.times(self.item_size(target)),
                    None => Range::ZERO,
                };
                if let Some(separator) = form.args.first() {
                    let between = Range {
                        min: list.min.saturating_sub(1),
                        max: list.max.saturating_sub(1),
                    };
                    size = size.plus(self.size_or_unknown(separator).times(between));
                }
                Some(Call::gives(size.scaled(TRAVERSAL), size))
            }
            "find" | "findAll" => {
                let size = self.size_or_unknown(form.target?);
                let pattern = self.size_or_unknown(form.args.first()?).scaled(REGEX);
                let text = size.plus(Range::ONE).scaled(TRAVERSAL);
                let found = Range {
                    min: 0,
                    max: size.max,
                };
                Some(Call::gives(text.times(pattern), found))
            }
            _ => None,
        }
    }

    /// The shortest parts become the longest texts as often as they can, and the other way round.
    fn replace(&mut self, form: Form<'_, 'e>) -> Option<Call> {
        let size = self.size_or_unknown(form.target?);
        let [from, to, ..] = form.args else {
            return None;
        };
        let (from, to) = (self.size_or_unknown(from), self.size_or_unknown(to));
        let (max_count, max_rest) = if from.min == 0 {
            (size.max.saturating_add(1), size.max)
        } else if to.max <= from.min {
            (0, size.max)
        } else {
            (whole_quotient(size.max, from.min), 0)
        };
        let (min_count, min_rest) = if from.max == 0 {
            (size.min.saturating_add(1), size.min)
        } else if from.max <= to.min {
            (0, size.min)
        } else {
            (whole_quotient(size.min, from.max), 0)
        };
        let count = Range {
            min: min_count,
            max: max_count,
        };
        let rest = Range {
            min: min_rest,
            max: max_rest,
        };
        Some(Call::gives(
            size.scaled(2.0 * TRAVERSAL),
            count.times(to).plus(rest),
        ))
    }

    pub(super) fn of_addresses(&mut self, form: Form<'_, 'e>) -> Option<Call> {
        let first = form.args.first();
        let compared = ADDRESS.plus(ADDRESS).scaled(TRAVERSAL);
        let cost = match form.function {
            "ip" if form.known == "inside" => Range::ONE,
            "ip" | "cidr" | "isIP" | "isCIDR" => self.size_or_unknown(first?).scaled(TRAVERSAL),
            "ip.isCanonical" => self.size_or_unknown(first?).scaled(2.0 * TRAVERSAL),
            "containsIP" => compared,
            "containsCIDR" => compared.plus(ADDRESS.scaled(TRAVERSAL)).plus(Range::ONE),
            _ => return None,
        };
        if form.known == "text" {
            let parsed = self.size_or_unknown(first?).scaled(TRAVERSAL);
            return Some(Call::costs(cost.plus(parsed)));
        }
        Some(Call::costs(cost))
    }

    /// Equality of values of libraries.
    pub(super) fn equality(&mut self, form: Form<'_, 'e>) -> Option<Call> {
        let ("_==_", [a, b]) = (form.function, form.args) else {
            return None;
        };
        if self.type_of(a) != self.type_of(b) {
            return None;
        }
        let up_to = |max: u64| Call::costs(Range { min: 1, max }.scaled(TRAVERSAL));
        match self.type_of(a).clone() {
            Type::Opaque(_) => Some(Call::costs(Range::ONE)),
            Type::Object(object) => match &*object.name {
                "kubernetes.Quantity" | "kubernetes.Semver" => Some(Call::costs(Range::ONE)),
                "kubernetes.NamedFormat" => Some(up_to(FORMAT_NAME)),
                "kubernetes.URL" => Some(up_to(self.size(b).map_or(1, |size| size.max))),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The type of what is in `of`, of things that have something in them.
fn item_type(of: &Type) -> Option<&Type> {
    match of {
        Type::List(item) | Type::Optional(item) => Some(item),
        Type::Map(parts) => Some(&parts.0),
        _ => None,
    }
}

/// A literal number; negative ones count as zero.
fn whole_number(node: &Core<'_>, otherwise: u64) -> u64 {
    match &node.kind {
        Kind::Literal(Literal::Int(number)) => u64::try_from(*number).unwrap_or(0),
        _ => otherwise,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "estimates are as exact as doubles"
)]
const fn as_double(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "neither number is negative, and the cast stops at the largest"
)]
fn whole_quotient(number: u64, by: u64) -> u64 {
    (as_double(number) / as_double(by)).ceil() as u64
}
