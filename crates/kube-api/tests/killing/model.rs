//! What was acknowledged, what may have happened, and whether the server agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use http::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{Client, Gone, MAPS, name, revision};
use super::process::Process;
use super::watcher::{Seen, Stretch, Watcher};

const N_WRITERS: usize = 6;
const N_OBJECTS: usize = 5;
const COUNTER: &str = "counter";

/// How the names of the model's objects begin.
pub(crate) const OURS: [&str; 2] = ["writer-", COUNTER];

/// One change of one object. The value of each is unique in its object; a deletion has that of the state it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    kind: &'static str,
    value: String,
    /// Unknown for deletions, and for what was not acknowledged.
    revision: Option<u64>,
}

/// An object that one writer owns.
#[derive(Debug)]
struct Object {
    name: String,
    /// What has happened to it, in order.
    steps: Vec<Step>,
    /// What may have happened last.
    pending: Option<Step>,
}

impl Object {
    /// The state it should have: its value and revision.
    fn state(&self) -> Option<(&str, Option<u64>)> {
        self.steps
            .last()
            .filter(|step| step.kind != "DELETED")
            .map(|step| (step.value.as_str(), step.revision))
    }

    /// Compares with what the server has after a kill, and learns whether the pending change took place.
    fn settle(&mut self, found: Option<(&str, u64)>) {
        if let Some(mut pending) = self.pending.take() {
            let happened = match (pending.kind, found) {
                ("DELETED", found) => found.is_none(),
                (_, Some((value, revision))) => {
                    pending.revision = Some(revision);
                    value == pending.value
                }
                (_, None) => false,
            };
            if happened {
                self.steps.push(pending);
            }
        }
        let expected = self
            .state()
            .map(|(value, revision)| (value, revision.expect("known once settled")));
        assert_eq!(expected, found, "{}: {:?}", self.name, self.steps);
    }
}

/// The object that all writers change, each only the version it read.
#[derive(Debug, Default)]
struct Counter {
    /// Revisions of acknowledged values.
    acknowledged: BTreeMap<u64, u64>,
    /// Values somebody tried to write when the server died.
    pending: BTreeSet<u64>,
    value: u64,
}

impl Counter {
    fn settle(&mut self, found: Option<(&str, u64)>) {
        let (value, revision) = match found {
            Some((value, revision)) => (value.parse().expect("a number"), Some(revision)),
            None => (0, None),
        };
        for step in self.value + 1..=value {
            assert!(
                self.acknowledged.contains_key(&step) || self.pending.contains(&step),
                "the counter is at {value}, but nobody wrote {step}"
            );
        }
        let last = self
            .acknowledged
            .keys()
            .next_back()
            .copied()
            .unwrap_or_default();
        assert!(
            value >= last,
            "the counter is at {value}, and {last} was acknowledged"
        );
        if let Some(revision) = revision {
            let known = *self.acknowledged.entry(value).or_insert(revision);
            assert_eq!(known, revision, "the counter at {value}");
        }
        self.pending.clear();
        self.value = value;
    }

    fn steps(&self) -> Vec<Step> {
        let step = |value: u64| Step {
            kind: if value == 1 { "ADDED" } else { "MODIFIED" },
            value: value.to_string(),
            revision: self.acknowledged.get(&value).copied(),
        };
        (1..=self.value).map(step).collect()
    }
}

/// A client that writes until the server dies.
struct Writer {
    random: StdRng,
    index: usize,
    sequence: u64,
    objects: Vec<Object>,
    /// Its acknowledged values of the counter with their revisions, and the one under way.
    counted: Vec<(u64, u64)>,
    counting: Option<u64>,
}

impl Writer {
    fn new(index: usize, random: &mut StdRng) -> Self {
        let object = |n| Object {
            name: format!("writer-{index}-{n}"),
            steps: Vec::new(),
            pending: None,
        };
        Self {
            random: StdRng::seed_from_u64(random.random()),
            index,
            sequence: 0,
            objects: (0..N_OBJECTS).map(object).collect(),
            counted: Vec::new(),
            counting: None,
        }
    }

    async fn run(&mut self, socket: &Path, acknowledged: &mpsc::UnboundedSender<()>) {
        let Ok(client) = Client::try_connect(socket).await else {
            return;
        };
        loop {
            let done = if self.random.random_ratio(1, 5) {
                self.count(&client).await
            } else {
                self.change(&client).await
            };
            if done.is_err() {
                return;
            }
            // Nobody counts any more once the server is being killed.
            let _ = acknowledged.send(());
        }
    }

