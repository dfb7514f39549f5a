//! `/v1/audit`: the server's audit log, for who may read it. Ours alone; the peer has none.
//!
//! `list`, `get` and `watch` of `auditlogs` in the group `auditlog.cattle.io` decide; administrators have them, a global
//! role may give them. Pages are bounded by `drover_audit`, readings at once here. The log is that of this server; each
//! replica writes its own.

mod follow;
mod question;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drover_audit::{Ask, Page, Reader, VerifyError};
use drover_auth::Attributes;
use drover_auth::web::{ApiError, Response};
use http::request::Parts;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::call::{Answer, Call, Refused, no_method};

const GROUP: &str = "auditlog.cattle.io";
const RESOURCE: &str = "auditlogs";
/// Type of an entry.
const TYPE: &str = "auditEntry";
/// Readings at once; each holds a few megabytes and a thread.
const READINGS: usize = 4;

/// The log, and who reads it.
pub(crate) struct AuditLog {
    reader: Reader,
    readings: Arc<Semaphore>,
    /// Held while the whole log is checked, so that it is checked once at a time.
    checking: tokio::sync::Mutex<()>,
    /// What came of the last check.
    checked: Mutex<Option<Value>>,
}

impl AuditLog {
    pub(crate) fn new(reader: Reader) -> Self {
        Self {
            reader,
            readings: Arc::new(Semaphore::new(READINGS)),
            checking: tokio::sync::Mutex::default(),
            checked: Mutex::default(),
        }
    }

    /// The lines that are asked for, newest first.
    async fn page(&self, ask: Ask) -> Result<Page, ApiError> {
        self.read(move |reader| reader.page(&ask)).await
    }

    /// Runs `read` where it may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, drover_audit::ReadError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.readings).acquire_owned().await;
        let reader = self.reader.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&reader)
        });
        match done.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the audit log cannot be read");
                Err(ApiError::server_error("the audit log cannot be read"))
            }
            Err(error) => {
                tracing::error!(%error, "a reading of the audit log failed");
                Err(ApiError::server_error("the audit log cannot be read"))
            }
        }
    }
}

/// What is asked for below `/v1/audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A page.
    List,
    /// One entry, by its number.
    Entry(u64),
    /// New entries, as they come.
    Follow,
    /// Whether the log is whole.
    Verification,
}

impl Asked {
    /// Reads the segments behind `audit`.
    pub(crate) fn of(rest: &[String]) -> Option<Self> {
        match rest {
            [] => Some(Self::List),
            [one] if one == "follow" => Some(Self::Follow),
            [one] if one == "verification" => Some(Self::Verification),
            [one] => one.parse().ok().map(Self::Entry),
            _ => None,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::List | Self::Verification => "list",
            Self::Entry(_) => "get",
            Self::Follow => "watch",
        }
    }
}

/// Whether the caller may.
fn check(call: &Call, verb: &str) -> Result<(), ApiError> {
    let asked = Attributes {
        verb,
        group: GROUP,
        resource: RESOURCE,
        namespace: None,
        name: None,
    };
    call.shared
        .guard
        .access()
        .check(&call.identity, &asked)
        .map(drop)
}

/// Answers requests below `/v1/audit`.
///
/// # Errors
/// 404 inside a cluster, for an entry that is not there (any more), and where no log is written; 403 without the right
/// or for another method; 422 naming a parameter that is wrong.
pub(crate) async fn answer(
    call: &Call,
    method: &Method,
    asked: &Asked,
    parts: &mut Parts,
) -> Answer<Response> {
    if !call.is_hub() {
        return Err(Refused::NoType);
    }
    check(call, asked.verb())?;
    let Some(log) = &call.shared.audit else {
        return Err(ApiError::not_found("this server writes no audit log").into());
    };
    match (asked, method) {
        (Asked::List, &Method::GET) => list(call, log).await,
        (Asked::Entry(number), &Method::GET) => entry(call, log, *number).await,
        (Asked::Follow, &Method::GET) => follow::open(call, parts),
        (Asked::Verification, &Method::GET) => {
            let checked = log.checked.lock().clone();
            Ok(verification(
                call,
                checked.unwrap_or(json!({"state": "unknown"})),
            ))
        }
        (Asked::Verification, &Method::POST) => {
            let checked = verify(call, log).await?;
            Ok(verification(call, checked))
        }
        _ => Err(no_method(method.as_str(), TYPE).into()),
    }
}

