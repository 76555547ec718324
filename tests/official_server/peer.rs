//! This crate's client, over real sockets.

use std::{future::Future, time::Duration};

use serde::Serialize;
use socketio_proto::{
    AckId,
    client::{Auth, ClientAckToken, ClientConfig, ClientEvent},
    engine::Transport,
    socket::{self, Args},
};
use socketio_proto_tokio_client::{Driver, Options, Proxy};

/// Far longer than anything takes: for a failure instead of a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<R>(future: impl Future<Output = R>) -> R {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Settings for tests that are not to wait for a second attempt.
pub(crate) fn config(transports: &[Transport]) -> ClientConfig {
    ClientConfig::new()
        .transports(transports)
        .reconnection_delay(Duration::from_millis(20))
        .reconnection_delay_max(Duration::from_millis(100))
        .retries(1_000)
}

pub(crate) fn entropy(dest: &mut [u8]) {
    getrandom::fill(dest).expect("a random source");
}

pub(crate) struct Peer {
    pub(crate) driver: Driver,
    /// The numbers that have arrived, in order.
    pub(crate) numbers: Vec<u64>,
    /// Sessions that were not those of before.
    pub(crate) sessions: usize,
}

impl Peer {
    pub(crate) fn new(url: &str, config: ClientConfig) -> Self {
        Self::with(url, Options::new().config(config))
    }

    pub(crate) fn with(url: &str, options: Options) -> Self {
        let driver = Driver::new(url, options.proxy(Proxy::Direct)).expect("valid options");
        Self { driver, numbers: Vec::new(), sessions: 0 }
    }

    /// Joins a namespace and waits for the answer.
    pub(crate) async fn connect(&mut self, namespace: &str, auth: Auth) -> bool {
        self.driver.client(|client, now| client.connect(now, namespace, auth)).expect("a name");
        self.connected(namespace).await
    }

    /// Waits until a namespace is joined. Returns whether its session was recovered.
    pub(crate) async fn connected(&mut self, namespace: &str) -> bool {
        self.until(|event| match event {
            ClientEvent::Connected { namespace: name, recovered, .. }
                if name.as_str() == namespace =>
            {
                Some(recovered)
            }
            _ => None,
        })
        .await
    }

    /// Waits for an event of the server by its name.
    pub(crate) async fn received(
        &mut self,
        namespace: &str,
        name: &str,
    ) -> (socket::Event, Option<ClientAckToken>) {
        self.until(|event| match event {
            ClientEvent::Received { namespace: from, event, ack }
                if from.as_str() == namespace && event.name() == name =>
            {
                Some((event, ack))
            }
            _ => None,
        })
        .await
    }

    /// Waits for what `pick` takes, and counts what goes by.
    pub(crate) async fn until<R>(&mut self, mut pick: impl FnMut(ClientEvent) -> Option<R>) -> R {
        in_time(async {
            loop {
                let event = self.next().await;
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    pub(crate) async fn next(&mut self) -> ClientEvent {
        let event = self.driver.next().await;
        match &event {
            ClientEvent::Connected { recovered: false, .. } => self.sessions += 1,
            ClientEvent::Received { event, .. } if event.name() == "number" => {
                self.numbers.push(event.get(0).expect("a number"));
            }
            _ => {}
        }
        event
    }

    pub(crate) fn emit(&mut self, namespace: &str, name: &str, args: &impl Serialize) {
        let event = socket::Event::new(name, args).expect("an event");
        self.driver.client(|client, now| client.emit(now, namespace, &event)).expect("room");
    }

    pub(crate) fn ask(&mut self, name: &str, args: &impl Serialize, timeout: Duration) -> AckId {
        let event = socket::Event::new(name, args).expect("an event");
        self.driver
            .client(|client, now| client.emit_with_ack(now, "/", &event, timeout))
            .expect("room")
    }

    /// Emits `store` until it is acknowledged.
    pub(crate) fn store(&mut self, number: u64) {
        let event = socket::Event::new("store", &(number,)).expect("an event");
        self.driver.client(|client, now| client.emit_with_retries(now, "/", &event)).expect("room");
    }

    pub(crate) fn answer(&mut self, token: ClientAckToken, args: &impl Serialize) -> bool {
        let args = Args::new(args).expect("arguments");
        self.driver.client(|client, now| client.ack(now, token, &args))
    }

    /// Waits for the answer to [`ask`](Self::ask).
    pub(crate) async fn acked(&mut self, id: AckId) -> Args {
        self.until(|event| match event {
            ClientEvent::Acked { ack, args, .. } if ack == id => Some(args),
            _ => None,
        })
        .await
    }

    /// Lets things happen for some milliseconds.
    pub(crate) async fn run_for(&mut self, millis: u64) {
        let end = tokio::time::Instant::now() + Duration::from_millis(millis);
        while tokio::time::timeout_at(end, self.next()).await.is_ok() {}
    }

    pub(crate) fn transport(&mut self) -> Option<Transport> {
        self.driver.client(|client, _| client.transport())
    }
}