    /// Creates, updates or deletes one of its own objects.
    async fn change(&mut self, client: &Client) -> Result<(), Gone> {
        let which = self.random.random_range(0..self.objects.len());
        self.sequence += 1;
        let value = format!("{}.{}", self.index, self.sequence);
        let object = &mut self.objects[which];
        let uri = format!("{MAPS}/{}", object.name);
        let mut body = config_map(&object.name, &value);
        let Some((last, revision_before)) = object
            .state()
            .map(|(value, revision)| (value.to_owned(), revision))
        else {
            object.pending = Some(Step {
                kind: "ADDED",
                value,
                revision: None,
            });
            let (status, answer) = client.call(Method::POST, MAPS, Some(&body)).await?;
            assert_eq!(status, StatusCode::CREATED, "{answer}");
            acknowledge(object, &answer);
            return Ok(());
        };
        if self.random.random_ratio(1, 6) {
            object.pending = Some(Step {
                kind: "DELETED",
                value: last,
                revision: None,
            });
            let (status, answer) = client.call(Method::DELETE, &uri, None).await?;
            assert_eq!(status, StatusCode::OK, "{answer}");
            object.steps.extend(object.pending.take());
            return Ok(());
        }
        object.pending = Some(Step {
            kind: "MODIFIED",
            value,
            revision: None,
        });
        if self.random.random() {
            body["metadata"]["resourceVersion"] = json!(
                revision_before
                    .expect("known after every start")
                    .to_string()
            );
        }
        let (status, answer) = client.call(Method::PUT, &uri, Some(&body)).await?;
        assert_eq!(status, StatusCode::OK, "nobody else writes it: {answer}");
        acknowledge(object, &answer);
        Ok(())
    }

    /// Adds one to the counter, unless somebody else was quicker.
    async fn count(&mut self, client: &Client) -> Result<(), Gone> {
        let (status, read) = client
            .call(Method::GET, &format!("{MAPS}/{COUNTER}"), None)
            .await?;
        let (method, uri, next) = if status == StatusCode::NOT_FOUND {
            (Method::POST, MAPS.to_owned(), 1)
        } else {
            let value: u64 = read["data"]["value"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("a number");
            (Method::PUT, format!("{MAPS}/{COUNTER}"), value + 1)
        };
        let mut body = config_map(COUNTER, &next.to_string());
        if next > 1 {
            body["metadata"]["resourceVersion"] = read["metadata"]["resourceVersion"].clone();
        }
        self.counting = Some(next);
        let (status, answer) = client.call(method, &uri, Some(&body)).await?;
        self.counting = None;
        if status.is_success() {
            self.counted.push((next, revision(&answer)));
        } else {
            assert_eq!(status, StatusCode::CONFLICT, "{answer}");
        }
        Ok(())
    }
}

fn acknowledge(object: &mut Object, answer: &Value) {
    let mut step = object.pending.take().expect("it was just written");
    assert_eq!(answer["data"]["value"], *step.value);
    let new = revision(answer);
    assert!(
        object
            .steps
            .iter()
            .filter_map(|step| step.revision)
            .all(|old| old < new),
        "{}: revision {new}",
        object.name
    );
    step.revision = Some(new);
    object.steps.push(step);
}

fn config_map(name: &str, value: &str) -> Value {
    // The filler makes updates cross pages of the file.
    let filler = "x".repeat(value.len() * 97 % 3000);
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "killing"}},
        "data": {"value": value, "filler": filler},
    })
}

/// Everything the test knows.
pub(crate) struct World {
    writers: Vec<Writer>,
    watchers: Vec<Watcher>,
    counter: Counter,
    /// Not yet compared.
    stretches: Vec<Stretch>,
    n_seen: usize,
    n_resumed: usize,
}

