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

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// Name and notation of a field.
pub(crate) type Declared = (&'static str, &'static str);

/// The type of a field's value (reference section 1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    String,
    Int,
    Float,
    Boolean,
    Date,
    Enum,
    Password,
    /// RFC 1123 label.
    DnsLabel,
    /// RFC 1035 label.
    DnsLabelRestricted,
    /// RFC 1123 subdomain.
    Hostname,
    IntOrString,
    Base64,
    Json,
    /// The identifier of an object of this type; the text is as declared, possibly a path.
    Reference(String),
    Array(Box<Self>),
    Map(Box<Self>),
    /// A nested type by its id.
    Part(String),
}

impl FieldType {
    pub(crate) fn parse(text: &str) -> Self {
        let inside = |prefix: &str| {
            text.strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix(']'))
        };
        if let Some(inner) = inside("array[") {
            return Self::Array(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = inside("map[") {
            return Self::Map(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = inside("reference[") {
            return Self::Reference(inner.to_owned());
        }
        match text {
            "string" => Self::String,
            "int" => Self::Int,
            "float" => Self::Float,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "enum" => Self::Enum,
            "password" => Self::Password,
            "dnsLabel" => Self::DnsLabel,
            "dnsLabelRestricted" => Self::DnsLabelRestricted,
            "hostname" => Self::Hostname,
            "intOrString" => Self::IntOrString,
            "base64" => Self::Base64,
            "json" => Self::Json,
            other => Self::Part(other.to_owned()),
        }
    }

    /// The comparisons a collection can be filtered by on such a field.
    pub(crate) fn modifiers(&self) -> &'static [&'static str] {
        match self {
            Self::Boolean => &["eq", "ne"],
            Self::String
            | Self::Int
            | Self::Date
            | Self::Enum
            | Self::DnsLabel
            | Self::DnsLabelRestricted
            | Self::Hostname
            | Self::Reference(_) => &["eq", "ne", "in", "notin"],
            Self::Float
            | Self::Password
            | Self::IntOrString
            | Self::Base64
            | Self::Json
            | Self::Array(_)
            | Self::Map(_)
            | Self::Part(_) => &[],
        }
    }

    /// Whether an answer offers to sort by such a field (recorded: text and enumerations only).
    pub(crate) fn offered_for_sort(&self) -> bool {
        matches!(self, Self::String | Self::Enum)
    }

    /// The type a reference points at, without a path before it.
    pub(crate) fn target(&self) -> Option<&str> {
        match self {
            Self::Reference(target) => target.rsplit('/').next(),
            _ => None,
        }
    }
}

impl std::fmt::Display for FieldType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Boolean => f.write_str("boolean"),
            Self::Date => f.write_str("date"),
            Self::Enum => f.write_str("enum"),
            Self::Password => f.write_str("password"),
            Self::DnsLabel => f.write_str("dnsLabel"),
            Self::DnsLabelRestricted => f.write_str("dnsLabelRestricted"),
            Self::Hostname => f.write_str("hostname"),
            Self::IntOrString => f.write_str("intOrString"),
            Self::Base64 => f.write_str("base64"),
            Self::Json => f.write_str("json"),
            Self::Reference(target) => write!(f, "reference[{target}]"),
            Self::Array(inner) => write!(f, "array[{inner}]"),
            Self::Map(inner) => write!(f, "map[{inner}]"),
            Self::Part(id) => f.write_str(id),
        }
    }
}

/// One field of a type.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldType,
    pub(crate) create: bool,
    pub(crate) update: bool,
    pub(crate) required: bool,
    pub(crate) nullable: bool,
    pub(crate) write_only: bool,
    pub(crate) pointer: bool,
    /// The value an absent field has.
    pub(crate) default: Option<Value>,
    pub(crate) options: Vec<&'static str>,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    /// Where the value stands in the Kubernetes object; empty: nowhere, it is computed.
    pub(crate) path: Vec<Cow<'static, str>>,
}

impl Field {
    /// Reads a field's notation. Words it does not know are flags that do not exist,
    /// which the test over all declarations refuses.
    pub(crate) fn parse((name, notation): Declared) -> Self {
        let mut words = notation.split(' ');
        let kind = FieldType::parse(words.next().unwrap_or_default());
        let mut field = Self {
            name,
            kind,
            create: false,
            update: false,
            required: false,
            nullable: false,
            write_only: false,
            pointer: false,
            default: None,
            options: Vec::new(),
            min: None,
            max: None,
            path: Vec::new(),
        };
        for word in words {
            match word.split_once('=') {
                Some(("default", value)) => field.default = Some(field.literal(value)),
                Some(("options", value)) => field.options = value.split('|').collect(),
                Some(("min", value)) => field.min = value.parse().ok(),
                Some(("max", value)) => field.max = value.parse().ok(),
                Some(_) => debug_assert!(false, "unknown limit {word} of field {name}"),
                None if word == "pointer" => field.pointer = true,
                None => {
                    for flag in word.chars() {
                        match flag {
                            'c' => field.create = true,
                            'u' => field.update = true,
                            'r' => field.required = true,
                            'n' => field.nullable = true,
                            'w' => field.write_only = true,
                            _ => debug_assert!(false, "unknown flag {flag} of field {name}"),
                        }
                    }
                }
            }
        }
        if field.default.is_none() && !field.nullable {
            field.default = match field.kind {
                FieldType::Boolean => Some(json!(false)),
                FieldType::Int => Some(json!(0)),
                _ => None,
            };
        }
        field
    }

