//! What macros stand for (google/cel-go `parser/macro.go`, `library.go`, `ext/comprehensions.go`, `ext/lists.go`, v0.26).

mod macros;

use super::super::ast::{Binary, Expr, Node};
use super::super::problem::Problem;
use super::core::{Core, FieldInit, Kind, Literal};

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
