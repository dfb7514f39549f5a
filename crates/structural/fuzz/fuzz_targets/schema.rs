//! Schemas and objects: `[schema, object]` never panics, and pruning and defaulting reach a fixpoint.

#![no_main]

use drover_structural::{Path, Schema, default, prune, structural, validate};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok((schema, object)) = serde_json::from_slice::<(Value, Value)>(input) else { return };
    let _ = structural::check(&schema, &Path::field("schema"));
    let Ok(schema) = Schema::from_crd(&schema) else { return };
    let mut once = object;
    prune::prune(&mut once, &schema);
    let mut twice = once.clone();
    prune::prune(&mut twice, &schema);
    assert_eq!(once, twice);
    default::drop_nulls(&mut once, &schema);
    default::default(&mut once, &schema);
    let _ = validate::create(&once, &schema);
    assert!(validate::update(&once, &once, &schema).is_empty() || !once.is_object());
});
