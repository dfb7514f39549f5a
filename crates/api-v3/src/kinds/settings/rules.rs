//! What values of settings must be like, as the peer's webhook has it (rancher/webhook, `Setting.md`).
//!
//! An empty value takes the default and is always one.

use std::collections::BTreeMap;

use drover_auth::web::ApiError;
use drover_types::duration;
use drover_types::schedule::Schedule;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

const SESSION_TTL: &str = "auth-user-session-ttl-minutes";
const SESSION_IDLE_TTL: &str = "auth-user-session-idle-ttl-minutes";
const DISABLE_AFTER: &str = "disable-inactive-user-after";
const DELETE_AFTER: &str = "delete-inactive-user-after";
const REGISTRATION_TTL: &str = "crt-default-ttl-minutes";
const REGISTRATION_GRACE: &str = "crt-default-grace-period-minutes";

/// Nobody is deleted for less absence.
const LEAST_DELETE_AFTER: SignedDuration = SignedDuration::from_hours(14 * 24);
const LEAST_REGISTRATION_TTL: i64 = 30;
const LEAST_REGISTRATION_GRACE: i64 = 10;

/// Values of other settings, by name.
pub(super) type Others = BTreeMap<&'static str, String>;

/// Which other settings a value is compared with.
pub(super) fn compared_with(name: &str) -> &'static [&'static str] {
    match name {
        SESSION_TTL => &[DISABLE_AFTER, DELETE_AFTER],
        SESSION_IDLE_TTL | DISABLE_AFTER | DELETE_AFTER => &[SESSION_TTL],
        REGISTRATION_TTL => &[REGISTRATION_GRACE],
        REGISTRATION_GRACE => &[REGISTRATION_TTL],
        _ => &[],
    }
}

/// Checks the value that a setting shall have.
///
/// # Errors
/// 400 naming the field, with the webhook's words.
pub(super) fn check(name: &str, value: &str, others: &Others) -> Result<(), ApiError> {
    if value.is_empty() {
        return Ok(());
    }
    let checked = match name {
        SESSION_TTL => session_ttl(value, others),
        SESSION_IDLE_TTL => session_idle_ttl(value, others),
        DISABLE_AFTER | DELETE_AFTER => inactive_after(name, value, others),
        "user-last-login-default" => match value.parse::<Timestamp>() {
            Ok(_) => Ok(()),
            Err(error) => Err(Broken::Invalid(error.to_string())),
        },
        "user-retention-cron" | "auth-user-info-resync-cron" => match Schedule::parse(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(Broken::Invalid(error)),
        },
        "auth-user-info-max-age-seconds" => match duration::parse(&format!("{value}s")) {
            Ok(_) => Ok(()),
            Err(error) => Err(Broken::Invalid(error)),
        },
        REGISTRATION_TTL | REGISTRATION_GRACE => registration(name, value, others),
        _ => Ok(()),
    };
    checked.map_err(|broken| broken.into_error(value))
}

/// Which rule is broken.
#[derive(Debug)]
enum Broken {
    /// It is nothing of its kind.
    Invalid(String),
    /// It is, but not within bounds.
    Forbidden(String),
}

impl Broken {
    fn into_error(self, value: &str) -> ApiError {
        let message = match self {
            Self::Invalid(why) => format!("value: Invalid value: {value:?}: {why}"),
            Self::Forbidden(why) => format!("value: Forbidden: {why}"),
        };
        ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message).with_field("value")
    }
}

fn whole(text: &str) -> Result<i64, Broken> {
    text.parse()
        .map_err(|_| Broken::Invalid("it must be a whole number".to_owned()))
}

fn minutes(text: &str) -> Result<SignedDuration, Broken> {
    let seconds = whole(text)?.checked_mul(60);
    let seconds = seconds.ok_or_else(|| Broken::Invalid("value out of range".to_owned()))?;
    Ok(SignedDuration::from_secs(seconds))
}

/// A duration that is not negative.
fn lasting(text: &str) -> Result<SignedDuration, Broken> {
    let found = duration::parse(text).map_err(Broken::Invalid)?;
    if found.is_negative() {
        return Err(Broken::Invalid("negative value".to_owned()));
    }
    Ok(found)
}

