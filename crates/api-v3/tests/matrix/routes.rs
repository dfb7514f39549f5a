//! Every request that `/v3` answers, with what it needs and how it is answered then, and how otherwise.

use serde_json::Value;

use crate::needs::{Needs, Right, hub};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Type and what is done: `list`, `create`, `get`, `update`, `delete`, or the name of an action.
    pub(crate) kind: &'static str,
    pub(crate) what: &'static str,
    pub(crate) method: &'static str,
    /// `{user}` stands for who is asking.
    pub(crate) url: String,
    pub(crate) body: Value,
    pub(crate) needs: Needs,
    /// Answers to those who have what is needed, and to others.
    pub(crate) granted: &'static [u16],
    pub(crate) refused: &'static [u16],
    /// What a list holds, with what is needed to see each.
    pub(crate) items: Vec<(String, Needs)>,
}

pub(crate) const OK: &[u16] = &[200];
pub(crate) const CREATED: &[u16] = &[201];
/// What goes at once, and what lingers.
pub(crate) const GONE: &[u16] = &[200, 204];
pub(crate) const FORBIDDEN: &[u16] = &[403];
pub(crate) const ABSENT: &[u16] = &[404];
pub(crate) const NO_METHOD: &[u16] = &[405];
pub(crate) const WRONG: &[u16] = &[422];

impl Route {
    pub(crate) fn new(
        kind: &'static str,
        what: &'static str,
        method: &'static str,
        url: impl Into<String>,
        needs: Needs,
    ) -> Self {
        let granted = match method {
            "DELETE" => GONE,
            "POST" if what == "create" => CREATED,
            _ => OK,
        };
        Self {
            kind,
            what,
            method,
            url: url.into(),
            body: Value::Null,
            needs,
            granted,
            refused: FORBIDDEN,
            items: Vec::new(),
        }
    }

    pub(crate) fn sending(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn granted(mut self, answers: &'static [u16]) -> Self {
        self.granted = answers;
        self
    }

    pub(crate) fn refused(mut self, answers: &'static [u16]) -> Self {
        self.refused = answers;
        self
    }

    pub(crate) fn holding(mut self, items: Vec<(String, Needs)>) -> Self {
        self.items = items;
        self
    }
}

/// An object that there is: namespace and name.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn whole(name: &str) -> Self {
        Self {
            namespace: None,
            name: name.to_owned(),
        }
    }

    pub(crate) fn within(namespace: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    pub(crate) fn id(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}:{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A type of the hub: its resource, the objects there are, and what makes and changes one.
pub(crate) struct Managed {
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) places: Vec<Place>,
    /// Bodies that make one, each with the namespace it goes to and what else is needed.
    pub(crate) made_of: Vec<(Value, Option<String>, Vec<Right>)>,
    pub(crate) changed_by: Value,
}

impl Managed {
    fn to(&self, verb: &'static str, place: &Place) -> Right {
        hub(
            verb,
            self.resource,
            place.namespace.as_deref(),
            Some(&place.name),
        )
    }

    /// Seen is what may be read or listed (reference api-v3-and-auth 1.5).
    pub(crate) fn seen(&self, place: &Place) -> Needs {
        Needs::any([
            self.to("get", place),
            hub("list", self.resource, place.namespace.as_deref(), None),
        ])
    }

    pub(crate) fn routes(&self) -> Vec<Route> {
        let (kind, all) = (self.kind, format!("/v3/{}", self.plural));
        let items = self.places.iter();
        let items = items.map(|place| (place.id(), self.seen(place))).collect();
        let mut routes =
            vec![Route::new(kind, "list", "GET", all.clone(), Needs::nothing()).holding(items)];
        for (body, namespace, more) in &self.made_of {
            let create = hub("create", self.resource, namespace.as_deref(), None);
            let mut needs = Needs::all([create]);
            for right in more {
                needs = needs.and(right);
            }
            let route = Route::new(kind, "create", "POST", all.clone(), needs);
            routes.push(route.sending(body.clone()));
        }
        for place in &self.places {
            let one = format!("{all}/{}", place.id());
            routes.push(Route::new(
                kind,
                "get",
                "GET",
                one.clone(),
                self.seen(place),
            ));
            let may = |verb| Needs::all([self.to(verb, place)]);
            let update = Route::new(kind, "update", "PUT", one.clone(), may("update"));
            routes.push(update.sending(self.changed_by.clone()));
            routes.push(Route::new(kind, "delete", "DELETE", one, may("delete")));
        }
        routes
    }
}

/// Answers of one thing that is done, for all routes of it.
pub(crate) fn answer(routes: &mut [Route], what: &str, granted: &'static [u16]) {
    for route in routes.iter_mut().filter(|route| route.what == what) {
        route.granted = granted;
    }
}
