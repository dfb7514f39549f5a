//! Keeps what the hub said in the cluster itself, so that it outlives this process and is shared by the nodes of the
//! control plane.
//!
//! Owns the Secret [`KEPT_SECRET`]: the salt all nodes go by, and a key per node with its records. Each node writes its
//! own key alone, when something noticeable has changed. Tokens are in it as salted hashes. Whoever may write it may also
//! read the agent's own token beside it, which has all rights.
//!
//! It belongs to the DaemonSet, so that the cluster's garbage collection takes it along, and nothing is written once the hub
//! does not answer for this cluster any more.
//!
//! Without the Secret everything works, but a restart while the hub is away lets nobody in.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drover_dial::Chain;
use drover_types::names::{CREATOR_LABEL, CREATOR_NORMAN, SYSTEM_NAMESPACE};
use drover_types::review::{DAEMON_SET, KEPT_SECRET};
use http::StatusCode;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::kept::{Kept, Record, Salt};
use crate::kubernetes::{Api, ApiError};

const SALT: &str = "salt";
/// What keys of nodes begin with.
const NODE: &str = "node.";
/// How often it is looked whether something is worth a write, and the least time between two readings.
const EVERY: Duration = Duration::from_secs(5);
/// How long an answer to an API server waits for a reading.
const READING: Duration = Duration::from_secs(2);
/// Largest part of one node, in bytes: a Secret may have a MiB, control planes have up to seven nodes.
const LARGEST: usize = 96 << 10;

/// The Secret.
#[derive(Debug)]
pub struct Store {
    api: Api,
    /// This node's key.
    key: String,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the Secret is there and its salt is in use.
    open: bool,
    /// What was written last, by token.
    written: BTreeMap<String, Record>,
    read: Option<Instant>,
    /// The reference to the DaemonSet, once it was seen.
    owner: Option<Value>,
}

/// What is worth a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// What [`Record::is_outdated_by`] says.
    Noticeable,
    /// Any difference.
    Anything,
}

impl Store {
    /// The part of the node of this name.
    #[must_use]
    pub fn new(api: Api, node: &str) -> Self {
        // Names of nodes are names of keys as well; anything else would be refused for good.
        let node: String = node
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_'))
            .collect();
        Self {
            api,
            key: format!("{NODE}{node}"),
            state: tokio::sync::Mutex::default(),
        }
    }

    /// Reads what was kept, or makes the Secret; a failure is logged and tried again by [`Store::run`].
    pub async fn open(&self, kept: &Mutex<Kept>) {
        let mut state = self.state.lock().await;
        if let Err(error) = self.try_open(&mut state, kept).await {
            warn!(error = %Chain(&error), "what was kept of earlier answers cannot be read");
        }
    }

