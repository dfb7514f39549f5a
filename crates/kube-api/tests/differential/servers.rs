//! The two servers: etcd with kube-apiserver, and ours on a port.

use std::time::Duration;

use drover_kube_api::{Config, Server, Storage};
use drover_testkit::control_plane::{self, ADMIN_TOKEN, ControlPlane};
use drover_testkit::http::{Answer, Http};
use drover_testkit::serve::Port;
use drover_testkit::wait;
use serde_json::{Value, json};

use crate::compare::{Difference, compare};
use crate::normal::Normal;
use crate::scenario::{Request, Scenario, replaced};

/// How long an answer may take; watches in scenarios last a second. What takes longer counts as no answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Both servers, with an administrator's client each.
pub(crate) struct Pair {
    /// Runs as long as it is held.
    _real: ControlPlane,
    server: Server,
    real_client: Http,
    our_client: Http,
    port: Port,
}

impl Pair {
    /// Starts both. Neither has controllers beside those within an API server.
    pub(crate) async fn start() -> Self {
        let config = control_plane::Config {
            nodes: 0,
            controllers: false,
            ..control_plane::Config::default()
        };
        let real = ControlPlane::start(&config).await.unwrap();
        let server = Server::open(Config::new(Storage::Memory)).await.unwrap();
        let port = Port::open(&server).await.unwrap();
        Self {
            real_client: Http::trusting(&real.url(), real.authority(), Some(ADMIN_TOKEN)).unwrap(),
            our_client: Http::trusting(
                &format!("http://127.0.0.1:{}", port.number()),
                real.authority(),
                None,
            )
            .unwrap(),
            _real: real,
            server,
            port,
        }
    }

    /// Sends a request to each at once.
    pub(crate) async fn both(&self, requests: [http::Request<Vec<u8>>; 2]) -> [Answer; 2] {
        let [real, ours] = requests;
        let (real, ours) = tokio::join!(self.real_client.send(real), self.our_client.send(ours));
        [real.unwrap(), ours.unwrap()]
    }

    /// Ends both.
    pub(crate) async fn stop(self) {
        drop(self.port);
        self.server.shutdown().await;
    }

    /// Sends the requests of a scenario to both, in a namespace of its own, and compares each answer.
    pub(crate) async fn play(&self, scenario: &Scenario, namespace: &str) -> Vec<Difference> {
        let body = json!({"metadata": {"name": namespace}});
        let mut names = [(); 2].map(|()| vec![("$N".to_owned(), namespace.to_owned())]);
        let mut normals = [Normal::default(), Normal::default()];
        let clients = [&self.real_client, &self.our_client];
        for client in clients {
            client
                .post("/api/v1/namespaces", &body)
                .await
                .unwrap()
                .expect(201)
                .unwrap();
        }
        let mut differences = Vec::new();
        let mut last = [String::new(), String::new()];
        for request in &scenario.requests {
            if let Some(status) = request.until {
                let mut waited = Vec::new();
                for side in [0, 1] {
                    let came = wait::until(&request.line, LIMIT, || async {
                        let sent = clients[side].send(request.made(&names[side]));
                        let body = sent.await?.expect(status)?.json().unwrap_or_default();
                        let wanted = request.at.as_deref().unwrap_or_default();
                        match body.pointer(wanted) {
                            Some(_) => Ok(()),
                            None => Err(anyhow::anyhow!("nothing at {wanted}")),
                        }
                    });
                    waited.push(came.await.err().map(|_| json!(last[side])));
                }
                if waited.iter().all(Option::is_none) {
                    continue;
                }
                // What follows would say nothing; the answer before tells why.
                let ours = waited.pop().flatten();
                differences.push(Difference {
                    scenario: scenario.name.clone(),
                    request: request.line.clone(),
                    place: "/until".to_owned(),
                    real: waited.pop().flatten(),
                    ours,
                });
                break;
            }
            let send = |side: usize| {
                tokio::time::timeout(LIMIT, clients[side].send(request.made(&names[side])))
            };
            let (real, ours) = tokio::join!(send(0), send(1));
            // A real server that stumbles over a request closes the connection.
            let answers = [real, ours].map(|answer| answer.ok().and_then(Result::ok));
            for (answer, names) in answers.iter().zip(&mut names) {
                let body = answer
                    .as_ref()
                    .and_then(|answer| answer.json().ok())
                    .unwrap_or_default();
                for (name, pointer) in &request.keep {
                    let value = body
                        .pointer(pointer)
                        .and_then(serde_json::Value::as_str)
                        .unwrap_or_default();
                    names.push((name.clone(), value.to_owned()));
                }
            }
            last = answers.each_ref().map(|answer| {
                let body = answer.as_ref().map(|answer| answer.body.clone());
                body.unwrap_or_default()
            });
            let [real, ours] = [0, 1].map(|side| {
                let answer = normals[side].answer(answers[side].as_ref()?);
                Some(part_of(answer, request, &names[side]))
            });
            compare(
                "",
                real.as_ref(),
                ours.as_ref(),
                &mut |place, real, ours| {
                    differences.push(Difference {
                        scenario: scenario.name.clone(),
                        request: request.line.clone(),
                        place: place.to_owned(),
                        real: real.cloned(),
                        ours: ours.cloned(),
                    });
                },
            );
        }
        differences
    }
}

/// The answer with only that part of its body that a request asks about.
fn part_of(mut answer: Value, request: &Request, names: &[(String, String)]) -> Value {
    if let Some(pointer) = &request.at {
        answer["body"] = answer["body"]
            .pointer(&replaced(pointer, names))
            .cloned()
            .unwrap_or_default();
    }
    answer
}
