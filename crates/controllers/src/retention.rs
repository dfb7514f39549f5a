//! Users who have been away for long: disabled, then deleted, if the settings ask for it.
//!
//! Owns the labels that say when that will be, and the runs that do it, on a schedule (rancher/rancher
//! `pkg/auth/userretention`). When somebody last signed in is noted where that happens; what a deleted user held goes with
//! it ([`crate::users`]).
//!
//! Invariants: the default administrator and system users stay; so does everybody who never signed in, and anybody
//! about whom something cannot be read.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use drover_auth::Clock;
use drover_auth::logins::LAST_LOGIN_LABEL;
use drover_types::duration;
use drover_types::management::{User, UserAttribute};
use drover_types::schedule::Schedule;
use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError};
use crate::settings::{self, Settings};

/// Label with the second at which a user will be disabled.
pub const DISABLE_LABEL: &str = "cattle.io/disable-after";
/// Label with the second at which a user will be deleted.
pub const DELETE_LABEL: &str = "cattle.io/delete-after";
/// The key under which all users are looked at; no user has the name.
pub(crate) const ALL: &str = "*";
/// What the default administrator is called.
const ADMINISTRATOR: &str = "admin";
/// What the default administrator is labelled with.
const ADMINISTRATOR_LABEL: (&str, &str) =
    ("authz.management.cattle.io/bootstrapping", "admin-user");
/// A clock may be set; the schedule is compared with it at least this often.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

const DISABLE_AFTER: &str = "disable-inactive-user-after";
const DELETE_AFTER: &str = "delete-inactive-user-after";
const DEFAULT_LAST_LOGIN: &str = "user-last-login-default";
const DRY_RUN: &str = "user-retention-dry-run";
const CRON: &str = "user-retention-cron";

/// Whether retention depends on this setting.
pub(crate) fn depends_on(setting: &str) -> bool {
    [
        DISABLE_AFTER,
        DELETE_AFTER,
        DEFAULT_LAST_LOGIN,
        DRY_RUN,
        CRON,
    ]
    .contains(&setting)
}

/// What the settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    disable_after: Option<SignedDuration>,
    delete_after: Option<SignedDuration>,
    default_last_login: Option<Timestamp>,
    is_rehearsal: bool,
}

impl Rules {
    /// Reads the settings.
    ///
    /// # Errors
    /// Which one cannot be read, and why. Then nothing may be done.
    pub fn of(settings: &Settings) -> Result<Self, String> {
        let after = |name: &str| match settings.get(name) {
            "" => Ok(None),
            text => match duration::parse(text) {
                Ok(after) => Ok(Some(after).filter(SignedDuration::is_positive)),
                Err(error) => Err(format!("{name}: {error}")),
            },
        };
        let default_last_login = match settings.get(DEFAULT_LAST_LOGIN) {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|error| format!("{DEFAULT_LAST_LOGIN}: {error}"))?,
            ),
        };
        Ok(Self {
            disable_after: after(DISABLE_AFTER)?,
            delete_after: after(DELETE_AFTER)?,
            default_last_login,
            is_rehearsal: settings.get(DRY_RUN).eq_ignore_ascii_case("true"),
        })
    }

    fn is_idle(&self) -> bool {
        self.disable_after.is_none() && self.delete_after.is_none()
    }

    /// When what happens to a user.
    fn terms(&self, user: &User, attribute: &UserAttribute) -> Terms {
        let last_login = match attribute.last_login.as_str() {
            "" => self.default_last_login,
            text => text.parse().ok(),
        };
        let Some(last_login) = last_login.filter(|_| !is_administrator(user)) else {
            return Terms {
                last_login,
                ..Terms::default()
            };
        };
        Terms {
            last_login: Some(last_login),
            disable: term(last_login, self.disable_after, &attribute.disable_after),
            delete: term(last_login, self.delete_after, &attribute.delete_after),
        }
    }
}

/// `own` is what the user's attributes say in place of the setting; zero is never, as is what cannot be read.
fn term(
    last_login: Timestamp,
    general: Option<SignedDuration>,
    own: &Option<String>,
) -> Option<Timestamp> {
    let general = general?;
    let after = match own {
        Some(own) => duration::parse(own)
            .ok()
            .filter(SignedDuration::is_positive)?,
        None => general,
    };
    Timestamp::from_second(last_login.checked_add(after).ok()?.as_second()).ok()
}

fn is_administrator(user: &User) -> bool {
    let (label, value) = ADMINISTRATOR_LABEL;
    user.username == ADMINISTRATOR || user.labels().get(label).is_some_and(|is| is == value)
}

fn is_system(user: &User) -> bool {
    let mut principals = user.principal_ids.iter();
    principals.any(|principal| principal.starts_with("system:"))
}

/// When a user last signed in, and when something follows from it.
#[derive(Debug, Default)]
struct Terms {
    last_login: Option<Timestamp>,
    disable: Option<Timestamp>,
    delete: Option<Timestamp>,
}

impl Terms {
    /// The labels of a user that are not what they should be.
    fn relabel(&self, user: &User) -> Map<String, Value> {
        let wanted = [
            (LAST_LOGIN_LABEL, self.last_login),
            (DISABLE_LABEL, self.disable),
            (DELETE_LABEL, self.delete),
        ];
        let wanted = wanted.map(|(label, at)| (label, at.map(|at| at.as_second().to_string())));
        let differs =
            |(label, value): &(&str, Option<String>)| user.labels().get(*label) != value.as_ref();
        let changed = wanted.into_iter().filter(differs);
        changed
            .map(|(label, value)| (label.to_owned(), json!(value)))
            .collect()
    }
}

/// What becomes of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Stays,
    /// It may not sign in any more.
    Disabled,
    /// It goes.
    Deleted,
}

