//! What macros stand for (google/cel-go `parser/macro.go`, `library.go`, `ext/comprehensions.go`, `ext/lists.go`, v0.26).

use super::super::ast::{Binary, Expr, Fold as Macro, Node};
use super::super::problem::Problem;
use super::core::{Core, FieldInit, Fold, Kind, Literal};

/// Some macros stand for their target twice; nested, they grow without bound.
const MAX_NODES: usize = 200_000;
/// What folds collect in; no name that an expression can write.
const RESULT: &str = "@result";
const SORTED: &str = "@sorted";
const UNUSED: &str = "#unused";

/// `expr` without macros, and how many nodes it has.
pub(super) fn expand(expr: &Expr) -> Result<(Core<'_>, usize), Problem> {
    let mut expansion = Expansion { nodes: 0 };
    let root = expansion.expr(expr)?;
    Ok((root, expansion.nodes))
}

struct Expansion {
    nodes: usize,
}

type Expanded<'e> = Result<Core<'e>, Problem>;

impl Expansion {
    fn node<'e>(&mut self, at: usize, kind: Kind<'e>) -> Expanded<'e> {
        if self.nodes == MAX_NODES {
            return Err(Problem::at(at, "expression is too large"));
        }
        let id = self.nodes;
        self.nodes += 1;
        Ok(Core { id, at, kind })
    }

    fn call<'e>(&mut self, at: usize, function: &'e str, args: Vec<Core<'e>>) -> Expanded<'e> {
        let kind = Kind::Call {
            function,
            target: None,
            args,
        };
        self.node(at, kind)
    }

    fn method<'e>(
        &mut self,
        at: usize,
        function: &'e str,
        target: Box<Core<'e>>,
        args: Vec<Core<'e>>,
    ) -> Expanded<'e> {
        let kind = Kind::Call {
            function,
            target: Some(target),
            args,
        };
        self.node(at, kind)
    }

    fn exprs<'e>(&mut self, exprs: &'e [Expr]) -> Result<Vec<Core<'e>>, Problem> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// Calls itself as deeply as the tree is high; what an arm needs stands in a function of its own, so that the stack
    /// holds only what is in use.
    fn expr<'e>(&mut self, expr: &'e Expr) -> Expanded<'e> {
        let at = expr.at;
        match &expr.node {
            Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Uint(_)
            | Node::Double(_)
            | Node::Text(_)
            | Node::Bytes(_)
            | Node::Ident(_) => self.node(at, leaf(&expr.node)),
            Node::Select { .. } | Node::Has { .. } => self.select(expr),
            Node::Index {
                operand,
                index,
                optional,
            } => {
                let function = if *optional { "_[?_]" } else { "_[_]" };
                self.operator(at, function, [operand.as_ref(), index.as_ref()])
            }
            Node::Call { .. } | Node::Method { .. } | Node::Matches { .. } => self.named(expr),
            Node::List(_) | Node::Map(_) | Node::Message { .. } => self.collection(expr),
            Node::Not(operand) => self.operator(at, "!_", [operand.as_ref()]),
            Node::Negate(operand) => self.operator(at, "-_", [operand.as_ref()]),
            Node::And(a, b) => self.operator(at, "_&&_", [a.as_ref(), b.as_ref()]),
            Node::Or(a, b) => self.operator(at, "_||_", [a.as_ref(), b.as_ref()]),
            Node::Ternary(parts) => self.operator(at, "_?_:_", [&parts.0, &parts.1, &parts.2]),
            Node::Binary(operator, parts) => {
                self.operator(at, function_of(*operator), [&parts.0, &parts.1])
            }
            Node::Fold { .. } => self.fold(expr),
            Node::OptionalMap {
                target,
                variable,
                body,
                flat,
            } => self.optional_map(at, target, variable, body, *flat),
            Node::SortBy {
                target,
                variable,
                key,
            } => self.sort_by(at, target, variable, key),
        }
    }

    fn select<'e>(&mut self, expr: &'e Expr) -> Expanded<'e> {
        match &expr.node {
            Node::Select {
                operand,
                field,
                optional: true,
            } => self.optional_member(expr.at, operand, field),
            Node::Select { operand, field, .. } => self.member(expr.at, operand, field, false),
            Node::Has { operand, field } => self.member(expr.at, operand, field, true),
            _ => self.node(expr.at, leaf(&expr.node)),
        }
    }

    fn optional_member<'e>(
        &mut self,
        at: usize,
        operand: &'e Expr,
        field: &'e str,
    ) -> Expanded<'e> {
        let mut args = self.exprs(std::slice::from_ref(operand))?;
        args.push(self.node(at, Kind::Literal(Literal::Text(field)))?);
        self.call(at, "_?._", args)
    }

    /// Calls of functions by their names.
    fn named<'e>(&mut self, expr: &'e Expr) -> Expanded<'e> {
        match &expr.node {
            Node::Call { name, args } => {
                let args = self.exprs(args)?;
                self.call(expr.at, name, args)
            }
            Node::Method { target, name, args } => {
                let target = Box::new(self.expr(target)?);
                let args = self.exprs(args)?;
                self.method(expr.at, name, target, args)
            }
            Node::Matches {
                target,
                pattern,
                literal,
            } => {
                let target = Box::new(self.expr(target)?);
                let pattern = Kind::Literal(Literal::Text(&pattern.source));
                let args = vec![self.node(*literal, pattern)?];
                self.method(expr.at, "matches", target, args)
            }
            other => self.node(expr.at, leaf(other)),
        }
    }

    fn operator<'e, const N: usize>(
        &mut self,
        at: usize,
        function: &'static str,
        operands: [&'e Expr; N],
    ) -> Expanded<'e> {
        let mut args = Vec::with_capacity(N);
        for operand in operands {
            args.push(self.expr(operand)?);
        }
        self.call(at, function, args)
    }

    fn member<'e>(
        &mut self,
        at: usize,
        operand: &'e Expr,
        field: &'e str,
        test: bool,
    ) -> Expanded<'e> {
        let operand = Box::new(self.expr(operand)?);
        let kind = Kind::Select {
            operand,
            field,
            test,
        };
        self.node(at, kind)
    }

    fn collection<'e>(&mut self, expr: &'e Expr) -> Expanded<'e> {
        let kind = match &expr.node {
            Node::Map(entries) => {
                let mut out = Vec::with_capacity(entries.len());
                for (key, value, optional) in entries {
                    out.push((self.expr(key)?, self.expr(value)?, *optional));
                }
                Kind::Map(out)
            }
            Node::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    out.push((self.expr(item)?, *optional));
                }
                Kind::List(out)
            }
            Node::Message { name, fields } => {
                let mut out = Vec::with_capacity(fields.len());
                for field in fields {
                    out.push(FieldInit {
                        at: field.at,
                        name: &field.name,
                        value: self.expr(&field.value)?,
                        optional: field.optional,
                    });
                }
                Kind::Message { name, fields: out }
            }
            other => leaf(other),
        };
        self.node(expr.at, kind)
    }

    fn collected<'e>(&mut self, at: usize) -> Expanded<'e> {
        self.node(at, Kind::Ident(RESULT))
    }

    fn constant<'e>(&mut self, at: usize, literal: Literal<'e>) -> Expanded<'e> {
        self.node(at, Kind::Literal(literal))
    }

    fn fold<'e>(&mut self, expr: &'e Expr) -> Expanded<'e> {
        let Node::Fold {
            kind,
            range,
            first,
            second,
            condition: filter,
            body,
        } = &expr.node
        else {
            return Err(Problem::at(expr.at, "no macro"));
        };
        let at = expr.at;
        let range = self.expr(range)?;
        let init = match kind {
            Macro::All => Kind::Literal(Literal::Bool(true)),
            Macro::Exists => Kind::Literal(Literal::Bool(false)),
            Macro::ExistsOne => Kind::Literal(Literal::Int(0)),
            Macro::Filter | Macro::Map => Kind::List(Vec::new()),
            Macro::TransformMap | Macro::TransformMapEntry => Kind::Map(Vec::new()),
        };
        let init = self.node(at, init)?;
        let condition = self.condition(at, *kind)?;
        let step = self.step(at, *kind, first, filter.as_deref(), body)?;
        let mut result = self.collected(at)?;
        if *kind == Macro::ExistsOne {
            let args = vec![result, self.constant(at, Literal::Int(1))?];
            result = self.call(at, "_==_", args)?;
        }
        let fold = Fold {
            range,
            first,
            second: second.as_deref(),
            accumulator: RESULT,
            init,
            condition,
            step,
            result,
            binds: false,
        };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    /// Whether to go on.
    fn condition<'e>(&mut self, at: usize, kind: Macro) -> Expanded<'e> {
        let so_far = match kind {
            Macro::All => self.collected(at)?,
            Macro::Exists => {
                let args = vec![self.collected(at)?];
                self.call(at, "!_", args)?
            }
            _ => return self.constant(at, Literal::Bool(true)),
        };
        self.call(at, "@not_strictly_false", vec![so_far])
    }

    fn step<'e>(
        &mut self,
        at: usize,
        kind: Macro,
        first: &'e str,
        filter: Option<&'e Expr>,
        body: &'e Expr,
    ) -> Expanded<'e> {
        let (step, filter) = match kind {
            Macro::All | Macro::Exists => {
                let function = if kind == Macro::All { "_&&_" } else { "_||_" };
                let args = vec![self.collected(at)?, self.expr(body)?];
                return self.call(at, function, args);
            }
            Macro::ExistsOne => {
                let args = vec![self.collected(at)?, self.constant(at, Literal::Int(1))?];
                (self.call(at, "_+_", args)?, Some(body))
            }
            Macro::Filter => {
                let item = self.node(at, Kind::Ident(first))?;
                (self.append(at, item)?, Some(body))
            }
            Macro::Map => {
                let item = self.expr(body)?;
                (self.append(at, item)?, filter)
            }
            Macro::TransformMap => {
                let args = vec![
                    self.collected(at)?,
                    self.node(at, Kind::Ident(first))?,
                    self.expr(body)?,
                ];
                (self.call(at, "cel.@mapInsert", args)?, filter)
            }
            Macro::TransformMapEntry => {
                let args = vec![self.collected(at)?, self.expr(body)?];
                (self.call(at, "cel.@mapInsert", args)?, filter)
            }
        };
        match filter {
            None => Ok(step),
            Some(filter) => {
                let args = vec![self.expr(filter)?, step, self.collected(at)?];
                self.call(at, "_?_:_", args)
            }
        }
    }

    fn append<'e>(&mut self, at: usize, item: Core<'e>) -> Expanded<'e> {
        let item = self.node(at, Kind::List(vec![(item, false)]))?;
        let args = vec![self.collected(at)?, item];
        self.call(at, "_+_", args)
    }

    /// `result` where `name` is the value of `value`.
    fn bind<'e>(
        &mut self,
        at: usize,
        name: &'e str,
        value: Core<'e>,
        result: Core<'e>,
    ) -> Expanded<'e> {
        let fold = Fold {
            range: self.node(at, Kind::List(Vec::new()))?,
            first: UNUSED,
            second: None,
            accumulator: name,
            init: value,
            condition: self.constant(at, Literal::Bool(false))?,
            step: self.node(at, Kind::Ident(name))?,
            result,
            binds: true,
        };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    fn optional_map<'e>(
        &mut self,
        at: usize,
        target: &'e Expr,
        variable: &'e str,
        body: &'e Expr,
        flat: bool,
    ) -> Expanded<'e> {
        let test = Box::new(self.expr(target)?);
        let test = self.method(at, "hasValue", test, Vec::new())?;
        let value = Box::new(self.expr(target)?);
        let value = self.method(at, "value", value, Vec::new())?;
        let body = self.expr(body)?;
        let mut some = self.bind(at, variable, value, body)?;
        if !flat {
            some = self.call(at, "optional.of", vec![some])?;
        }
        let none = self.call(at, "optional.none", Vec::new())?;
        self.call(at, "_?_:_", vec![test, some, none])
    }

    fn sort_by<'e>(
        &mut self,
        at: usize,
        target: &'e Expr,
        variable: &'e str,
        key: &'e Expr,
    ) -> Expanded<'e> {
        let target = self.expr(target)?;
        let item = self.expr(key)?;
        let keys = Fold {
            range: self.node(at, Kind::Ident(SORTED))?,
            first: variable,
            second: None,
            accumulator: RESULT,
            init: self.node(at, Kind::List(Vec::new()))?,
            condition: self.constant(at, Literal::Bool(true))?,
            step: self.append(at, item)?,
            result: self.collected(at)?,
            binds: false,
        };
        let keys = self.node(at, Kind::Fold(Box::new(keys)))?;
        let sorted = Box::new(self.node(at, Kind::Ident(SORTED))?);
        let result = self.method(at, "@sortByAssociatedKeys", sorted, vec![keys])?;
        self.bind(at, SORTED, target, result)
    }
}

/// What has nothing below it.
fn leaf(node: &Node) -> Kind<'_> {
    Kind::Literal(match node {
        Node::Ident(name) => return Kind::Ident(name),
        Node::Bool(value) => Literal::Bool(*value),
        Node::Int(value) => Literal::Int(*value),
        Node::Uint(_) => Literal::Uint,
        Node::Double(_) => Literal::Double,
        Node::Text(text) => Literal::Text(text),
        Node::Bytes(bytes) => Literal::Bytes(bytes.len()),
        _ => Literal::Null,
    })
}

const fn function_of(operator: Binary) -> &'static str {
    match operator {
        Binary::Add => "_+_",
        Binary::Sub => "_-_",
        Binary::Mul => "_*_",
        Binary::Div => "_/_",
        Binary::Rem => "_%_",
        Binary::Eq => "_==_",
        Binary::Ne => "_!=_",
        Binary::Lt => "_<_",
        Binary::Le => "_<=_",
        Binary::Gt => "_>_",
        Binary::Ge => "_>=_",
        Binary::In => "@in",
    }
}