async fn list(call: &Call, log: &AuditLog) -> Answer<Response> {
    let ask = question::parse(&call.pairs)?;
    let newest = *log.reader.written().borrow();
    let page = log.page(ask).await?;
    let mut collection = Map::new();
    collection.insert("type".to_owned(), json!("collection"));
    collection.insert("resourceType".to_owned(), json!(TYPE));
    collection.insert(
        "links".to_owned(),
        json!({"self": call.urls.explorer("/audit")}),
    );
    collection.insert("newest".to_owned(), json!(newest));
    if let Some(reached) = page.reached {
        collection.insert("reached".to_owned(), json!(reached.to_string()));
    }
    if let Some(next) = page.next {
        let next = next.to_string();
        let query = call.pairs.encoded(&["before"], Some(("before", &next)));
        let url = format!("{}?{query}", call.urls.explorer("/audit"));
        collection.insert(
            "pagination".to_owned(),
            json!({"next": url, "partial": true}),
        );
        collection.insert("continue".to_owned(), json!(next));
    }
    let data = page.entries.into_iter().map(|entry| shown(call, entry));
    collection.insert("data".to_owned(), data.collect());
    Ok(call.writer.answer(StatusCode::OK, &collection))
}

async fn entry(call: &Call, log: &AuditLog, number: u64) -> Answer<Response> {
    let found = log.read(move |reader| reader.line(number)).await?;
    let entry = found.ok_or_else(|| ApiError::not_found("the audit log has no such entry"))?;
    Ok(call.writer.answer(StatusCode::OK, &shown(call, entry)))
}

/// An entry with what makes it a resource.
fn shown(call: &Call, mut entry: Value) -> Value {
    let id = entry["sequence"].to_string();
    if let Some(fields) = entry.as_object_mut() {
        let own = call.urls.explorer(&format!("/audit/{id}"));
        fields.insert("links".to_owned(), json!({"self": own}));
        fields.insert("type".to_owned(), json!(TYPE));
        fields.insert("id".to_owned(), json!(id));
    }
    entry
}

fn verification(call: &Call, checked: Value) -> Response {
    let mut answer = json!({
        "type": "auditVerification", "id": "verification",
        "links": {"self": call.urls.explorer("/audit/verification")},
    });
    if let (Value::Object(answer), Value::Object(checked)) = (&mut answer, checked) {
        answer.extend(checked);
    }
    call.writer.answer(StatusCode::OK, &answer)
}

/// Tells a check that nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Checks the whole log. Who asks while it is checked waits for a check of its own, so that the answer is true then.
async fn verify(call: &Call, log: &AuditLog) -> Result<Value, ApiError> {
    let _alone = log.checking.lock().await;
    let stop = Arc::new(AtomicBool::new(false));
    let _waiting = Waiting(Arc::clone(&stop));
    let at = call.now().to_string();
    let reader = log.reader.clone();
    let done = tokio::task::spawn_blocking(move || reader.verify(&|| stop.load(Ordering::Relaxed)));
    let checked = match done.await {
        Ok(Ok(report)) => json!({
            "state": "whole", "checkedAt": at, "lines": report.n_lines, "first": report.first, "last": report.last,
            "hash": report.hash, "lost": report.n_lost, "endKnown": report.end_known,
        }),
        Ok(Err(VerifyError::Broken(broken))) => {
            tracing::warn!(%broken, "the audit log is not whole");
            // Not the folder: only the name of the file is the reader's business.
            let file = broken
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            json!({
                "state": "broken", "checkedAt": at, "file": file, "line": broken.line, "message": broken.reason,
            })
        }
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "the audit log cannot be checked");
            return Err(ApiError::server_error("the audit log cannot be checked"));
        }
        Err(error) => {
            tracing::error!(%error, "a check of the audit log failed");
            return Err(ApiError::server_error("the audit log cannot be checked"));
        }
    };
    *log.checked.lock() = Some(checked.clone());
    Ok(checked)
}
