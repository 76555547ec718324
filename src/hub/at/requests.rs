//! Asking and telling all servers of a cluster.

use alloc::vec::Vec;
use core::time::Duration;

use super::{At, clustered::check_depth};
use crate::{
    cluster::{Missing, message::RequestId},
    hub::{
        Audience, EmitError, HubOutput, ServerAckToken, ServerEvent,
        cluster::{Collected, Verb},
    },
    socket::{self, Args, NamespaceName},
    stats::increment,
    time::Timestamp,
};

impl<D: Default> At<'_, D> {
    /// Asks all servers of the cluster for the connected sockets of an audience:
    /// `io.in("room").fetchSockets()`. The answer is
    /// [`ServerEvent::SocketsFetched`](crate::hub::ServerEvent::SocketsFetched), after
    /// [`request_timeout`](crate::cluster::ClusterConfig#structfield.request_timeout) at the latest.
    /// With [`Audience::local`], and on a server that is alone, it comes at once.
    ///
    /// For the sockets of this server alone, see [`local_sockets`](Self::local_sockets).
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Audience, ServerEvent};
    /// use socketio_proto::server::{Server, ServerOutput};
    ///
    /// # let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// server.at(now).add_namespace("/")?;
    /// let asked = server.at(now).fetch_sockets("/", &Audience::room("lobby"))?;
    /// // When it is handled:
    /// match server.poll_output() {
    ///     Some(ServerOutput::Event(ServerEvent::SocketsFetched { request, sockets, missing, .. })) => {
    ///         assert_eq!(request, asked);
    ///         println!("{} sockets; {} servers did not answer", sockets.len(), missing.len());
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace. In a cluster,
    /// [`EmitError::TooManyRequests`] if too many requests are pending.
    pub fn fetch_sockets(
        &mut self,
        namespace: &str,
        audience: &Audience,
    ) -> Result<RequestId, EmitError> {
        let id = self.hub.find_namespace(namespace);
        self.fetch_sockets_in(id, audience)
    }

    /// The same, with the id of the namespace.
    pub(super) fn fetch_sockets_in(
        &mut self,
        namespace: Option<u32>,
        audience: &Audience,
    ) -> Result<RequestId, EmitError> {
        let id = self.hub.in_use(namespace).ok_or(EmitError::UnknownNamespace)?;
        let request = self.name_request(!audience.is_local())?;
        if audience.is_local() || !self.hub.is_clustered() {
            let (namespace, to) = self.names(id, audience).ok_or(EmitError::UnknownNamespace)?;
            let sockets = self.hub.describe_all(id, &to);
            let (missing, answer) = (Missing::default(), request.clone());
            self.report(ServerEvent::SocketsFetched { namespace, request, sockets, missing });
            return Ok(answer);
        }
        let deadline = self.request_deadline();
        let (audience, answer) = (audience.clone(), request.clone());
        self.run_in_order(Verb::FetchSockets { namespace: id, audience, request, deadline });
        self.carry();
        Ok(answer)
    }

    /// Emits an event to all other servers of the cluster: `io.serverSideEmit("event")`. They get
    /// [`ServerEvent::ServerSideEvent`](crate::hub::ServerEvent::ServerSideEvent). It may be lost. On a
    /// server that is alone, it has no effect.
    ///
    /// ```
    /// use socketio_proto::hub::EmitError;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::Timestamp;
    ///
    /// fn reload(server: &mut Server, now: Timestamp, what: &str) -> Result<(), EmitError> {
    ///     server.at(now).server_side_emit("/", &Event::new("reload", &(what,))?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace. In a cluster,
    /// [`EmitError::TooDeep`] if no engine carries the event.
    pub fn server_side_emit(
        &mut self,
        namespace: &str,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let id = self.hub.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        if !self.hub.is_clustered() {
            return Ok(());
        }
        let checked = check_depth(event, false);
        self.emitted(checked)?;
        self.run_in_order(Verb::ServerSideEmit {
            namespace: id,
            event: event.clone(),
            request: None,
        });
        self.carry();
        Ok(())
    }

    /// Emits an event to all other servers of the cluster, and collects their acknowledgements:
    /// `io.serverSideEmitWithAck("event")`. The result is
    /// [`ServerEvent::ServerSideAcked`](crate::hub::ServerEvent::ServerSideAcked), after `timeout` at
    /// the latest. On a server that is alone, it comes at once, without any answer.
    ///
    /// ```
    /// use core::time::Duration;
    /// use socketio_proto::cluster::message::RequestId;
    /// use socketio_proto::hub::EmitError;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::Timestamp;
    ///
    /// fn ask(server: &mut Server, now: Timestamp) -> Result<RequestId, EmitError> {
    ///     let question = Event::new("how many users?", &())?;
    ///     server.at(now).server_side_emit_with_ack("/", &question, Duration::from_secs(5))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`server_side_emit`](Self::server_side_emit), and [`EmitError::TooManyRequests`] if too many
    /// requests are pending.
    pub fn server_side_emit_with_ack(
        &mut self,
        namespace: &str,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<RequestId, EmitError> {
        let id = self.hub.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        if self.hub.is_clustered() {
            let checked = check_depth(event, false);
            self.emitted(checked)?;
        }
        let request = self.name_request(true)?;
        let answer = request.clone();
        if self.hub.is_clustered() {
            let (event, deadline) = (event.clone(), self.now.saturating_add(timeout));
            let request = Some((request, deadline));
            self.run_in_order(Verb::ServerSideEmit { namespace: id, event, request });
            self.carry();
        } else if let Some((namespace, _)) = self.names(id, &Audience::all()) {
            let (responses, missing) = (Vec::new(), Missing::default());
            self.report(ServerEvent::ServerSideAcked { namespace, request, responses, missing });
        }
        Ok(answer)
    }

    /// Acknowledges an event of another server. Only the first argument reaches it, as from official
    /// servers.
    ///
    /// ```
    /// use socketio_proto::server::{Server, ServerEvent};
    /// use socketio_proto::socket::Args;
    /// use socketio_proto::Timestamp;
    ///
    /// fn handle(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    ///     if let ServerEvent::ServerSideEvent { ack: Some(token), .. } = event {
    ///         if let Ok(args) = Args::new(&(server.stats().sockets,)) {
    ///             server.at(now).ack_server(token, &args);
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ack_server(&mut self, token: ServerAckToken, args: &Args) {
        self.hub.answer_server(token, args);
        self.carry();
    }

    /// Counts the servers of the cluster that have a namespace, this one included: `serverCount()`.
    /// The answer is [`ServerEvent::ServersCounted`](crate::hub::ServerEvent::ServersCounted). If the
    /// engine can count them, that is what counts, or else the nodes whose heartbeats this one has
    /// received.
    ///
    /// ```
    /// use socketio_proto::cluster::message::RequestId;
    /// use socketio_proto::hub::EmitError;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::Timestamp;
    ///
    /// fn count(server: &mut Server, now: Timestamp) -> Result<RequestId, EmitError> {
    ///     server.at(now).count_servers("/")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`fetch_sockets`](Self::fetch_sockets).
    pub fn count_servers(&mut self, namespace: &str) -> Result<RequestId, EmitError> {
        let id = self.hub.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let request = self.name_request(true)?;
        let answer = request.clone();
        if self.hub.is_clustered() {
            let deadline = self.request_deadline();
            self.hub.begin_request((id, &request), deadline, None, Collected::Count);
            self.carry();
        } else if let Some((namespace, _)) = self.names(id, &Audience::all()) {
            self.report(ServerEvent::ServersCounted { namespace, request, servers: 1 });
        }
        Ok(answer)
    }

    /// The name of a new request, if one more may be pending.
    fn name_request(&mut self, is_for_others: bool) -> Result<RequestId, EmitError> {
        if let Some(limit) = self.hub.full_of_requests().filter(|_| is_for_others) {
            increment(&mut self.hub.totals.requests_to_nodes_refused);
            return Err(EmitError::TooManyRequests { limit });
        }
        Ok(self.hub.name_request())
    }

    fn request_deadline(&self) -> Timestamp {
        self.hub.request_timeout().map_or(self.now, |timeout| self.now.saturating_add(timeout))
    }

    fn names<'a>(
        &self,
        id: u32,
        audience: &'a Audience,
    ) -> Option<(NamespaceName, crate::hub::sessions::Recipients<'a>)> {
        let namespace = self.hub.namespaces.get(&id)?;
        Some((namespace.sessions.name().clone(), namespace.recipients(audience)))
    }

    fn report(&mut self, event: ServerEvent<D>) {
        self.hub.out.push_back(HubOutput::Event(event));
        self.carry();
    }
}
