use std::time::SystemTime;

use http::StatusCode;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Findings, Outcome, Permanence, Report, Step, examine};
use crate::{
    cluster::hub_dialer,
    config::{Config, Environment},
    testing::{FakeHub, FakeKubernetes},
};

const OK: Outcome = Outcome::Ok;
const MAY_HEAL: Outcome = Outcome::Failed(Permanence::MayHeal);
const DEFINITE: Outcome = Outcome::Failed(Permanence::Definite);

struct Pod {
    dir: TempDir,
    kubernetes: FakeKubernetes,
    variables: Vec<(String, String)>,
}

impl Pod {
    /// A pod for a hub whose CA the manifest knows.
    async fn of(hub: &FakeHub) -> Self {
        let mut pod = Self::at(&hub.url()).await;
        pod.set("CATTLE_CA_CHECKSUM", &hub.checksum());
        pod.set("STRICT_VERIFY", "true");
        pod
    }

    async fn at(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kubernetes = FakeKubernetes::start().await;
        kubernetes.put(
            "/api/v1/namespaces/cattle-system/serviceaccounts/cattle",
            serde_json::json!({}),
        );
        std::fs::write(dir.path().join("url"), url).unwrap();
        let config = kubernetes.in_cluster(dir.path());
        let mut pod = Self {
            dir,
            kubernetes,
            variables: Vec::new(),
        };
        pod.set("KUBERNETES_SERVICE_HOST", &config.host);
        pod.set("KUBERNETES_SERVICE_PORT", &config.port.to_string());
        pod
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    async fn examine(&self) -> (Report, Findings) {
        let environment: Environment = self.variables.iter().cloned().collect();
        let config = Config::read(&environment, self.dir.path(), self.dir.path(), &[]).unwrap();
        examine(&config, &hub_dialer(&config), SystemTime::now).await
    }
}

fn outcome(report: &Report, step: Step) -> Outcome {
    report
        .of(step)
        .unwrap_or_else(|| panic!("no verdict on {step:?}:\n{report}"))
        .outcome
}

#[track_caller]
fn failed(report: &Report, step: Step, expected: Outcome, words: &str) {
    let verdict = report
        .of(step)
        .unwrap_or_else(|| panic!("no verdict on {step:?}:\n{report}"));
    assert_eq!(verdict.outcome, expected, "{report}");
    assert!(
        verdict.reason.contains(words),
        "{words:?} is not in {:?}",
        verdict.reason
    );
    assert!(!verdict.advice.is_empty(), "a failure says what to do");
}

#[tokio::test]
async fn a_healthy_cluster_passes_every_step_and_may_connect() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    let (report, findings) = pod.examine().await;
    assert_eq!(report.failure(), None, "{report}");
    assert_eq!(report.verdicts.len(), 12, "{report}");
    for verdict in &report.verdicts {
        // The fake cluster publishes no kube-root-ca.crt.
        let expected = if verdict.step == Step::RootCa {
            Outcome::Warning
        } else {
            OK
        };
        assert_eq!(verdict.outcome, expected, "{report}");
    }
    let identity = findings.identity.unwrap();
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&identity.token),
        "lasting"
    );
    assert!(findings.tls.is_some());
    // The pod has one token, and a second examination finds it.
    let (report, _) = pod.examine().await;
    assert_eq!(report.failure(), None, "{report}");
    let secrets = pod
        .kubernetes
        .paths()
        .into_iter()
        .filter(|path| path.contains("/secrets/"))
        .count();
    assert_eq!(secrets, 1);
}

#[tokio::test]
async fn another_ca_than_the_manifest_s_is_definite() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    let (other, _) = crate::testing::certificate(&["other"], |_| {});
    *hub.cacerts.lock().unwrap() = other;
    let (report, findings) = pod.examine().await;
    failed(&report, Step::CaChecksum, DEFINITE, &hub.checksum());
    assert_eq!(outcome(&report, Step::Certificate), Outcome::Skipped);
    assert!(findings.tls.is_none() && report.definite_failure().is_some());
}

#[tokio::test]
async fn the_ca_s_line_ends_do_not_matter() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    let windows = hub.pem.replace('\n', "\r\n");
    *hub.cacerts.lock().unwrap() = windows;
    let (report, _) = pod.examine().await;
    assert_eq!(outcome(&report, Step::CaChecksum), OK, "{report}");
}

