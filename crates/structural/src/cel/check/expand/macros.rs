//! Macros: loops over lists and maps, and names for parts.

use super::super::core::{Core, Fold, Kind, Literal};
use super::{Expanded, Expansion, RESULT, SORTED, UNUSED};
use crate::cel::ast::{Expr, Fold as Macro, Node};
use crate::cel::problem::Problem;

impl Expansion {
    pub(super) fn fold<'e>(&mut self, expr: &'e Expr) -> Expanded<'e> {
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
    pub(super) fn bind<'e>(
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

    pub(super) fn optional_map<'e>(
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

    pub(super) fn sort_by<'e>(
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
