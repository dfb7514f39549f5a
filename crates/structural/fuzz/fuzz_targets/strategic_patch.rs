//! Strategic merge patch and apply: `[schema, object, patch]` never panics.

#![no_main]

use drover_structural::managed_fields::{Request, apply};
use drover_structural::{Schema, strategic_patch};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok((schema, object, patch)) = serde_json::from_slice::<(Value, Value, Value)>(input) else { return };
    let Ok(schema) = Schema::from_crd(&schema) else { return };
    let mut target = object.clone();
    let _ = strategic_patch::apply(&mut target, &patch, &schema);
    let request = Request {
        schema: &schema,
        api_version: "v1",
        subresource: "",
        manager: "fuzz",
        reset: None,
        blank: None,
        versions: None,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let _ = apply(Some(&object), &patch, &request, true);
});
