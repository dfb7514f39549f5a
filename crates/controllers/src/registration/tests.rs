//! Registration tokens, state by state.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn settings() -> Settings {
    Settings::of([
        ("server-url", "https://server.example:8443/"),
        ("cacerts", "pem"),
    ])
}

fn token(name: &str) -> ClusterRegistrationToken {
    let mut token = registration_token("c-skw55", name);
    token.metadata.uid = Some("uid".to_owned());
    token.metadata.resource_version = Some("5".to_owned());
    token
}

/// One object with its Secret, as a store would hold them.
struct World {
    token: ClusterRegistrationToken,
    secret: Option<Secret>,
    settings: Settings,
    connected: bool,
    n_fresh: u32,
}

impl World {
    fn new(name: &str) -> Self {
        Self {
            token: token(name),
            secret: None,
            settings: settings(),
            connected: true,
            n_fresh: 0,
        }
    }

    fn step(&mut self, now: Timestamp) -> Plan {
        self.n_fresh += 1;
        let fresh = format!("fresh-{}", self.n_fresh);
        let observed = Observed {
            token: &self.token,
            secret: self.secret.as_ref(),
            settings: &self.settings,
            connected: self.connected,
            fresh: &fresh,
        };
        let plan = reconcile(&observed, now);
        for action in plan.actions.iter().chain(&plan.status) {
            match action {
                Action::Create { object, .. } => {
                    self.secret = Some(serde_json::from_value(object.clone()).unwrap())
                }
                Action::Patch { target, patch, .. } if target.kind() == "Secret" => {
                    let data = serde_json::from_value(patch["data"].clone()).unwrap();
                    self.secret.as_mut().unwrap().data = Some(data);
                }
                Action::Replace { object, .. } => {
                    self.token = serde_json::from_value(object.clone()).unwrap()
                }
                Action::Apply { .. } | Action::Delete { .. } | Action::Patch { .. } => {
                    panic!("not expected: {action:?}")
                }
            }
        }
        plan
    }

    fn held(&self) -> Held {
        Held::read(self.secret.as_ref().unwrap())
    }
}

#[test]
fn a_new_token_gets_its_secret_and_the_recorded_commands() {
    let mut world = World::new(DEFAULT_TOKEN);
    let plan = world.step(at(0));
    let secret = world.secret.as_ref().unwrap();
    assert_eq!(
        secret.metadata.name.as_deref(),
        Some("crt-token-default-token")
    );
    assert_eq!(
        secret.metadata.owner_references.as_ref().unwrap()[0].uid,
        "uid"
    );
    assert_eq!(world.held().token, "fresh-1");
    assert_eq!(plan.requeue_at, Some(at(30 * 86_400)));
    let sum = settings().ca_checksum();
    let status = &world.token.status;
    assert_eq!(
        status.manifest_url,
        "https://server.example:8443/v3/import/{token}_c-skw55.yaml"
    );
    assert_eq!(
        status.command,
        "kubectl apply -f https://server.example:8443/v3/import/{token}_c-skw55.yaml"
    );
    assert_eq!(
        status.insecure_command,
        "curl --insecure -sfL https://server.example:8443/v3/import/{token}_c-skw55.yaml | kubectl apply -f -"
    );
    assert_eq!(
        status.insecure_node_command,
        format!(
            " curl --insecure -fL https://server.example:8443/system-agent-install.sh | sudo  sh -s - --server https://server.example:8443 --label 'cattle.io/os=linux' --token {{token}} --ca-checksum {sum}"
        )
    );
    assert_eq!(
        status.windows_node_command,
        format!(
            " curl.exe -fL https://server.example:8443/wins-agent-install.ps1 -o install.ps1; Set-ExecutionPolicy Bypass -Scope Process -Force; ./install.ps1 -Server https://server.example:8443 -Label 'cattle.io/os=windows' -Token {{token}} -Worker -CaChecksum {sum}"
        )
    );
    assert!(status.token.is_empty());
    assert!(world.step(at(1)).is_empty());
}

#[test]
fn without_a_server_url_there_are_no_commands_and_they_follow_its_changes() {
    let mut world = World::new(DEFAULT_TOKEN);
    world.settings = Settings::default();
    world.step(at(0));
    assert!(world.token.status.command.is_empty());
    world.settings = settings();
    world.step(at(1));
    assert!(world.token.status.command.contains("server.example"));
    world.settings = Settings::of([("server-url", "https://x;reboot")]);
    world.step(at(2));
    assert!(world.token.status.command.is_empty());
    assert!(world.token.status.manifest_url.is_empty());
}

#[test]
fn a_token_is_rotated_and_both_work_until_the_grace_time_is_over() {
    let mut world = World::new(DEFAULT_TOKEN);
    world.token.spec.ttl = Some(60);
    world.token.spec.grace_period = Some(15);
    world.step(at(0));
    assert!(world.step(at(3599)).is_empty());
    let plan = world.step(at(3600));
    assert_eq!(world.held().previous, "fresh-1");
    assert_eq!(world.held().token, "fresh-3");
    assert_eq!(plan.requeue_at, Some(at(3600 + 900)));
    assert!(world.step(at(3600 + 899)).is_empty());
    world.step(at(3600 + 900));
    assert_eq!(world.held().previous, "");
    assert_eq!(world.held().token, "fresh-3");
}

#[test]
fn the_system_token_waits_for_a_cluster_that_is_away() {
    let mut world = World::new(SYSTEM_TOKEN);
    world.token.spec.ttl = Some(60);
    world.step(at(0));
    world.connected = false;
    let plan = world.step(at(7200));
    assert!(plan.is_empty());
    assert_eq!(plan.requeue_at, Some(at(7260)));
    world.connected = true;
    world.step(at(7260));
    assert_eq!(world.held().previous, "fresh-1");
    world.connected = false;
    assert!(world.step(at(7260 + 60 * 48)).is_empty());
    assert_eq!(world.held().previous, "fresh-1");
}

#[test]
fn terms_keep_to_the_peers_bounds() {
    let check = |ttl, grace, expected: (Option<u64>, u64)| {
        let mut token = token("x");
        token.spec.ttl = ttl;
        token.spec.grace_period = grace;
        let terms = Terms::of(&token, &Settings::default());
        assert_eq!(
            (
                terms.ttl.map(|ttl| ttl.as_secs() / 60),
                terms.grace.as_secs() / 60
            ),
            expected
        );
    };
    check(None, None, (Some(43_200), 180));
    check(Some(0), None, (None, 180));
    check(Some(1), None, (Some(30), 24));
    check(Some(100), Some(1), (Some(100), 10));
    check(Some(100), Some(100), (Some(100), 80));
}

#[test]
fn a_token_kept_in_the_status_by_an_older_server_moves_into_the_secret() {
    let mut world = World::new(DEFAULT_TOKEN);
    "kept".clone_into(&mut world.token.status.token);
    world.step(at(0));
    assert_eq!(world.held().token, "kept");
    assert!(world.token.status.token.is_empty());
}

#[test]
fn a_token_without_expiry_gets_one_that_is_spread() {
    let mut world = World::new(DEFAULT_TOKEN);
    world.token.spec.ttl = Some(0);
    world.step(at(0));
    assert_eq!(world.held().expires_at, None);
    world.token.spec.ttl = Some(43_200);
    world.step(at(0));
    let expires_at = world.held().expires_at.unwrap();
    assert!(expires_at >= at(30 * 86_400) && expires_at <= at(31 * 86_400));
    assert_eq!(world.held().token, "fresh-1");
}
