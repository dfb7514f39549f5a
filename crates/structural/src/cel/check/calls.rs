//! What calls can cost, and the sizes of their results (google/cel-go `checker/cost.go`, `ext/lists.go`, `ext/sets.go`,
//! v0.26; k8s.io/apiserver `cel/library/cost.go`, v0.36).

use super::core::{Core, Kind, Literal};
use super::cost::{Estimate, Step};
use super::range::Range;
use super::types::Type;

/// Of each character that is looked at.
const TRAVERSAL: f64 = 0.1;
/// Of each character of a regular expression.
const REGEX: f64 = 0.25;
/// The longest expression behind a named format, and the longest name of one.
const FORMAT_REGEX: f64 = 128.0;
const FORMAT_NAME: u64 = 64;
/// Of making a list, with the call itself.
const NEW_LIST: Range = Range::exactly(11);
/// The bytes of an address.
const ADDRESS: Range = Range { min: 4, max: 16 };

/// The cost of a call without its arguments, and the size of what it gives if that is known.
struct Call {
    cost: Range,
    size: Option<Range>,
}

impl Call {
    const fn costs(cost: Range) -> Self {
        Self { cost, size: None }
    }

    const fn gives(cost: Range, size: Range) -> Self {
        Self {
            cost,
            size: Some(size),
        }
    }

    /// A list of `size` is made.
    fn list(factor: f64, size: Range) -> Self {
        Self::gives(size.scaled(factor).plus(NEW_LIST), size)
    }
}

/// A call as it is estimated.
#[derive(Clone, Copy)]
struct Form<'c, 'e> {
    function: &'c str,
    target: Option<&'c Core<'e>>,
    args: &'c [Core<'e>],
    /// What the signature is known by.
    known: &'c str,
}

