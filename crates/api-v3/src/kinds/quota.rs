//! Quotas: whether they make sense, and whether a namespace fits into its project's.
//!
//! Invariant: of namespaces made at the same time through this server, no more are made than fit. Namespaces made
//! otherwise are judged by the controller, in the order in which they were made.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use drover_auth::web::ApiError;
use drover_types::quantity::Quantity;
use drover_types::quota::{Amounts, BadAmount, admit};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::{namespace, text_at};
use crate::call::Call;
use crate::mapping;
use crate::schema::{Layout, Object};
use crate::store::Store;

/// Projects that can be looked at without waiting for each other, as long as their names do not collide.
const N_LOCKS: usize = 64;

const NAMESPACES: Object = Object {
    kind: "Namespace",
    resource: "namespaces",
    namespaced: false,
    layout: Layout::Flat,
};

/// One namespace at a time is fitted into a project.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..N_LOCKS).map(|_| Mutex::new(())).collect())
    }

    async fn take(&self, project: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        project.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % N_LOCKS as u64).unwrap_or_default();
        self.0[at].lock().await
    }
}

fn bad(field: &'static str) -> impl FnOnce(BadAmount) -> ApiError {
    move |error| {
        let code = if error.negative {
            "MinLimitExceeded"
        } else {
            "InvalidFormat"
        };
        ApiError::invalid(code, error.to_string()).with_field(field)
    }
}

/// Where the quota of a namespace comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The caller sends it, or leaves it to the project.
    Sent,
    /// The namespace has it already, from a project that may limit other things.
    Kept,
}

/// Whether a namespace with these fields fits into the project; the fields are completed with what it has. The guard is
/// to be kept until the namespace is there. A quota that is sent names everything that the project limits, and nothing
/// else; what is kept is completed with the project's default.
///
/// # Errors
/// 422 `MissingRequired` naming what a quota lacks, `MaxLimitExceeded` with the numbers, `MinLimitExceeded` for negative
/// amounts, `InvalidFormat` for what is none; what the cluster answers.
pub(crate) async fn fit<'a>(
    call: &'a Call<'_>,
    cluster: &str,
    project: &Value,
    name: &str,
    fields: &mut Map<String, Value>,
    origin: Origin,
) -> Result<Option<MutexGuard<'a, ()>>, ApiError> {
    check_containers(fields)?;
    let is_sent = origin == Origin::Sent
        && fields
            .get("resourceQuota")
            .is_some_and(|quota| !quota.is_null());
    let own = Amounts::read(fields.get("resourceQuota")).map_err(bad("resourceQuota"))?;
    let limit = Amounts::read(project.pointer("/spec/resourceQuota"));
    let default = Amounts::read(project.pointer("/spec/namespaceDefaultResourceQuota"));
    let (limit, default) = match (limit, default) {
        (Ok(limit), Ok(default)) if !limit.is_empty() && !default.is_empty() => (limit, default),
        // What cannot be read limits nothing, as for the controller.
        _ => return Ok(None),
    };
    if is_sent {
        names_the_same(&own, &limit)?;
    }
    let own = Amounts::of_namespace(&default, &own);
    let project_name = mapping::name(project);
    let turn = call
        .shared
        .quotas
        .take(&format!("{cluster}:{project_name}"))
        .await;
    let mut others = namespaces(call, cluster, project_name).await?;
    others.retain(|other| mapping::name(other) != name);
    others.sort_by_key(|other| {
        (
            text_at(other, "/metadata/creationTimestamp").to_owned(),
            mapping::name(other).to_owned(),
        )
    });
    let taken: Vec<Amounts> = others
        .iter()
        .map(|other| {
            let quota = Amounts::read(namespace::quota(other).as_ref()).unwrap_or_default();
            Amounts::of_namespace(&default, &quota)
        })
        .collect();
    let used = admit(&limit, &taken).used;
    let excess = limit.excess(&used, &own);
    if !excess.is_empty() {
        let numbers: Vec<String> = excess.iter().map(ToString::to_string).collect();
        return Err(ApiError::invalid(
            "MaxLimitExceeded",
            format!(
                "the namespace does not fit into the quota of its project: {}",
                numbers.join("; ")
            ),
        )
        .with_field("resourceQuota"));
    }
    fields.insert("resourceQuota".to_owned(), json!({"limit": own.limit()}));
    Ok(Some(turn))
}

