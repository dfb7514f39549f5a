//! The management API at /v3: schemas, collections, links, actions.
