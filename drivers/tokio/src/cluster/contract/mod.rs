//! What every engine has to do, as tests that run against its real server.
//!
//! A node relies on a few rules of its engine, and on nothing else. [`check`] runs nodes over the engine
//! under test and says which rule is broken. It needs the feature `engine-contract`, which is meant for
//! tests.
//!
//! ```no_run
//! use socketio_proto_tokio::cluster::contract::{EngineUnderTest, check};
//! # use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};
//! # struct MyEngine;
//! # impl Engine for MyEngine {
//! #     async fn run(&mut self, _: &mut EngineLink) -> Result<(), EngineError> {
//! #         Ok(())
//! #     }
//! # }
//!
//! struct MyServer;
//!
//! impl EngineUnderTest for MyServer {
//!     type Engine = MyEngine;
//!
//!     fn open(&self) -> MyEngine {
//!         MyEngine
//!     }
//!
//!     async fn break_connections(&self) {
//!         // Ask the server to end the connections of its clients.
//!     }
//!
//!     async fn damage(&self) {
//!         // Append an entry that nobody can read, and publish such a message.
//!     }
//! }
//!
//! # async fn test() {
//! check(&MyServer).await.unwrap();
//! # }
//! ```

mod entries;
mod messages;
mod node;
mod sessions;

use std::time::Duration;

use thiserror::Error;

use super::Engine;

/// An engine and the server that it works with.
pub trait EngineUnderTest: Sync {
    /// The engine.
    type Engine: Engine;

    /// Makes an engine. All that are made work with the same server: each is that of another node.
    fn open(&self) -> Self::Engine;

    /// Breaks the connections of all engines with the server, as a network does. An engine without
    /// connections does nothing.
    fn break_connections(&self) -> impl Future<Output = ()> + Send;

    /// Puts something that no node can read where the entries are, and where messages are.
    fn damage(&self) -> impl Future<Output = ()> + Send;

    /// Whether the server keeps entries, so that they can be read again after a break, and by nodes that
    /// come later. Default `true`.
    fn has_log(&self) -> bool {
        true
    }
}

/// A rule that the engine has broken.
#[derive(Debug, Error)]
#[error("{rule}: {details}")]
pub struct BrokenRule {
    /// The rule.
    pub rule: &'static str,
    /// What has happened instead.
    pub details: String,
}

/// Longer than anything takes. Then it counts as not happening.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs all rules, one after another.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn check(engine: &impl EngineUnderTest) -> Result<(), BrokenRule> {
    entries::check(engine).await?;
    messages::check(engine).await?;
    sessions::check(engine).await
}

/// What a rule says has not happened.
type Checked<T = ()> = Result<T, String>;

/// Names the rule that a check is about.
fn rule(rule: &'static str, checked: Checked) -> Result<(), BrokenRule> {
    checked.map_err(|details| BrokenRule { rule, details })
}

fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(otherwise()) }
}