/// The namespaces of a project that are not going away.
async fn namespaces(call: &Call<'_>, cluster: &str, project: &str) -> Result<Vec<Value>, ApiError> {
    let whole = Store::of_core(call.shared.hooks.cluster(cluster).await?);
    let mut found: Vec<Value> = whole.list(NAMESPACES, None).await?;
    found.retain(|namespace| {
        let of = namespace::project(namespace, cluster).and_then(|id| id.split_once(':'));
        of.is_some_and(|(_, of)| of == project)
            && namespace.pointer("/metadata/deletionTimestamp").is_none()
    });
    Ok(found)
}

/// Whether a namespace's quota speaks of all that the project limits, and of nothing else.
fn names_the_same(own: &Amounts, limit: &Amounts) -> Result<(), ApiError> {
    let missing = |message: String| {
        Err(ApiError::invalid("MissingRequired", message).with_field("resourceQuota"))
    };
    let lacking = limit.fields_beyond(own);
    if !lacking.is_empty() {
        return missing(format!("the project limits {} too", lacking.join(", ")));
    }
    let foreign = own.fields_beyond(limit);
    if !foreign.is_empty() {
        return missing(format!("the project does not limit {}", foreign.join(", ")));
    }
    Ok(())
}

/// Whether the namespaces there are can have the default of what was not limited for them so far.
///
/// # Errors
/// 422 `MaxLimitExceeded` with the numbers; what the cluster answers. A cluster that cannot be reached is not asked.
pub(super) async fn check_namespaces(
    call: &Call<'_>,
    current: &Value,
    limit: Option<&Value>,
    default: Option<&Value>,
) -> Result<(), ApiError> {
    let limit = Amounts::read(limit).map_err(bad("resourceQuota"))?;
    let default = Amounts::read(default).map_err(bad("namespaceDefaultResourceQuota"))?;
    let used = current.pointer("/spec/resourceQuota/usedLimit");
    let used = Amounts::read(used.map(|used| json!({ "limit": used })).as_ref());
    let added = default.beyond(&used.unwrap_or_default());
    if added.is_empty() {
        return Ok(());
    }
    let (cluster, project) = (
        mapping::namespace(current).unwrap_or_default(),
        mapping::name(current),
    );
    let _turn = call
        .shared
        .quotas
        .take(&format!("{cluster}:{project}"))
        .await;
    let n_namespaces = match namespaces(call, cluster, project).await {
        Ok(found) => found.len(),
        Err(error) if error.status == StatusCode::SERVICE_UNAVAILABLE => return Ok(()),
        Err(error) => return Err(error),
    };
    let together = added.times(n_namespaces);
    if let Some(excess) = limit.excess(&Amounts::default(), &together).first() {
        let message = format!(
            "{}: {n_namespaces} namespaces with the default have {} together, of {} in all",
            excess.field, excess.wanted, excess.limit
        );
        return Err(ApiError::invalid("MaxLimitExceeded", message)
            .with_field("namespaceDefaultResourceQuota"));
    }
    Ok(())
}

/// Whether the amounts of a project make sense: all are amounts, the default of namespaces fits, what is used fits.
///
/// # Errors
/// 422 naming the field and the numbers.
pub(super) fn check_amounts(
    project: Option<&Value>,
    default: Option<&Value>,
    used: Option<&Value>,
) -> Result<(), ApiError> {
    let limit = Amounts::read(project).map_err(bad("resourceQuota"))?;
    let default = Amounts::read(default).map_err(bad("namespaceDefaultResourceQuota"))?;
    let nothing = Amounts::default();
    if let Some(excess) = limit.excess(&nothing, &default).first() {
        let message = format!(
            "{}: the default of namespaces is {}, of {} in all",
            excess.field, excess.wanted, excess.limit
        );
        return Err(ApiError::invalid("MaxLimitExceeded", message)
            .with_field("namespaceDefaultResourceQuota"));
    }
    let used = used.map(|used| json!({ "limit": used }));
    let used = Amounts::read(used.as_ref()).unwrap_or_default();
    if let Some(excess) = limit.excess(&nothing, &used).first() {
        let message = format!(
            "{}: namespaces have {} already, more than {}",
            excess.field, excess.wanted, excess.limit
        );
        return Err(ApiError::invalid("MaxLimitExceeded", message).with_field("resourceQuota"));
    }
    Ok(())
}

