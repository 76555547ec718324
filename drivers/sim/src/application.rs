//! The application under test.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use socketio_proto::{
    Timestamp,
    server::{Server, ServerEvent},
};

/// The application's own data of a socket. A restart writes it to a snapshot and reads it again.
pub trait Data: Clone + Debug + Default + Serialize + DeserializeOwned + 'static {}

impl<D: Clone + Debug + Default + Serialize + DeserializeOwned + 'static> Data for D {}

/// The application under test: it handles the events of a server.
///
/// Functions and closures that handle an event are applications. A type of your own can do more:
/// prepare the server, and have timers.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::server::{Server, ServerEvent};
/// use socketio_proto_sim::Application;
///
/// #[derive(Default)]
/// struct Visitors {
///     count: u64,
/// }
///
/// impl Application for Visitors {
///     fn handle_event(&mut self, server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
///         match event {
///             ServerEvent::ConnectRequested { request, .. } => {
///                 server.at(now).accept(request);
///             }
///             ServerEvent::Connected { .. } => self.count += 1,
///             _ => {}
///         }
///     }
/// }
/// ```
pub trait Application<D: Data = ()> {
    /// Handles an event. The application acts through [`Server::at`].
    fn handle_event(&mut self, server: &mut Server<D>, now: Timestamp, event: ServerEvent<D>);

    /// Prepares a new server. By default it gets the main namespace.
    fn start(&mut self, server: &mut Server<D>, now: Timestamp) {
        server.at(now).add_namespace("/").expect("the main namespace");
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due. By default there is no timer.
    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    /// Does what is due.
    fn handle_timeout(&mut self, _server: &mut Server<D>, _now: Timestamp) {}
}

impl<D: Data, F: FnMut(&mut Server<D>, Timestamp, ServerEvent<D>)> Application<D> for F {
    fn handle_event(&mut self, server: &mut Server<D>, now: Timestamp, event: ServerEvent<D>) {
        self(server, now, event);
    }
}
