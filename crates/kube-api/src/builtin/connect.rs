//! Ways into pods, nodes and services: logs, exec, attach, port forwarding, proxies.
//!
//! Owns what is asked for ([`options`]), who may refuse it, and where it leads ([`place`]). Nothing runs here, so that
//! each way ends before its first connection, with what a real server says up to there.
//!
//! Sources: apiserver `pkg/endpoints/handlers/rest.go`, kubernetes `pkg/registry/core/{pod,node,service}`, v1.36.

mod options;
mod place;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::Value;

use super::call_kind;
use super::data::SubresourceFacts;
use crate::admission::{CallOf, Operation};
use crate::registry::{ALL_VERBS, Action, Call, Gvk, Reply, Resource};
use crate::rest::options::Query;
use crate::rest::{Api, Attributes, Context};
use crate::status::StatusError;

/// What a way is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Log,
    Exec,
    Attach,
    PortForward,
    Proxy,
}

impl Purpose {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "log" => Self::Log,
            "exec" => Self::Exec,
            "attach" => Self::Attach,
            "portforward" => Self::PortForward,
            "proxy" => Self::Proxy,
            _ => return None,
        })
    }

    /// Whether it is for a connection of another protocol.
    const fn upgrades(self) -> bool {
        matches!(self, Self::Exec | Self::Attach | Self::PortForward)
    }
}

/// The action behind a subresource, if that is a way into the object.
pub(super) fn subresource(facts: &SubresourceFacts) -> Option<Arc<dyn Action>> {
    let purpose = Purpose::named(&facts.name)?;
    let verbs = ALL_VERBS.iter().copied();
    let mut form = call_kind("", &facts.kind, &facts.name);
    form.schema = Some(Arc::new(options::schema(purpose)));
    Some(Arc::new(Way {
        purpose,
        form,
        name: facts.name.clone(),
        verbs: verbs
            .filter(|verb| facts.verbs.iter().any(|held| held == verb))
            .collect(),
    }))
}

#[derive(Debug)]
struct Way {
    purpose: Purpose,
    /// The kind of the options.
    form: Resource,
    name: String,
    verbs: Vec<&'static str>,
}

impl Action for Way {
    fn gvk(&self) -> Gvk {
        Gvk::new(&self.form.group, &self.form.version, &self.form.kind)
    }

    fn verbs(&self) -> &[&'static str] {
        &self.verbs
    }

    fn leads_on(&self) -> bool {
        self.purpose == Purpose::Proxy
    }

    fn asked(&self, query: &Query, rest: &str) -> Option<Result<Value, StatusError>> {
        let mut asked = options::read(self.purpose, query, rest);
        if let Ok(asked) = &mut asked {
            asked["apiVersion"] = self.form.api_version().into();
            asked["kind"] = (&*self.form.kind).into();
        }
        Some(asked)
    }

    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a Context,
        mut call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>> {
        async move {
            if self.purpose == Purpose::Log {
                options::check_log(&call.name, &call.body)?;
            } else {
                self.admit(api, cx, &mut call)?;
            }
            if self.purpose.upgrades() {
                self.may_create(api, cx, &call)?;
            }
            self.follow(api, &call)
        }
        .boxed()
    }
}

impl Way {
    /// Lets policies change what is asked for, and asks them.
    fn admit(&self, api: &Arc<Api>, cx: &Context, call: &mut Call) -> Result<(), StatusError> {
        let asked = CallOf {
            operation: Operation::Connect,
            resource: &call.resource,
            form: &self.form,
            subresource: &self.name,
            namespace: &call.namespace,
            name: &call.name,
        };
        asked.mutate(api, cx, &mut call.body)?;
        asked.validate(api, cx, &call.body)
    }

    /// Opening a connection takes the right to create, by whichever method it is asked for.
    fn may_create(&self, api: &Arc<Api>, cx: &Context, call: &Call) -> Result<(), StatusError> {
        let resource = &call.resource;
        let attributes = Attributes {
            verb: "create",
            group: &resource.group,
            version: &resource.version,
            resource: &resource.plural,
            subresource: &self.name,
            namespace: &call.namespace,
            name: &call.name,
            path: "",
        };
        match api.authorizer.authorize(api, &cx.identity, &attributes) {
            crate::rest::Decision::Allow(_) => Ok(()),
            crate::rest::Decision::NoOpinion(reason) => Err(StatusError::forbidden(
                &resource.group,
                &resource.plural,
                &call.name,
                &reason,
            )),
        }
    }

    /// Goes as far as there is a way.
    fn follow(&self, api: &Api, call: &Call) -> Result<Reply, StatusError> {
        match (self.purpose, &*call.resource.plural) {
            (Purpose::Proxy, "nodes") => place::proxied_node(api, &call.name)?,
            (Purpose::Proxy, "services") => place::service(api, &call.namespace, &call.name)?,
            (Purpose::Proxy, _) => place::proxied_pod(api, &call.namespace, &call.name)?,
            _ => {
                let pod = place::pod(api, &call.namespace, &call.name)?;
                if self.purpose != Purpose::PortForward {
                    place::check_container(&pod, &call.body)?;
                }
                let node = place::node_of(&pod);
                if node.is_empty() {
                    return match self.purpose {
                        // There is nothing to read yet.
                        Purpose::Log => Ok(Reply {
                            code: StatusCode::NO_CONTENT,
                            object: Value::Null,
                        }),
                        _ => Err(StatusError::bad_request(format!(
                            "pod {} does not have a host assigned",
                            call.name
                        ))),
                    };
                }
                place::kubelet(api, node, "pods")?;
            }
        }
        if self.purpose.upgrades() && !call.upgrades {
            return Err(StatusError::bad_request("Upgrade request required"));
        }
        Err(StatusError::service_unavailable(
            "nodes and pods are plain data on this server: there is no kubelet to connect to",
        ))
    }
}
