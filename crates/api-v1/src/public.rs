//! What `/v1` shows without a login: the settings that a sign-in page needs.
//!
//! Invariant: nothing but the settings in [`NAMES`] goes out, and nothing is written.

use drover_auth::Identity;
use drover_auth::web::{ApiError, Response};
use drover_types::management::{GROUP, VERSION};
use http::{Method, StatusCode};

use crate::api::Target;
use crate::call::{Answer, Call};
use crate::kind::Kind;
use crate::list::{self, Source};
use crate::rights::Rights;

/// Settings that everybody may read (the peer: ClusterRole `cattle-unauthenticated`).
const NAMES: [&str; 12] = [
    "first-login",
    "ui-pl",
    "ui-banners",
    "ui-brand",
    "ui-favicon",
    "ui-banner-header",
    "ui-banner-footer",
    "ui-banner-login-consent",
    "ui-login-background-light",
    "ui-login-background-dark",
    "ui-primary-color",
    "ui-link-color",
];

/// Whoever has not logged in.
pub(crate) fn nobody() -> Identity {
    Identity::of("system:unauthenticated")
}

fn kind() -> Kind {
    Kind {
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        ..Kind::new(GROUP, VERSION, "Setting", "settings")
    }
}

/// Whether a request is for settings: for one by its name, or for all (`None`).
#[expect(
    clippy::option_option,
    reason = "not for settings, for all, for one of them"
)]
pub(crate) fn asked(method: &Method, target: Target) -> Option<Option<String>> {
    let Target::Kind(name, rest) = target else {
        return None;
    };
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if !is_read || !kind().answers_to(&name) || rest.len() > 1 {
        return None;
    }
    Some(rest.into_iter().next())
}

/// Answers the settings that everybody may read, or one of them.
///
/// # Errors
/// 401 for another one, as for everything that needs a login.
pub(crate) async fn answer(call: &Call, name: Option<&str>) -> Answer<Response> {
    let (kind, rights) = (kind(), Rights::to_read(GROUP, "settings", &NAMES));
    let Some(name) = name else {
        return list::answer(call, &kind, &rights, None).await;
    };
    let source = Source::open(call, &kind).await?;
    let entry = source.read(|entries, _| {
        let key = (None, name.into());
        entries.get(&key).filter(|_| NAMES.contains(&name)).cloned()
    });
    let entry =
        entry.ok_or_else(|| ApiError::unauthorized("Unauthorized 401: must authenticate"))?;
    Ok(call
        .writer
        .answer(StatusCode::OK, &call.shown(&rights, &kind, &entry)))
}
