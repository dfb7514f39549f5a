//! A client of `/v3` by the rules of the peer's own clients: it knows an address and a token, everything else it reads.
//!
//! What a schema does not offer is refused here as it is there, so that a route which works but is not announced fails.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use drover_testkit::http::Http;
use drover_testkit::hub::Hub;
use serde_json::Value;

/// One base of the API with its types.
pub(crate) struct Norman {
    http: Http,
    origin: String,
    types: BTreeMap<String, Value>,
}

fn offers(kind: &Value, methods: &str, method: &str) -> bool {
    kind[methods]
        .as_array()
        .is_some_and(|methods| methods.iter().any(|known| known == method))
}

impl Norman {
    /// Reads the types: the base must answer exactly 200 and name its schemas, which are read if they lie elsewhere.
    pub(crate) async fn open(hub: &Hub, token: &str, base: &str) -> Result<Self> {
        let http = hub.http(Some(token))?;
        let mut answer = http.get(base).await?;
        // All of them follow, as the peer redirects its root too.
        if answer.status == 307 {
            let place = answer.header("location").to_owned();
            answer = http.get(&place).await?;
        }
        let mut answer = answer.expect(200)?;
        let origin = hub.url();
        let named = answer.header("x-api-schemas").to_owned();
        let schemas = named
            .strip_prefix(&origin)
            .with_context(|| format!("{base} names the schemas {named:?}"))?;
        if schemas != base {
            answer = http.get(schemas).await?.expect(200)?;
        }
        let mut types = BTreeMap::new();
        for kind in answer.json()?["data"].as_array().context("no schemas")? {
            let id = kind["id"].as_str().context("a schema without an id")?;
            types.insert(id.to_owned(), kind.clone());
        }
        Ok(Self {
            http,
            origin,
            types,
        })
    }

    fn kind(&self, id: &str) -> Result<&Value> {
        self.types
            .get(id)
            .with_context(|| format!("Unknown schema type [{id}]"))
    }

    fn path<'a>(&self, url: &'a Value) -> Result<&'a str> {
        url.as_str()
            .and_then(|url| url.strip_prefix(&self.origin))
            .with_context(|| format!("{url} does not lie on {}", self.origin))
    }

    fn collection(&self, id: &str, methods: &str, method: &str) -> Result<&str> {
        let kind = self.kind(id)?;
        ensure!(
            offers(kind, methods, method),
            "{id} does not offer {method} in {methods}"
        );
        self.path(&kind["links"]["collection"])
    }

    /// The whole collection as it came.
    pub(crate) async fn collect(&self, kind: &str, query: &str) -> Result<Value> {
        let path = self.collection(kind, "collectionMethods", "GET")?;
        let answer = self
            .http
            .get(&format!("{path}{query}"))
            .await?
            .expect(200)?;
        let collection = answer.json()?;
        // Terraform reads these without asking whether they are there.
        ensure!(
            collection["pagination"]["limit"].is_u64(),
            "no pagination: {collection}"
        );
        Ok(collection)
    }

    pub(crate) async fn list(&self, kind: &str, query: &str) -> Result<Vec<Value>> {
        let data = self.collect(kind, query).await?["data"].take();
        data.as_array().cloned().context("no data")
    }

    /// One resource, or none for 404, which clients tell from every other refusal.
    pub(crate) async fn find(&self, kind: &str, id: &str) -> Result<Option<Value>> {
        let path = self.collection(kind, "resourceMethods", "GET")?;
        let answer = self.http.get(&format!("{path}/{id}")).await?;
        if answer.status == 404 {
            let error = answer.json()?;
            ensure!(
                error["status"] == 404 && error["code"].is_string() && error["message"].is_string(),
                "{error}"
            );
            return Ok(None);
        }
        answer.expect(200)?.json().map(Some)
    }

    pub(crate) async fn get(&self, kind: &str, id: &str) -> Result<Value> {
        let found = self.find(kind, id).await?;
        found.with_context(|| format!("{kind} {id} is not there"))
    }

    pub(crate) async fn create(&self, kind: &str, body: &Value) -> Result<Value> {
        let path = self.collection(kind, "collectionMethods", "POST")?;
        self.http.post(path, body).await?.expect(201)?.json()
    }

    /// `PUT` of what changes, or of a whole resource as it was read.
    pub(crate) async fn update(&self, resource: &Value, body: &Value) -> Result<Value> {
        let path = self.path(&resource["links"]["self"])?;
        self.http.put(path, body).await?.expect(200)?.json()
    }

    pub(crate) async fn replace(&self, resource: &Value, body: &Value) -> Result<Value> {
        let path = self.path(&resource["links"]["self"])?;
        let path = format!("{path}?_replace=true");
        self.http.put(&path, body).await?.expect(200)?.json()
    }

    /// An action of a resource or a collection, by its link; the body of the answer, null if it has none.
    pub(crate) async fn act(&self, on: &Value, name: &str, input: &Value) -> Result<Value> {
        let link = &on["actions"][name];
        ensure!(link.is_string(), "no action {name}: {}", on["actions"]);
        let answer = self.http.post(self.path(link)?, input).await?;
        ensure!(answer.status.is_success(), "{name}: {}", answer.body);
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        answer.json()
    }

    pub(crate) async fn delete(&self, resource: &Value) -> Result<()> {
        let path = self.path(&resource["links"]["self"])?;
        let answer = self.http.delete(path).await?;
        match answer.status.as_u16() {
            200 | 204 => Ok(()),
            _ => bail!("DELETE {path}: {} {}", answer.status, answer.body),
        }
    }

    /// What a link of a resource leads to.
    pub(crate) async fn follow(&self, url: &Value) -> Result<Value> {
        self.http.get(self.path(url)?).await?.expect(200)?.json()
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }
}