    async fn try_open(&self, state: &mut State, kept: &Mutex<Kept>) -> Result<(), ApiError> {
        state.read = Some(Instant::now());
        let secret = match self.api.find(&path()).await? {
            Some(secret) => secret,
            None => {
                let salt = kept.lock().salt();
                if state.owner.is_none() {
                    state.owner = self.api.find(&owner_path()).await?.map(|set| owner(&set));
                }
                let secret = new_secret(&salt, state.owner.as_ref());
                match self.api.create(&folder(), &secret).await {
                    Ok(secret) => secret,
                    // Another node was quicker.
                    Err(error) if error.status() == Some(StatusCode::CONFLICT) => {
                        self.api.get(&path()).await?
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let Some(salt) = salt_of(&secret) else {
            warn!("the Secret with earlier answers has no salt and is not used");
            return Ok(());
        };
        let now = Timestamp::now();
        let mut kept = kept.lock();
        kept.adopt(salt);
        for (key, records) in parts(&secret) {
            if key == self.key {
                state.written = by_token(&records);
            }
            kept.learn(records, now);
        }
        state.open = true;
        Ok(())
    }

    /// Learns what other nodes have kept meanwhile, if that was not looked up a moment ago.
    pub async fn read_again(&self, kept: &Mutex<Kept>) {
        let reading = async {
            let mut state = self.state.lock().await;
            if state.read.is_some_and(|read| read.elapsed() < EVERY) {
                return;
            }
            if let Err(error) = self.try_open(&mut state, kept).await {
                debug!(error = %Chain(&error), "what other nodes kept cannot be read");
            }
        };
        if timeout(READING, reading).await.is_err() {
            debug!("reading what other nodes kept takes too long");
        }
    }

    /// Writes what has changed until shutdown, and once more then.
    pub async fn run(&self, kept: &Mutex<Kept>, shutdown: &CancellationToken) {
        let mut rounds = interval(EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                // Whoever starts next begins with what is known here now.
                () = shutdown.cancelled() => Due::Anything,
                _ = rounds.tick() => Due::Noticeable,
            };
            if let Err(error) = self.write(kept, due).await {
                warn!(error = %Chain(&error), "answers cannot be kept for later");
            }
            if due == Due::Anything {
                return;
            }
        }
    }

    async fn write(&self, kept: &Mutex<Kept>, due: Due) -> Result<(), ApiError> {
        let mut state = self.state.lock().await;
        if kept.lock().is_disowned() {
            return Ok(());
        }
        if !state.open {
            self.try_open(&mut state, kept).await?;
        }
        if !state.open {
            return Ok(());
        }
        let records = kept.lock().records(Timestamp::now());
        let (text, records) = fitting(records);
        let records = by_token(&records);
        if !is_due(&state.written, &records, due) {
            return Ok(());
        }
        let mut data = Map::new();
        data.insert(self.key.clone(), json!(STANDARD.encode(text)));
        match self.api.patch(&path(), &json!({ "data": data })).await {
            Ok(_) => {
                debug!(tokens = records.len(), "kept for later");
                state.written = records;
                Ok(())
            }
            Err(error) => {
                // Perhaps somebody removed it; it is made anew.
                state.open = error.status() != Some(StatusCode::NOT_FOUND);
                Err(error)
            }
        }
    }
}

fn folder() -> String {
    format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets")
}

fn path() -> String {
    format!("{}/{KEPT_SECRET}", folder())
}

fn owner_path() -> String {
    format!("/apis/apps/v1/namespaces/{SYSTEM_NAMESPACE}/daemonsets/{DAEMON_SET}")
}

fn owner(set: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": DAEMON_SET, "uid": set["metadata"]["uid"],
    })
}

fn new_secret(salt: &Salt, owner: Option<&Value>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": KEPT_SECRET, "namespace": SYSTEM_NAMESPACE,
            "labels": {CREATOR_LABEL: CREATOR_NORMAN},
            "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
        },
        "data": {SALT: STANDARD.encode(salt)},
    })
}