    fn literal(&self, text: &str) -> Value {
        match self.kind {
            FieldType::Boolean => json!(text == "true"),
            FieldType::Int => text.parse::<i64>().map_or(Value::Null, Value::from),
            _ => json!(text),
        }
    }

    /// Whether clients ever write this field.
    pub(crate) fn writable(&self) -> bool {
        self.create || self.update
    }

    /// The name under which Kubernetes objects keep this field: references are kept as `...Name`.
    pub(crate) fn object_name(&self) -> Cow<'static, str> {
        let is_reference = |kind: &FieldType| matches!(kind, FieldType::Reference(_));
        match &self.kind {
            FieldType::Reference(_) => {
                if let Some(stem) = self.name.strip_suffix("Id") {
                    return format!("{stem}Name").into();
                }
            }
            FieldType::Array(inner) if is_reference(inner) => {
                if let Some(stem) = self.name.strip_suffix("Ids") {
                    return format!("{stem}Names").into();
                }
            }
            _ => {}
        }
        self.name.into()
    }

    /// The field as schema documents show it.
    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".to_owned(), json!(self.kind.to_string()));
        document.insert("create".to_owned(), json!(self.create));
        document.insert("update".to_owned(), json!(self.update));
        for (name, set) in [
            ("nullable", self.nullable),
            ("required", self.required),
            ("writeOnly", self.write_only),
            ("pointer", self.pointer),
        ] {
            if set {
                document.insert(name.to_owned(), json!(true));
            }
        }
        if let Some(default) = &self.default {
            document.insert("default".to_owned(), default.clone());
        }
        if !self.options.is_empty() {
            document.insert("options".to_owned(), json!(self.options));
        }
        for (name, limit) in [("min", self.min), ("max", self.max)] {
            if let Some(limit) = limit {
                document.insert(name.to_owned(), json!(limit));
            }
        }
        Value::Object(document)
    }
}

/// The part of the API that a type is served in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    /// `/v3`.
    Management,
    /// `/v3/cluster/{id}`.
    Cluster,
    /// `/v3/project/{id}`.
    Project,
}

impl Base {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Management => "/v3",
            Self::Cluster => "/v3/cluster",
            Self::Project => "/v3/project",
        }
    }

    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Management => "management.cattle.io",
            Self::Cluster => "cluster.cattle.io",
            Self::Project => "project.cattle.io",
        }
    }

    /// The version object of documents.
    pub(crate) fn document(self) -> Value {
        match self {
            Self::Management => {
                json!({"group": self.group(), "path": self.path(), "version": "v3"})
            }
            Self::Cluster | Self::Project => {
                let target = if self == Self::Cluster {
                    "cluster"
                } else {
                    "project"
                };
                json!({
                    "group": self.group(),
                    "path": self.path(),
                    "version": "v3",
                    "subContext": true,
                    "filterField": format!("/v3/schemas/{target}"),
                })
            }
        }
    }
}

/// How a kind's objects lie in Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Fields at the top of the object.
    Flat,
    /// Writable fields in `spec`; `status` is one field of its own.
    Spec,
    /// Writable fields in `spec`, read-only ones in `status`, both shown at the top.
    SpecAndStatus,
}

/// What a type's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `name` is the object's display name; the identifier is its own.
    Display,
    /// `name` is the object's name, chosen by the client or made up.
    Object,
    /// `name` is the object's name and must be given.
    ObjectRequired,
    /// The same, and it may have dots.
    Hostname,
    /// It must be given, and begins with a letter, because a Service is named like it.
    Restricted,
}

/// What a Secret holds; each is a type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    /// Anything.
    Any,
    /// Credentials of image registries.
    Docker,
    /// A certificate with its key.
    Certificate,
    /// A user's name and password.
    Basic,
    /// A private key for SSH.
    Ssh,
    /// A token of a service account.
    Account,
}

/// What runs pods, and pods themselves; each is a type of its own, and `Any` is all that run pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Any,
    Deployment,
    DaemonSet,
    StatefulSet,
    Job,
    CronJob,
    ReplicaSet,
    ReplicationController,
    Pod,
}

/// Types in projects whose fields lie otherwise in their objects; `kinds::form` knows how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A Service, with all that it has.
    Service,
    /// A Service as a name in DNS.
    DnsRecord,
    Ingress,
    Autoscaler,
}

/// What a type does beyond the ordinary, implemented in `kinds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Plain,
    Cluster,
    RegistrationToken,
    Node,
    Project,
    Setting,
    Feature,
    User,
    Principal,
    Token,
    Preference,
    GlobalRole,
    GlobalRoleBinding,
    RoleTemplate,
    ClusterBinding,
    ProjectBinding,
    /// Lies in a cluster; served by `downstream`.
    Namespace,
    /// Lies in a cluster or project; served by `inside`.
    Inside,
    PodSecurity,
    /// A way to sign in, shown as the type that it names.
    AuthConfig,
    /// Secrets on the hub; served by `kinds::credential`.
    CloudCredential,
    /// A question, answered at once and not kept.
    AccessReview,
}

/// The Kubernetes kind that a type stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) layout: Layout,
}

/// An action: its name and the types of what goes in and comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) input: Option<&'static str>,
    pub(crate) output: Option<&'static str>,
}

impl Action {
    pub(crate) const fn new(
        name: &'static str,
        input: Option<&'static str>,
        output: Option<&'static str>,
    ) -> Self {
        Self {
            name,
            input,
            output,
        }
    }
}

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