/// Decides about one user. `run` is the time of a run; between runs labels alone are kept.
#[must_use]
pub fn reconcile(
    rules: &Rules,
    user: &User,
    attribute: Option<&UserAttribute>,
    run: Option<Timestamp>,
) -> (Verdict, Plan) {
    let mut plan = Plan::default();
    // Without attributes the user never signed in.
    let Some(attribute) = attribute else {
        return (Verdict::Stays, plan);
    };
    if is_system(user) || user.metadata.deletion_timestamp.is_some() {
        return (Verdict::Stays, plan);
    }
    let terms = rules.terms(user, attribute);
    let is_over = |term: Option<Timestamp>| run.zip(term).is_some_and(|(now, term)| now > term);
    let verdict = if is_over(terms.delete) {
        Verdict::Deleted
    } else if is_over(terms.disable) && user.is_enabled() {
        Verdict::Disabled
    } else {
        Verdict::Stays
    };
    let target = Reference::new::<User>(None, &user.name_any());
    if verdict == Verdict::Deleted && !rules.is_rehearsal {
        plan.actions.push(Action::Delete {
            site: Site::Hub,
            target,
            uid: user.uid(),
        });
        return (verdict, plan);
    }
    let mut change = json!({});
    let labels = terms.relabel(user);
    if !labels.is_empty() {
        change["metadata"]["labels"] = Value::Object(labels);
    }
    if verdict == Verdict::Disabled && !rules.is_rehearsal {
        change["enabled"] = json!(false);
    }
    if change != json!({}) {
        // Whoever signs in now changes the user, and is found then.
        change["metadata"]["resourceVersion"] = json!(user.resource_version());
        plan.actions.push(Action::patch(Site::Hub, target, change));
    }
    (verdict, plan)
}

/// Up to when runs have been done, and by which schedule.
#[derive(Debug)]
struct Progress {
    schedule: String,
    since: Timestamp,
}

/// Looks after users who have been away; keys are their names, and [`ALL`].
pub(crate) struct Retention {
    client: Client,
    settings: settings::Shared,
    clock: Clock,
    progress: Mutex<Progress>,
}

impl Retention {
    pub(crate) fn new(client: Client, settings: settings::Shared, clock: Clock) -> Self {
        let progress = Progress {
            schedule: String::new(),
            since: clock.now(),
        };
        Self {
            client,
            settings,
            clock,
            progress: Mutex::new(progress),
        }
    }

    /// Since when a run may be due by this schedule: one that is new counts from now on.
    fn since(&self, schedule: &str, now: Timestamp) -> Timestamp {
        let mut progress = self.progress.lock();
        if progress.schedule != schedule {
            schedule.clone_into(&mut progress.schedule);
            progress.since = now;
        }
        progress.since
    }

    async fn look_at(
        &self,
        rules: &Rules,
        user: &User,
        attribute: Option<&UserAttribute>,
        run: Option<Timestamp>,
    ) -> Result<(), LookError> {
        let (verdict, plan) = reconcile(rules, user, attribute, run);
        let (user, is_rehearsal) = (user.name_any(), rules.is_rehearsal);
        Sites::hub(&self.client).execute(&plan).await?;
        match verdict {
            Verdict::Stays => {}
            Verdict::Disabled => tracing::info!(user, is_rehearsal, "inactive user is disabled"),
            Verdict::Deleted => tracing::info!(user, is_rehearsal, "inactive user is deleted"),
        }
        Ok(())
    }

    async fn look_at_all(&self, rules: &Rules, run: Option<Timestamp>) -> Result<(), LookError> {
        let all = ListParams::default();
        let users = Api::<User>::all(self.client.clone()).list(&all).await?;
        let attributes = Api::<UserAttribute>::all(self.client.clone());
        let attributes: HashMap<String, UserAttribute> = attributes
            .list(&all)
            .await?
            .into_iter()
            .map(|attribute| (attribute.name_any(), attribute))
            .collect();
        let mut failed = None;
        for user in &users {
            let attribute = attributes.get(&user.name_any());
            // One that cannot be changed holds up nobody else.
            if let Err(error) = self.look_at(rules, user, attribute, run).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Controller for Retention {
    const NAME: &'static str = "retention";

    async fn look(&self, key: &str) -> Result<Option<Timestamp>, LookError> {
        let settings = self.settings.read().await?;
        let rules = match Rules::of(&settings) {
            Ok(rules) => rules,
            Err(error) => {
                tracing::error!(%error, "a setting cannot be read, no user is disabled or deleted");
                return Ok(None);
            }
        };
        if key != ALL {
            // The label of the last login is set where that happens.
            if rules.is_idle() {
                return Ok(None);
            }
            let user = Api::<User>::all(self.client.clone()).get_opt(key).await?;
            let attributes = Api::<UserAttribute>::all(self.client.clone());
            if let (Some(user), Some(attribute)) = (user, attributes.get_opt(key).await?) {
                self.look_at(&rules, &user, Some(&attribute), None).await?;
            }
            return Ok(None);
        }
        let text = settings.get(CRON);
        let schedule = match Schedule::parse(text) {
            _ if text.is_empty() => None,
            Ok(schedule) => Some(schedule),
            Err(error) => {
                tracing::error!(
                    setting = CRON,
                    error,
                    "a setting cannot be read, no user is disabled or deleted"
                );
                None
            }
        };
        let next = |after| schedule.as_ref().and_then(|schedule| schedule.next(after));
        let now = self.clock.now();
        let is_due = next(self.since(text, now)).is_some_and(|at| at <= now);
        self.look_at_all(&rules, is_due.then_some(now)).await?;
        self.progress.lock().since = now;
        Ok(next(now).map(|at| at.min(now + PERIOD)))
    }
}