impl World {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        Self {
            writers: (0..N_WRITERS)
                .map(|index| Writer::new(index, random))
                .collect(),
            watchers: [
                "",
                "labelSelector=app%3Dkilling",
                "fieldSelector=metadata.name!%3Dx",
            ]
            .map(Watcher::new)
            .into(),
            counter: Counter::default(),
            stretches: Vec::new(),
            n_seen: 0,
            n_resumed: 0,
        }
    }

    /// Lets everybody work until `n_writes` requests were answered, and kills the server.
    pub(crate) async fn run_until_killed(&mut self, process: &mut Process, n_writes: usize) {
        let socket: PathBuf = process.socket().to_owned();
        let (sender, mut acknowledged) = mpsc::unbounded_channel();
        let writers = std::mem::take(&mut self.writers)
            .into_iter()
            .map(|mut writer| {
                let (socket, sender) = (socket.clone(), sender.clone());
                tokio::spawn(async move {
                    writer.run(&socket, &sender).await;
                    writer
                })
            });
        let writers: Vec<_> = writers.collect();
        drop(sender);
        let watchers = std::mem::take(&mut self.watchers)
            .into_iter()
            .map(|mut watcher| {
                let socket = socket.clone();
                tokio::spawn(async move {
                    let stretch = watcher.run(&socket).await;
                    (watcher, stretch)
                })
            });
        let watchers: Vec<_> = watchers.collect();
        for _ in 0..n_writes {
            acknowledged
                .recv()
                .await
                .expect("writers go on until the server dies");
        }
        process.kill();
        for task in writers {
            let mut writer = task.await.expect("a writer");
            for (value, revision) in writer.counted.drain(..) {
                assert_eq!(
                    self.counter.acknowledged.insert(value, revision),
                    None,
                    "two wrote {value}"
                );
            }
            self.counter.pending.extend(writer.counting.take());
            self.writers.push(writer);
        }
        for task in watchers {
            let (watcher, stretch) = task.await.expect("a watcher");
            self.watchers.push(watcher);
            self.stretches.push(stretch);
        }
    }

    /// Compares a server that was just started with all that is known.
    pub(crate) async fn check(&mut self, client: &Client) {
        let (status, list) = client
            .call(Method::GET, MAPS, None)
            .await
            .expect("the server runs");
        assert_eq!(status, StatusCode::OK);
        let items = list["items"].as_array().expect("items");
        let found: BTreeMap<&str, (&str, u64)> = items
            .iter()
            .filter(|item| OURS.iter().any(|ours| name(item).starts_with(ours)))
            .map(|item| {
                (
                    name(item),
                    (
                        item["data"]["value"].as_str().expect("a value"),
                        revision(item),
                    ),
                )
            })
            .collect();
        for object in self
            .writers
            .iter_mut()
            .flat_map(|writer| &mut writer.objects)
        {
            object.settle(found.get(object.name.as_str()).copied());
        }
        self.counter.settle(found.get(COUNTER).copied());
        let newest = revision(&list);
        for watcher in &self.watchers {
            assert!(
                newest >= watcher.last(),
                "the server is at {newest}, behind what {} saw",
                watcher.last()
            );
        }
        self.compare_stretches(newest);
    }

    fn compare_stretches(&mut self, newest: u64) {
        let counter = self.counter.steps();
        let objects = self.writers.iter().flat_map(|writer| &writer.objects);
        let histories: BTreeMap<&str, &[Step]> = objects
            .map(|object| (object.name.as_str(), object.steps.as_slice()))
            .chain([(COUNTER, counter.as_slice())])
            .collect();
        let mut revisions: BTreeMap<u64, (&str, &str)> = BTreeMap::new();
        for (name, steps) in &histories {
            for (revision, step) in steps.iter().filter_map(|step| Some((step.revision?, step))) {
                let other = revisions.insert(revision, (name, &step.value));
                assert!(
                    other.is_none(),
                    "{name} and {other:?} have revision {revision}"
                );
                assert!(
                    revision <= newest,
                    "{name} was at {revision}, the server is at {newest}"
                );
            }
        }
        for stretch in self.stretches.drain(..) {
            self.n_seen += stretch.events.len();
            self.n_resumed += usize::from(stretch.resumed);
            for (name, steps) in &histories {
                let events: Vec<&Seen> = stretch
                    .events
                    .iter()
                    .filter(|seen| seen.name == *name)
                    .collect();
                compare(name, steps, &events, &stretch);
            }
        }
    }

    pub(crate) fn summary(&self) -> String {
        let steps: usize = self
            .writers
            .iter()
            .flat_map(|writer| &writer.objects)
            .map(|object| object.steps.len())
            .sum();
        format!(
            "{steps} changes, counter at {}, {} events seen",
            self.counter.value, self.n_seen
        )
    }

    /// Whether the run can have found anything.
    pub(crate) fn is_worth_it(&self, rounds: u64) -> bool {
        let rounds = usize::try_from(rounds).unwrap_or(usize::MAX);
        let steps: usize = self
            .writers
            .iter()
            .flat_map(|writer| &writer.objects)
            .map(|object| object.steps.len())
            .sum();
        steps > rounds && self.n_seen > rounds && self.counter.value > 0
    }
}

/// The events of one object must be its steps, without a gap: at least all that are known to lie in the stretch.
fn compare(name: &str, steps: &[Step], events: &[&Seen], stretch: &Stretch) {
    let last = stretch
        .events
        .last()
        .map_or(stretch.after, |seen| seen.revision);
    let inside = |step: &Step| {
        step.revision
            .is_some_and(|revision| revision > stretch.after && revision <= last)
    };
    let due = steps
        .iter()
        .position(inside)
        .zip(steps.iter().rposition(inside));
    let Some(first) = events.first() else {
        assert_eq!(
            due, None,
            "{name}: nothing was seen between {} and {last}: {steps:?}",
            stretch.after
        );
        return;
    };
    let same = |step: &Step, seen: &Seen| {
        step.kind == seen.kind
            && step.value == seen.value
            && step
                .revision
                .is_none_or(|revision| revision == seen.revision)
    };
    let start = steps.iter().position(|step| same(step, first));
    assert!(
        start.is_some(),
        "{name}: {first:?} was seen, but is undone: {steps:?}"
    );
    let start = start.unwrap_or_default();
    let end = start + events.len();
    assert!(
        end <= steps.len()
            && steps[start..end]
                .iter()
                .zip(events)
                .all(|(step, seen)| same(step, seen)),
        "{name}: {events:?} is not a part of {steps:?}"
    );
    if let Some((due_first, due_last)) = due {
        assert!(
            start <= due_first && due_last < end,
            "{name}: {events:?} lacks some of {steps:?}"
        );
    }
}
