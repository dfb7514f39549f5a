//! Who owns which field: random writers on a real kube-apiserver and on ours.
//!
//! Several managers apply, replace and patch the same objects in every way there is. After each write both servers have
//! to have answered the same, with the same `managedFields`, and to hold the same object. A sequence is one object's
//! life; its seed, which a failure names, makes it again.
//!
//! `DROVER_OWNERSHIP_STEPS` asks for more steps than the usual few, `DROVER_OWNERSHIP_SEED` for others.

mod choices;

use std::sync::LazyLock;

use drover_testkit::chance::Chance;
use drover_testkit::wait;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::normal::{Normal, owner_key};
use crate::scenario::Request;
use crate::servers::{LIMIT, Pair};

/// Steps of one sequence.
const STEPS: usize = 25;
/// Steps in all, unless the environment says otherwise.
const USUAL: usize = 2000;
/// Sequences that may go wrong before the rest is left out.
const SHOWN: usize = 12;

const APPLIERS: [&str; 4] = ["alice", "bob", "carol", "kubectl"];
const UPDATERS: [&str; 3] = ["dave", "erin", "bob"];

/// A kind and what its objects may hold.
#[derive(Debug, Deserialize)]
struct Kind {
    path: String,
    object: Value,
    /// Of the `status` subresource, if it is written to.
    #[serde(default)]
    status: Value,
    /// How its Scale is written to.
    #[serde(default)]
    scale: Vec<String>,
}

/// One request to both servers, with a body for each.
struct Step {
    verb: &'static str,
    path: String,
    bodies: [Value; 2],
}

impl Step {
    fn same(verb: &'static str, path: String, body: Value) -> Self {
        Self {
            verb,
            path,
            bodies: [body.clone(), body],
        }
    }

    fn requests(&self) -> [http::Request<Vec<u8>>; 2] {
        self.bodies.each_ref().map(|body| {
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            Request::of(self.verb, &self.path, body).made(&[])
        })
    }
}

/// One object's life.
struct Life<'a> {
    kind: &'a Kind,
    path: String,
    chance: Chance,
    /// The object as each server holds it; null if there is none.
    live: [Value; 2],
    normals: [Normal; 2],
}

