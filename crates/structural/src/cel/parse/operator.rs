//! Operators between two operands, and how they bind.

use super::super::ast::Binary;
use super::super::lexer::Token;

/// What stands between two operands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Binary(Binary),
}

impl Operator {
    pub(super) fn of(token: &Token) -> Option<Self> {
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
    pub(super) const fn level(self) -> u8 {
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
