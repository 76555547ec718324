#![doc = include_str!("../README.md")]
//!
//! # A property test
//!
//! With the feature `proptest`:
//!
//! ```ignore
#![doc = include_str!("../tests/property.rs")]
//! ```
//!
//! # A fuzz target
//!
//! ```ignore
#![doc = include_str!("../tests/fuzz_target.rs")]
//! ```
//!
//! Instead of single packets, a target can also play scripts, with the feature `arbitrary`: see
//! [`Simulation::arbitrary`].

mod agenda;
mod application;
pub mod client;
mod cluster;
pub mod engine;
mod harness;
pub mod net;
mod panics;
mod rng;
mod script;
mod shrink;
mod simulation;
pub mod wire;
mod world;

pub use self::{
    agenda::Agenda,
    application::{Application, Data},
    cluster::Cluster,
    harness::Harness,
    panics::catch_panic,
    rng::Rng,
    script::{Action, Choices, Fault, Moment, Restart, Step},
    shrink::{Shrink, shrink},
    simulation::{Failure, Simulation},
    world::{ReceivedEvent, SessionInfo, World},
};
