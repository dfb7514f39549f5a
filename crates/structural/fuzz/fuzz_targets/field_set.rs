//! FieldsV1: whatever parses prints to what parses to the same set.

#![no_main]

use drover_structural::field_set::FieldSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(value) = serde_json::from_slice(input) else { return };
    let Ok(set) = FieldSet::parse(&value) else { return };
    let again = FieldSet::parse(&set.to_value());
    assert_eq!(again.as_ref(), Ok(&set));
    assert_eq!(set.union(&set), set);
    assert!(set.difference(&set).is_empty());
    let _ = set.paths().iter().map(ToString::to_string).collect::<Vec<_>>();
});
