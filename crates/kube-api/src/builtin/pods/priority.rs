//! How important pods are (kubernetes `plugin/pkg/admission/priority`, v1.36).

use serde_json::{Value, json};

use crate::rest::Api;
use crate::rest::object::meta;
use crate::store::{Key, Range};

const CLASSES: &str = "scheduling.k8s.io/priorityclasses";
const USUAL: &str = "PreemptLowerPriority";

/// Gives a new pod the priority of its class, or of the one that is the default; why that is forbidden, if it is.
pub(super) fn set(api: &Api, pod: &mut Value) -> Result<(), String> {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let named = spec.get("priorityClassName").and_then(Value::as_str);
    let named = named.filter(|name| !name.is_empty()).map(str::to_owned);
    let class = match &named {
        Some(name) => {
            let stored = api.store.get(CLASSES, &Key::new("", name));
            let found = stored.map(|stored| stored.value());
            Some(found.ok_or_else(|| format!("no PriorityClass with name {name} was found"))?)
        }
        None => default(api),
    };
    let of_class = |member: &str| class.as_ref().and_then(|class| class.get(member).cloned());
    let priority = of_class("value").unwrap_or_else(|| json!(0));
    let policy = of_class("preemptionPolicy").unwrap_or_else(|| USUAL.into());
    if let (None, Some(class)) = (&named, &class) {
        spec.insert("priorityClassName".to_owned(), meta(class, "name").into());
    }
    let given = spec.get("priority").filter(|given| !given.is_null());
    if let Some(given) = given.filter(|given| **given != priority) {
        return Err(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        ));
    }
    let given = spec.get("preemptionPolicy").and_then(Value::as_str);
    if let Some(given) = given.filter(|given| policy != *given) {
        return Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
            policy.as_str().unwrap_or_default()
        ));
    }
    spec.insert("priority".to_owned(), priority);
    spec.insert("preemptionPolicy".to_owned(), policy);
    Ok(())
}

/// The class of pods that name none: of several, the least important.
fn default(api: &Api) -> Option<Value> {
    let page = api.store.list(CLASSES, &Range::default()).ok()?;
    let classes = page.items.iter().map(|(_, item)| item.value());
    classes
        .filter(|class| class["globalDefault"] == true)
        .min_by_key(|class| class["value"].as_i64())
}
