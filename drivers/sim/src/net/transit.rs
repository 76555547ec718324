//! What is on its way, and what becomes of it when a wire is cut.

use bytes::Bytes;
use socketio_proto::{
    WireId,
    engine::{ClientInput, Frame},
};

use super::Network;

/// What is on its way to the server.
#[derive(Clone, Debug)]
pub enum Up {
    /// A GET with its query.
    Get(String),
    /// A POST.
    Post {
        /// The query.
        query: String,
        /// The body.
        body: Bytes,
        /// Whether the server reads the body later than the head. Then send an [`Up::Body`] when
        /// this has arrived.
        is_announced: bool,
    },
    /// The body of a POST.
    Body(Bytes),
    /// The handshake of a WebSocket with its query.
    OpenWebSocket(String),
    /// A frame.
    Frame(Frame),
    /// The client has closed the wire.
    Closed,
}

/// What is on its way to a client.
#[derive(Clone, Debug)]
pub enum Down {
    /// The response to a request: its status and its body.
    Response(u16, Bytes),
    /// The WebSocket is open.
    Opened,
    /// A frame.
    Frame(Frame),
    /// The server has closed the WebSocket on purpose, with this status code.
    ClosedWith(u16),
    /// The server has refused the WebSocket, or has dropped the request.
    Closed,
}

/// When either side notices that a wire was cut, in milliseconds after the cut. `None`: never. Then
/// it has to find out by a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The client.
    pub client: Option<u64>,
    /// The server.
    pub server: Option<u64>,
}

/// Something that happens on a wire later.
#[derive(Clone, Debug)]
pub enum Transit {
    /// Data arrives at the server.
    Up(WireId, Up),
    /// Data arrives at the client.
    Down(WireId, Down),
    /// The server notices that the wire was cut.
    ServerNotices(WireId),
    /// The client notices that the wire was cut.
    ClientNotices(WireId),
}

/// What a [`Transit`] has brought.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Give this to the server.
    ToServer {
        /// The wire, by its name on the side of the server.
        wire: WireId,
        /// The client.
        client: usize,
        /// The data.
        up: Up,
        /// Whether it is the first that the server hears of the wire.
        is_first: bool,
    },
    /// Tell the server that the wire was closed.
    ServerLost {
        /// The wire, by its name on the side of the server.
        wire: WireId,
    },
    /// Give this to the client.
    ToClient {
        /// The client.
        client: usize,
        /// The input.
        input: ClientInput,
    },
}

impl Network {
    /// Takes the next transit to plan, with its time. Call this after each other call, until there
    /// is none.
    pub fn poll_planned(&mut self) -> Option<(u64, Transit)> {
        self.planned.pop_front()
    }

    /// The client sends something.
    pub fn send_up(&mut self, now: u64, wire: WireId, up: Up) {
        let Some(state) = self.wires.get(&wire) else {
            return;
        };
        if state.is_cut {
            self.forget_unheard(wire);
        } else {
            let at = self.arrival(wire, now, true);
            self.planned.push_back((at, Transit::Up(wire, up)));
        }
    }

    /// The server sends something.
    pub fn send_down(&mut self, now: u64, wire: WireId, down: Down) {
        let Some(state) = self.wires.get(&wire) else {
            return;
        };
        if !state.is_cut && state.local.is_some() {
            let at = self.arrival(wire, now, false);
            self.planned.push_back((at, Transit::Down(wire, down)));
        }
        self.forget_if_unused(wire);
    }

    /// Cuts a wire: it carries nothing from now on.
    pub fn cut(&mut self, now: u64, wire: WireId, notice: Notice) {
        let Some(state) = self.wires.get_mut(&wire).filter(|state| !state.is_cut) else {
            return;
        };
        state.is_cut = true;
        if let Some(after) = notice.client {
            self.planned.push_back((now + after * 1_000, Transit::ClientNotices(wire)));
        }
        if let Some(after) = notice.server {
            self.planned.push_back((now + after * 1_000, Transit::ServerNotices(wire)));
        }
        self.forget_unheard(wire);
    }

    /// Carries out a transit that is due.
    pub fn arrive(&mut self, transit: Transit) -> Option<Arrival> {
        match transit {
            Transit::Up(wire, up) => self.arrive_up(wire, up),
            Transit::Down(wire, down) => self.arrive_down(wire, down),
            Transit::ServerNotices(wire) => {
                let state = self.wires.get_mut(&wire)?;
                if !std::mem::take(&mut state.server_open) {
                    return None;
                }
                self.forget_if_unused(wire);
                Some(Arrival::ServerLost { wire })
            }
            Transit::ClientNotices(wire) => {
                let state = self.wires.get_mut(&wire)?;
                let (client, local) = (state.client, state.local);
                if !std::mem::take(&mut state.client_open) {
                    return None;
                }
                let wire_lost = ClientInput::WireClosed { wire: local? };
                self.forget_if_unused(wire);
                Some(Arrival::ToClient { client, input: wire_lost })
            }
        }
    }

    fn arrive_up(&mut self, wire: WireId, up: Up) -> Option<Arrival> {
        let state = self.wires.get_mut(&wire).filter(|state| !state.is_cut)?;
        let is_first = !std::mem::replace(&mut state.has_arrived, true);
        if !state.server_open {
            return None;
        }
        let client = state.client;
        if matches!(up, Up::Closed) {
            state.server_open = false;
            self.forget_if_unused(wire);
            return Some(Arrival::ServerLost { wire });
        }
        Some(Arrival::ToServer { wire, client, up, is_first })
    }

    fn arrive_down(&mut self, wire: WireId, down: Down) -> Option<Arrival> {
        let state = self.wires.get_mut(&wire)?;
        let local = state.local.filter(|_| !state.is_cut && state.client_open)?;
        let client = state.client;
        if matches!(down, Down::Response(..) | Down::Closed | Down::ClosedWith(_)) {
            state.client_open = false;
            self.forget_if_unused(wire);
        }
        let input = match down {
            Down::Response(status, body) => ClientInput::Response { wire: local, status, body },
            Down::Opened => ClientInput::WebSocketOpened { wire: local },
            Down::Frame(frame) => ClientInput::Frame { wire: local, frame },
            Down::ClosedWith(code) => ClientInput::WebSocketClosed { wire: local, code },
            Down::Closed => ClientInput::WireClosed { wire: local },
        };
        Some(Arrival::ToClient { client, input })
    }

    /// A wire that was cut before the server has heard of it.
    fn forget_unheard(&mut self, wire: WireId) {
        if let Some(state) = self.wires.get_mut(&wire)
            && state.is_cut
            && !state.has_arrived
        {
            state.server_open = false;
            self.forget_if_unused(wire);
        }
    }
}
