//! One audit entry per request, from the edge: what `drover_audit` writes, filled with who and when.
//!
//! Owns when an entry is made: at the end of the answer; for streams (watch, exec, tunnel) at their start and end; and
//! when the caller leaves before there is an answer. Bodies are copied as they pass, and only at levels that want them.

use std::sync::Arc;

use drover_audit::{
    AuditLog, Captured, Entry, Level, Policies, Stage, Target, Tee, User, Verdict, redact,
};
use drover_auth::web::{self, Actor, Connection, Lifeline, Request, Response};
use drover_auth::{Clock, Identity};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::config::Audit;
use crate::holding::holding;

/// The header that names the entry of a request, as Kubernetes' does.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Makes entries; without a log it makes none.
#[derive(Clone, Debug)]
pub(crate) struct Auditor {
    log: Option<AuditLog>,
    level: Level,
    policies: Policies,
    clock: Clock,
}

impl Auditor {
    /// Writes nothing.
    pub(crate) fn off(clock: Clock) -> Self {
        Self {
            log: None,
            level: Level::default(),
            policies: Policies::default(),
            clock,
        }
    }

    /// Opens the log and begins to write it.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or written.
    pub(crate) fn open(
        config: &Audit,
        clock: &Clock,
    ) -> Result<(Self, AuditWriter), drover_audit::FileError> {
        let now = clock.clone();
        let (log, writer) = AuditLog::open(drover_audit::Config {
            path: config.path.clone(),
            limits: config.limits,
            now: Arc::new(move || now.now()),
        })?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(
            writer
                .run(stop.clone())
                .instrument(tracing::info_span!("task", "audit log")),
        );
        let auditor = Self {
            log: Some(log),
            level: config.level,
            policies: Policies::default(),
            clock: clock.clone(),
        };
        Ok((auditor, AuditWriter(Some((stop, task)))))
    }

    /// Reads what was written, if something is.
    pub(crate) fn reader(&self) -> Option<drover_audit::Reader> {
        self.log.as_ref().map(AuditLog::reader)
    }

    /// Keeps the log's policies what the API says for as long as it is polled; without a log nothing is to be kept.
    pub(crate) async fn follow_policies(self, client: kube::Client) {
        if self.log.is_none() {
            return std::future::pending().await;
        }
        let clock = self.clock;
        drover_audit::follow(client, self.policies, move || clock.now()).await;
    }

    /// Begins the entry of a request and makes its body be copied if the level wants that.
    pub(crate) fn begin(&self, request: &mut Request) -> Record {
        let log = match &self.log {
            Some(log) if !is_noise(request.uri().path()) => log.clone(),
            _ => return Record(None),
        };
        let uri = request.uri();
        let target = Target::of(request.method(), uri.path(), uri.query());
        let asked = uri.path_and_query().map_or("/", |uri| uri.as_str());
        // Nobody hides what they do to what is hidden.
        let must = target.touches_policies();
        let Some(verdict) = self.policies.decide(self.level, asked, must) else {
            return Record(None);
        };
        let now = self.clock.now();
        let entry = Entry {
            audit_id: uuid::Uuid::new_v4().to_string(),
            request_uri: redact::uri(asked),
            user: None,
            user_login_name: None,
            method: request.method().to_string(),
            remote_addr: request
                .extensions()
                .get::<Connection>()
                .map(|connection| connection.remote.to_string()),
            request_timestamp: now,
            response_timestamp: now,
            response_code: 0,
            stage: Stage::Abandoned,
            verb: target.verb.clone(),
            object: target.object.clone(),
            duration_millis: 0,
            request_header: verdict
                .shows
                .request
                .headers
                .then(|| headers(&verdict, request.headers())),
            response_header: None,
            request_body: None,
            response_body: None,
        };
        let mut draft = Draft {
            log,
            verdict,
            clock: self.clock.clone(),
            target,
            entry,
            sent: None,
            answered: None,
        };
        if draft.verdict.shows.request.body && !draft.target.stream {
            let (tee, copy) = Tee::new(std::mem::replace(request.body_mut(), web::empty()));
            *request.body_mut() = web::boxed(tee);
            draft.sent = Some(copy);
        }
        let stream = Arc::new(StreamEnd(Mutex::new(None)));
        request
            .extensions_mut()
            .insert(Lifeline::new(Arc::clone(&stream)));
        Record(Some(Open {
            draft: Some(draft),
            stream,
        }))
    }
}

/// The task that writes; it outlives the requests.
#[derive(Debug)]
pub(crate) struct AuditWriter(Option<(CancellationToken, JoinHandle<()>)>);

impl AuditWriter {
    /// None.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) {
        if let Some((stop, task)) = self.0 {
            stop.cancel();
            if let Err(error) = task.await {
                tracing::error!(%error, "the audit log was not finished");
            }
        }
    }
}

