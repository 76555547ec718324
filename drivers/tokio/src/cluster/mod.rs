//! Servers that are nodes of a cluster, and the engines that connect them.
//!
//! An [`Engine`] carries what [`Server::clustered`](socketio_proto::server::Server::clustered) outputs for
//! its cluster, and hands in what comes back. It runs in a task of its own. `socketio-proto-redis` is
//! the one for Redis. [`start_clustered`](crate::start_clustered) and
//! [`run_clustered`](crate::run_clustered) take a server, an application and an engine.
//!
//! The driver supervises the engine. When [`Engine::run`] returns or panics, the server learns that the
//! connection is lost, and `run` is called again: after 50 ms at first, then after twice as long each
//! time, up to 5 seconds. Each wait is shortened by a random part of up to a half, so that nodes do not
//! come back at the same moment. A connection that has lasted for 5 seconds starts the waits anew.

#[cfg(feature = "engine-contract")]
pub mod contract;
mod link;
mod outputs;
mod stats;
mod supervisor;

use std::error::Error;

pub use self::{
    link::{EngineInputs, EngineLink},
    stats::EngineStats,
};
pub(crate) use self::{
    outputs::Outputs,
    supervisor::{Ended, supervise},
};

/// Why an engine has lost its connection.
pub type EngineError = Box<dyn Error + Send + Sync>;

/// What connects a server with the other nodes of its cluster.
///
/// An engine for one process, in which several servers share a channel of entries:
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use socketio_proto::cluster::{ClusterInput, ClusterOutput, message::Message};
/// use socketio_proto::recovery::Offset;
/// use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};
/// use tokio::sync::watch;
///
/// #[derive(Clone)]
/// struct Memory(watch::Sender<Vec<Message>>);
///
/// impl Engine for Memory {
///     async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
///         let mut entries = self.0.subscribe();
///         let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, entries.borrow().len() as u64));
///         link.inputs().send(vec![ClusterInput::Connected { channel: 0, oldest, head }]).await;
///         let mut read = entries.borrow().len();
///         loop {
///             tokio::select! {
///                 output = link.recv() => match output {
///                     None => return Ok(()),
///                     Some(ClusterOutput::Append(message)) => {
///                         self.0.send_modify(|entries| entries.push(Arc::unwrap_or_clone(message)));
///                     }
///                     Some(ClusterOutput::Read { after, .. }) => {
///                         read = after.numbers().map_or(0, |(_, position)| position as usize);
///                         entries.mark_changed();
///                     }
///                     // A real engine carries out the others as well.
///                     Some(_) => {}
///                 },
///                 Ok(()) = entries.changed() => {
///                     let new: Vec<_> = entries.borrow_and_update().iter().skip(read).cloned().collect();
///                     let inputs = new.into_iter().map(|message| {
///                         read += 1;
///                         let position = Offset::pair(0, read as u64);
///                         ClusterInput::Entry { channel: 0, position, message: Some(message) }
///                     });
///                     link.inputs().send(inputs.collect()).await;
///                 }
///             }
///         }
///     }
/// }
/// ```
pub trait Engine: Send + 'static {
    /// Connects, and works until the connection is lost.
    ///
    /// Hand in [`Connected`](socketio_proto::cluster::ClusterInput::Connected), and then carry out what
    /// [`EngineLink::recv`] returns, in its order. Do not hand in
    /// [`Disconnected`](socketio_proto::cluster::ClusterInput::Disconnected): return. Nothing of this
    /// connection may take effect or be handed in after that. When `recv` returns `None`, the server has
    /// ended. Finish what was begun and return `Ok`; the server waits for that, but not for long.
    ///
    /// # Errors
    ///
    /// Why the connection could not be made, or was lost.
    fn run(
        &mut self,
        link: &mut EngineLink,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;
}
