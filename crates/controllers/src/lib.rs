//! Controllers: pure reconciliation and an executor without choices.
