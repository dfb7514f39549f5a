//! Random histories: whatever happens to tokens, people, groups and the watch, no request runs with an identity or a group
//! that its token does not have.
//!
//! What should come out is worked out from the history alone. While the watch is held back, what was true before may
//! still count, but never what this server itself was told is over.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const CLUSTERS: [&str; 2] = ["c-1", "c-2"];
const PATHS: [(&str, Option<&str>); 3] = [
    ("/v3/users", None),
    ("/k8s/clusters/c-1/api", Some("c-1")),
    ("/k8s/clusters/c-2/api", Some("c-2")),
];
const GROUPS: [&str; 3] = ["x_group://1", "x_group://2", "y_group://1"];
/// Of some tokens.
const SHORT: i64 = 60_000;

/// Something that happens; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Person,
    Enable(usize, bool),
    Groups(usize, Vec<&'static str>),
    RemovePerson(usize),
    Issue(usize, Option<&'static str>, bool),
    /// A token made with another.
    Derive(usize, Option<&'static str>),
    EndHere(usize),
    EndElsewhere(usize),
    Disable(usize),
    Wait(u64),
    Hold(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..8_usize;
    let cluster = || prop::option::of(select(&CLUSTERS[..]));
    prop_oneof![
        2 => Just(Step::Person),
        2 => (one(), any::<bool>()).prop_map(|(n, on)| Step::Enable(n, on)),
        3 => (one(), prop::sample::subsequence(&GROUPS[..], 0..=3)).prop_map(|(n, groups)| Step::Groups(n, groups)),
        1 => one().prop_map(Step::RemovePerson),
        4 => (one(), cluster(), any::<bool>()).prop_map(|(n, cluster, short)| Step::Issue(n, cluster, short)),
        2 => (one(), cluster()).prop_map(|(n, cluster)| Step::Derive(n, cluster)),
        2 => one().prop_map(Step::EndHere),
        1 => one().prop_map(Step::EndElsewhere),
        1 => one().prop_map(Step::Disable),
        1 => (1..90_u64).prop_map(Step::Wait),
        2 => any::<bool>().prop_map(Step::Hold),
    ]
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    enabled: bool,
    groups: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Key {
    name: String,
    bearer: SecretString,
    owner: usize,
    cluster: Option<&'static str>,
    ends: Timestamp,
}

/// What is true of people and tokens; by their numbers, which nothing takes anew.
#[derive(Clone, Debug, Default)]
struct Truth {
    people: BTreeMap<usize, Known>,
    /// Those that are there, and whether they are enabled.
    tokens: BTreeMap<usize, bool>,
}

impl Truth {
    fn person(&self, n: usize) -> bool {
        self.people.get(&n).is_some_and(|known| known.enabled)
    }

    fn token(&self, n: usize) -> bool {
        self.tokens.get(&n).copied().unwrap_or(false)
    }
}

struct History {
    running: Running,
    /// Everybody there ever was.
    people: Vec<Identity>,
    /// Every token there ever was.
    keys: Vec<Key>,
    truth: Truth,
    /// What the watch has shown.
    shown: Truth,
    /// Tokens whose end this server acknowledged.
    ended: BTreeSet<usize>,
    held: bool,
    /// Identities that requests ran with, and by which token.
    seen: Vec<(usize, Identity)>,
}

impl History {
    async fn begin() -> Self {
        Self {
            running: running().await,
            people: Vec::new(),
            keys: Vec::new(),
            truth: Truth::default(),
            shown: Truth::default(),
            ended: BTreeSet::new(),
            held: false,
            seen: Vec::new(),
        }
    }

    fn choose<T>(list: &[T], n: usize) -> Option<usize> {
        (!list.is_empty()).then(|| n % list.len())
    }

    async fn apply(&mut self, step: &Step) {
        let (users, tokens, attributes): (Api<User>, Api<Token>, Api<UserAttribute>) = (
            Api::all(self.running.store.client()),
            Api::all(self.running.store.client()),
            Api::all(self.running.store.client()),
        );
        let params = PatchParams::default();
        match step {
            Step::Person => {
                let n = self.people.len();
                self.people.push(self.running.user(&format!("u-{n}")).await);
                let attribute = UserAttribute::named(&format!("u-{n}"));
                attributes
                    .create(&PostParams::default(), &attribute)
                    .await
                    .unwrap();
                let known = Known {
                    enabled: true,
                    ..Known::default()
                };
                self.truth.people.insert(n, known);
            }
            Step::Enable(n, on) => {
                let Some(n) = Self::choose(&self.people, *n) else {
                    return;
                };
                if let Some(known) = self.truth.people.get_mut(&n) {
                    let change = Patch::Merge(json!({ "enabled": on }));
                    users
                        .patch(&format!("u-{n}"), &params, &change)
                        .await
                        .unwrap();
                    known.enabled = *on;
                }
            }
            Step::Groups(n, groups) => {
                let Some(n) = Self::choose(&self.people, *n) else {
                    return;
                };
                let Some(known) = self.truth.people.get_mut(&n) else {
                    return;
                };
                let items: Vec<_> = groups
                    .iter()
                    .map(|name| json!({"metadata": {"name": name}}))
                    .collect();
                let change = Patch::Merge(json!({"GroupPrincipals": {"x": {"Items": items}}}));
                attributes
                    .patch(&format!("u-{n}"), &params, &change)
                    .await
                    .unwrap();
                known.groups = groups.iter().map(|&group| group.to_owned()).collect();
            }
            Step::RemovePerson(n) => {
                let Some(n) = Self::choose(&self.people, *n) else {
                    return;
                };
                if self.truth.people.remove(&n).is_some() {
                    users
                        .delete(&format!("u-{n}"), &DeleteParams::default())
                        .await
                        .unwrap();
                }
            }
            Step::Issue(n, cluster, short) => {
                let Some(n) = Self::choose(&self.people, *n) else {
                    return;
                };
                let owner = self.people[n].clone();
                self.issue(n, &owner, *cluster, *short, *cluster).await;
            }
            Step::Derive(n, wanted) => {
                let Some(n) = Self::choose(&self.keys, *n) else {
                    return;
                };
                let key = self.keys[n].clone();
                let path = key.cluster.map_or_else(
                    || "/v3".to_owned(),
                    |cluster| format!("/k8s/clusters/{cluster}/api"),
                );
                let Ok(Some(identity)) = self.running.ask(&key.bearer, &path).await else {
                    return;
                };
                // What is made with a token for one cluster is for that cluster.
                self.issue(
                    key.owner,
                    &identity,
                    *wanted,
                    false,
                    key.cluster.or(*wanted),
                )
                .await;
            }
            Step::EndHere(n) => {
                let Some(n) = Self::choose(&self.keys, *n) else {
                    return;
                };
                self.running
                    .auth
                    .logins
                    .delete_token(&self.keys[n].name)
                    .await
                    .unwrap();
                self.truth.tokens.remove(&n);
                self.ended.insert(n);
            }
            Step::EndElsewhere(n) => {
                let Some(n) = Self::choose(&self.keys, *n) else {
                    return;
                };
                if self.truth.tokens.remove(&n).is_some() {
                    tokens
                        .delete(&self.keys[n].name, &DeleteParams::default())
                        .await
                        .unwrap();
                }
            }
            Step::Disable(n) => {
                let Some(n) = Self::choose(&self.keys, *n) else {
                    return;
                };
                if let Some(enabled) = self.truth.tokens.get_mut(&n) {
                    *enabled = false;
                    let change = Patch::Merge(json!({ "enabled": false }));
                    tokens
                        .patch(&self.keys[n].name, &params, &change)
                        .await
                        .unwrap();
                }
            }
            Step::Wait(seconds) => self.running.clock.advance(Duration::from_secs(*seconds)),
            Step::Hold(true) if !self.held => {
                self.held = true;
                self.running.store.hold_watches();
            }
            Step::Hold(false) if self.held => {
                self.held = false;
                self.running.store.release_watches();
            }
            Step::Hold(_) => {}
        }
        if !self.held {
            self.catch_up().await;
        }
    }

    async fn issue(
        &mut self,
        n: usize,
        owner: &Identity,
        wanted: Option<&str>,
        short: bool,
        cluster: Option<&'static str>,
    ) {
        let ttl = if short { SHORT } else { 3_600_000 };
        let token = NewToken {
            ttl,
            cluster: wanted.map(str::to_owned),
            ..NewToken::default()
        };
        let issued = self
            .running
            .auth
            .logins
            .create_token(owner, &token)
            .await
            .unwrap();
        self.truth.tokens.insert(self.keys.len(), true);
        self.keys.push(Key {
            name: issued.name,
            bearer: issued.bearer,
            owner: n,
            cluster,
            ends: issued.expires_at.unwrap(),
        });
    }

    /// Waits until the watch has shown everything.
    async fn catch_up(&mut self) {
        let inner = &self.running.auth.authenticator.0;
        let (truth, keys, n_people) = (&self.truth, &self.keys, self.people.len());
        let people = || {
            (0..n_people).all(|n| {
                let name = format!("u-{n}");
                let held = inner.memberships.get(&name).map(|held| (*held).clone());
                match truth.people.get(&n) {
                    Some(known) => {
                        inner
                            .people
                            .get(&name)
                            .is_some_and(|person| person.enabled == known.enabled)
                            && held.is_some_and(|held| held == known.groups)
                    }
                    None => inner.people.get(&name).is_none(),
                }
            })
        };
        let tokens = || {
            keys.iter().enumerate().all(|(n, key)| {
                let shown = inner.tokens.get(&key.name).map(|token| token.enabled);
                shown == truth.tokens.get(&n).copied()
            })
        };
        self.running.until(|| people() && tokens()).await;
        self.shown = self.truth.clone();
    }

    /// The groups of a person as the watch has shown them.
    fn groups(&self, person: usize) -> BTreeSet<String> {
        let known = self.shown.people.get(&person);
        let mut groups = known.map(|known| known.groups.clone()).unwrap_or_default();
        groups.extend([GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED].map(str::to_owned));
        groups
    }

    /// Whether a token is good; while the watch is held, what it last showed may count too.
    fn is_good(&self, n: usize) -> (bool, bool) {
        let key = &self.keys[n];
        let over = self.ended.contains(&n) || self.running.clock.now() >= key.ends;
        let sure = self.truth.token(n) && self.truth.person(key.owner);
        let perhaps = (self.truth.token(n) || self.shown.token(n))
            && (self.truth.person(key.owner) || self.shown.person(key.owner));
        (!over && sure, !over && (sure || (self.held && perhaps)))
    }

    /// Sends a request with every token along every path.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        for n in 0..self.keys.len() {
            let key = self.keys[n].clone();
            let (must, may) = self.is_good(n);
            for (path, cluster) in PATHS {
                let reaches = key.cluster.is_none() || key.cluster == cluster;
                let answer = self.running.ask(&key.bearer, path).await;
                let Ok(Some(identity)) = answer else {
                    // Held back, the watch may also not have shown that somebody may again.
                    prop_assert!(
                        self.held || !(must && reaches),
                        "{path} with {} is refused",
                        key.name
                    );
                    continue;
                };
                prop_assert!(may && reaches, "{path} with {} is let in", key.name);
                prop_assert_eq!(identity.user.as_str(), format!("u-{}", key.owner));
                prop_assert_eq!(&identity.groups, &self.groups(key.owner));
                let token = identity.token.as_ref().unwrap();
                prop_assert_eq!(&token.name, &key.name);
                prop_assert_eq!(token.cluster.as_deref(), key.cluster);
                let seen = (n, identity);
                if !self.seen.contains(&seen) {
                    self.seen.push(seen);
                }
            }
        }
        // What runs on goes on exactly as long as a new request would have all of its groups.
        for (n, identity) in &self.seen {
            let lasts = self
                .running
                .auth
                .authenticator
                .lasts(identity, Duration::from_secs(1))
                .await;
            let (must, may) = self.is_good(*n);
            let held = identity.groups.is_subset(&self.groups(self.keys[*n].owner));
            prop_assert!(
                lasts.is_none() || (may && held),
                "{} runs on",
                self.keys[*n].name
            );
            prop_assert!(
                lasts.is_some() || self.held || !(must && held),
                "{} is ended",
                self.keys[*n].name
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_request_runs_with_what_its_token_does_not_have(steps in prop::collection::vec(step(), 1..28)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut history = History::begin().await;
            for step in &steps {
                history.apply(step).await;
                history.check().await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
