//! `authorizer` in expressions of policies (apiserver `cel/library/authz.go`, v0.36).

use std::rc::Rc;
use std::sync::Arc;

use drover_structural::cel::{Host, Value as Cel};

use super::request::Write;
use crate::Identity;
use crate::identity::{service_account_groups, service_account_user};
use crate::rest::{Api, Attributes, Decision};

/// What asking costs.
const CHECK: u64 = 350_000;

/// Who is asked about.
#[derive(Debug)]
struct Subject {
    api: Arc<Api>,
    identity: Identity,
}

#[derive(Debug, Clone, Default)]
struct Place {
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

/// A step of a question, and its answer.
#[derive(Debug)]
enum Step {
    /// With the resource that the request is about.
    Begin(Rc<Subject>, Place),
    Path(Rc<Subject>, String),
    Group(Rc<Subject>, String),
    Resource(Rc<Subject>, Place),
    Answer(Decision),
}

/// The variable for a request of `identity`.
pub(super) fn variable<'a>(api: &Arc<Api>, identity: &Identity, write: &Write<'_>) -> Cel<'a> {
    let subject = Subject {
        api: Arc::clone(api),
        identity: identity.clone(),
    };
    let place = Place {
        group: write.resource.group.to_string(),
        resource: write.resource.plural.to_string(),
        subresource: write.subresource.to_owned(),
        namespace: write.inside().to_owned(),
        name: write.name.to_owned(),
    };
    Cel::Host(Rc::new(Step::Begin(Rc::new(subject), place)))
}

fn account(namespace: &str, name: &str) -> Identity {
    Identity {
        user: service_account_user(namespace, name),
        groups: service_account_groups(namespace),
        ..Identity::default()
    }
}

impl Subject {
    fn decide(&self, attributes: &Attributes<'_>) -> Step {
        let authorizer = &self.api.authorizer;
        Step::Answer(authorizer.authorize(&self.api, &self.identity, attributes))
    }
}

impl Step {
    fn next(&self, method: &str, arguments: &[&str]) -> Option<Self> {
        Some(match (self, method, arguments) {
            (Self::Begin(subject, _), "path", [path]) => {
                Self::Path(Rc::clone(subject), (*path).to_owned())
            }
            (Self::Begin(subject, _), "group", [group]) => {
                Self::Group(Rc::clone(subject), (*group).to_owned())
            }
            (Self::Begin(subject, place), "serviceAccount", [namespace, name]) => {
                let subject = Subject {
                    api: Arc::clone(&subject.api),
                    identity: account(namespace, name),
                };
                Self::Begin(Rc::new(subject), place.clone())
            }
            (Self::Path(subject, path), "check", [verb]) => subject.decide(&Attributes {
                verb,
                path,
                ..Attributes::default()
            }),
            (Self::Group(subject, group), "resource", [resource]) => {
                let place = Place {
                    group: group.clone(),
                    resource: (*resource).to_owned(),
                    ..Place::default()
                };
                Self::Resource(Rc::clone(subject), place)
            }
            (Self::Resource(subject, place), "check", [verb]) => subject.decide(&Attributes {
                verb,
                group: &place.group,
                version: "*",
                resource: &place.resource,
                subresource: &place.subresource,
                namespace: &place.namespace,
                name: &place.name,
                path: "",
            }),
            (Self::Resource(subject, place), part, [text]) => {
                let mut place = place.clone();
                let text = (*text).to_owned();
                match part {
                    "subresource" => place.subresource = text,
                    "namespace" => place.namespace = text,
                    "name" => place.name = text,
                    // Roles know no selectors.
                    "fieldSelector" | "labelSelector" => {}
                    _ => return None,
                }
                Self::Resource(Rc::clone(subject), place)
            }
            _ => return None,
        })
    }
}

impl Host for Step {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Begin(..) => "kubernetes.authorization.Authorizer",
            Self::Path(..) => "kubernetes.authorization.PathCheck",
            Self::Group(..) => "kubernetes.authorization.GroupCheck",
            Self::Resource(..) => "kubernetes.authorization.ResourceCheck",
            Self::Answer(_) => "kubernetes.authorization.Decision",
        }
    }

    fn member(&self, name: &str) -> Option<Cel<'static>> {
        match (self, name) {
            (Self::Begin(subject, place), "requestResource") => {
                let step = Self::Resource(Rc::clone(subject), place.clone());
                Some(Cel::Host(Rc::new(step)))
            }
            _ => None,
        }
    }

    fn call(&self, name: &str, arguments: &[Cel<'_>]) -> Option<(Cel<'static>, u64)> {
        if let (Self::Answer(decision), []) = (self, arguments) {
            let (Decision::Allow(reason) | Decision::NoOpinion(reason)) = decision;
            let value = match name {
                "allowed" => Cel::Bool(decision.allowed()),
                "reason" => Cel::Text(reason.clone().into()),
                "errored" => Cel::Bool(false),
                "error" => Cel::Text(String::new().into()),
                _ => return None,
            };
            return Some((value, 1));
        }
        let texts = arguments
            .iter()
            .map(|argument| match argument {
                Cel::Text(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect::<Option<Vec<&str>>>()?;
        let next = self.next(name, &texts)?;
        let cost = if name == "check" { CHECK } else { 1 };
        Some((Cel::Host(Rc::new(next)), cost))
    }
}