#[tokio::test]
async fn a_removed_ca_is_definite() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    hub.cacerts.lock().unwrap().clear();
    let (report, _) = pod.examine().await;
    failed(&report, Step::CaChecksum, DEFINITE, "no CA configured");
}

#[tokio::test]
async fn strict_verification_without_a_ca_is_definite() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let mut pod = Pod::at(&hub.url()).await;
    pod.set("CATTLE_TOKEN", "token");
    pod.set("STRICT_VERIFY", "true");
    let (report, _) = pod.examine().await;
    failed(&report, Step::CaChecksum, DEFINITE, "no CA checksum");
}

#[tokio::test]
async fn an_unknown_issuer_is_definite_and_described() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let mut pod = Pod::of(&hub).await;
    let (other, _) = crate::testing::certificate(&["other"], |_| {});
    let other = other.trim().to_owned();
    pod.set(
        "CATTLE_CA_CHECKSUM",
        &hex::encode(<sha2::Sha256 as sha2::Digest>::digest(format!("{other}\n"))),
    );
    *hub.cacerts.lock().unwrap() = other;
    let (report, _) = pod.examine().await;
    assert_eq!(outcome(&report, Step::CaChecksum), OK, "{report}");
    failed(
        &report,
        Step::Certificate,
        DEFINITE,
        "not signed by a trusted CA (it shows:",
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_definite_and_shows_its_names() {
    let hub = FakeHub::start(&["hub.example.test", "10.1.2.3"], |_| {}).await;
    let (report, _) = Pod::of(&hub).await.examine().await;
    failed(
        &report,
        Step::Certificate,
        DEFINITE,
        "not made for localhost",
    );
    failed(
        &report,
        Step::Certificate,
        DEFINITE,
        "names hub.example.test 10.1.2.3",
    );
}

#[tokio::test]
async fn an_expired_certificate_is_definite() {
    let hub = FakeHub::start(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    })
    .await;
    let (report, _) = Pod::of(&hub).await.examine().await;
    failed(&report, Step::Certificate, DEFINITE, "expired");
}

#[tokio::test]
async fn a_certificate_that_is_out_of_time_by_a_wrong_clock_says_which() {
    for (years, date, words) in [
        (
            (2020, 2021),
            "Sat, 15 Aug 2020 08:12:31 GMT",
            ["expired", "days ahead of", "2020-08-15T08:12:31Z there"],
        ),
        (
            (2200, 2201),
            "Fri, 15 Aug 2200 08:12:31 GMT",
            ["not valid yet", "days behind", "2200-08-15T08:12:31Z there"],
        ),
    ] {
        let hub = FakeHub::start(&["localhost"], |params| {
            params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        })
        .await;
        *hub.date.lock().unwrap() = Some(date.to_owned());
        let (report, _) = Pod::of(&hub).await.examine().await;
        for word in words {
            failed(&report, Step::Certificate, DEFINITE, word);
        }
        let advice = &report.of(Step::Certificate).unwrap().advice;
        assert!(advice.contains("set the clock"), "{advice}");
    }
}

#[tokio::test]
async fn clocks_apart_are_a_warning_with_the_distance() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    *hub.date.lock().unwrap() = Some("Tue, 15 Nov 1994 08:12:31 GMT".to_owned());
    let (report, _) = pod.examine().await;
    assert_eq!(outcome(&report, Step::Clock), Outcome::Warning, "{report}");
    assert!(
        report.of(Step::Clock).unwrap().reason.contains("ahead of"),
        "{report}"
    );
    assert_eq!(report.failure(), None);
}

#[tokio::test]
async fn refused_registrations_are_told_apart() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    let table = [
        (
            StatusCode::UNAUTHORIZED,
            "failed authentication",
            MAY_HEAL,
            "401",
        ),
        (
            StatusCode::BAD_REQUEST,
            "cluster not found",
            MAY_HEAL,
            "cluster not found",
        ),
        (
            StatusCode::BAD_REQUEST,
            "invalid input, token empty",
            MAY_HEAL,
            "token empty",
        ),
        (StatusCode::SERVICE_UNAVAILABLE, "", MAY_HEAL, "503"),
        (
            StatusCode::NOT_FOUND,
            "404 page not found",
            Outcome::Warning,
            "404",
        ),
    ];
    for (status, body, expected, words) in table {
        *hub.refusal.lock().unwrap() = Some((status, body));
        let (report, _) = pod.examine().await;
        failed(&report, Step::Registration, expected, words);
    }
}

