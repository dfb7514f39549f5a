//! The grammar (google/cel-go `parser/gen/CEL.g4`, v0.26).

mod macros;
mod made;
mod operator;

use self::operator::Operator;
use super::ast::{Expr, Node};
use super::escape;
use super::lexer::{Token, tokens};
use super::problem::Problem;

/// Longer expressions are refused.
const MAX_SOURCE: usize = 64 * 1024;
/// Expressions inside expressions: what the parser calls itself for. With [`MAX_HEIGHT`] chosen so that neither parsing
/// nor evaluation uses more than half of a thread's usual stack, even without optimisation.
const MAX_NESTING: usize = 48;
/// The height of the tree: what evaluation calls itself for. Chains of operators and of members count, except those of
/// `&&` and `||`, which are balanced.
const MAX_HEIGHT: usize = 160;

pub(super) fn parse(source: &str) -> Result<Expr, Problem> {
    if source.len() > MAX_SOURCE {
        return Err(Problem::at(0, "expression is too long"));
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
    const fn leaf(at: usize, node: Node) -> Self {
        let expr = Expr { at, node };
        Self { expr, height: 1 }
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

    fn unexpected(&self) -> Problem {
        let problem = match self.peek() {
            Token::End => "Syntax error: mismatched input '<EOF>'".to_owned(),
            Token::Ident(name) => format!("Syntax error: mismatched input '{name}'"),
            Token::Symbol(symbol) => format!("Syntax error: mismatched input '{symbol}'"),
            other => format!("Syntax error: mismatched input {other:?}"),
        };
        Problem::at(self.place(), problem)
    }

    fn too_deep(&self) -> Problem {
        Problem::at(self.place(), "expression recursion limit exceeded")
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(next) if *next == symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Problem> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn ident(&mut self) -> Result<String, Problem> {
        match self.next() {
            Token::Ident(name) => Ok(name),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// A tree over trees of at most `height`; its operator stands at `at`.
    fn over(&self, height: usize, at: usize, node: Node) -> Result<Tree, Problem> {
        if height >= MAX_HEIGHT {
            return Err(self.too_deep());
        }
        Ok(Tree {
            expr: Expr { at, node },
            height: height + 1,
        })
    }

    fn expression(&mut self) -> Result<Tree, Problem> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.too_deep());
        }
        let mut tree = self.operation(0)?;
        let at = self.place();
        if self.eat("?") {
            tree = self.ternary(tree, at)?;
        }
        self.nesting -= 1;
        Ok(tree)
    }

    fn ternary(&mut self, condition: Tree, at: usize) -> Result<Tree, Problem> {
        let yes = self.operation(0)?;
        self.expect(":")?;
        let no = self.expression()?;
        let height = condition.height.max(yes.height).max(no.height);
        self.over(
            height,
            at,
            Node::Ternary(Box::new((condition.expr, yes.expr, no.expr))),
        )
    }

    /// Operands and the operators between them that bind at least as tightly as `floor`.
    fn operation(&mut self, floor: u8) -> Result<Tree, Problem> {
        let mut left = self.unary()?;
        while let Some(operator) = Operator::of(self.peek())
            && operator.level() >= floor
        {
            left = match operator {
                Operator::Or | Operator::And => self.logic(left, operator)?,
                Operator::Binary(binary) => {
                    let at = self.place();
                    self.at += 1;
                    let right = self.operation(operator.level() + 1)?;
                    let height = left.height.max(right.height);
                    let node = Node::Binary(binary, Box::new((left.expr, right.expr)));
                    self.over(height, at, node)?
                }
            };
        }
        Ok(left)
    }

    /// A chain of one logical operator.
    fn logic(&mut self, first: Tree, operator: Operator) -> Result<Tree, Problem> {
        let mut terms = vec![first];
        let at = self.place();
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
                        let node = match operator {
                            Operator::Or => Node::Or(left, right),
                            Operator::And | Operator::Binary(_) => Node::And(left, right),
                        };
                        self.over(a.height.max(b.height), at, node)?
                    }
                });
            }
            terms = joined;
        }
        terms.pop().ok_or_else(|| self.unexpected())
    }

    fn unary(&mut self) -> Result<Tree, Problem> {
        let at = self.place();
        let mut nots = 0;
        while self.eat("!") {
            nots += 1;
        }
        if nots > 0 {
            let operand = self.member()?;
            return if nots % 2 == 1 {
                self.over(operand.height, at, Node::Not(Box::new(operand.expr)))
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
        if minuses == 1
            && let Some(literal) = self.negative()?
        {
            return self.postfix(Tree::leaf(at, literal));
        }
        let operand = self.member()?;
        if minuses % 2 == 1 {
            self.over(operand.height, at, Node::Negate(Box::new(operand.expr)))
        } else {
            Ok(operand)
        }
    }

    /// The number after a minus sign, with its sign.
    fn negative(&mut self) -> Result<Option<Node>, Problem> {
        let literal = match self.peek() {
            Token::Int(value) => {
                let negative = 0i64.checked_sub_unsigned(*value);
                Node::Int(negative.ok_or_else(|| Problem::at(self.place(), "invalid int literal"))?)
            }
            Token::Double(value) => Node::Double(-value),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(literal))
    }

    fn member(&mut self) -> Result<Tree, Problem> {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut tree: Tree) -> Result<Tree, Problem> {
        loop {
            let inner = tree.height;
            let at = self.place();
            tree = if self.eat(".?") {
                let field = self.ident()?;
                let node = select(tree.expr, field, true);
                self.over(inner, at, node)?
            } else if self.eat(".") {
                let name = self.ident()?;
                let open = self.place();
                if self.eat("(") {
                    let (args, height) = self.arguments()?;
                    let node = macros::method(Box::new(tree.expr), name, args)?;
                    self.over(inner.max(height), open, node)?
                } else {
                    let node = select(tree.expr, name, false);
                    self.over(inner, at, node)?
                }
            } else if self.eat("[?") {
                self.index(tree, at, true)?
            } else if self.eat("[") {
                self.index(tree, at, false)?
            } else {
                return Ok(tree);
            };
        }
    }

    fn index(&mut self, operand: Tree, at: usize, optional: bool) -> Result<Tree, Problem> {
        let index = self.expression()?;
        self.expect("]")?;
        let height = operand.height.max(index.height);
        let node = Node::Index {
            operand: Box::new(operand.expr),
            index: Box::new(index.expr),
            optional,
        };
        self.over(height, at, node)
    }

    /// Arguments up to the closing bracket, and the height of the highest.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize), Problem> {
        let mut items = Vec::new();
        let mut height = 0;
        if self.eat(")") {
            return Ok((items, height));
        }
        loop {
            let item = self.expression()?;
            height = height.max(item.height);
            items.push(item.expr);
            if !self.eat(",") {
                self.expect(")")?;
                return Ok((items, height));
            }
        }
    }

    fn primary(&mut self) -> Result<Tree, Problem> {
        let at = self.place();
        let literal = match self.next() {
            Token::Int(value) => i64::try_from(value)
                .map(Node::Int)
                .map_err(|_| Problem::at(at, "invalid int literal"))?,
            Token::Uint(value) => Node::Uint(value),
            Token::Double(value) => Node::Double(value),
            Token::Text(text) => Node::Text(text),
            Token::Bytes(bytes) => Node::Bytes(bytes),
            Token::Ident(name) => match name.as_str() {
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                "null" => Node::Null,
                "in" => {
                    self.at -= 1;
                    return Err(self.unexpected());
                }
                _ => return self.name(name, at, ""),
            },
            // A name of the outermost scope, which is the only one that is named.
            Token::Symbol(".") => {
                let at = self.place();
                let name = self.ident()?;
                return self.name(name, at, ".");
            }
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => return self.list(at, false),
            // `[?` begins a list whose first item is optional.
            Token::Symbol("[?") => return self.list(at, true),
            Token::Symbol("{") => return self.map(at),
            Token::Symbol(_) | Token::End => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        };
        Ok(Tree::leaf(at, literal))
    }

    /// A variable, a call of a function, or a message, whose name may begin with a dot.
    fn name(&mut self, name: String, at: usize, dot: &str) -> Result<Tree, Problem> {
        if let Some(rest) = self.rest_of_message() {
            return self.message(format!("{dot}{name}{rest}"));
        }
        if escape::is_reserved(&name) {
            return Err(Problem::at(at, format!("reserved identifier: {name}")));
        }
        let open = self.place();
        if !self.eat("(") {
            return Ok(Tree::leaf(at, Node::Ident(name)));
        }
        let (args, height) = self.arguments()?;
        let node = if name == "has" && args.len() == 1 {
            macros::has(args)?
        } else {
            Node::Call { name, args }
        };
        self.over(height, open, node)
    }
}

fn select(operand: Expr, field: String, optional: bool) -> Node {
    Node::Select {
        operand: Box::new(operand),
        field,
        optional,
    }
}
