//! The product as people run it: the real server and agent as processes,
//! real control planes, real kubectl.
//!
//! Each scenario starts what it needs on free ports. They run one at a time:
//! a control plane alone uses what this kind of machine has.

#![expect(clippy::print_stderr, reason = "a test that cannot run here says why")]

mod audit;
mod boot;
mod cli;
mod clients;
mod cut;
mod endpoint;
mod explorer;
mod fixture;
mod guard;
mod image;
mod import;
mod join;
mod kubectl;
mod norman;
mod outage;
mod own;
mod owners;
mod proxy;
mod refusals;
mod replicas;
mod shell;
mod streams;