impl Life<'_> {
    fn next(&mut self) -> Step {
        if self.live[0].is_null() {
            return self.birth();
        }
        match self.chance.below(26) {
            0..=8 => self.apply(),
            9..=11 => self.replace(),
            12..=14 => self.merge("MERGE"),
            15..=18 => self.merge("STRATEGIC"),
            19..=20 => self.json_patch(),
            21..=22 if !self.kind.status.is_null() => self.write_status(),
            // A Scale that makes the spec of a custom resource stores it without its defaults in the real server, so that
            // the next write, whatever it is, changes the object.
            23 if !self.kind.scale.is_empty() && !self.live[0]["spec"].is_null() => self.scale(),
            24 => self.forget(),
            25 if self.chance.one_in(3) => Step::same("DELETE", self.path.clone(), Value::Null),
            _ => self.apply(),
        }
    }

    fn wanted(&mut self) -> Value {
        choices::document(&self.kind.object, &mut self.chance)
    }

    /// `path` with who writes how.
    fn by(&mut self, subresource: &str, applies: bool) -> String {
        let managers: &[&str] = if applies { &APPLIERS } else { &UPDATERS };
        let manager = self.chance.pick(managers);
        let mut path = format!("{}{subresource}?fieldManager={manager}", self.path);
        if applies && self.chance.one_in(3) {
            path.push_str("&force=true");
        }
        if self.chance.one_in(12) {
            path.push_str("&dryRun=All");
        }
        path
    }

    fn birth(&mut self) -> Step {
        let wanted = self.wanted();
        if self.chance.one_in(2) {
            let path = self.by("", true);
            return Step::same("APPLY", path, wanted);
        }
        let (collection, _) = self.path.rsplit_once('/').expect("a path has parts");
        let manager = self.chance.pick(&UPDATERS);
        let path = format!("{collection}?fieldManager={manager}");
        let mut wanted = wanted;
        if self.chance.one_in(3) {
            let applied = wanted.to_string();
            let metadata = wanted["metadata"].as_object_mut().expect("metadata");
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            annotations["kubectl.kubernetes.io/last-applied-configuration"] = json!(applied);
        }
        Step::same("POST", path, wanted)
    }

    fn apply(&mut self) -> Step {
        let wanted = self.wanted();
        Step::same("APPLY", self.by("", true), wanted)
    }

    fn replace(&mut self) -> Step {
        let wanted = self.wanted();
        let overlay = choices::patch(&wanted, false, &mut self.chance);
        let managed = self.chance.below(8);
        let stale = self.chance.one_in(15);
        let bodies = self.live.clone().map(|mut body| {
            drover_structural::merge_patch::apply(&mut body, &overlay);
            let Some(metadata) = body["metadata"].as_object_mut() else {
                return body;
            };
            match managed {
                0 | 1 => drop(metadata.remove("managedFields")),
                2 => drop(metadata.insert("managedFields".to_owned(), json!([{}]))),
                _ => {}
            }
            if stale {
                metadata.insert("resourceVersion".to_owned(), json!("1"));
            }
            body
        });
        Step {
            verb: "PUT",
            path: self.by("", false),
            bodies,
        }
    }

    fn merge(&mut self, verb: &'static str) -> Step {
        let wanted = self.wanted();
        let mut patch = choices::patch(&wanted, verb == "STRATEGIC", &mut self.chance);
        for name in ["apiVersion", "kind"] {
            patch.as_object_mut().expect("an object").remove(name);
        }
        if let Some(Value::Object(metadata)) = patch.get_mut("metadata") {
            metadata.remove("name");
        }
        Step::same(verb, self.by("", false), patch)
    }

    fn json_patch(&mut self) -> Step {
        let wanted = self.wanted();
        let patch = choices::json_patch(&self.live[0], &wanted, &mut self.chance);
        Step::same("JSONPATCH", self.by("", false), patch)
    }

    fn write_status(&mut self) -> Step {
        let status = choices::document(&self.kind.status, &mut self.chance);
        let mut body = self.wanted();
        body["status"] = status;
        if self.chance.one_in(2) {
            if self.chance.one_in(2) {
                // Most controllers send nothing else.
                body["spec"] = json!({});
            }
            return Step::same("APPLY", self.by("/status", true), body);
        }
        let verb = self.chance.pick(&["MERGE", "STRATEGIC"]);
        let mut patch = choices::patch(&body, false, &mut self.chance);
        patch.as_object_mut().expect("an object").remove("metadata");
        patch.as_object_mut().expect("an object").remove("kind");
        patch
            .as_object_mut()
            .expect("an object")
            .remove("apiVersion");
        Step::same(verb, self.by("/status", false), patch)
    }

    fn scale(&mut self) -> Step {
        let replicas = self.chance.below(5);
        let (_, name) = self.path.rsplit_once('/').expect("a path has parts");
        let verbs: Vec<&str> = self.kind.scale.iter().map(String::as_str).collect();
        if self.chance.pick(&verbs) == "APPLY" {
            let body = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": {"replicas": replicas}});
            return Step::same("APPLY", self.by("/scale", true), body);
        }
        let body = json!({"spec": {"replicas": replicas}});
        Step::same("MERGE", self.by("/scale", false), body)
    }

    /// Drops all ownership, or one owner of the list.
    fn forget(&mut self) -> Step {
        let managed = if self.chance.one_in(2) {
            json!([{}])
        } else {
            json!([])
        };
        let body = json!({"metadata": {"managedFields": managed}});
        Step::same("MERGE", self.by("", false), body)
    }

    /// Sends a request to both, and reads the object after it. `Err` tells how they differ.
    async fn take(&mut self, pair: &Pair, step: &Step) -> Result<(), String> {
        let answers = pair.both(step.requests()).await;
        self.compare(answers, "the answer")?;
        let read = Step::same("GET", self.path.clone(), Value::Null);
        let answers = pair.both(read.requests()).await;
        for (side, answer) in answers.iter().enumerate() {
            self.live[side] = match answer.status.is_success() {
                true => answer.json().map_err(|error| error.to_string())?,
                false => Value::Null,
            };
        }
        self.compare(answers, "the object after it")
    }

    fn compare(
        &mut self,
        answers: [drover_testkit::http::Answer; 2],
        what: &str,
    ) -> Result<(), String> {
        let mut forms = Vec::new();
        for (side, mut answer) in answers.into_iter().enumerate() {
            if let Ok(mut body) = answer.json() {
                let whose = ["real", "ours"][side];
                sort_owners(&mut body).map_err(|wrong| format!("{what}: {whose}: {wrong}"))?;
                answer.body = body.to_string();
            }
            let mut form = self.normals[side].answer(&answer);
            // Unknown fields are told of in the order of members, which is Go's there and the alphabet's here.
            if let Some(warnings) = form["headers"]["warning"].as_array_mut() {
                warnings.sort_by_key(Value::to_string);
            }
            forms.push(form);
        }
        let mut found = String::new();
        if forms[0]["status"] != forms[1]["status"] {
            for (form, whose) in forms.iter().zip(["real", "ours"]) {
                let body = &form["body"];
                found.push_str(&format!(
                    "\n    {what}: {whose} {} {} {}",
                    form["status"], body["message"], body["details"]["causes"]
                ));
            }
            return Err(found);
        }
        crate::compare::compare(
            "",
            Some(&forms[0]),
            Some(&forms[1]),
            &mut |place, real, ours| {
                let show = |value: Option<&Value>| {
                    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
                };
                if quotes_the_object(place, real, ours)
                    || tells_the_difference(real, ours)
                    || shows_nothing(real, ours)
                {
                    return;
                }
                found.push_str(&format!(
                    "\n    {what}: {place}\n      real {:.1500}\n      ours {:.1500}",
                    show(real),
                    show(ours)
                ));
            },
        );
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

static REVISION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""resourceVersion":"\d+""#).unwrap());

/// Whether both texts quote the same object, whose members stand in another order, or a patched one, in which there
/// are revisions and after which Go names its types.
fn quotes_the_object(place: &str, real: Option<&Value>, ours: Option<&Value>) -> bool {
    if !place.ends_with("/message") {
        return false;
    }
    let parts = |text: Option<&Value>| {
        let text = text?.as_str()?;
        if let Some((before, _)) = text.split_once("patch: Invalid value: \"{") {
            return Some((before.to_owned(), Value::Null));
        }
        if text.starts_with("Invalid value: \"{") {
            return Some((String::new(), Value::Null));
        }
        let text = &REVISION.replace_all(text, "\"resourceVersion\":\"\"");
        let (start, end) = (text.find('{')?, text.rfind('}')? + 1);
        let mut quoted: Value = serde_json::from_str(text.get(start..end)?).ok()?;
        // Each was written at its server's own times, which order the entries.
        if let Some(entries) = quoted["metadata"]["managedFields"].as_array_mut() {
            entries.sort_by_key(Value::to_string);
        }
        Some((format!("{}{}", &text[..start], &text[end..]), quoted))
    };
    parts(real).is_some() && parts(real) == parts(ours)
}

/// Whether the texts differ only in that a map was given without content, which ours does not tell from no map.
fn shows_nothing(real: Option<&Value>, ours: Option<&Value>) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    text(real).map(|real| real.replace("Invalid value: {}", "Invalid value: null")) == text(ours)
        && ours.is_some()
}

