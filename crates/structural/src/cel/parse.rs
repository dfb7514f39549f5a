//! The grammar.

use super::functions;
use super::lexer::{Token, tokens};
use crate::schema::Pattern;

/// Longer expressions are refused.
const MAX_SOURCE: usize = 64 * 1024;
/// Deeper ones too.
const MAX_DEPTH: usize = 200;

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERROR: <input>:{place}: {problem}")]
pub struct ParseError {
    place: usize,
    problem: String,
}

impl ParseError {
    pub(super) fn at(place: usize, problem: impl Into<String>) -> Self {
        Self {
            place: place + 1,
            problem: problem.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
}

/// What a macro over a list or map does with its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformMap,
}

#[derive(Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Ident(String),
    /// `operand.field`; optional is `operand.?field`.
    Select {
        operand: Box<Self>,
        field: String,
        optional: bool,
    },
    /// `has(operand.field)`.
    Has {
        operand: Box<Self>,
        field: String,
    },
    Index {
        operand: Box<Self>,
        index: Box<Self>,
        optional: bool,
    },
    Call {
        name: String,
        args: Vec<Self>,
    },
    Method {
        target: Box<Self>,
        name: String,
        args: Vec<Self>,
    },
    /// `target.matches('literal')`, so that the expression is compiled once.
    Matches {
        target: Box<Self>,
        pattern: Pattern,
    },
    /// Items, each optional (`?item`) or not.
    List(Vec<(Self, bool)>),
    Map(Vec<(Self, Self, bool)>),
    Not(Box<Self>),
    Negate(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Ternary(Box<(Self, Self, Self)>),
    Binary(Binary, Box<(Self, Self)>),
    Fold {
        kind: Fold,
        range: Box<Self>,
        first: String,
        second: Option<String>,
        condition: Option<Box<Self>>,
        body: Box<Self>,
    },
    /// `target.optMap(variable, body)`, flat with optFlatMap.
    OptionalMap {
        target: Box<Self>,
        variable: String,
        body: Box<Self>,
        flat: bool,
    },
}

impl Expr {
    fn children(&self) -> Vec<&Self> {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Bytes(_)
            | Self::Ident(_) => Vec::new(),
            Self::Select { operand, .. } | Self::Has { operand, .. } => vec![operand],
            Self::Matches { target, .. } => vec![target],
            Self::Index { operand, index, .. } => vec![operand, index],
            Self::Call { args, .. } => args.iter().collect(),
            Self::Method { target, args, .. } => {
                std::iter::once(target.as_ref()).chain(args).collect()
            }
            Self::List(items) => items.iter().map(|(item, _)| item).collect(),
            Self::Map(entries) => entries
                .iter()
                .flat_map(|(key, value, _)| [key, value])
                .collect(),
            Self::Not(operand) | Self::Negate(operand) => vec![operand],
            Self::And(a, b) | Self::Or(a, b) => vec![a, b],
            Self::Ternary(parts) => vec![&parts.0, &parts.1, &parts.2],
            Self::Binary(_, parts) => vec![&parts.0, &parts.1],
            Self::Fold {
                range,
                condition,
                body,
                ..
            } => std::iter::once(range.as_ref())
                .chain(condition.as_deref())
                .chain(std::iter::once(body.as_ref()))
                .collect(),
            Self::OptionalMap { target, body, .. } => vec![target, body],
        }
    }

    pub(super) fn mentions(&self, name: &str) -> bool {
        matches!(self, Self::Ident(ident) if ident == name)
            || self
                .children()
                .into_iter()
                .any(|child| child.mentions(name))
    }
}

