//! The engine between the nodes of a cluster, in memory: channels, a store, and what it is able to do.
//!
//! [`World`](crate::World) carries it over links that lag and break. It is public, so that you can write another
//! world: hand what nodes [append](Channel::append) and [command](Store::carry_out) in at whatever
//! moment you like, and hand what it returns to the nodes.

mod channel;
mod official;
mod options;
mod store;

pub use self::{
    channel::Channel,
    official::OfficialNode,
    options::{EngineOptions, Positions},
    store::Store,
};