/// Whether the real server only adds how its Go structures differ, line by line.
fn tells_the_difference(real: Option<&Value>, ours: Option<&Value>) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    text(real)
        .split_once("\n@@ ")
        .is_some_and(|(before, _)| before == text(ours))
}

/// Puts owners in an order without times, since the servers' clocks turn at different moments, after checking that they
/// stood in the order of their times.
fn sort_owners(object: &mut Value) -> Result<(), String> {
    let Some(Value::Array(owners)) = object.pointer_mut("/metadata/managedFields") else {
        return Ok(());
    };
    if !owners.is_sorted_by_key(|owner| owner_key(owner, true)) {
        return Err(format!(
            "owners out of order: {}",
            Value::from(owners.clone())
        ));
    }
    owners.sort_by_key(|owner| owner_key(owner, false));
    Ok(())
}

fn kinds(namespace: &str) -> Vec<Kind> {
    let text = std::fs::read_to_string(crate::folder().join("ownership/kinds.yaml")).unwrap();
    serde_saphyr::from_str(&text.replace("$N", namespace)).unwrap()
}

/// Makes the namespace and the definition on both.
async fn prepare(pair: &Pair, namespace: &str) {
    let text = std::fs::read_to_string(crate::folder().join("ownership/boats.yaml")).unwrap();
    let definition: Value = serde_saphyr::from_str(&text.replace("$N", namespace)).unwrap();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for (path, body) in [
        (
            "/api/v1/namespaces",
            json!({"metadata": {"name": namespace}}),
        ),
        (definitions, definition),
    ] {
        let made = Step::same("POST", path.to_owned(), body);
        for answer in pair.both(made.requests()).await {
            answer.expect(201).unwrap();
        }
    }
    let boats = format!("/apis/{namespace}.example.com/v1/namespaces/{namespace}/boats");
    wait::until("the definition to be served", LIMIT, || async {
        let read = Step::same("GET", boats.clone(), Value::Null);
        for answer in pair.both(read.requests()).await {
            answer.expect(200)?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

fn number(name: &str, usual: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => usual,
    }
}

/// The pattern of `kind` for the object `name`.
fn named(kind: &Kind, name: &str) -> Value {
    let mut object = kind.object.clone();
    object["metadata"]["name"] = json!(name);
    object
}

pub(crate) async fn play(pair: &Pair) {
    let namespace = "owners";
    prepare(pair, namespace).await;
    let kinds = kinds(namespace);
    let seed = number("DROVER_OWNERSHIP_SEED", 1);
    let sequences = number("DROVER_OWNERSHIP_STEPS", USUAL).div_ceil(STEPS);
    let mut wrong = Vec::new();
    for number in seed..seed + sequences {
        let kind = &kinds[number % kinds.len()];
        let name = format!("o{number}");
        let kind = Kind {
            path: kind.path.clone(),
            object: named(kind, &name),
            status: kind.status.clone(),
            scale: kind.scale.clone(),
        };
        let mut life = Life {
            path: format!("{}/{name}", kind.path),
            kind: &kind,
            chance: Chance::new(number as u64),
            live: [Value::Null, Value::Null],
            normals: [Normal::default(), Normal::default()],
        };
        let mut before = String::new();
        for count in 0..STEPS {
            let step = life.next();
            let taken = format!("{} {} {}", step.verb, step.path, step.bodies[0]);
            if let Err(difference) = life.take(pair, &step).await {
                wrong.push(format!(
                    "seed {number}, step {count}: {taken}{difference}\n    after {before}"
                ));
                break;
            }
            before = taken;
        }
        if wrong.len() >= SHOWN {
            break;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} sequences differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_those_of_a_real_api_server() {
    let pair = Pair::start().await;
    play(&pair).await;
    pair.stop().await;
}
