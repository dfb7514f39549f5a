//! Access reviews and token reviews: kinds that ask and are not stored.
//!
//! Owns their validation and answers; decisions are the authorizer's, tokens are `identity`'s.

mod selectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Identity;
use crate::clock::seconds;
use crate::identity;
use crate::registry::{Action, Call, Gvk, Reply, Resource};
use crate::rest::object::strings;
use crate::rest::{Api, Attributes, Context, Decision, structure};
use crate::status::{FieldError, StatusError};

const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// A kind of review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Review {
    SubjectAccess,
    LocalSubjectAccess,
    SelfSubjectAccess,
    SelfSubjectRules,
    SelfSubject,
    Token,
}

/// The action behind a kind, if it is a review.
pub(crate) fn action(group: &str, kind: &str) -> Option<Arc<dyn Action>> {
    let review = match (group, kind) {
        (AUTHORIZATION, "SubjectAccessReview") => Review::SubjectAccess,
        (AUTHORIZATION, "LocalSubjectAccessReview") => Review::LocalSubjectAccess,
        (AUTHORIZATION, "SelfSubjectAccessReview") => Review::SelfSubjectAccess,
        (AUTHORIZATION, "SelfSubjectRulesReview") => Review::SelfSubjectRules,
        (AUTHENTICATION, "SelfSubjectReview") => Review::SelfSubject,
        (AUTHENTICATION, "TokenReview") => Review::Token,
        _ => return None,
    };
    Some(Arc::new(review))
}

