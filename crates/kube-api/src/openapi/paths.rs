//! The operations of OpenAPI documents, as the registry has them.
//!
//! Clients read from these which verbs take `dryRun` and `fieldValidation` (k8s.io/cli-runtime
//! `resource/query_param_verifier_v3.go`, v0.36); descriptions are left out.

use serde_json::{Map, Value, json};

use super::schemas::{component, list_component};
use super::{capital, gvk, tag};
use crate::builtin;
use crate::registry::{Resource, Subresource};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Second,
    Third,
}

/// The path of a group version, with the slash at its end.
pub(super) fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{version}/")
    } else {
        format!("/apis/{group}/{version}/")
    }
}

/// The operation that lists the resources of a group version.
pub(super) fn resource_list(group: &str, version: &str) -> Value {
    let tag = tag(group, version);
    let content = json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{META}.APIResourceList")}}});
    json!({"get": {
        "tags": [tag],
        "operationId": format!("get{}APIResources", camel(&tag)),
        "responses": {"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}},
    }})
}

fn camel(tag: &str) -> String {
    tag.split('_').map(capital).collect()
}

struct Writer<'r> {
    resource: &'r Resource,
    form: Form,
    tag: String,
}

/// The paths of a resource and of its subresources.
pub(super) fn of(resource: &Resource, form: Form) -> Vec<(String, Value)> {
    let writer = Writer {
        resource,
        form,
        tag: tag(&resource.group, &resource.version),
    };
    let base = group_path(&resource.group, &resource.version);
    let plural = &resource.plural;
    let own = component(resource);
    let mut paths = Vec::new();
    let (home, scope) = if resource.namespaced {
        (format!("{base}namespaces/{{namespace}}/"), "Namespaced")
    } else {
        (base.clone(), "")
    };

    let mut all = Map::new();
    if resource.supports("list") {
        all.insert("get".to_owned(), writer.list("list", scope));
    }
    if resource.supports("create") || resource.action.is_some() {
        all.insert(
            "post".to_owned(),
            writer.write("post", "create", scope, "", &own, &kind_of(resource)),
        );
    }
    if resource.supports("deletecollection") {
        all.insert("delete".to_owned(), writer.delete_collection(scope));
    }
    all.insert(
        "parameters".to_owned(),
        writer.path_parameters(resource.namespaced, false),
    );
    paths.push((format!("{home}{plural}"), Value::Object(all)));

    if resource.namespaced && resource.supports("list") {
        let mut everywhere = Map::new();
        let operation = writer.list("list", "");
        everywhere.insert("get".to_owned(), operation);
        everywhere.insert(
            "parameters".to_owned(),
            writer.path_parameters(false, false),
        );
        paths.push((format!("{base}{plural}"), Value::Object(everywhere)));
    }

    let mut one = Map::new();
    for (verb, method, word) in [
        ("get", "get", "read"),
        ("update", "put", "replace"),
        ("delete", "delete", "delete"),
        ("patch", "patch", "patch"),
    ] {
        if resource.supports(verb) {
            let operation = writer.one(method, word, scope, "", &own, &kind_of(resource));
            one.insert(method.to_owned(), operation);
        }
    }
    if !one.is_empty() {
        one.insert(
            "parameters".to_owned(),
            writer.path_parameters(resource.namespaced, true),
        );
        paths.push((format!("{home}{plural}/{{name}}"), Value::Object(one)));
    }

    for (name, part) in &resource.subresources {
        let (schema, kind) = match part {
            Subresource::Part(_) | Subresource::Put(_) => (own.clone(), kind_of(resource)),
            Subresource::Scale(_) => (
                "io.k8s.api.autoscaling.v1.Scale".to_owned(),
                json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
            ),
            Subresource::Action(action) => {
                let other = action.gvk();
                let schema = builtin::component_name(&other.group, &other.version, &other.kind);
                let kind =
                    json!({"group": other.group, "version": other.version, "kind": other.kind});
                (schema.unwrap_or_default(), kind)
            }
        };
        let mut operations = Map::new();
        for verb in part.verbs() {
            let (method, word) = match verb {
                "get" => ("get", "read"),
                "update" => ("put", "replace"),
                "patch" => ("patch", "patch"),
                "create" => ("post", "create"),
                "delete" => ("delete", "delete"),
                _ => continue,
            };
            let operation = if method == "post" {
                writer.write(method, word, scope, name, &schema, &kind)
            } else {
                writer.one(method, word, scope, name, &schema, &kind)
            };
            operations.insert(method.to_owned(), operation);
        }
        operations.insert(
            "parameters".to_owned(),
            writer.path_parameters(resource.namespaced, true),
        );
        paths.push((
            format!("{home}{plural}/{{name}}/{name}"),
            Value::Object(operations),
        ));
    }
    paths
}

