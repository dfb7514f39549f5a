//! Which lines are asked for, and what of a line is looked at to tell.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered with less than 400.
    Done,
    /// 401 or 403.
    Refused,
    /// Any other error, or no answer.
    Failed,
    /// This status.
    Status(u16),
}

impl Outcome {
    fn is(self, code: u16) -> bool {
        match self {
            Self::Done => (1..400).contains(&code),
            Self::Refused => matches!(code, 401 | 403),
            Self::Failed => code == 0 || (code >= 400 && !matches!(code, 401 | 403)),
            Self::Status(status) => code == status,
        }
    }
}

/// Neither an outcome nor a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no outcome; there are done, refused, failed, and numbers of statuses")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        match text {
            "done" => Ok(Self::Done),
            "refused" => Ok(Self::Refused),
            "failed" => Ok(Self::Failed),
            number => match number.parse() {
                Ok(status @ 100..=599) => Ok(Self::Status(status)),
                _ => Err(UnknownOutcome(text.to_owned())),
            },
        }
    }
}

/// Some words, or all but these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// In lower case.
    words: Vec<String>,
    others: bool,
}

impl Words {
    /// Reads `a,b`, or `!a,b` for all but these.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (others, list) = match text.strip_prefix('!') {
            Some(list) => (true, list),
            None => (false, text),
        };
        let words = list
            .split(',')
            .map(|word| word.trim().to_ascii_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        Self { words, others }
    }

    fn pass(&self, is: impl Fn(&str) -> bool) -> bool {
        self.words.iter().any(|word| is(word)) != self.others
    }
}

/// Which entries are asked for; all that is given has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Id of a user, the name of a login, or whom somebody acted as.
    pub user: Option<String>,
    /// The cluster something is in, or that it is.
    pub cluster: Option<String>,
    /// Verbs.
    pub verb: Option<Words>,
    /// Kinds, as plurals, with or without their group.
    pub kind: Option<Words>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
    /// Id of the request.
    pub audit_id: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether the log's own notices are among what is asked for: they are of nobody and about nothing.
    fn has_notices(&self) -> bool {
        let Self {
            user,
            cluster,
            verb,
            kind,
            namespace,
            name,
            audit_id,
            outcome,
            since: _,
            until: _,
        } = self;
        user.is_none()
            && cluster.is_none()
            && verb.is_none()
            && kind.is_none()
            && namespace.is_none()
            && name.is_none()
            && audit_id.is_none()
            && outcome.is_none()
    }

    /// Whether a line passes, but for its time.
    pub(super) fn passes(&self, seen: &Seen<'_>) -> bool {
        if seen.event.is_some() {
            return self.has_notices();
        }
        let object = &seen.object;
        let is = |wanted: &Option<String>, found: &[&Option<Cow<'_, str>>]| {
            wanted.as_deref().is_none_or(|wanted| {
                found
                    .iter()
                    .any(|found| found.as_deref().is_some_and(|found| found == wanted))
            })
        };
        // `/v3/clusters/ID` is about that cluster.
        let itself = object
            .resource
            .as_deref()
            .filter(|kind| is_kind(kind, "clusters"))
            .and(object.name.clone());
        is(
            &self.user,
            &[
                &seen.user.name,
                &seen.user.request_user,
                &seen.user_login_name,
            ],
        ) && is(&self.cluster, &[&object.cluster, &itself])
            && is(&self.namespace, &[&object.namespace])
            && is(&self.name, &[&object.name])
            && is(&self.audit_id, &[&seen.audit_id])
            && self.outcome.is_none_or(|outcome| {
                // The start of a stream has its status already.
                outcome.is(seen.response_code)
            })
            && self.verb.as_ref().is_none_or(|words| {
                words.pass(|word| {
                    seen.verb
                        .as_deref()
                        .is_some_and(|verb| verb.eq_ignore_ascii_case(word))
                })
            })
            && self.kind.as_ref().is_none_or(|words| {
                words.pass(|word| {
                    object
                        .resource
                        .as_deref()
                        .is_some_and(|kind| is_kind(kind, word))
                })
            })
    }
}