impl<'e> Estimate<'e, '_> {
    pub(super) fn call(
        &mut self,
        node: &Core<'e>,
        function: &str,
        target: Option<&Core<'e>>,
        args: &[Core<'e>],
    ) -> Range {
        if let ("dyn", [arg]) = (function, args) {
            let cost = self.node(arg).plus(Range::ONE);
            self.copy_size(node, arg);
            return cost;
        }
        let costs: Vec<Range> = args.iter().map(|arg| self.node(arg)).collect();
        let sum = costs.iter().fold(Range::ZERO, |sum, cost| sum.plus(*cost));
        let signatures = &self.inferred.calls[node.id];
        if signatures.is_empty() {
            return Range::ZERO;
        }
        // The name of a library is no value.
        let whole = self.inferred.whole[node.id]
            .then(|| target.and_then(Core::qualified))
            .flatten()
            .map(|library| format!("{library}.{function}"));
        let target = target.filter(|_| whole.is_none());
        let before = target.map_or(Range::ZERO, |target| self.node(target));
        let mut cost = Range::NONE;
        let mut size: Option<Range> = None;
        for signature in signatures {
            let form = Form {
                function: whole.as_deref().unwrap_or(function),
                target,
                args,
                known: signature.cost,
            };
            let call = match (signature.cost, costs.as_slice()) {
                ("logic", [left, right]) => Call::costs(Range {
                    min: left.min,
                    max: left.max.saturating_add(right.max),
                }),
                ("conditional", [condition, yes, no]) => {
                    let call = self.conditional(node, args);
                    Call {
                        cost: condition.plus(yes.joined(*no)),
                        ..call
                    }
                }
                _ => {
                    let call = self.known(node, form);
                    Call {
                        cost: call.cost.plus(sum),
                        ..call
                    }
                }
            };
            cost = cost.joined(call.cost);
            size = match (size, call.size) {
                (Some(a), Some(b)) => Some(a.joined(b)),
                (a, b) => a.or(b),
            };
            if let ("item" | "value", Some(from)) = (signature.cost, args.first()) {
                size = self.value_size(from);
                let place = self.step(&self.place(from), Step::Inside);
                self.set_place(node, place);
            }
            if size.is_none() {
                size = self.size(node);
            }
        }
        self.set_size(node, size);
        before.plus(cost)
    }

    fn conditional(&mut self, node: &Core<'e>, args: &[Core<'e>]) -> Call {
        let [_, yes, no] = args else {
            return Call::costs(Range::ZERO);
        };
        let size = self.size_or_unknown(yes).joined(self.size_or_unknown(no));
        self.join_entries(node, yes, no);
        Call::gives(Range::ZERO, size)
    }

    fn known(&mut self, node: &Core<'e>, form: Form<'_, 'e>) -> Call {
        self.of_lists(form)
            .or_else(|| self.of_libraries(form))
            .or_else(|| self.of_texts(form))
            .or_else(|| self.of_addresses(form))
            .or_else(|| self.equality(form))
            .or_else(|| self.standard(node, form))
            .unwrap_or(Call::costs(Range::ONE))
    }

    /// Estimates that are told of signatures.
    fn of_lists(&mut self, form: Form<'_, 'e>) -> Option<Call> {
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
    fn of_libraries(&mut self, form: Form<'_, 'e>) -> Option<Call> {
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
            super::cost::Place::Nowhere => None,
            super::cost::Place::At(_) => Self::declared_size(&self.step(&place, Step::Inside)),
        };
        known.unwrap_or(Range::UNKNOWN)
    }

    fn of_texts(&mut self, form: Form<'_, 'e>) -> Option<Call> {
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

    fn of_addresses(&mut self, form: Form<'_, 'e>) -> Option<Call> {
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
    fn equality(&mut self, form: Form<'_, 'e>) -> Option<Call> {
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

    fn standard(&mut self, node: &Core<'e>, form: Form<'_, 'e>) -> Option<Call> {
        match (form.known, form.target, form.args) {
            ("format", Some(target), _) => {
                Some(Call::costs(self.size_or_unknown(target).scaled(TRAVERSAL)))
            }
            // Each character may become four bytes, or each four bytes be one; each may need a mark before it. Larger
            // numbers than the largest begin anew, as they do in the real estimates.
            ("encode", _, [text]) => {
                let size = self.size_or_unknown(text);
                let max = size.max.wrapping_mul(4);
                Some(Call::gives(size.scaled(TRAVERSAL), Range { max, ..size }))
            }
            ("decode", _, [bytes]) => {
                let size = self.size_or_unknown(bytes);
                let min = size.min / 4;
                Some(Call::gives(size.scaled(TRAVERSAL), Range { min, ..size }))
            }
            ("quote", _, [text]) => {
                let size = self.size_or_unknown(text);
                let quoted = Range {
                    min: size.min.wrapping_add(2),
                    max: size.max.wrapping_mul(2).wrapping_add(2),
                };
                Some(Call::gives(size.scaled(TRAVERSAL), quoted))
            }
            ("affix", _, [affix]) => {
                Some(Call::costs(self.size_or_unknown(affix).scaled(TRAVERSAL)))
            }
            ("search", _, [_, list]) => Some(Call::costs(self.size_or_unknown(list).scaled(1.0))),
            ("matches", Some(target), [pattern]) => {
                let text = self.size_or_unknown(target).plus(Range::ONE);
                let pattern = self.size_or_unknown(pattern).scaled(REGEX);
                Some(Call::costs(text.scaled(TRAVERSAL).times(pattern)))
            }
            ("contains", Some(target), [part]) => {
                let text = self.size_or_unknown(target).scaled(TRAVERSAL);
                let part = self.size_or_unknown(part).scaled(TRAVERSAL);
                Some(Call::costs(text.times(part)))
            }
            ("concatenate" | "append", _, [a, b]) => {
                let size = self.size_or_unknown(a).plus(self.size_or_unknown(b));
                self.join_entries(node, a, b);
                let cost = match form.known {
                    "append" => Range::ONE,
                    _ => size.scaled(TRAVERSAL),
                };
                Some(Call::gives(cost, size))
            }
            ("compare", _, [a, b]) => {
                let (a, b) = (self.size_or_unknown(a), self.size_or_unknown(b));
                let max = a.max.min(b.max);
                let min = u64::from(max > 0);
                Some(Call::costs(Range { min, max }.scaled(TRAVERSAL)))
            }
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
