//! Pools of connections around one hub, as a program with several threads has them.

use std::sync::Arc;

use socketio_proto::{
    ByteString, Entropy, Limits, ServerConfig, SocketKey, Timestamp, WireId,
    engine::Frame,
    hub::{Hub, HubOutput, Reach, ServerEvent},
    pool::{Pool, PoolOutput},
    server::ServerInput,
};

use crate::support::{counting_entropy, get};

const NOW: Timestamp = Timestamp::from_millis(1_000);

struct Threads {
    hub: Hub<()>,
    pools: [Pool; 2],
    entropy: Box<dyn Entropy>,
    sockets: Vec<SocketKey>,
    reach: [Reach; 2],
}

impl Threads {
    fn new(limits: Limits) -> Self {
        let config = Arc::new(ServerConfig::new().limits(limits));
        let mut hub = Hub::new(config.clone(), counting_entropy()).unwrap();
        hub.at(NOW).add_namespace("/").unwrap();
        let mut entropy = counting_entropy();
        let pools = [0, 7].map(|number| Pool::new(config.clone(), number, &mut entropy).unwrap());
        let (entropy, sockets) = (Box::new(entropy), Vec::new());
        Self { hub, pools, entropy, sockets, reach: [Reach::default(); 2] }
    }

    fn input(&mut self, pool: usize, input: ServerInput<'_>) {
        self.pools[pool].handle_input(NOW, input, &mut *self.entropy);
    }

    /// Opens a WebSocket on a thread, and joins. Returns what came out of its wires.
    fn connect(&mut self, pool: usize, wire: u64) -> Vec<String> {
        let wire = WireId(wire);
        self.input(
            pool,
            ServerInput::WebSocketOpened { wire, head: get("EIO=4&transport=websocket") },
        );
        let frame = Frame::Text(ByteString::from_static("40"));
        self.input(pool, ServerInput::Frame { wire, frame });
        std::mem::take(&mut self.carry()[pool])
    }

    /// Carries everything between the hub and the pools.
    fn carry(&mut self) -> [Vec<String>; 2] {
        let mut shown = [Vec::new(), Vec::new()];
        loop {
            let mut is_idle = true;
            for (pool, shown) in self.pools.iter_mut().zip(&mut shown) {
                while let Some(output) = pool.poll_output() {
                    is_idle = false;
                    match output {
                        PoolOutput::Request { from, request } => {
                            self.hub.handle_request(NOW, from, request);
                        }
                        PoolOutput::Send { frame: Frame::Text(text), .. } => {
                            shown.push(text.to_string());
                        }
                        PoolOutput::Close { code, .. } => shown.push(format!("closed {code:?}")),
                        _ => {}
                    }
                }
            }
            while let Some(output) = self.hub.poll_output() {
                is_idle = false;
                match output {
                    HubOutput::Reply { to, reply } => {
                        let pool = usize::from(Pool::<()>::number_of(to) == 7);
                        self.pools[pool].handle_reply(NOW, to, reply);
                    }
                    HubOutput::Deliver(delivery) => {
                        self.reach = self.pools.each_mut().map(|pool| pool.deliver(NOW, &delivery));
                    }
                    HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                        self.sockets.extend(self.hub.at(NOW).accept(request));
                    }
                    _ => {}
                }
            }
            if is_idle {
                return shown;
            }
        }
    }
}

/// One room over two threads: each delivers to its own, and only there it counts.
#[test]
fn a_broadcast_reaches_the_sockets_of_each_pool() {
    let mut threads = Threads::new(Limits::default());
    for (pool, wire) in [(0, 1), (1, 2), (1, 3)] {
        assert!(threads.connect(pool, wire)[1].starts_with("40{"));
    }
    for socket in threads.sockets.clone() {
        threads.hub.at(NOW).join(socket, "room").unwrap();
    }
    let reach = threads.hub.at(NOW).to("room").emit("hello", &(1,)).unwrap();
    assert_eq!(reach.sockets, 3, "whom it is for");
    let event = String::from(r#"42["hello",1]"#);
    assert_eq!(threads.carry(), [vec![event.clone()], vec![event.clone(), event]]);
    assert_eq!(threads.reach.map(|reach| reach.sockets), [1, 2]);
    assert!(threads.pools.iter().all(|pool| pool.deadline().is_some_and(|due| due > NOW)));
}

/// What a server limits, each pool limits.
#[test]
fn the_limits_hold_for_each_pool() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let mut threads = Threads::new(limits);
    assert!(threads.connect(0, 1)[1].starts_with("40{"));
    assert_eq!(threads.connect(0, 2), ["closed Some(1013)"], "one too many");
    assert!(threads.connect(1, 3)[1].starts_with("40{"), "the other pool has none");
    assert_eq!(threads.pools.each_ref().map(Pool::connections), [1, 1]);

    let mut limits = Limits::default();
    (limits.handshake_burst, limits.handshakes_per_second) = (1, 1);
    let mut threads = Threads::new(limits);
    assert!(threads.connect(0, 1)[1].starts_with("40{"));
    assert_eq!(threads.connect(0, 2), ["closed Some(1013)"], "too fast");
}
