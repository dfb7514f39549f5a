//! What a type is: its fields, methods, actions and the Kubernetes kind behind it.
//!
//! Owns the vocabulary of declarations and their notation. Which types there
//! are stands in `declare`; what follows from them (documents, links, routes)
//! in `registry`.
//!
//! A field is declared by a name and a short text: its type, its flags and
//! what limits it, as in `("timeout", "int cu default=120 min=1 max=10800")`.
//! Flags: `c` may be given on create, `u` on update, `r` required, `n` may be
//! null, `w` shown only in answers to POST.

mod field;
mod vocabulary;

use std::borrow::Cow;

pub(crate) use field::{Declared, Field, FieldType};
pub(crate) use vocabulary::{
    Action, Base, Behaviour, Form, Layout, Naming, Object, Secret, Workload,
};

/// A type of the API. Built by chained calls, one declaration per type.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) id: &'static str,
    pub(crate) base: Base,
    pub(crate) object: Option<Object>,
    pub(crate) behaviour: Behaviour,
    pub(crate) fields: Vec<Field>,
    pub(crate) collection_methods: &'static [&'static str],
    pub(crate) resource_methods: &'static [&'static str],
    pub(crate) actions: Vec<Action>,
    pub(crate) collection_actions: Vec<Action>,
    /// Objects carry `state`, `transitioning` and `transitioningMessage`.
    pub(crate) stateful: bool,
    /// Nested values say their type (`"type": "/v3/schemas/..."`).
    pub(crate) marked: bool,
    /// Group and version of objects in a cluster.
    pub(crate) api: &'static str,
    /// What its Secrets hold, if its objects are Secrets.
    pub(crate) secret: Option<Secret>,
    /// What its objects run, if they run pods.
    pub(crate) workload: Option<Workload>,
    /// How its fields lie in its objects, if not as declared.
    pub(crate) form: Option<Form>,
    /// Its objects lie on the hub, in the project's namespace.
    pub(crate) on_hub: bool,
}

impl Type {
    /// A type that appears only inside others.
    pub(crate) fn part(id: &'static str, fields: &[Declared]) -> Self {
        let mut fields: Vec<Field> = fields
            .iter()
            .map(|declared| Field::parse(*declared))
            .collect();
        for field in &mut fields {
            field.path = vec![field.object_name()];
        }
        Self {
            id,
            base: Base::Management,
            object: None,
            behaviour: Behaviour::Plain,
            fields,
            collection_methods: &[],
            resource_methods: &[],
            actions: Vec::new(),
            collection_actions: Vec::new(),
            stateful: false,
            marked: true,
            api: "v1",
            secret: None,
            workload: None,
            form: None,
            on_hub: false,
        }
    }

    /// A nested type whose values are worked out by us and do not say their type.
    pub(crate) fn computed_part(id: &'static str, fields: &[Declared]) -> Self {
        let mut part = Self::part(id, fields);
        part.marked = false;
        part
    }

    /// A type whose resources are Kubernetes objects.
    pub(crate) fn object(
        id: &'static str,
        object: Object,
        naming: Naming,
        own: &[Declared],
    ) -> Self {
        let mut kind = Self::part(id, &[]);
        kind.object = Some(object);
        kind.collection_methods = &["GET", "POST"];
        kind.resource_methods = &["GET", "PUT", "DELETE"];
        let mut declared: Vec<Declared> = own.to_vec();
        match naming {
            Naming::Display => declared.push(("id", "dnsLabel n")),
            Naming::Object => declared.push(("name", "dnsLabel cn")),
            Naming::ObjectRequired => declared.push(("name", "dnsLabel crn")),
            Naming::Hostname => declared.push(("name", "hostname cr")),
            Naming::Restricted => declared.push(("name", "dnsLabelRestricted cr")),
        }
        if object.namespaced {
            declared.push((
                "namespaceId",
                "reference[/v3/clusters/schemas/namespace] cn",
            ));
        }
        kind.fields = declared
            .into_iter()
            .chain(METADATA.iter().copied())
            .map(Field::parse)
            .collect();
        for field in &mut kind.fields {
            field.path = object_path(field, object, naming);
        }
        kind.fields.sort_by_key(|field| field.name);
        kind
    }