impl Review {
    fn kind(self) -> &'static str {
        match self {
            Self::SubjectAccess => "SubjectAccessReview",
            Self::LocalSubjectAccess => "LocalSubjectAccessReview",
            Self::SelfSubjectAccess => "SelfSubjectAccessReview",
            Self::SelfSubjectRules => "SelfSubjectRulesReview",
            Self::SelfSubject => "SelfSubjectReview",
            Self::Token => "TokenReview",
        }
    }

    /// What any object goes through before its kind looks at it.
    fn begin(self, cx: &Context, resource: &Resource, namespace: &str, asked: &mut Value) {
        if let Some(members) = asked.as_object_mut() {
            members.remove("status");
            for part in ["metadata", "spec"] {
                let held = members.entry(part).or_insert(Value::Null);
                if !held.is_object() {
                    *held = json!({});
                }
            }
        }
        if self == Self::LocalSubjectAccess {
            asked["metadata"]["namespace"] = json!(namespace);
        }
        resource.strategy.default(asked);
        structure::track_update(resource, cx, "", asked, None);
    }

    fn group(self) -> &'static str {
        match self {
            Self::SubjectAccess
            | Self::LocalSubjectAccess
            | Self::SelfSubjectAccess
            | Self::SelfSubjectRules => AUTHORIZATION,
            Self::SelfSubject | Self::Token => AUTHENTICATION,
        }
    }

    fn answer(self, api: &Api, cx: &Context, asked: &Value) -> Result<(Value, Value), StatusError> {
        let spec = asked["spec"].clone();
        match self {
            Self::SelfSubject => Ok((Value::Null, json!({"userInfo": user_info(&cx.identity)}))),
            Self::Token => token(api, spec),
            Self::SelfSubjectRules => rules(api, cx, &spec),
            Self::SelfSubjectAccess => {
                self.check(asked)?;
                let status = decide(api, &cx.identity, &spec);
                Ok((spec, status))
            }
            Self::SubjectAccess | Self::LocalSubjectAccess => {
                self.check(asked)?;
                let status = decide(api, &subject(&spec), &spec);
                Ok((spec, status))
            }
        }
    }

    /// What is wrong with an access review (kubernetes `pkg/apis/authorization/validation`). The real server does not
    /// know the kind at this point.
    fn check(self, asked: &Value) -> Result<(), StatusError> {
        let spec = &asked["spec"];
        let part = |name: &str| spec.get(name).filter(|value| value.is_object());
        let (resource, path) = (part("resourceAttributes"), part("nonResourceAttributes"));
        let shown_path = path.map_or(Value::Null, |path| {
            let text = |member: &str| path[member].as_str().unwrap_or_default();
            json!({"Path": text("path"), "Verb": text("verb")})
        });
        let mut errors = Vec::new();
        if resource.is_some() && path.is_some() {
            errors.push(FieldError::invalid(
                "spec.nonResourceAttributes",
                shown_path.clone(),
                "cannot be specified in combination with resourceAttributes",
            ));
        }
        if resource.is_none() && path.is_none() {
            errors.push(FieldError::invalid(
                "spec.resourceAttributes",
                Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ));
        }
        let nobody = spec["user"].as_str().unwrap_or_default().is_empty()
            && strings(spec, "groups").is_empty();
        if self != Self::SelfSubjectAccess && nobody {
            errors.push(FieldError::invalid(
                "spec.user",
                "",
                "at least one of user or group must be specified",
            ));
        }
        if let Some(resource) = resource {
            errors.extend(selectors::problems(resource));
        }
        let metadata = asked["metadata"].as_object();
        let local = self == Self::LocalSubjectAccess;
        let said = metadata
            .into_iter()
            .flatten()
            .any(|(name, _)| name != "managedFields" && !(local && name == "namespace"));
        if said {
            errors.push(FieldError::invalid(
                "metadata",
                asked["metadata"].clone(),
                if local {
                    "must be empty except for namespace"
                } else {
                    "must be empty"
                },
            ));
        }
        if local {
            let named = resource.map(|resource| resource["namespace"].as_str().unwrap_or_default());
            if let Some(named) = named.filter(|named| asked["metadata"]["namespace"] != **named) {
                errors.push(FieldError::invalid(
                    "spec.resourceAttributes.namespace",
                    named,
                    "must match metadata.namespace",
                ));
            }
            if path.is_some() {
                errors.push(FieldError::invalid(
                    "spec.nonResourceAttributes",
                    shown_path,
                    "disallowed on this kind of request",
                ));
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(StatusError::invalid(self.group(), "", "", &errors))
    }
}

/// Of whom a review asks.
fn subject(spec: &Value) -> Identity {
    let text = |member: &str| spec[member].as_str().unwrap_or_default().to_owned();
    let extra = spec["extra"].as_object().into_iter().flatten();
    Identity {
        user: text("user"),
        groups: strings(spec, "groups"),
        uid: text("uid"),
        extra: extra
            .map(|(key, _)| (key.to_lowercase(), strings(&spec["extra"], key)))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// The status of a review that was checked.
fn decide(api: &Api, identity: &Identity, spec: &Value) -> Value {
    let asked = &spec["resourceAttributes"];
    let attributes = if asked.is_object() {
        let text = |member: &str| asked[member].as_str().unwrap_or_default();
        Attributes {
            verb: text("verb"),
            group: text("group"),
            version: text("version"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path: "",
        }
    } else {
        let asked = &spec["nonResourceAttributes"];
        let text = |member: &str| asked[member].as_str().unwrap_or_default();
        Attributes {
            verb: text("verb"),
            path: text("path"),
            ..Attributes::default()
        }
    };
    let (allowed, reason) = match api.authorizer.authorize(api, identity, &attributes) {
        Decision::Allow(reason) => (true, reason),
        Decision::NoOpinion(reason) => (false, reason),
    };
    let mut status = json!({"allowed": allowed});
    if !reason.is_empty() {
        status["reason"] = json!(reason);
    }
    let ignored = selectors::ignored(&spec["resourceAttributes"]);
    if !ignored.is_empty() {
        status["evaluationError"] = json!(ignored);
    }
    status
}

impl Action for Review {
    fn gvk(&self) -> Gvk {
        Gvk::new(self.group(), "v1", self.kind())
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["create"]
    }

    fn only_asks(&self) -> bool {
        true
    }

    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a Context,
        call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>> {
        async move {
            let mut asked = call.body;
            self.begin(cx, &call.resource, &call.namespace, &mut asked);
            let (spec, status) = self.answer(api, cx, &asked)?;
            let metadata = match self {
                Self::SelfSubject => json!({"creationTimestamp": seconds(cx.now)}),
                // Made anew.
                Self::SelfSubjectRules => json!({}),
                Self::SubjectAccess
                | Self::LocalSubjectAccess
                | Self::SelfSubjectAccess
                | Self::Token => asked["metadata"].take(),
            };
            let mut object = json!({
                "kind": self.kind(),
                "apiVersion": format!("{}/v1", self.group()),
                "metadata": metadata,
                "status": status,
            });
            if !spec.is_null() {
                object["spec"] = spec;
            }
            Ok(Reply {
                code: StatusCode::CREATED,
                object,
            })
        }
        .boxed()
    }
}

fn user_info(identity: &Identity) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), json!(identity.user));
    if !identity.uid.is_empty() {
        info.insert("uid".to_owned(), json!(identity.uid));
    }
    if !identity.groups.is_empty() {
        info.insert("groups".to_owned(), json!(identity.groups));
    }
    if !identity.extra.is_empty() {
        info.insert("extra".to_owned(), json!(identity.extra));
    }
    Value::Object(info)
}

fn token(api: &Api, spec: Value) -> Result<(Value, Value), StatusError> {
    let token = spec["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(StatusError::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let audiences = strings(&spec, "audiences");
    let status = match identity::review(api, token, &audiences) {
        Ok((identity, audiences)) => {
            json!({"authenticated": true, "user": user_info(&identity), "audiences": audiences})
        }
        Err(problem) => json!({"user": {}, "error": format!("invalid bearer token, {problem}")}),
    };
    Ok((spec, status))
}

fn rules(api: &Api, cx: &Context, spec: &Value) -> Result<(Value, Value), StatusError> {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(StatusError::bad_request("no namespace on request"));
    }
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in api.authorizer.rules(api, &cx.identity, namespace) {
        if rule.get("nonResourceURLs").is_some() {
            paths.push(json!({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}));
        }
        if rule.get("resources").is_some() {
            resources.push(rule);
        }
    }
    Ok((
        json!({}),
        json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false}),
    ))
}