/// What another setting comes to; `None` if it cannot be compared with.
fn other<T>(others: &Others, name: &str, read: fn(&str) -> Result<T, Broken>) -> Option<T> {
    let value = others.get(name).filter(|value| !value.is_empty())?;
    read(value)
        .inspect_err(|_| tracing::warn!(setting = name, "setting cannot be compared with"))
        .ok()
}

fn session_ttl(value: &str, others: &Others) -> Result<(), Broken> {
    let ttl = minutes(value)?;
    if ttl.is_negative() {
        return Err(Broken::Invalid("negative value".to_owned()));
    }
    for name in compared_with(SESSION_TTL) {
        let after = other(others, name, lasting).filter(|after| !after.is_zero());
        if after.is_some_and(|after| ttl > after) {
            return Err(Broken::Forbidden(format!("can't be greater than {name}")));
        }
    }
    Ok(())
}

fn session_idle_ttl(value: &str, others: &Others) -> Result<(), Broken> {
    let idle = minutes(value)?;
    if idle < SignedDuration::from_mins(1) {
        return Err(Broken::Invalid(
            "negative value or less than 1 minute".to_owned(),
        ));
    }
    match other(others, SESSION_TTL, minutes) {
        Some(ttl) if !ttl.is_negative() && idle > ttl => Err(Broken::Forbidden(format!(
            "can't be greater than {SESSION_TTL}"
        ))),
        _ => Ok(()),
    }
}

/// Zero is as good as nothing.
fn inactive_after(name: &str, value: &str, others: &Others) -> Result<(), Broken> {
    let after = lasting(value)?;
    if after.is_zero() {
        return Ok(());
    }
    if name == DELETE_AFTER && after < LEAST_DELETE_AFTER {
        let hours = LEAST_DELETE_AFTER.as_hours();
        return Err(Broken::Forbidden(format!("must be at least {hours}h0m0s")));
    }
    match other(others, SESSION_TTL, minutes) {
        Some(ttl) if after < ttl => Err(Broken::Forbidden(format!(
            "can't be less than {SESSION_TTL}"
        ))),
        _ => Ok(()),
    }
}