/// Whether the defaults of containers are amounts, and no request is above its limit.
///
/// # Errors
/// 422 naming the field.
pub(crate) fn check_containers(fields: &Map<String, Value>) -> Result<(), ApiError> {
    const FIELD: &str = "containerDefaultResourceLimit";
    let invalid = |code, message: String| Err(ApiError::invalid(code, message).with_field(FIELD));
    let amount = |name: &str| {
        let text = fields.get(FIELD)?.get(name)?.as_str()?;
        Some((text.to_owned(), Quantity::parse(text))).filter(|(text, _)| !text.is_empty())
    };
    for (request, limit) in [
        ("requestsCpu", "limitsCpu"),
        ("requestsMemory", "limitsMemory"),
    ] {
        let (asked, limited) = (amount(request), amount(limit));
        for (name, given) in [(request, &asked), (limit, &limited)] {
            if let Some((text, None)) = given {
                return invalid(
                    "InvalidFormat",
                    format!("{name}: {text} is not an amount such as 2, 500m or 1Gi"),
                );
            }
        }
        if let (Some((_, Some(asked))), Some((_, Some(limited)))) = (asked, limited)
            && asked.exceeds(limited)
        {
            return invalid(
                "MaxLimitExceeded",
                format!("{request}: {asked} is more than {limit}, {limited}"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_a_project_make_sense_or_are_named() {
        let limit = |pods: &str| json!({"limit": {"pods": pods}});
        let check = |project: &str, default: &str, used: &Value, expected: Option<&str>| {
            let found = check_amounts(Some(&limit(project)), Some(&limit(default)), Some(used));
            let found = found
                .err()
                .map(|error| format!("{} {}", error.code, error.message));
            match (found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        };
        check("10", "2", &json!({"pods": "10"}), None);
        check("x", "2", &Value::Null, Some("InvalidFormat"));
        check(
            "1",
            "2",
            &Value::Null,
            Some("MaxLimitExceeded pods: the default of namespaces is 2, of 1"),
        );
        check(
            "9",
            "2",
            &json!({"pods": "10"}),
            Some("MaxLimitExceeded pods: namespaces have 10"),
        );
        check("-1", "2", &Value::Null, Some("MinLimitExceeded pods: -1"));
    }

    #[test]
    fn a_namespace_names_what_its_project_limits() {
        let amounts = |limit: &Value| Amounts::read(Some(&json!({ "limit": limit }))).unwrap();
        let project = amounts(&json!({"pods": "10", "limitsCpu": "1"}));
        let check = |own: &Value| {
            names_the_same(&amounts(own), &project)
                .map_err(|error| (error.code.to_string(), error.message))
        };
        assert_eq!(check(&json!({"pods": "1", "limitsCpu": "1m"})), Ok(()));
        let missing = |message: &str| Err(("MissingRequired".to_owned(), message.to_owned()));
        assert_eq!(
            check(&json!({"pods": "1"})),
            missing("the project limits limitsCpu too")
        );
        assert_eq!(
            check(&json!({"pods": "1", "limitsCpu": "1", "secrets": "2"})),
            missing("the project does not limit secrets")
        );
    }

    #[test]
    fn requests_of_containers_are_within_their_limits() {
        let check = |limits: &Value| {
            let fields = json!({ "containerDefaultResourceLimit": limits });
            check_containers(fields.as_object().unwrap())
                .err()
                .map(|error| error.code)
        };
        assert_eq!(
            check(&json!({"requestsCpu": "100m", "limitsCpu": "1"})),
            None
        );
        assert_eq!(
            check(&json!({"requestsMemory": "2Gi", "limitsMemory": "1Gi"})).as_deref(),
            Some("MaxLimitExceeded")
        );
        assert_eq!(
            check(&json!({"limitsCpu": "much"})).as_deref(),
            Some("InvalidFormat")
        );
    }
}
