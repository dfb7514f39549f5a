//! What calls can cost, and the sizes of their results (google/cel-go `checker/cost.go`, v0.26).

mod libraries;

use super::core::{Core, Kind};
use super::cost::{Estimate, Step};
use super::range::Range;

/// Of each character that is looked at.
const TRAVERSAL: f64 = 0.1;
/// Of each character of a regular expression.
const REGEX: f64 = 0.25;
/// Of making a list, with the call itself.
const NEW_LIST: Range = Range::exactly(11);

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
        // The name of a library is no value.
        let target = target.filter(|_| !self.inferred.whole[node.id]);
        if self.inferred.calls[node.id].is_empty() {
            return Range::ZERO;
        }
        let before = target.map_or(Range::ZERO, |target| self.node(target));
        before.plus(self.combined(node, function, target, args, &costs))
    }

    /// What any of the signatures costs with arguments of `costs`. Does not look at what is below, so that the stack
    /// holds little while that is looked at.
    fn combined(
        &mut self,
        node: &Core<'e>,
        function: &str,
        target: Option<&Core<'e>>,
        args: &[Core<'e>],
        costs: &[Range],
    ) -> Range {
        let sum = costs.iter().fold(Range::ZERO, |sum, cost| sum.plus(*cost));
        let whole = self.whole_name(node, function);
        let mut cost = Range::NONE;
        let mut size: Option<Range> = None;
        for signature in &self.inferred.calls[node.id] {
            let form = Form {
                function: whole.as_deref().unwrap_or(function),
                target,
                args,
                known: signature.cost,
            };
            let call = match (signature.cost, costs) {
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
        cost
    }

    /// The name of a function of a library, if the call is of one.
    fn whole_name(&self, node: &Core<'e>, function: &str) -> Option<String> {
        let Kind::Call { target, .. } = &node.kind else {
            return None;
        };
        let whole = self.inferred.whole[node.id];
        let library = target.as_deref().filter(|_| whole)?.qualified()?;
        Some(format!("{library}.{function}"))
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
