//! `useractivities`: when the owner of a session was last seen. Each is named as its session.

use drover_auth::logins::Session;
use drover_auth::web::{self, ApiError, Response};
use drover_types::condition::timestamp;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::request::{Sent, changed, text};
use crate::{Call, GROUP, bad_request};

const PLURAL: &str = "useractivities";
const KIND: &str = "UserActivity";

impl Call<'_> {
    pub(crate) async fn activity(&self, sent: Sent) -> Result<Response, ApiError> {
        let now = self.parts.clock.now();
        let name = self.asked.name.as_deref().unwrap_or_default();
        let session = self.parts.logins.session(name).await?;
        // Whose it is not learns nothing of it, whatever its rights.
        let session = session
            .filter(|session| session.user == self.identity.user)
            .ok_or_else(|| self.absent(PLURAL))?;
        if !session.is_session || !session.is_live {
            let why = if session.is_session {
                "the session has ended"
            } else {
                "it is no session"
            };
            let message = format!("{PLURAL}.{GROUP} \"{name}\" is forbidden: {why}");
            return Err(ApiError::forbidden(message));
        }
        if self.asked.verb == "get" {
            return Ok(answer(name, &session, session.seen));
        }
        // A list of changes is one to what is there; else only what was sent counts, so that nothing said means now.
        let said = match sent {
            Sent::Changes(_) => changed(&object(name, &session, session.seen), sent)?,
            Sent::Applied(config) => {
                self.check_applied(KIND, &config)?;
                config
            }
            Sent::Object(said) | Sent::Merged(said) => said,
        };
        let said = text(&said, "/spec/seenAt")?;
        let seen = if said.is_empty() {
            now
        } else {
            let at: Timestamp = said
                .parse()
                .map_err(|_| bad_request("spec.seenAt must be a time"))?;
            at.min(now)
        };
        // Seconds are kept, and time does not run backwards.
        let seen = Timestamp::from_second(seen.as_second()).unwrap_or(seen);
        let seen = session.seen.map_or(seen, |before| before.max(seen));
        if session.seen != Some(seen) && !self.asked.dry {
            self.parts.logins.note_seen(name, seen).await?;
        }
        Ok(answer(name, &session, Some(seen)))
    }
}

fn answer(name: &str, session: &Session, seen: Option<Timestamp>) -> Response {
    web::json(StatusCode::OK, &object(name, session, seen))
}

fn object(name: &str, session: &Session, seen: Option<Timestamp>) -> Value {
    let mut object = json!({
        "apiVersion": "ext.cattle.io/v1", "kind": KIND,
        "metadata": {
            "name": name, "uid": session.uid, "creationTimestamp": session.created.map(timestamp),
            "resourceVersion": session.resource_version,
        },
        "spec": {}, "status": {},
    });
    if let Some(seen) = seen {
        object["spec"]["seenAt"] = json!(timestamp(seen));
        let ends = session.idle.and_then(|idle| seen.checked_add(idle).ok());
        if let Some(ends) = ends {
            object["status"]["expiresAt"] = json!(timestamp(ends));
        }
    }
    object
}
