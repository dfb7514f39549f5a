//! What an expression makes: messages, lists and maps.

use super::super::ast::{FieldInit, Node};
use super::super::lexer::Token;
use super::super::problem::Problem;
use super::{Parser, Tree};

impl Parser {
    /// The members that end the name of a message, if one follows; then its bracket comes next.
    pub(super) fn rest_of_message(&mut self) -> Option<String> {
        let mut rest = String::new();
        let mut end = self.at;
        while let [(Token::Symbol("."), _), (Token::Ident(part), _), ..] = self.tokens.get(end..)? {
            rest.push('.');
            rest.push_str(part);
            end += 2;
        }
        let (Token::Symbol("{"), _) = self.tokens.get(end)? else {
            return None;
        };
        self.at = end;
        Some(rest)
    }

    pub(super) fn message(&mut self, name: String) -> Result<Tree, Problem> {
        let open = self.place();
        self.expect("{")?;
        let mut fields = Vec::new();
        let mut height = 0;
        let mut more = !self.eat(",");
        while more && !matches!(self.peek(), Token::Symbol("}")) {
            let optional = self.eat("?");
            let name = self.ident()?;
            let at = self.place();
            self.expect(":")?;
            let value = self.expression()?;
            height = height.max(value.height);
            fields.push(FieldInit {
                at,
                name,
                value: value.expr,
                optional,
            });
            more = self.eat(",");
        }
        self.expect("}")?;
        self.over(height, open, Node::Message { name, fields })
    }

    pub(super) fn list(&mut self, at: usize, mut optional: bool) -> Result<Tree, Problem> {
        let mut items = Vec::new();
        let mut height = 0;
        if !optional && self.eat(",") {
            self.expect("]")?;
            return self.over(height, at, Node::List(items));
        }
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
        self.over(height, at, Node::List(items))
    }

    pub(super) fn map(&mut self, at: usize) -> Result<Tree, Problem> {
        let mut entries = Vec::new();
        let mut height = 0;
        if self.eat(",") {
            self.expect("}")?;
            return self.over(height, at, Node::Map(entries));
        }
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
        self.over(height, at, Node::Map(entries))
    }
}
