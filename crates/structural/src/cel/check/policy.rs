//! Expressions of admission policies: what they may name, and what they have to give
//! (k8s.io/apiserver `admission/plugin/cel/compile.go`, v0.36).
//!
//! Objects are of any kind there, so that little is known of their types.

use std::rc::Rc;

use super::super::made::PATCH_TYPES;
use super::declared::Declared;
use super::types::Type;
use super::{Checker, Wrong};

/// The variables of a policy, in their order, with what is known of their types.
#[derive(Debug, Default)]
pub struct Variables(Vec<(String, Rc<Declared>)>);

impl Variables {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a variable, whose expression `checker` has checked.
    pub fn define(&mut self, name: &str, source: &str, checker: &PolicyChecker) {
        let known = checker
            .0
            .typed(source, |_, root, inferred| inferred.types[root.id].clone());
        let declared = known.map_or_else(|_| Declared::anything(), |known| Declared::like(&known));
        self.0.push((name.to_owned(), declared));
    }
}

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
    /// A configuration to apply.
    Object,
    /// A JSON patch.
    Patches,
}

impl PolicyChecker {
    /// For expressions that may name `params` if there are any, `authorizer` if they may ask it, and `variables` if these
    /// are given.
    #[must_use]
    pub fn new(params: bool, authorizer: bool, variables: Option<&Variables>) -> Self {
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
        if let Some(Variables(variables)) = variables {
            let fields = variables.iter();
            let variables =
                Declared::fields(fields.map(|(name, known)| (name.as_str(), Rc::clone(known))));
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

    /// For expressions that make patches.
    #[must_use]
    pub fn making_patches(mut self) -> Self {
        let types = PATCH_TYPES.map(|name| (name, Type::Meta(Some(Type::library(name).into()))));
        self.0.variables.extend(types);
        self
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
            Returns::Object => (given == Type::library("Object"), "Object"),
            Returns::Patches => (
                given == Type::list(Type::library("JSONPatch")),
                "list(JSONPatch)",
            ),
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

    /// Of a type as variables keep it: what is not plain is anything.
    fn like(known: &Type) -> Rc<Self> {
        use super::declared::Shape;
        Rc::new(Self::unbounded(match known {
            Type::Bool => Shape::Bool,
            Type::Int => Shape::Int,
            Type::Double => Shape::Double,
            Type::Text => Shape::Text,
            Type::Bytes => Shape::Bytes,
            Type::Timestamp => Shape::Timestamp,
            Type::Duration => Shape::Duration,
            Type::List(item) => Shape::List(Self::like(item)),
            Type::Map(parts) if parts.0 == Type::Text => Shape::Map(Self::like(&parts.1)),
            _ => Shape::Dyn,
        }))
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