/// Whether a recorded kind is the one a plural names. `/v1` knows kinds with their group, and takes singulars.
fn is_kind(recorded: &str, plural: &str) -> bool {
    let same = |one: &str| one == plural || plural.strip_suffix('s') == Some(one);
    same(recorded) || recorded.rsplit('.').next().is_some_and(same)
}

/// What is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen<'a> {
    pub(super) sequence: u64,
    #[serde(borrow, default, rename = "auditID")]
    audit_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response_timestamp: Option<Cow<'a, str>>,
    #[serde(default)]
    response_code: u16,
    #[serde(borrow, default)]
    verb: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    user_login_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    user: SeenUser<'a>,
    #[serde(borrow, default)]
    object: SeenObject<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenUser<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_user: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
struct SeenObject<'a> {
    #[serde(borrow, default)]
    cluster: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    /// `None` for what is no line of a log.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// When the line was made.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.response_timestamp
            .as_deref()
            .or(self.timestamp.as_deref())?
            .parse()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"sequence":7,"auditID":"a","user":{"name":"u-1","requestUser":"u-2"},"responseTimestamp":"2026-11-29T12:00:00.000Z",
        "responseCode":403,"verb":"createIt","object":{"cluster":"c-1","resource":"apps.deployment","namespace":"n","name":"web"}}"#;

    fn filter(key: &str, value: &str) -> Filter {
        let text = Some(value.to_owned());
        let mut filter = Filter::default();
        match key {
            "user" => filter.user = text,
            "cluster" => filter.cluster = text,
            "verb" => filter.verb = Some(Words::parse(value)),
            "kind" => filter.kind = Some(Words::parse(value)),
            "namespace" => filter.namespace = text,
            "name" => filter.name = text,
            "id" => filter.audit_id = text,
            _ => filter.outcome = Some(value.parse().unwrap()),
        }
        filter
    }

    #[test]
    fn what_is_asked_for_has_to_hold() {
        let seen = Seen::of(LINE.as_bytes()).unwrap();
        assert_eq!(seen.at(), Some("2026-11-29T12:00:00Z".parse().unwrap()));
        for (key, value, expected) in [
            ("user", "u-1", true),
            ("user", "u-2", true),
            ("user", "u", false),
            ("cluster", "c-1", true),
            ("cluster", "c-2", false),
            ("verb", "get,createit", true),
            ("verb", "!get,createit", false),
            ("verb", "!get", true),
            ("kind", "deployments", true),
            ("kind", "apps.deployments", true),
            ("kind", "pods", false),
            ("namespace", "n", true),
            ("name", "we", false),
            ("id", "a", true),
            ("outcome", "refused", true),
            ("outcome", "failed", false),
            ("outcome", "done", false),
            ("outcome", "403", true),
            ("outcome", "404", false),
        ] {
            assert_eq!(filter(key, value).passes(&seen), expected, "{key}={value}");
        }
        assert!("7".parse::<Outcome>().is_err() && "ok".parse::<Outcome>().is_err());
    }

    #[test]
    fn notices_are_of_nobody_and_a_cluster_is_about_itself() {
        let notice =
            br#"{"sequence":1,"event":"gap","timestamp":"2026-11-29T12:00:00.000Z","lost":3}"#;
        let notice = Seen::of(notice).unwrap();
        assert!(Filter::default().passes(&notice) && notice.at().is_some());
        assert!(!filter("user", "u-1").passes(&notice));
        let cluster =
            br#"{"sequence":1,"responseCode":200,"object":{"resource":"clusters","name":"c-9"}}"#;
        assert!(filter("cluster", "c-9").passes(&Seen::of(cluster).unwrap()));
        assert!(Seen::of(b"nonsense").is_none());
    }
}