/// Refuses variables that nothing defines, and unknown functions.
pub(super) fn check_names(expr: &Expr, variables: &[&str]) -> Result<(), ParseError> {
    match expr {
        Expr::Ident(name) => {
            if !variables.contains(&name.as_str()) && !functions::is_type(name) {
                return Err(ParseError::at(
                    0,
                    format!("undeclared reference to '{name}' (in container '')"),
                ));
            }
        }
        Expr::Call { name, .. } | Expr::Method { name, .. } => {
            if !functions::is_known(name) {
                return Err(ParseError::at(
                    0,
                    format!("undeclared reference to '{name}' (in container '')"),
                ));
            }
        }
        _ => {}
    }
    match expr {
        // Names of libraries stand where variables do.
        Expr::Method { target, args, .. } if matches!(target.as_ref(), Expr::Ident(name) if functions::is_library(name)) => {
            args.iter().try_for_each(|arg| check_names(arg, variables))
        }
        Expr::Fold {
            range,
            first,
            second,
            condition,
            body,
            ..
        } => {
            check_names(range, variables)?;
            let mut inner = variables.to_vec();
            inner.push(first);
            inner.extend(second.as_deref());
            if let Some(condition) = condition {
                check_names(condition, &inner)?;
            }
            check_names(body, &inner)
        }
        Expr::OptionalMap {
            target,
            variable,
            body,
            ..
        } => {
            check_names(target, variables)?;
            let mut inner = variables.to_vec();
            inner.push(variable);
            check_names(body, &inner)
        }
        other => other
            .children()
            .into_iter()
            .try_for_each(|child| check_names(child, variables)),
    }
}