fn kind_of(resource: &Resource) -> Value {
    gvk(resource)
}

impl Writer<'_> {
    fn reference(&self, name: &str) -> Value {
        let prefix = match self.form {
            Form::Second => "#/definitions/",
            Form::Third => "#/components/schemas/",
        };
        if name.is_empty() {
            json!({"type": "string"})
        } else {
            json!({"$ref": format!("{prefix}{name}")})
        }
    }

    fn parameter(&self, name: &str, place: &str, kind: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place});
        if place == "path" {
            parameter["required"] = json!(true);
        }
        match self.form {
            Form::Second => {
                parameter["type"] = json!(kind);
                parameter["uniqueItems"] = json!(true);
            }
            Form::Third => parameter["schema"] = json!({"type": kind, "uniqueItems": true}),
        }
        parameter
    }

    fn query(&self, parameters: &[(&str, &str)]) -> Vec<Value> {
        parameters
            .iter()
            .map(|(name, kind)| self.parameter(name, "query", kind))
            .collect()
    }

    fn path_parameters(&self, namespace: bool, name: bool) -> Value {
        let mut parameters = Vec::new();
        if name {
            parameters.push(self.parameter("name", "path", "string"));
        }
        if namespace {
            parameters.push(self.parameter("namespace", "path", "string"));
        }
        parameters.push(self.parameter("pretty", "query", "string"));
        Value::Array(parameters)
    }

    fn responses(&self, codes: &[(&str, &str)], schema: &str) -> Value {
        let mut responses = Map::new();
        for (code, description) in codes {
            let mut response = json!({"description": description});
            match self.form {
                Form::Second => response["schema"] = self.reference(schema),
                Form::Third => {
                    let schema = json!({"schema": self.reference(schema)});
                    response["content"] =
                        json!({"application/json": schema, "application/yaml": schema});
                }
            }
            responses.insert((*code).to_owned(), response);
        }
        responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        Value::Object(responses)
    }

    /// Adds a body; in the second version it is a parameter.
    fn body(&self, operation: &mut Value, media: &[&str], schema: &str, required: bool) {
        match self.form {
            Form::Second => {
                let mut parameter =
                    json!({"name": "body", "in": "body", "schema": self.reference(schema)});
                if required {
                    parameter["required"] = json!(true);
                }
                if let Some(parameters) = operation["parameters"].as_array_mut() {
                    parameters.insert(0, parameter);
                }
                operation["consumes"] = json!(media);
            }
            Form::Third => {
                let content = media.iter().map(|media| {
                    (
                        (*media).to_owned(),
                        json!({"schema": self.reference(schema)}),
                    )
                });
                operation["requestBody"] = json!({"content": content.collect::<Map<_, _>>()});
                if required {
                    operation["requestBody"]["required"] = json!(true);
                }
            }
        }
    }

    fn operation(&self, word: &str, scope: &str, part: &str, action: &str, kind: &Value) -> Value {
        let id = format!(
            "{word}{}{scope}{}{}",
            camel(&self.tag),
            self.resource.kind,
            capital(part)
        );
        json!({
            "tags": [self.tag],
            "operationId": id,
            "parameters": [],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
        })
    }

    fn list(&self, word: &str, scope: &str) -> Value {
        let everywhere = self.resource.namespaced && scope.is_empty();
        let mut operation = self.operation(
            word,
            scope,
            if everywhere { "forAllNamespaces" } else { "" },
            "list",
            &gvk(self.resource),
        );
        operation["parameters"] = json!(self.query(&[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ]));
        operation["responses"] = self.responses(&[("200", "OK")], &list_component(self.resource));
        operation
    }

    /// A create.
    fn write(
        &self,
        method: &str,
        word: &str,
        scope: &str,
        part: &str,
        schema: &str,
        kind: &Value,
    ) -> Value {
        let mut operation = self.operation(word, scope, part, method, kind);
        operation["parameters"] = json!(self.query(&[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string")
        ]));
        self.body(&mut operation, &["*/*"], schema, true);
        operation["responses"] = self.responses(
            &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            schema,
        );
        operation
    }

    /// A read, update, patch or delete of one object.
    fn one(
        &self,
        method: &str,
        word: &str,
        scope: &str,
        part: &str,
        schema: &str,
        kind: &Value,
    ) -> Value {
        let mut operation = self.operation(word, scope, part, method, kind);
        match method {
            "put" => {
                operation["parameters"] = json!(self.query(&[
                    ("dryRun", "string"),
                    ("fieldManager", "string"),
                    ("fieldValidation", "string")
                ]));
                self.body(&mut operation, &["*/*"], schema, true);
                operation["responses"] =
                    self.responses(&[("200", "OK"), ("201", "Created")], schema);
            }
            "patch" => {
                operation["parameters"] = json!(self.query(&[
                    ("dryRun", "string"),
                    ("fieldManager", "string"),
                    ("fieldValidation", "string"),
                    ("force", "boolean"),
                ]));
                let mut media = vec![
                    "application/apply-patch+yaml",
                    "application/json-patch+json",
                    "application/merge-patch+json",
                ];
                if !self.resource.custom {
                    media.push("application/strategic-merge-patch+json");
                }
                self.body(&mut operation, &media, &format!("{META}.Patch"), true);
                operation["responses"] =
                    self.responses(&[("200", "OK"), ("201", "Created")], schema);
            }
            "delete" => {
                operation["parameters"] = json!(self.query(&[
                    ("dryRun", "string"),
                    ("gracePeriodSeconds", "integer"),
                    ("orphanDependents", "boolean"),
                    ("propagationPolicy", "string"),
                ]));
                self.body(
                    &mut operation,
                    &["*/*"],
                    &format!("{META}.DeleteOptions"),
                    false,
                );
                let status = format!("{META}.Status");
                operation["responses"] =
                    self.responses(&[("200", "OK"), ("202", "Accepted")], &status);
            }
            _ => {
                operation["responses"] = self.responses(&[("200", "OK")], schema);
            }
        }
        operation
    }

    fn delete_collection(&self, scope: &str) -> Value {
        let mut operation = self.operation(
            "deleteCollection",
            scope,
            "",
            "deletecollection",
            &gvk(self.resource),
        );
        operation["operationId"] = json!(format!(
            "delete{}Collection{scope}{}",
            camel(&self.tag),
            self.resource.kind
        ));
        operation["parameters"] = json!(self.query(&[
            ("continue", "string"),
            ("dryRun", "string"),
            ("fieldSelector", "string"),
            ("gracePeriodSeconds", "integer"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("propagationPolicy", "string"),
            ("resourceVersion", "string"),
        ]));
        self.body(
            &mut operation,
            &["*/*"],
            &format!("{META}.DeleteOptions"),
            false,
        );
        operation["responses"] = self.responses(&[("200", "OK")], &format!("{META}.Status"));
        operation
    }
}