fn salt_of(secret: &Value) -> Option<Salt> {
    let encoded = secret["data"][SALT].as_str()?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// The records of each node; what cannot be read is left out, its node writes it anew.
fn parts(secret: &Value) -> Vec<(String, Vec<Record>)> {
    let data = secret["data"].as_object().into_iter().flatten();
    let parts = data.filter(|(key, _)| key.starts_with(NODE));
    parts
        .filter_map(|(key, value)| {
            let text = STANDARD.decode(value.as_str()?).ok()?;
            Some((key.clone(), serde_json::from_slice(&text).ok()?))
        })
        .collect()
}

fn by_token(records: &[Record]) -> BTreeMap<String, Record> {
    records
        .iter()
        .map(|record| (record.token().to_owned(), record.clone()))
        .collect()
}

/// As many records as fit, as text and as they are.
fn fitting(mut records: Vec<Record>) -> (String, Vec<Record>) {
    loop {
        let text = json!(records).to_string();
        if text.len() <= LARGEST {
            return (text, records);
        }
        // Those that count longest stand first.
        let fits = records.len() * LARGEST / text.len();
        records.truncate(fits.min(records.len() - 1));
    }
}

fn is_due(
    written: &BTreeMap<String, Record>,
    records: &BTreeMap<String, Record>,
    due: Due,
) -> bool {
    match due {
        Due::Anything => written != records,
        Due::Noticeable => {
            written.len() != records.len()
                || records.iter().any(|(token, record)| {
                    written
                        .get(token)
                        .is_none_or(|written| written.is_outdated_by(record))
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use drover_types::review::{Answer, ReviewedUser};

    use super::*;
    use crate::authenticate::kept::{Asked, Look};
    use crate::testing::FakeKubernetes;

    fn kept(salt: u8) -> Mutex<Kept> {
        Mutex::new(Kept::new([salt; 32]))
    }

    fn let_in(kept: &Mutex<Kept>, token: &str, groups: Vec<String>) {
        let mut kept = kept.lock();
        let (fingerprint, now) = (kept.fingerprint(token), Timestamp::now());
        let Look::Ask { ticket, .. } = kept.look(fingerprint, now) else {
            panic!("{token} is known")
        };
        let answer = Answer {
            user: Some(ReviewedUser {
                username: "u-1".to_owned(),
                groups,
                extra: BTreeMap::new(),
            }),
            holds_for_seconds: 3600,
        };
        kept.settle(fingerprint, ticket, Asked::Answered(answer), now);
    }

    fn is_known(kept: &Mutex<Kept>, token: &str) -> bool {
        let mut kept = kept.lock();
        let fingerprint = kept.fingerprint(token);
        matches!(kept.look(fingerprint, Timestamp::now()), Look::Say(_))
    }

    #[tokio::test]
    async fn answers_outlive_the_process_and_are_shared_by_nodes() {
        let kubernetes = FakeKubernetes::start().await;
        let (one, first) = (Store::new(kubernetes.api(), "node-1"), kept(1));
        one.open(&first).await;
        let_in(&first, "a:b", Vec::new());
        one.write(&first, Due::Noticeable).await.unwrap();

        let (two, second) = (Store::new(kubernetes.api(), "node-2"), kept(2));
        two.open(&second).await;
        assert!(is_known(&second, "a:b"), "by the salt of the Secret");
        let_in(&second, "c:d", Vec::new());
        two.write(&second, Due::Noticeable).await.unwrap();

        let (again, third) = (Store::new(kubernetes.api(), "node-1"), kept(3));
        again.open(&third).await;
        assert!(is_known(&third, "a:b") && is_known(&third, "c:d"));
        let secret = kubernetes.object(&path()).unwrap().to_string();
        assert!(!secret.contains("a:b") && !secret.contains(&STANDARD.encode("a:b")));
    }

    #[tokio::test]
    async fn it_goes_with_the_daemon_set_and_is_not_made_anew_for_a_cluster_the_hub_disowns() {
        let kubernetes = FakeKubernetes::start().await;
        kubernetes.put(&owner_path(), json!({}));
        let (store, kept) = (Store::new(kubernetes.api(), "node-1"), kept(1));
        store.open(&kept).await;
        let secret = kubernetes.object(&path()).unwrap();
        let owners = &secret["metadata"]["ownerReferences"];
        assert_eq!(owners[0]["uid"], format!("uid-{}", owner_path()));

        let_in(&kept, "a:b", Vec::new());
        let stranger = kept.lock().fingerprint("c:d");
        let Look::Ask { ticket, .. } = kept.lock().look(stranger, Timestamp::now()) else {
            panic!("c:d is known")
        };
        kept.lock()
            .settle(stranger, ticket, Asked::Refused, Timestamp::now());
        kubernetes.api().delete(&path()).await.unwrap();
        store.write(&kept, Due::Noticeable).await.unwrap();
        assert_eq!(kubernetes.object(&path()), None);
    }

    #[tokio::test]
    async fn a_secret_that_somebody_removed_is_made_anew() {
        let kubernetes = FakeKubernetes::start().await;
        let (store, kept) = (Store::new(kubernetes.api(), "node-1"), kept(1));
        store.open(&kept).await;
        kubernetes.api().delete(&path()).await.unwrap();
        let_in(&kept, "a:b", Vec::new());
        assert!(store.write(&kept, Due::Noticeable).await.is_err());
        store.write(&kept, Due::Noticeable).await.unwrap();
        let secret = kubernetes.object(&path()).unwrap();
        assert_eq!(parts(&secret)[0].1.len(), 1);
    }

    #[tokio::test]
    async fn an_answer_of_a_moment_later_is_written_at_the_end() {
        let kubernetes = FakeKubernetes::start().await;
        let (store, kept) = (Store::new(kubernetes.api(), "node-1"), kept(1));
        store.open(&kept).await;
        let_in(&kept, "a:b", Vec::new());
        store.write(&kept, Due::Noticeable).await.unwrap();
        let written = || kubernetes.object(&path()).unwrap()["data"][store.key.as_str()].clone();
        let before = written();

        let newer: Vec<Value> = kept
            .lock()
            .records(Timestamp::now())
            .iter()
            .map(|record| {
                let mut record = json!(record);
                for time in ["said", "until"] {
                    let later: Timestamp = record[time].as_str().unwrap().parse().unwrap();
                    record[time] = json!(later + jiff::SignedDuration::from_millis(1));
                }
                record
            })
            .collect();
        let newer = serde_json::from_value(json!(newer)).unwrap();
        kept.lock()
            .learn(newer, Timestamp::now() + jiff::SignedDuration::from_secs(1));
        store.write(&kept, Due::Noticeable).await.unwrap();
        assert_eq!(written(), before);

        let ended = CancellationToken::new();
        ended.cancel();
        store.run(&kept, &ended).await;
        assert_ne!(written(), before);
    }

    #[test]
    fn a_part_has_its_bound() {
        let kept = kept(1);
        for n in 0..100 {
            let_in(&kept, &format!("a:{n}"), vec!["g".repeat(4096)]);
        }
        let records = kept.lock().records(Timestamp::now());
        let (text, fitting) = fitting(records);
        assert!(
            text.len() <= LARGEST && fitting.len() > 10,
            "{}",
            fitting.len()
        );
    }
}
