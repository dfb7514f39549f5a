//! A client that watches over restarts, as an informer does.

use std::path::Path;

use http::{Method, StatusCode};

use super::client::{Client, Gone, MAPS, name, revision};
use super::model::OURS;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) revision: u64,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// `data.value`, as text.
    pub(crate) value: String,
}

/// What was seen between a list and the end of the server.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// The revision after which everything is seen.
    pub(crate) after: u64,
    pub(crate) events: Vec<Seen>,
    /// Whether it goes on from the last stretch without a list.
    pub(crate) resumed: bool,
}

/// The watcher.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// With a selector, or everything.
    query: &'static str,
    /// Up to here everything was seen.
    last: Option<u64>,
}

impl Watcher {
    pub(crate) fn new(query: &'static str) -> Self {
        Self { query, last: None }
    }

    /// Up to which revision everything was seen.
    pub(crate) fn last(&self) -> u64 {
        self.last.unwrap_or_default()
    }

    /// Watches until the server dies.
    pub(crate) async fn run(&mut self, socket: &Path) -> Stretch {
        let mut stretch = Stretch {
            after: self.last(),
            events: Vec::new(),
            resumed: true,
        };
        match self.follow(socket, &mut stretch).await {
            Err(Gone) => stretch,
            Ok(never) => match never {},
        }
    }

    async fn follow(
        &mut self,
        socket: &Path,
        stretch: &mut Stretch,
    ) -> Result<std::convert::Infallible, Gone> {
        let query = self.query;
        let mut lines = None;
        if let Some(last) = self.last {
            let client = Client::try_connect(socket).await?;
            match client
                .watch(&format!("{MAPS}?watch=1&{query}&resourceVersion={last}"))
                .await?
            {
                Ok(resumed) => lines = Some(resumed),
                Err(status) => assert_eq!(
                    status,
                    StatusCode::GONE,
                    "the only way to refuse a revision of the past"
                ),
            }
        }
        let mut lines = match lines {
            Some(lines) => lines,
            None => {
                let client = Client::try_connect(socket).await?;
                let (status, list) = client
                    .call(Method::GET, &format!("{MAPS}?{query}"), None)
                    .await?;
                assert_eq!(status, StatusCode::OK);
                let after = revision(&list);
                assert!(
                    after >= self.last(),
                    "the server is at {after}, behind what {} saw",
                    self.last()
                );
                *stretch = Stretch {
                    after,
                    events: Vec::new(),
                    resumed: false,
                };
                self.last = Some(after);
                client
                    .watch(&format!("{MAPS}?watch=1&{query}&resourceVersion={after}"))
                    .await?
                    .expect("a fresh revision")
            }
        };
        loop {
            let event = lines.next().await?;
            assert_ne!(event["type"], "ERROR", "{event}");
            let object = &event["object"];
            let revision = revision(object);
            assert!(
                revision > self.last(),
                "revision {revision} after {}",
                self.last()
            );
            self.last = Some(revision);
            if OURS.iter().any(|ours| name(object).starts_with(ours)) {
                stretch.events.push(Seen {
                    revision,
                    kind: event["type"].as_str().expect("a type").to_owned(),
                    name: name(object).to_owned(),
                    value: object["data"]["value"]
                        .as_str()
                        .expect("a value")
                        .to_owned(),
                });
            }
        }
    }
}
