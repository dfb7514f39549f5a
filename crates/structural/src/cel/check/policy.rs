//! Expressions of admission policies: what they may name, and what they have to give
//! (k8s.io/apiserver `admission/plugin/cel/compile.go`, v0.36).
//!
//! Objects are of any kind there, so that little is known of their types.

use std::rc::Rc;

use super::declared::Declared;
use super::types::Type;
use super::{Checker, Wrong};

/// Checks the expressions of one policy.
#[derive(Debug)]
pub struct PolicyChecker(Checker);

/// What an expression has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// A validation or a condition.
    Bool,
    /// A message.
    Text,
    /// The value of an annotation: a text or null.
    TextOrNull,
    /// A variable.
    Anything,
}

impl PolicyChecker {
    /// For expressions that may name `params` if there are any, `authorizer` if they may ask it, and `variables` with
    /// members of these names if there are any.
    #[must_use]
    pub fn new(params: bool, authorizer: bool, variables: &[&str]) -> Self {
        let mut known = vec![
            ("object", Type::Dyn),
            ("oldObject", Type::Dyn),
            ("namespaceObject", Type::Dyn),
            (
                "request",
                Type::declared(&Declared::request(), "kubernetes.AdmissionRequest"),
            ),
        ];
        if params {
            known.push(("params", Type::Dyn));
        }
        if authorizer {
            let library = |name: &str| Type::library(&format!("kubernetes.authorization.{name}"));
            known.push(("authorizer", library("Authorizer")));
            known.push(("authorizer.requestResource", library("ResourceCheck")));
        }
        if !variables.is_empty() {
            let variables = Declared::anything_named(variables);
            known.push((
                "variables",
                Type::declared(&variables, "kubernetes.variables"),
            ));
        }
        Self(Checker {
            declared: Declared::anything(),
            variables: known,
        })
    }

    /// What is wrong with an expression.
    #[must_use]
    pub fn problem(&self, source: &str, returns: Returns) -> Option<String> {
        let given = match self.0.typed(source, |_, root, inferred| {
            (inferred.types[root.id].clone(), inferred.nameless)
        }) {
            Ok((_, Some(name))) => {
                let wrong = Wrong::Constant(format!("reference to undefined type: {name}"));
                return Some(wrong.of_rule());
            }
            Ok((given, None)) => given,
            Err(wrong) => return Some(wrong.of_rule()),
        };
        let (fits, wanted) = match returns {
            Returns::Anything => return None,
            Returns::Bool => (given == Type::Bool, "bool"),
            Returns::Text => (given == Type::Text, "string"),
            Returns::TextOrNull => (
                given == Type::Text || given == Type::Null,
                "one of [string null_type]",
            ),
        };
        (!fits).then(|| format!("must evaluate to {wanted} but got {}", shown(&given)))
    }
}

/// As the problem names a type.
fn shown(given: &Type) -> String {
    match given {
        Type::Null => "null_type".to_owned(),
        Type::Timestamp | Type::Duration => given.name().to_owned(),
        other => other.to_string(),
    }
}

impl Declared {
    fn anything() -> Rc<Self> {
        Rc::new(Self::unbounded(super::declared::Shape::Dyn))
    }

    fn anything_named(names: &[&str]) -> Rc<Self> {
        Self::fields(names.iter().map(|name| (*name, Self::anything())))
    }

    fn fields<'n>(fields: impl IntoIterator<Item = (&'n str, Rc<Self>)>) -> Rc<Self> {
        let fields = fields
            .into_iter()
            .map(|(name, field)| (name.to_owned(), field))
            .collect();
        Rc::new(Self::unbounded(super::declared::Shape::Object(fields)))
    }

    /// What expressions see of a request (apiserver `admission/plugin/cel/compile.go`).
    fn request() -> Rc<Self> {
        use super::declared::Shape;
        let plain = |shape| Rc::new(Self::unbounded(shape));
        let text = || plain(Shape::Text);
        let texts = || plain(Shape::List(text()));
        let kind = || Self::fields(["group", "version", "kind"].map(|name| (name, text())));
        let resource = || Self::fields(["group", "version", "resource"].map(|name| (name, text())));
        let user = Self::fields([
            ("username", text()),
            ("uid", text()),
            ("groups", texts()),
            ("extra", plain(Shape::Map(texts()))),
        ]);
        Self::fields([
            ("kind", kind()),
            ("resource", resource()),
            ("subResource", text()),
            ("requestKind", kind()),
            ("requestResource", resource()),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", user),
            ("dryRun", plain(Shape::Bool)),
            ("options", plain(Shape::Dyn)),
        ])
    }
}