/// What load balancers and browsers ask all the time and everybody may see.
fn is_noise(path: &str) -> bool {
    matches!(path, "/ping" | "/healthz" | "/cacerts" | "/rancherversion")
        || path == "/dashboard"
        || path.starts_with("/dashboard/")
}

/// An entry that is not complete. Dropped without an answer, it tells of a caller who left.
pub(crate) struct Record(Option<Open>);

struct Open {
    draft: Option<Draft>,
    stream: Arc<StreamEnd>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Record").finish_non_exhaustive()
    }
}

impl Record {
    /// Says who the request comes from.
    pub(crate) fn identify(&mut self, identity: &Identity, headers: &HeaderMap) {
        let Some(draft) = self.0.as_mut().and_then(|open| open.draft.as_mut()) else {
            return;
        };
        let text = |value: &HeaderValue| value.to_str().unwrap_or(redact::REDACTED).to_owned();
        draft.entry.user = Some(User {
            name: identity.user.to_string(),
            group: identity.groups.iter().cloned().collect(),
            token: identity.token.as_ref().map(|token| token.name.clone()),
            request_user: headers.get("impersonate-user").map(text),
            request_groups: headers
                .get_all("impersonate-group")
                .iter()
                .map(text)
                .collect(),
        });
        if !identity.username.is_empty() {
            draft.entry.user_login_name = Some(identity.username.clone());
        }
    }

    /// Adds what the answer says, and writes the entry when the answer is out.
    pub(crate) fn finish(mut self, mut response: Response) -> Response {
        let Some(mut open) = self.0.take() else {
            return response;
        };
        let Some(mut draft) = open.draft.take() else {
            return response;
        };
        if let Some(actor) = response.extensions_mut().remove::<Actor>() {
            draft.act(actor);
        }
        draft.entry.response_code = response.status().as_u16();
        if let Ok(id) = HeaderValue::from_str(&draft.entry.audit_id) {
            response.headers_mut().entry(AUDIT_ID).or_insert(id);
        }
        if draft.verdict.shows.response.headers {
            draft.entry.response_header = Some(headers(&draft.verdict, response.headers()));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            draft.write(Stage::ResponseStarted);
            *open.stream.0.lock() = Some(draft);
            return response;
        }
        if draft.target.stream && response.status().is_success() {
            draft.write(Stage::ResponseStarted);
            return response.map(|body| holding(body, Recorded(draft)));
        }
        if draft.verdict.shows.response.body && is_json(response.headers()) {
            return response.map(|body| {
                let (tee, copy) = Tee::new(body);
                draft.answered = Some(copy);
                holding(web::boxed(tee), Recorded(draft))
            });
        }
        if response.body().size_hint().exact().is_some() {
            draft.write(Stage::ResponseComplete);
            return response;
        }
        response.map(|body| holding(body, Recorded(draft)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(mut draft) = self.draft.take() {
            draft.write(Stage::Abandoned);
        }
    }
}

fn headers(verdict: &Verdict, headers: &HeaderMap) -> Map<String, Value> {
    let mut shown = redact::headers(headers);
    verdict.hide_headers(&mut shown);
    shown
}

fn is_json(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_ENCODING)
        && headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.contains("json"))
}

/// An entry and where it goes.
struct Draft {
    log: AuditLog,
    verdict: Verdict,
    clock: Clock,
    target: Target,
    entry: Entry,
    sent: Option<Captured>,
    answered: Option<Captured>,
}

impl Draft {
    /// A login or a tunnel says itself who came.
    fn act(&mut self, actor: Actor) {
        if let Some(user) = actor.user {
            self.entry.user = Some(User {
                name: user,
                ..User::default()
            });
        }
        if let Some(name) = actor.login_name {
            self.entry.user_login_name = Some(redact::login_name(&name));
        }
        if actor.cluster.is_some() {
            self.entry.object.cluster = actor.cluster;
        }
    }

    fn write(&mut self, stage: Stage) {
        let now = self.clock.now();
        self.entry.stage = stage;
        self.entry.response_timestamp = now;
        self.entry.duration_millis = millis(self.entry.request_timestamp, now);
        let (target, verdict) = (&self.target, &self.verdict);
        let body = |copy: Option<Captured>| {
            copy?.take(|body| {
                let mut shown = redact::body(target, body);
                verdict.hide_body(&mut shown);
                shown
            })
        };
        if stage != Stage::ResponseStarted {
            self.entry.request_body = body(self.sent.take());
            self.entry.response_body = body(self.answered.take());
        }
        self.log.submit(&self.entry);
    }
}

fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

/// Kept by whoever holds an upgraded connection; its end is the entry's.
struct StreamEnd(Mutex<Option<Draft>>);

impl Drop for StreamEnd {
    fn drop(&mut self) {
        if let Some(mut draft) = self.0.get_mut().take() {
            draft.write(Stage::ResponseComplete);
        }
    }
}

/// Kept by a body whose end is the entry's.
struct Recorded(Draft);

impl Drop for Recorded {
    fn drop(&mut self) {
        self.0.write(Stage::ResponseComplete);
    }
}
