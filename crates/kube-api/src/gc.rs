//! Removal of objects whose owners are gone.
