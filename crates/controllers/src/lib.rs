//! Controllers: pure reconciliation and an executor without choices.

pub mod clusters;
pub mod downstream;
pub mod facts;
pub mod leader;
pub mod manifest;
pub mod nodes;
mod observer;
pub mod plan;
mod quantity;
mod random;
pub mod registration;
mod runtime;
pub mod settings;
