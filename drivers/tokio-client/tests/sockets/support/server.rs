//! A Socket.IO server in the process of the test: the core behind hyper, over TCP or TLS.
//!
//! `echo` answers with `echo-back`, or with an acknowledgement if one is asked for. `burst` (n, bytes)
//! emits `burst` n times. `ask` asks `question`, and emits the answer as `heard`. `silence` is not answered. `kick` disconnects. The namespace `/no` refuses.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        CONNECTION, COOKIE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SET_COOKIE,
        UPGRADE,
    },
    server::conn::http1,
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    engine::{self, Frame, RequestHead},
    hub::Rejection,
    server::{Server as Core, ServerEvent, ServerInput, ServerOutput},
    socket,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

const STICKY: &str = "node=a";

pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

struct Shared {
    state: Mutex<State>,
    start: Instant,
    /// Whether each request after the first has to bring the cookie of the balancer.
    is_sticky: bool,
}

struct State {
    core: Core<()>,
    exchanges: BTreeMap<WireId, oneshot::Sender<engine::Response>>,
    websockets: BTreeMap<WireId, mpsc::UnboundedSender<Frame>>,
    next_wire: u64,
    /// The headers of each request, and whether it was for a WebSocket.
    seen: Vec<(bool, HeaderMap)>,
    asker: Option<SocketKey>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(None, false).await
    }

    pub async fn with(tls: Option<TlsAcceptor>, is_sticky: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = ServerConfig::new().recovery(RecoveryConfig::default());
        let mut core = Core::new(config, |dest: &mut [u8]| getrandom::fill(dest).unwrap()).unwrap();
        for namespace in ["/", "/admin", "/no"] {
            core.at(Timestamp::ZERO).add_namespace(namespace).unwrap();
        }
        let state = State {
            core,
            exchanges: BTreeMap::new(),
            websockets: BTreeMap::new(),
            next_wire: 0,
            seen: Vec::new(),
            asker: None,
        };
        let shared = Shared { state: Mutex::new(state), start: Instant::now(), is_sticky };
        let shared = Arc::new(shared);
        let accept = tokio::spawn(accept(listener, tls, shared.clone()));
        let timer = tokio::spawn(tick(shared.clone()));
        Self { address, shared, tasks: [accept, timer] }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The headers of all requests, and whether each was for a WebSocket.
    pub fn seen(&self) -> Vec<(bool, HeaderMap)> {
        self.shared.lock().seen.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().await.ok();
}

async fn tick(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        shared.input(ServerInput::Timeout);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.start.elapsed())
    }

    fn input(&self, input: ServerInput<'_>) {
        let now = self.now();
        let mut state = self.lock();
        state.core.handle_input(now, input);
        state.drain(now);
    }

    async fn answer(self: &Arc<Self>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
        let cookies = request.headers().get(COOKIE).and_then(|value| value.to_str().ok());
        let has_cookie = cookies.is_some_and(|value| value.contains(STICKY));
        let query = request.uri().query().unwrap_or_default().to_owned();
        let wire = {
            let mut state = self.lock();
            state.seen.push((key.is_some(), request.headers().clone()));
            state.next_wire += 1;
            WireId(state.next_wire)
        };
        if self.is_sticky && query.contains("sid=") && !has_cookie {
            return status(400);
        }
        let mut response = match key {
            Some(key) => {
                let upgrade = hyper::upgrade::on(&mut request);
                let shared = self.clone();
                tokio::spawn(async move {
                    if let Ok(upgraded) = upgrade.await {
                        shared.run_websocket(wire, &query, upgraded).await;
                    }
                });
                switch(&key)
            }
            None => self.exchange(wire, &query, request).await,
        };
        if self.is_sticky && !has_cookie {
            let cookie = HeaderValue::from_static("node=a; Path=/; HttpOnly");
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }

    async fn exchange(
        &self,
        wire: WireId,
        query: &str,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let method = match *request.method() {
            Method::GET => engine::Method::Get,
            Method::POST => engine::Method::Post,
            _ => engine::Method::Other,
        };
        let Ok(body) = request.into_body().collect().await else { return status(400) };
        let (answer, answered) = oneshot::channel();
        self.lock().exchanges.insert(wire, answer);
        let head = RequestHead { method, query, upgrade: false, origin: None, binary: false };
        self.input(ServerInput::Request { wire, head, body: Some(body.to_bytes()) });
        match answered.await {
            Ok(answer) => {
                let mut response = Response::new(Full::new(answer.body));
                *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
                response
            }
            Err(_) => status(500),
        }
    }

    async fn run_websocket(&self, wire: WireId, query: &str, upgraded: Upgraded) {
        let io = TokioIo::new(upgraded);
        let (mut sink, mut stream) =
            WebSocketStream::from_raw_socket(io, Role::Server, None).await.split();
        let (frames, mut outgoing) = mpsc::unbounded_channel();
        self.lock().websockets.insert(wire, frames);
        let method = engine::Method::Get;
        let head = RequestHead { method, query, upgrade: true, origin: None, binary: false };
        self.input(ServerInput::WebSocketOpened { wire, head });
        loop {
            tokio::select! {
                frame = outgoing.recv() => match frame {
                    Some(Frame::Text(text)) => sink.send(Message::text(text.to_string())).await.unwrap_or(()),
                    Some(Frame::Binary(bytes)) => sink.send(Message::Binary(bytes)).await.unwrap_or(()),
                    None => {
                        sink.close().await.ok();
                        break;
                    }
                },
                message = stream.next() => {
                    let frame = match message {
                        Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().into()),
                        Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes),
                        Some(Ok(_)) => continue,
                        _ => break,
                    };
                    self.input(ServerInput::Frame { wire, frame });
                }
            }
        }
        self.lock().websockets.remove(&wire);
        self.input(ServerInput::WireClosed { wire });
    }
}

