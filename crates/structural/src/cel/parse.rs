//! The grammar.

use super::functions;
use super::lexer::{Token, tokens};
use crate::schema::Pattern;

/// Longer expressions are refused.
const MAX_SOURCE: usize = 64 * 1024;
/// Expressions inside expressions: what the parser calls itself for. With [`MAX_HEIGHT`] chosen so that neither parsing
/// nor evaluation uses more than half of a thread's usual stack, even without optimisation.
const MAX_NESTING: usize = 48;
/// The height of the tree: what evaluation calls itself for. Chains of operators and of members count, except those of
/// `&&` and `||`, which are balanced.
const MAX_HEIGHT: usize = 160;

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
        Expr::Ident(name) if !variables.contains(&name.as_str()) && !functions::is_type(name) => {
            return Err(ParseError::at(
                0,
                format!("undeclared reference to '{name}' (in container '')"),
            ));
        }
        Expr::Call { name, .. } | Expr::Method { name, .. } if !functions::is_known(name) => {
            return Err(ParseError::at(
                0,
                format!("undeclared reference to '{name}' (in container '')"),
            ));
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
        nesting: 0,
    };
    let root = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(root.expr),
        _ => Err(parser.unexpected()),
    }
}

/// A tree and its height.
struct Tree {
    expr: Expr,
    height: usize,
}

impl Tree {
    const fn leaf(expr: Expr) -> Self {
        Self { expr, height: 1 }
    }
}

/// What stands between two operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Binary(Binary),
}

impl Operator {
    fn of(token: &Token) -> Option<Self> {
        Some(match token {
            Token::Symbol(symbol) => match *symbol {
                "||" => Self::Or,
                "&&" => Self::And,
                "==" => Self::Binary(Binary::Eq),
                "!=" => Self::Binary(Binary::Ne),
                "<" => Self::Binary(Binary::Lt),
                "<=" => Self::Binary(Binary::Le),
                ">" => Self::Binary(Binary::Gt),
                ">=" => Self::Binary(Binary::Ge),
                "+" => Self::Binary(Binary::Add),
                "-" => Self::Binary(Binary::Sub),
                "*" => Self::Binary(Binary::Mul),
                "/" => Self::Binary(Binary::Div),
                "%" => Self::Binary(Binary::Rem),
                _ => return None,
            },
            Token::Ident(name) if name == "in" => Self::Binary(Binary::In),
            _ => return None,
        })
    }

    /// How tightly it binds.
    const fn level(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Binary(
                Binary::Eq
                | Binary::Ne
                | Binary::Lt
                | Binary::Le
                | Binary::Gt
                | Binary::Ge
                | Binary::In,
            ) => 3,
            Self::Binary(Binary::Add | Binary::Sub) => 4,
            Self::Binary(Binary::Mul | Binary::Div | Binary::Rem) => 5,
        }
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    nesting: usize,
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