    /// A type whose resources are worked out by us; `own` fields besides identifier and metadata.
    pub(crate) fn virtual_resource(id: &'static str, own: &[Declared]) -> Self {
        let mut kind = Self::part(id, &[]);
        kind.collection_methods = &["GET"];
        kind.resource_methods = &["GET"];
        kind.fields = own
            .iter()
            .copied()
            .chain([("id", "dnsLabel n")])
            .chain(METADATA.iter().copied())
            .map(Field::parse)
            .collect();
        kind.fields.sort_by_key(|field| field.name);
        kind
    }

    pub(crate) fn stateful(mut self) -> Self {
        self.stateful = true;
        self.fields.extend(STATE.iter().copied().map(Field::parse));
        self.fields.sort_by_key(|field| field.name);
        self
    }

    /// Served in each cluster or project, from objects of this group and version there.
    pub(crate) fn inside(mut self, base: Base, api: &'static str) -> Self {
        self.base = base;
        self.api = api;
        self.behaviour = Behaviour::Inside;
        if base == Base::Project {
            self = self.at("projectId", &[]);
            if let Some(place) = self
                .fields
                .iter_mut()
                .find(|field| field.name == "namespaceId")
            {
                place.required = true;
            }
        }
        self
    }

    pub(crate) fn formed(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    pub(crate) fn behaves(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    pub(crate) fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    pub(crate) fn collection_action(mut self, action: Action) -> Self {
        self.collection_actions.push(action);
        self
    }

    /// Puts fields elsewhere than the layout says; an empty path makes a field computed.
    pub(crate) fn at(mut self, name: &str, path: &[&'static str]) -> Self {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == name) {
            field.path = path.iter().map(|step| Cow::Borrowed(*step)).collect();
        } else {
            debug_assert!(false, "no field {name} in {}", self.id);
        }
        self
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The plural: the only rule there is.
    pub(crate) fn plural(&self) -> String {
        let id = self.id;
        if let Some(stem) = id.strip_suffix('y') {
            format!("{stem}ies")
        } else if ["s", "x", "ch", "sh"].iter().any(|end| id.ends_with(end)) {
            format!("{id}es")
        } else {
            format!("{id}s")
        }
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.collection_methods.contains(&"GET")
    }

    /// Whether identifiers have the form `namespace:name`.
    pub(crate) fn has_compound_id(&self) -> bool {
        self.object.is_some_and(|object| object.namespaced)
            && self.behaviour != Behaviour::Preference
    }

    /// The prefix of made-up names: the first letter and each capital or digit of the id, and a dash.
    pub(crate) fn name_prefix(&self) -> String {
        let mut prefix: String = self
            .id
            .chars()
            .enumerate()
            .filter(|(index, letter)| {
                *index == 0 || letter.is_ascii_uppercase() || letter.is_ascii_digit()
            })
            .map(|(_, letter)| letter.to_ascii_lowercase())
            .collect();
        prefix.push('-');
        prefix
    }
}

const METADATA: &[Declared] = &[
    ("annotations", "map[string] cun"),
    ("created", "date n"),
    ("creatorId", "reference[/v3/schemas/user]"),
    ("labels", "map[string] cun"),
    ("ownerReferences", "array[ownerReference] n"),
    ("removed", "date n"),
    ("uuid", "string n"),
];

const STATE: &[Declared] = &[
    ("state", "string"),
    ("transitioning", "enum options=yes|no|error"),
    ("transitioningMessage", "string"),
];

fn object_path(field: &Field, object: Object, naming: Naming) -> Vec<Cow<'static, str>> {
    let at = |path: &[&'static str]| path.iter().map(|step| Cow::Borrowed(*step)).collect();
    match field.name {
        "annotations" => at(&["metadata", "annotations"]),
        "labels" => at(&["metadata", "labels"]),
        "created" => at(&["metadata", "creationTimestamp"]),
        "removed" => at(&["metadata", "deletionTimestamp"]),
        "ownerReferences" => at(&["metadata", "ownerReferences"]),
        "uuid" => at(&["metadata", "uid"]),
        "namespaceId" | "id" | "creatorId" => Vec::new(),
        "name" if naming != Naming::Display => at(&["metadata", "name"]),
        _ => {
            let name = if field.name == "name" {
                "displayName".into()
            } else {
                field.object_name()
            };
            match object.layout {
                Layout::Flat => vec![name],
                Layout::Spec if name == "status" => vec![name],
                Layout::SpecAndStatus if !field.writable() => vec!["status".into(), name],
                Layout::Spec | Layout::SpecAndStatus => vec!["spec".into(), name],
            }
        }
    }
}