#[tokio::test]
async fn a_closed_port_may_heal_and_skips_the_rest_of_the_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut pod = Pod::at(&format!("https://127.0.0.1:{port}")).await;
    pod.set("CATTLE_TOKEN", "token");
    let (report, findings) = pod.examine().await;
    assert_eq!(outcome(&report, Step::Name), OK);
    failed(&report, Step::Connection, MAY_HEAL, "cannot connect");
    for step in [
        Step::Answer,
        Step::CaChecksum,
        Step::Certificate,
        Step::Clock,
        Step::Registration,
    ] {
        assert_eq!(outcome(&report, step), Outcome::Skipped, "{report}");
    }
    assert!(findings.tls.is_none() && findings.identity.is_some());
}

#[tokio::test]
async fn an_unknown_name_is_told_as_such() {
    let mut pod = Pod::at("https://no-such-hub.invalid").await;
    pod.set("CATTLE_TOKEN", "token");
    let (report, _) = pod.examine().await;
    failed(&report, Step::Name, MAY_HEAL, "no-such-hub.invalid");
    assert_eq!(outcome(&report, Step::Connection), Outcome::Skipped);
}

#[tokio::test]
async fn a_proxy_that_wants_a_user_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            client
                .write_all(b"HTTP/1.1 407 Who are you\r\n\r\n")
                .await
                .unwrap();
        }
    });
    let mut pod = Pod::at("https://hub.example.test").await;
    pod.set("CATTLE_TOKEN", "token");
    pod.set("HTTPS_PROXY", &format!("http://127.0.0.1:{port}"));
    let (report, _) = pod.examine().await;
    proxy.abort();
    assert!(
        report
            .of(Step::Name)
            .unwrap()
            .reason
            .starts_with("the proxy 127.0.0.1"),
        "{report}"
    );
    failed(&report, Step::Connection, MAY_HEAL, "407");
    assert!(
        report
            .of(Step::Connection)
            .unwrap()
            .advice
            .contains("user:password"),
        "{report}"
    );
}

#[tokio::test]
async fn a_port_without_tls_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut pod = Pod::at(&format!("https://127.0.0.1:{port}")).await;
    pod.set("CATTLE_TOKEN", "token");
    let (report, _) = pod.examine().await;
    plain.abort();
    failed(&report, Step::Answer, MAY_HEAL, "TLS");
}

#[tokio::test]
async fn a_cluster_without_api_is_told_apart_from_the_hub() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let mut pod = Pod::of(&hub).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    pod.set(
        "KUBERNETES_SERVICE_PORT",
        &listener.local_addr().unwrap().port().to_string(),
    );
    drop(listener);
    let (report, findings) = pod.examine().await;
    failed(&report, Step::KubernetesApi, MAY_HEAL, "cannot be reached");
    assert_eq!(outcome(&report, Step::Certificate), OK, "{report}");
    assert!(findings.identity.is_none() && findings.tls.is_some());
}

#[tokio::test]
async fn missing_credentials_skip_the_hub_but_not_the_cluster() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let pod = Pod::of(&hub).await;
    std::fs::remove_file(pod.dir.path().join("url")).unwrap();
    let (report, _) = pod.examine().await;
    failed(&report, Step::Configuration, MAY_HEAL, "no server is named");
    assert_eq!(outcome(&report, Step::Name), Outcome::Skipped);
    assert_eq!(outcome(&report, Step::KubernetesApi), OK);
}

#[test]
fn the_table_has_a_line_per_verdict_and_the_advice_below() {
    let mut report = Report::default();
    report.add(super::Verdict::ok(Step::Name, "hub.test is 10.0.0.1"));
    report.add(super::Verdict::failed(
        Step::Connection,
        Permanence::MayHeal,
        "cannot connect",
        "open the way",
    ));
    let expected = "\
CHECK                  VERDICT  REASON
name                   ok       hub.test is 10.0.0.1
connection             failed   cannot connect
                                -> open the way
";
    assert_eq!(report.to_string(), expected);
    assert!(!report.checks().ready);
    assert!(report.checks().checks[1].may_heal);
}
