//! The methods of an application, at one time.

mod broadcast;
mod clustered;
mod connect;
mod emit;
mod once;
#[cfg(feature = "record")]
mod record;
mod requests;
mod sockets;
mod to_socket;

use core::{fmt, ops::Deref};

pub use self::{broadcast::Broadcast, to_socket::ToSocket};
use super::{EmitError, Hub, Reach};
use crate::{id::ConnectionId, socket, stats::increment, time::Timestamp};

/// The methods by which an application changes something. All of them act at the same time, `now`.
///
/// [`Server::at`](crate::server::Server::at) and [`Hub::at`] create it. It borrows the server or
/// the hub. With a server, the effect of each method has reached the connections when the method
/// returns. So the results are complete: [`EmitError::QueueFull`], [`Reach`]. With a hub alone, the
/// outputs wait in [`Hub::poll_output`], and their effect on the links is not known yet.
///
/// It dereferences to the [`Hub`], so it also has the methods that only read: [`data`](Hub::data),
/// [`rooms`](Hub::rooms), and so on.
///
/// The calls of Socket.IO's emit cheat sheet:
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::hub::EmitError;
/// use socketio_proto::server::Server;
/// use socketio_proto::{SocketKey, Timestamp};
///
/// fn cheat_sheet(server: &mut Server, now: Timestamp, socket: SocketKey) -> Result<(), EmitError> {
///     let mut at = server.at(now);
///     // To one client: socket.emit("hello", 1, "2")
///     at.socket(socket).emit("hello", &(1, "2"))?;
///     // To everyone: io.emit("hello"), and to everyone but the sender: socket.broadcast.emit("hello")
///     at.all().emit("hello", &())?;
///     at.socket(socket).broadcast().emit("hello", &())?;
///     // To rooms: io.to("room1").to("room2").except("room3").emit("hello")
///     at.to("room1").to("room2").except("room3").emit("hello", &())?;
///     // From one client to the others in a room: socket.to("room1").emit("hello")
///     at.socket(socket).to("room1").emit("hello", &())?;
///     // To another namespace: io.of("/admin").emit("hello")
///     at.of("/admin").emit("hello", &())?;
///     // Not for clients that cannot take it now: socket.volatile.emit("hello")
///     at.socket(socket).volatile().emit("hello", &())?;
///     // Only to clients of this server: io.local.emit("hello")
///     at.all().local().emit("hello", &())?;
///     // With an acknowledgement and a timeout: socket.timeout(5000).emitWithAck("hello")
///     at.socket(socket).emit_with_ack("hello", &(), Duration::from_secs(5))?;
///     at.to("room1").emit_with_ack("hello", &(), Duration::from_secs(5))?;
///     Ok(())
/// }
/// # let mut server = Server::new(Default::default(), |dest: &mut [u8]| dest.fill(7)).unwrap();
/// # let socket = None;
/// # socket.map(|socket| cheat_sheet(&mut server, Timestamp::ZERO, socket));
/// ```
///
/// To emit an event more than once, or to use an [`Audience`](super::Audience) more than once,
/// create it once and pass it to [`emit`](Self::emit) or [`broadcast`](Self::broadcast).
pub struct At<'a, D> {
    hub: &'a mut Hub<D>,
    now: Timestamp,
    carrier: Option<&'a mut (dyn Carrier<D> + 'a)>,
}

/// Has the links of a hub on the same thread.
pub(crate) trait Carrier<D> {
    /// Refuses an event for a socket if the queue of its connection has no room for it.
    ///
    /// # Errors
    ///
    /// [`EmitError::QueueFull`].
    fn check_room(
        &mut self,
        now: Timestamp,
        to: ConnectionId,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<(), EmitError>;

    /// Carries messages between the hub and the links until none are left. Returns how many sockets
    /// the delivered packets have reached.
    fn carry(&mut self, hub: &mut Hub<D>, now: Timestamp) -> Reach;
}

impl<D: Default> Hub<D> {
    /// Returns the methods of the application, at time `now`. If `now` is earlier than in a
    /// previous call, the previous time is used.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::Hub;
    ///
    /// let mut hub = Hub::<()>::new(Arc::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// hub.at(Timestamp::ZERO).add_namespace("/")?;
    /// assert_eq!(hub.at(Timestamp::ZERO).all().emit("hello", &())?.sockets, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(&mut self, now: Timestamp) -> At<'_, D> {
        let now = self.advance(now);
        At { hub: self, now, carrier: None }
    }
}

impl<'a, D: Default> At<'a, D> {
    /// The methods for a hub that has its links on the same thread.
    pub(crate) fn with_carrier(
        hub: &'a mut Hub<D>,
        now: Timestamp,
        carrier: &'a mut (dyn Carrier<D> + 'a),
    ) -> Self {
        let now = hub.advance(now);
        At { hub, now, carrier: Some(carrier) }
    }

    /// Returns the time at which the methods act.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// # let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// server.at(Timestamp::from_millis(5)).all();
    /// assert_eq!(server.at(Timestamp::ZERO).now(), Timestamp::from_millis(5), "never backwards");
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Borrows this for a shorter lifetime.
    fn reborrow(&mut self) -> At<'_, D> {
        let carrier = self.carrier.as_mut();
        let carrier = carrier.map(|carrier| &mut **carrier as &mut dyn Carrier<D>);
        At { hub: self.hub, now: self.now, carrier }
    }

    /// Carries the effect of a method to the links, if the hub has them on this thread.
    fn carry(&mut self) -> Option<Reach> {
        let Self { hub, now, carrier } = self;
        carrier.as_mut().map(|carrier| carrier.carry(hub, *now))
    }

    /// Passes on a result, and counts an event that a limit has refused.
    fn emitted<T>(&mut self, emitted: Result<T, EmitError>) -> Result<T, EmitError> {
        let totals = &mut self.hub.totals;
        match &emitted {
            Err(EmitError::TooManyAcks { .. }) => increment(&mut totals.acks_refused),
            Err(
                EmitError::TooManyAttachments { .. }
                | EmitError::TooLarge { .. }
                | EmitError::TooDeep { .. },
            ) => increment(&mut totals.emits_refused),
            // The owner of the links counts the events that do not fit into a queue. Others are counted
            // where they are refused.
            Ok(_)
            | Err(
                EmitError::NotConnected
                | EmitError::UnknownNamespace
                | EmitError::ChannelFull { .. }
                | EmitError::TooManyRequests { .. }
                | EmitError::QueueFull
                | EmitError::Encode(_),
            ) => {}
        }
        emitted
    }
}

impl<D> Deref for At<'_, D> {
    type Target = Hub<D>;

    fn deref(&self) -> &Hub<D> {
        self.hub
    }
}

impl<D> fmt::Debug for At<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At").field("now", &self.now).field("hub", &self.hub).finish_non_exhaustive()
    }
}
