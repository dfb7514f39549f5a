//! Resources whose fields lie otherwise in their objects: Services, names in DNS, ingresses, autoscalers.
//!
//! Pure. A *view* is the object with its fields where the declaration says they are; [`store`] turns it back. What no
//! field shows stays as it was.

mod autoscaler;
pub(crate) mod ingress;
pub(crate) mod service;

use std::borrow::Cow;

use drover_auth::web::ApiError;
use drover_types::targets;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::workload;
use crate::call::Item;
use crate::schema::{Form, Type};

/// The object with its fields where they are declared.
pub(crate) fn view<'a>(kind: &Type, object: &'a Value) -> Cow<'a, Value> {
    if let Some(workload) = kind.workload {
        return Cow::Owned(workload::view(kind, workload, object));
    }
    let Some(form) = kind.form else {
        return Cow::Borrowed(object);
    };
    let mut view = object.clone();
    match form {
        Form::Service | Form::DnsRecord => service::view(&mut view),
        Form::Ingress => ingress::view(&mut view),
        Form::Autoscaler => autoscaler::view(&mut view),
    }
    Cow::Owned(view)
}

/// Writes what a view says into the object.
///
/// # Errors
/// 422 naming the field for what no object can be.
pub(crate) fn store(kind: &Type, view: Value, object: &mut Value) -> Result<(), ApiError> {
    if let Some(workload) = kind.workload {
        return workload::store(workload, &view, object);
    }
    let stored = match kind.form {
        None => view,
        Some(form @ (Form::Service | Form::DnsRecord)) => service::store(form, view, object)?,
        Some(Form::Ingress) => ingress::store(view)?,
        Some(Form::Autoscaler) => autoscaler::store(view)?,
    };
    *object = stored;
    Ok(())
}

/// What a new object has that the client need not say.
pub(crate) fn begin(kind: &Type, sent: &Map<String, Value>, object: &mut Value) {
    if let Some(workload) = kind.workload {
        workload::begin(kind, workload, object);
    } else if let Some(form @ (Form::Service | Form::DnsRecord)) = kind.form {
        service::begin(form, sent, object);
    }
}

/// What a resource shows that does not follow from its fields.
pub(crate) fn amend(kind: &Type, object: &Value, now: Timestamp, item: &mut Item) {
    if let Some(workload) = kind.workload {
        workload::amend(kind, workload, object, item);
    }
    let Some(form) = kind.form else { return };
    if let Some(shown) = item.get_mut("annotations").and_then(Value::as_object_mut) {
        shown.retain(|key, _| {
            let field = key.strip_prefix("field.cattle.io/").unwrap_or_default();
            field != "displayName" && kind.field(field).is_none()
        });
    }
    match form {
        Form::Service | Form::DnsRecord => {}
        Form::Ingress => ingress::amend(object, item),
        Form::Autoscaler => autoscaler::amend(object, now, item),
    }
}

/// Kind (in the letters of identifiers), namespace and name of a workload.
///
/// # Errors
/// 422 naming the field for what is no identifier of one.
pub(crate) fn workload_id<'a>(
    id: &'a str,
    field: &'static str,
) -> Result<(&'a str, &'a str, &'a str), ApiError> {
    targets::workload_id(id).ok_or_else(|| {
        let message = format!("{id:?} is no <kind>:<namespace>:<name> of a workload");
        ApiError::invalid("InvalidReference", message).with_field(field)
    })
}