pub(super) fn parse(source: &str) -> Result<Expr, ParseError> {
    if source.len() > MAX_SOURCE {
        return Err(ParseError::at(0, "expression is too long"));
    }
    let mut parser = Parser {
        tokens: tokens(source)?,
        at: 0,
        depth: 0,
    };
    let root = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(root),
        _ => Err(parser.unexpected()),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)].0
    }

    fn place(&self) -> usize {
        self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn unexpected(&self) -> ParseError {
        let problem = match self.peek() {
            Token::End => "Syntax error: mismatched input '<EOF>'".to_owned(),
            Token::Ident(name) => format!("Syntax error: mismatched input '{name}'"),
            Token::Symbol(symbol) => format!("Syntax error: mismatched input '{symbol}'"),
            other => format!("Syntax error: mismatched input {other:?}"),
        };
        ParseError::at(self.place(), problem)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(next) if *next == symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn ident(&mut self) -> Result<String, ParseError> {
        match self.next() {
            Token::Ident(name) => Ok(name),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn expression(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::at(
                self.place(),
                "expression recursion limit exceeded",
            ));
        }
        let condition = self.or()?;
        let result = if self.eat("?") {
            let yes = self.or()?;
            self.expect(":")?;
            let no = self.expression()?;
            Expr::Ternary(Box::new((condition, yes, no)))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(result)
    }

    fn or(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.and()?;
        let mut terms = 0;
        while self.eat("||") {
            terms += 1;
            self.bounded(terms)?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.relation()?;
        let mut terms = 0;
        while self.eat("&&") {
            terms += 1;
            self.bounded(terms)?;
            left = Expr::And(Box::new(left), Box::new(self.relation()?));
        }
        Ok(left)
    }

    /// Chains of operators nest to the left, which also uses stack.
    fn bounded(&self, terms: usize) -> Result<(), ParseError> {
        if terms > MAX_DEPTH {
            return Err(ParseError::at(
                self.place(),
                "expression recursion limit exceeded",
            ));
        }
        Ok(())
    }

    fn relation(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.sum()?;
        let mut terms = 0;
        loop {
            let operator = match self.peek() {
                Token::Symbol("==") => Binary::Eq,
                Token::Symbol("!=") => Binary::Ne,
                Token::Symbol("<") => Binary::Lt,
                Token::Symbol("<=") => Binary::Le,
                Token::Symbol(">") => Binary::Gt,
                Token::Symbol(">=") => Binary::Ge,
                Token::Ident(name) if name == "in" => Binary::In,
                _ => return Ok(left),
            };
            self.at += 1;
            terms += 1;
            self.bounded(terms)?;
            let right = self.sum()?;
            left = Expr::Binary(operator, Box::new((left, right)));
        }
    }

    fn sum(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.product()?;
        let mut terms = 0;
        loop {
            let operator = match self.peek() {
                Token::Symbol("+") => Binary::Add,
                Token::Symbol("-") => Binary::Sub,
                _ => return Ok(left),
            };
            self.at += 1;
            terms += 1;
            self.bounded(terms)?;
            let right = self.product()?;
            left = Expr::Binary(operator, Box::new((left, right)));
        }
    }

    fn product(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.unary()?;
        let mut terms = 0;
        loop {
            let operator = match self.peek() {
                Token::Symbol("*") => Binary::Mul,
                Token::Symbol("/") => Binary::Div,
                Token::Symbol("%") => Binary::Rem,
                _ => return Ok(left),
            };
            self.at += 1;
            terms += 1;
            self.bounded(terms)?;
            let right = self.unary()?;
            left = Expr::Binary(operator, Box::new((left, right)));
        }
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        let mut nots = 0;
        while self.eat("!") {
            nots += 1;
        }
        if nots > 0 {
            let operand = self.member()?;
            return Ok(if nots % 2 == 1 {
                Expr::Not(Box::new(operand))
            } else {
                operand
            });
        }
        let mut minuses = 0;
        while self.eat("-") {
            minuses += 1;
        }
        if minuses == 0 {
            return self.member();
        }
        if minuses % 2 == 1
            && let Token::Int(value) = self.peek()
        {
            let negative = 0i64.checked_sub_unsigned(*value);
            let place = self.place();
            self.at += 1;
            let literal =
                Expr::Int(negative.ok_or_else(|| ParseError::at(place, "invalid int literal"))?);
            return self.postfix(literal);
        }
        let operand = self.member()?;
        Ok(if minuses % 2 == 1 {
            Expr::Negate(Box::new(operand))
        } else {
            operand
        })
    }

    fn member(&mut self) -> Result<Expr, ParseError> {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut operand: Expr) -> Result<Expr, ParseError> {
        let mut terms = 0;
        loop {
            terms += 1;
            self.bounded(terms)?;
            if self.eat(".?") {
                let field = self.ident()?;
                operand = Expr::Select {
                    operand: Box::new(operand),
                    field,
                    optional: true,
                };
            } else if self.eat(".") {
                let place = self.place();
                let name = self.ident()?;
                operand = if self.eat("(") {
                    let args = self.list_until(")")?;
                    method(operand, name, args, place)?
                } else {
                    Expr::Select {
                        operand: Box::new(operand),
                        field: name,
                        optional: false,
                    }
                };
            } else if self.eat("[?") {
                let index = self.expression()?;
                self.expect("]")?;
                operand = Expr::Index {
                    operand: Box::new(operand),
                    index: Box::new(index),
                    optional: true,
                };
            } else if self.eat("[") {
                let index = self.expression()?;
                self.expect("]")?;
                operand = Expr::Index {
                    operand: Box::new(operand),
                    index: Box::new(index),
                    optional: false,
                };
            } else {
                return Ok(operand);
            }
        }
    }

    fn list_until(&mut self, close: &str) -> Result<Vec<Expr>, ParseError> {
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.expression()?);
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let place = self.place();
        match self.next() {
            Token::Int(value) => i64::try_from(value)
                .map(Expr::Int)
                .map_err(|_| ParseError::at(place, "invalid int literal")),
            Token::Uint(value) => Ok(Expr::Uint(value)),
            Token::Double(value) => Ok(Expr::Double(value)),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Bytes(bytes) => Ok(Expr::Bytes(bytes)),
            Token::Ident(name) => match name.as_str() {
                "true" => Ok(Expr::Bool(true)),
                "false" => Ok(Expr::Bool(false)),
                "null" => Ok(Expr::Null),
                "in" => {
                    self.at -= 1;
                    Err(self.unexpected())
                }
                _ if self.eat("(") => {
                    let mut args = self.list_until(")")?;
                    if name == "has" {
                        return match (args.pop(), args.is_empty()) {
                            (
                                Some(Expr::Select {
                                    operand,
                                    field,
                                    optional: false,
                                }),
                                true,
                            ) => Ok(Expr::Has { operand, field }),
                            _ => Err(ParseError::at(place, "invalid argument to has() macro")),
                        };
                    }
                    Ok(Expr::Call { name, args })
                }
                _ => Ok(Expr::Ident(name)),
            },
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("[") => {
                let mut items = Vec::new();
                while !self.eat("]") {
                    let optional = self.eat("?");
                    items.push((self.expression()?, optional));
                    if !self.eat(",") {
                        self.expect("]")?;
                        break;
                    }
                }
                Ok(Expr::List(items))
            }
            Token::Symbol("[?") => {
                // `[?` begins a list whose first item is optional.
                let mut items = vec![(self.expression()?, true)];
                while self.eat(",") {
                    if matches!(self.peek(), Token::Symbol("]")) {
                        break;
                    }
                    let optional = self.eat("?");
                    items.push((self.expression()?, optional));
                }
                self.expect("]")?;
                Ok(Expr::List(items))
            }
            Token::Symbol("{") => {
                let mut entries = Vec::new();
                while !self.eat("}") {
                    let optional = self.eat("?");
                    let key = self.expression()?;
                    self.expect(":")?;
                    entries.push((key, self.expression()?, optional));
                    if !self.eat(",") {
                        self.expect("}")?;
                        break;
                    }
                }
                Ok(Expr::Map(entries))
            }
            Token::Symbol(_) | Token::End => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }
}

/// A method call, or the macro it stands for.
fn method(
    target: Expr,
    name: String,
    mut args: Vec<Expr>,
    place: usize,
) -> Result<Expr, ParseError> {
    if let ("matches", [Expr::Text(pattern)]) = (name.as_str(), args.as_slice()) {
        return Ok(Expr::Matches {
            target: Box::new(target),
            pattern: Pattern::new(pattern),
        });
    }
    let optional_map = matches!(name.as_str(), "optMap" | "optFlatMap");
    let kind = match (name.as_str(), args.len()) {
        ("all", 2 | 3) => Fold::All,
        ("exists", 2 | 3) => Fold::Exists,
        ("exists_one" | "existsOne", 2 | 3) => Fold::ExistsOne,
        ("filter", 2) => Fold::Filter,
        ("map", 2 | 3) | ("transformList", 3 | 4) => Fold::Map,
        ("transformMap", 3 | 4) => Fold::TransformMap,
        _ if optional_map && args.len() == 2 => Fold::Map,
        _ => {
            return Ok(Expr::Method {
                target: Box::new(target),
                name,
                args,
            });
        }
    };
    let two = match name.as_str() {
        "transformList" | "transformMap" => true,
        "map" | "filter" => false,
        _ => args.len() == 3,
    };
    let mut variable = || match args.is_empty() {
        false => match args.remove(0) {
            Expr::Ident(name) => Ok(name),
            _ => Err(ParseError::at(place, "argument must be a simple name")),
        },
        true => Err(ParseError::at(place, "argument must be a simple name")),
    };
    let first = variable()?;
    let second = if two { Some(variable()?) } else { None };
    let body = args
        .pop()
        .ok_or_else(|| ParseError::at(place, "missing argument"))?;
    if optional_map {
        return Ok(Expr::OptionalMap {
            target: Box::new(target),
            variable: first,
            body: Box::new(body),
            flat: name == "optFlatMap",
        });
    }
    Ok(Expr::Fold {
        kind,
        range: Box::new(target),
        first,
        second,
        condition: args.pop().map(Box::new),
        body: Box::new(body),
    })
}