    fn too_deep(&self) -> ParseError {
        ParseError::at(self.place(), "expression recursion limit exceeded")
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

    /// A tree over trees of at most `height`.
    fn over(&self, height: usize, expr: Expr) -> Result<Tree, ParseError> {
        if height >= MAX_HEIGHT {
            return Err(self.too_deep());
        }
        Ok(Tree {
            expr,
            height: height + 1,
        })
    }

    fn expression(&mut self) -> Result<Tree, ParseError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.too_deep());
        }
        let mut tree = self.operation(0)?;
        if self.eat("?") {
            tree = self.ternary(tree)?;
        }
        self.nesting -= 1;
        Ok(tree)
    }

    fn ternary(&mut self, condition: Tree) -> Result<Tree, ParseError> {
        let yes = self.operation(0)?;
        self.expect(":")?;
        let no = self.expression()?;
        let height = condition.height.max(yes.height).max(no.height);
        self.over(
            height,
            Expr::Ternary(Box::new((condition.expr, yes.expr, no.expr))),
        )
    }

    /// Operands and the operators between them that bind at least as tightly as `floor`.
    fn operation(&mut self, floor: u8) -> Result<Tree, ParseError> {
        let mut left = self.unary()?;
        while let Some(operator) = Operator::of(self.peek())
            && operator.level() >= floor
        {
            left = match operator {
                Operator::Or | Operator::And => self.logic(left, operator)?,
                Operator::Binary(binary) => {
                    self.at += 1;
                    let right = self.operation(operator.level() + 1)?;
                    let height = left.height.max(right.height);
                    self.over(
                        height,
                        Expr::Binary(binary, Box::new((left.expr, right.expr))),
                    )?
                }
            };
        }
        Ok(left)
    }

    /// A chain of one logical operator.
    fn logic(&mut self, first: Tree, operator: Operator) -> Result<Tree, ParseError> {
        let mut terms = vec![first];
        while Operator::of(self.peek()) == Some(operator) {
            self.at += 1;
            terms.push(self.operation(operator.level() + 1)?);
        }
        // Neighbours are joined until one is left: the order of evaluation stays, the height grows by the logarithm.
        while terms.len() > 1 {
            let mut joined = Vec::with_capacity(terms.len().div_ceil(2));
            let mut rest = terms.into_iter();
            while let Some(a) = rest.next() {
                joined.push(match rest.next() {
                    None => a,
                    Some(b) => {
                        let (left, right) = (Box::new(a.expr), Box::new(b.expr));
                        let expr = match operator {
                            Operator::Or => Expr::Or(left, right),
                            Operator::And | Operator::Binary(_) => Expr::And(left, right),
                        };
                        self.over(a.height.max(b.height), expr)?
                    }
                });
            }
            terms = joined;
        }
        terms.pop().ok_or_else(|| self.unexpected())
    }

    fn unary(&mut self) -> Result<Tree, ParseError> {
        let mut nots = 0;
        while self.eat("!") {
            nots += 1;
        }
        if nots > 0 {
            let operand = self.member()?;
            return if nots % 2 == 1 {
                self.over(operand.height, Expr::Not(Box::new(operand.expr)))
            } else {
                Ok(operand)
            };
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
            return self.postfix(Tree::leaf(literal));
        }
        let operand = self.member()?;
        if minuses % 2 == 1 {
            self.over(operand.height, Expr::Negate(Box::new(operand.expr)))
        } else {
            Ok(operand)
        }
    }

    fn member(&mut self) -> Result<Tree, ParseError> {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut tree: Tree) -> Result<Tree, ParseError> {
        loop {
            let inner = tree.height;
            tree = if self.eat(".?") {
                let field = self.ident()?;
                self.over(inner, select(tree.expr, field, true))?
            } else if self.eat(".") {
                let place = self.place();
                let name = self.ident()?;
                if self.eat("(") {
                    let (args, height) = self.list_until(")")?;
                    let expr = method(tree.expr, name, args, place)?;
                    self.over(inner.max(height), expr)?
                } else {
                    self.over(inner, select(tree.expr, name, false))?
                }
            } else if self.eat("[?") {
                self.index(tree, true)?
            } else if self.eat("[") {
                self.index(tree, false)?
            } else {
                return Ok(tree);
            };
        }
    }

    fn index(&mut self, operand: Tree, optional: bool) -> Result<Tree, ParseError> {
        let index = self.expression()?;
        self.expect("]")?;
        let height = operand.height.max(index.height);
        let expr = Expr::Index {
            operand: Box::new(operand.expr),
            index: Box::new(index.expr),
            optional,
        };
        self.over(height, expr)
    }

    /// Items up to `close`, and the height of the highest.
    fn list_until(&mut self, close: &str) -> Result<(Vec<Expr>, usize), ParseError> {
        let mut items = Vec::new();
        let mut height = 0;
        while !self.eat(close) {
            let item = self.expression()?;
            height = height.max(item.height);
            items.push(item.expr);
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok((items, height))
    }

    fn primary(&mut self) -> Result<Tree, ParseError> {
        let place = self.place();
        let literal = match self.next() {
            Token::Int(value) => i64::try_from(value)
                .map(Expr::Int)
                .map_err(|_| ParseError::at(place, "invalid int literal"))?,
            Token::Uint(value) => Expr::Uint(value),
            Token::Double(value) => Expr::Double(value),
            Token::Text(text) => Expr::Text(text),
            Token::Bytes(bytes) => Expr::Bytes(bytes),
            Token::Ident(name) => match name.as_str() {
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                "null" => Expr::Null,
                "in" => {
                    self.at -= 1;
                    return Err(self.unexpected());
                }
                _ if self.eat("(") => return self.call(name, place),
                _ => Expr::Ident(name),
            },
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => return self.list(false),
            // `[?` begins a list whose first item is optional.
            Token::Symbol("[?") => return self.list(true),
            Token::Symbol("{") => return self.map(),
            Token::Symbol(_) | Token::End => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        };
        Ok(Tree::leaf(literal))
    }

    fn call(&mut self, name: String, place: usize) -> Result<Tree, ParseError> {
        let (mut args, height) = self.list_until(")")?;
        if name != "has" {
            return self.over(height, Expr::Call { name, args });
        }
        match (args.pop(), args.is_empty()) {
            (
                Some(Expr::Select {
                    operand,
                    field,
                    optional: false,
                }),
                true,
            ) => self.over(height, Expr::Has { operand, field }),
            _ => Err(ParseError::at(place, "invalid argument to has() macro")),
        }
    }

    fn list(&mut self, mut optional: bool) -> Result<Tree, ParseError> {
        let mut items = Vec::new();
        let mut height = 0;
        while optional || !self.eat("]") {
            optional |= self.eat("?");
            let item = self.expression()?;
            height = height.max(item.height);
            items.push((item.expr, optional));
            optional = false;
            if !self.eat(",") {
                self.expect("]")?;
                break;
            }
        }
        self.over(height, Expr::List(items))
    }

    fn map(&mut self) -> Result<Tree, ParseError> {
        let mut entries = Vec::new();
        let mut height = 0;
        while !self.eat("}") {
            let optional = self.eat("?");
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            height = height.max(key.height).max(value.height);
            entries.push((key.expr, value.expr, optional));
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        self.over(height, Expr::Map(entries))
    }
}

fn select(operand: Expr, field: String, optional: bool) -> Expr {
    Expr::Select {
        operand: Box::new(operand),
        field,
        optional,
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