fn status(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn switch(key: &HeaderValue) -> Response<Full<Bytes>> {
    let mut response = status(101);
    let accept = derive_accept_key(key.as_bytes());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).unwrap());
    response
}

impl State {
    fn drain(&mut self, now: Timestamp) {
        while let Some(output) = self.core.poll_output() {
            match output {
                ServerOutput::Respond { wire, response } => {
                    if let Some(exchange) = self.exchanges.remove(&wire) {
                        exchange.send(response).ok();
                    }
                }
                ServerOutput::Send { wire, frame } => {
                    if let Some(websocket) = self.websockets.get(&wire) {
                        websocket.send(frame).ok();
                    }
                }
                ServerOutput::Close { wire, .. } => {
                    self.exchanges.remove(&wire);
                    self.websockets.remove(&wire);
                }
                ServerOutput::Event(event) => self.handle_event(now, event),
                other => panic!("{other:?}"),
            }
        }
    }

    fn handle_event(&mut self, now: Timestamp, event: ServerEvent<()>) {
        let mut server = self.core.at(now);
        match event {
            ServerEvent::ConnectRequested { request, namespace, .. } => {
                if namespace.as_str() == "/no" {
                    server.reject(request, &Rejection::new("no entry"));
                } else {
                    server.accept(request);
                }
            }
            ServerEvent::Received { socket, event, ack, .. } => match (event.name(), ack) {
                ("echo", Some(token)) => drop(server.ack(token, &event.args())),
                ("echo", None) => {
                    let back = socket::Event::with_args("echo-back", &event.args()).unwrap();
                    server.emit(socket, &back).unwrap();
                }
                ("burst", _) => {
                    let (count, bytes): (u64, usize) = event.parse().unwrap();
                    for number in 0..count {
                        let text = "x".repeat(bytes);
                        let event = socket::Event::new("burst", &(number, text)).unwrap();
                        server.emit(socket, &event).unwrap();
                    }
                }
                ("ask", _) => {
                    let question = socket::Event::new("question", &("name?",)).unwrap();
                    let timeout = Duration::from_secs(30);
                    server.emit_with_ack(socket, &question, timeout).unwrap();
                    self.asker = Some(socket);
                }
                ("kick", _) => drop(server.disconnect(socket, false)),
                _ => {}
            },
            ServerEvent::Acked { args, .. } => {
                let heard = socket::Event::with_args("heard", &args).unwrap();
                server.emit(self.asker.expect("a question"), &heard).unwrap();
            }
            _ => {}
        }
    }
}
