//! Access reviews and token reviews: kinds that ask and are not stored.
//!
//! Owns their validation and answers; decisions are the authorizer's, tokens are `identity`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Identity;
use crate::clock::seconds;
use crate::identity;
use crate::registry::{Action, Call, Gvk, Reply};
use crate::rest::object::strings;
use crate::rest::{Api, Attributes, Context, Decision};
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

    fn group(self) -> &'static str {
        match self {
            Self::SubjectAccess
            | Self::LocalSubjectAccess
            | Self::SelfSubjectAccess
            | Self::SelfSubjectRules => AUTHORIZATION,
            Self::SelfSubject | Self::Token => AUTHENTICATION,
        }
    }

    fn answer(self, api: &Api, cx: &Context, call: &Call) -> Result<(Value, Value), StatusError> {
        let spec = call.body.get("spec").cloned().unwrap_or_else(|| json!({}));
        match self {
            Self::SelfSubject => Ok((Value::Null, json!({"userInfo": user_info(&cx.identity)}))),
            Self::Token => token(api, spec),
            Self::SelfSubjectRules => rules(api, cx, &spec),
            Self::SelfSubjectAccess => {
                let status = self.decide(api, &cx.identity, &spec)?;
                Ok((spec, status))
            }
            Self::SubjectAccess | Self::LocalSubjectAccess => {
                let identity = self.subject(&spec, &call.namespace)?;
                let status = self.decide(api, &identity, &spec)?;
                Ok((spec, status))
            }
        }
    }

    fn invalid(self, error: FieldError) -> StatusError {
        StatusError::invalid(self.group(), self.kind(), "", &[error])
    }

    /// Of whom a review asks.
    fn subject(self, spec: &Value, namespace: &str) -> Result<Identity, StatusError> {
        let text = |member: &str| spec[member].as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let identity = Identity {
            user: text("user"),
            groups: list(&spec["groups"]),
            uid: text("uid"),
            extra: spec["extra"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, values)| (key.to_lowercase(), list(values)))
                .collect::<BTreeMap<_, _>>(),
        };
        if identity.user.is_empty() && identity.groups.is_empty() {
            return Err(self.invalid(FieldError::required(
                "spec.user",
                "at least one of user or group must be specified",
            )));
        }
        if self == Self::LocalSubjectAccess {
            let asked = spec["resourceAttributes"]["namespace"]
                .as_str()
                .unwrap_or_default();
            if asked != namespace {
                let field = "spec.resourceAttributes.namespace";
                return Err(self.invalid(FieldError::invalid(
                    field,
                    asked,
                    "must match metadata.namespace",
                )));
            }
            if spec
                .get("nonResourceAttributes")
                .is_some_and(Value::is_object)
            {
                let detail = "disallowed on this kind of request";
                return Err(self.invalid(FieldError::invalid(
                    "spec.nonResourceAttributes",
                    "",
                    detail,
                )));
            }
        }
        Ok(identity)
    }

    fn decide(self, api: &Api, identity: &Identity, spec: &Value) -> Result<Value, StatusError> {
        let resource = spec
            .get("resourceAttributes")
            .filter(|value| value.is_object());
        let path = spec
            .get("nonResourceAttributes")
            .filter(|value| value.is_object());
        let attributes = match (resource, path) {
            (Some(_), Some(_)) => {
                let detail = "cannot be specified in combination with resourceAttributes";
                return Err(self.invalid(FieldError::invalid(
                    "spec.nonResourceAttributes",
                    "",
                    detail,
                )));
            }
            (None, None) => {
                let detail =
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified";
                return Err(self.invalid(FieldError::invalid(
                    "spec.resourceAttributes",
                    "",
                    detail,
                )));
            }
            (Some(asked), None) => {
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
            }
            (None, Some(asked)) => {
                let text = |member: &str| asked[member].as_str().unwrap_or_default();
                Attributes {
                    verb: text("verb"),
                    path: text("path"),
                    ..Attributes::default()
                }
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
        Ok(status)
    }
}

impl Action for Review {
    fn gvk(&self) -> Gvk {
        Gvk::new(self.group(), "v1", self.kind())
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["create"]
    }

    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a Context,
        call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>> {
        async move {
            let (spec, status) = self.answer(api, cx, &call)?;
            let mut metadata = call
                .body
                .get("metadata")
                .cloned()
                .filter(Value::is_object)
                .unwrap_or_else(|| json!({}));
            if *self == Self::SelfSubject {
                metadata["creationTimestamp"] = json!(seconds(cx.now));
            }
            if *self == Self::LocalSubjectAccess {
                metadata["namespace"] = json!(call.namespace);
            }
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