/// The time that registration tokens are good for, and that they are good for after a new one is made.
fn registration(name: &str, value: &str, others: &Others) -> Result<(), Broken> {
    let given = whole(value)?;
    let is_ttl = name == REGISTRATION_TTL;
    let least = if is_ttl {
        LEAST_REGISTRATION_TTL
    } else {
        LEAST_REGISTRATION_GRACE
    };
    if given < least {
        return Err(Broken::Forbidden(format!("must be >= {least}")));
    }
    let (ttl, grace) = if is_ttl {
        (Some(given), other(others, REGISTRATION_GRACE, whole))
    } else {
        (other(others, REGISTRATION_TTL, whole), Some(given))
    };
    match (ttl, grace) {
        (Some(ttl), Some(grace)) if ttl <= grace => Err(Broken::Forbidden(format!(
            "{REGISTRATION_TTL} ({ttl}) must be greater than {REGISTRATION_GRACE} ({grace})"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is what follows `value: `; nothing if the value is one.
    fn check(name: &str, value: &str, others: &[(&'static str, &str)], expected: &str) {
        let others = others
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let others: Others = others.collect();
        assert!(
            others
                .keys()
                .all(|other| compared_with(name).contains(other))
        );
        match super::check(name, value, &others) {
            Ok(()) => assert_eq!("", expected, "{name} {value}"),
            Err(error) => {
                assert_eq!(
                    error.message,
                    format!("value: {expected}"),
                    "{name} {value}"
                );
                assert_eq!((error.status.as_u16(), &*error.code), (400, "BadRequest"));
                assert_eq!(error.field_name.as_deref(), Some("value"));
            }
        }
    }

    #[test]
    fn users_are_not_called_inactive_before_their_sessions_end() {
        let day = [(SESSION_TTL, "1440")];
        for name in [DISABLE_AFTER, DELETE_AFTER] {
            check(name, "", &day, "");
            check(name, "0s", &day, "");
            check(name, "336h", &day, "");
            check(
                name,
                "14d",
                &day,
                "Invalid value: \"14d\": time: unknown unit \"d\" in duration \"14d\"",
            );
            check(
                name,
                "-336h",
                &day,
                "Invalid value: \"-336h\": negative value",
            );
            check(
                name,
                "336h",
                &[(SESSION_TTL, "20161")],
                "Forbidden: can't be less than auth-user-session-ttl-minutes",
            );
            check(name, "336h", &[(SESSION_TTL, "many")], "");
        }
        check(DISABLE_AFTER, "24h", &day, "");
        check(
            DISABLE_AFTER,
            "23h59m59s",
            &day,
            "Forbidden: can't be less than auth-user-session-ttl-minutes",
        );
        check(
            DELETE_AFTER,
            "335h",
            &day,
            "Forbidden: must be at least 336h0m0s",
        );
    }

    #[test]
    fn sessions_end_before_users_are_called_inactive() {
        let after = [(DISABLE_AFTER, "24h"), (DELETE_AFTER, "336h")];
        check(SESSION_TTL, "1440", &after, "");
        check(SESSION_TTL, "0", &after, "");
        check(
            SESSION_TTL,
            "1441",
            &after,
            "Forbidden: can't be greater than disable-inactive-user-after",
        );
        let deleted = [(DISABLE_AFTER, "0s"), (DELETE_AFTER, "336h")];
        check(SESSION_TTL, "20160", &deleted, "");
        check(
            SESSION_TTL,
            "20161",
            &deleted,
            "Forbidden: can't be greater than delete-inactive-user-after",
        );
        check(
            SESSION_TTL,
            "-1",
            &[],
            "Invalid value: \"-1\": negative value",
        );
        check(
            SESSION_TTL,
            "16h",
            &[],
            "Invalid value: \"16h\": it must be a whole number",
        );
        check(
            SESSION_TTL,
            "9223372036854775807",
            &[],
            "Invalid value: \"9223372036854775807\": value out of range",
        );
        let ttl = [(SESSION_TTL, "960")];
        check(SESSION_IDLE_TTL, "960", &ttl, "");
        check(
            SESSION_IDLE_TTL,
            "961",
            &ttl,
            "Forbidden: can't be greater than auth-user-session-ttl-minutes",
        );
        check(
            SESSION_IDLE_TTL,
            "0",
            &ttl,
            "Invalid value: \"0\": negative value or less than 1 minute",
        );
    }

    #[test]
    fn times_and_schedules_are_read() {
        check("user-last-login-default", "2026-11-29T00:00:00Z", &[], "");
        check("user-retention-cron", "0 0 * * 0", &[], "");
        check("user-retention-cron", "@daily", &[], "");
        check("auth-user-info-max-age-seconds", "-1", &[], "");
        for (name, value) in [
            ("user-last-login-default", "yesterday"),
            ("user-last-login-default", "2026-11-29"),
            ("user-retention-cron", "0 0 * *"),
            ("auth-user-info-resync-cron", "daily"),
            ("auth-user-info-max-age-seconds", "1h"),
        ] {
            assert!(super::check(name, value, &Others::new()).is_err(), "{name}");
        }
        check("ui-brand", "anything", &[], "");
    }

    #[test]
    fn registration_tokens_outlive_their_grace() {
        let (ttl, grace) = ([(REGISTRATION_TTL, "60")], [(REGISTRATION_GRACE, "30")]);
        check(REGISTRATION_TTL, "31", &grace, "");
        check(
            REGISTRATION_TTL,
            "30",
            &grace,
            "Forbidden: crt-default-ttl-minutes (30) must be greater than crt-default-grace-period-minutes (30)",
        );
        check(REGISTRATION_TTL, "29", &[], "Forbidden: must be >= 30");
        check(REGISTRATION_GRACE, "59", &ttl, "");
        check(
            REGISTRATION_GRACE,
            "60",
            &ttl,
            "Forbidden: crt-default-ttl-minutes (60) must be greater than crt-default-grace-period-minutes (60)",
        );
        check(REGISTRATION_GRACE, "9", &ttl, "Forbidden: must be >= 10");
    }
}
