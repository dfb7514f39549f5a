//! Clusters and what controllers do about them, over a hub in this process. Only the session is played.

#![cfg(test)]

mod life;
mod matrix;
mod people;
mod projects;
mod retention;
mod targets;
mod world;
