//! A model of the state of the official client (socket.io-client, `lib/manager.ts` and
//! `lib/socket.ts`), as far as the order of its public calls matters: what it sends, and how it
//! reacts to what it receives.

use std::collections::VecDeque;

/// A manager with its sockets, each for one of the namespaces.
pub struct Client {
    pub sockets: Vec<Socket>,
    /// What was written to the engine.
    pub written: VecDeque<String>,
    /// `manager._readyState`.
    pub is_open: bool,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "so has the original")]
pub struct Socket {
    pub name: &'static str,
    /// `subs`: whether it listens to its manager.
    pub is_active: bool,
    pub is_connected: bool,
    pub id: String,
    pid: Option<String>,
    offset: Option<String>,
    /// `auth` is a function that answers later.
    pub is_auth_async: bool,
    pub auth: u64,
    /// Such functions that have not answered.
    pub auths_pending: usize,
    received_early: Vec<(u64, Option<String>)>,
    buffered: Vec<u64>,
    /// Numbers of the events that its listeners were called with.
    pub heard: Vec<u64>,
    /// A link was lost while events waited for CONNECT. The client keeps them, and hears them with
    /// the next session, once more if that replays them (H24).
    pub has_kept_early: bool,
    /// Whether it was told that it may not come in.
    pub is_refused: bool,
}

impl Client {
    pub fn new(names: &[&'static str]) -> Self {
        let socket = |name: &&'static str| Socket { name, ..Socket::default() };
        let sockets = names.iter().map(socket).collect();
        Self { sockets, written: VecDeque::new(), is_open: false }
    }

    /// `socket.connect()`. The manager's engine is opened by the caller, who then says `opened`.
    pub fn connect(&mut self, index: usize) {
        if self.sockets[index].is_connected {
            return;
        }
        self.sockets[index].is_active = true;
        self.sockets[index].is_refused = false;
        if self.is_open {
            self.send_connect(index);
        }
    }

    /// The manager's `open` event.
    pub fn opened(&mut self) {
        self.is_open = true;
        for index in 0..self.sockets.len() {
            if self.sockets[index].is_active {
                self.send_connect(index);
            }
        }
    }

    fn send_connect(&mut self, index: usize) {
        if self.sockets[index].is_auth_async {
            self.sockets[index].auths_pending += 1;
        } else {
            let packet = self.sockets[index].connect_packet();
            self.write(packet);
        }
    }

    /// The callback of `auth` is called, whatever has happened since.
    pub fn answer_auth(&mut self, index: usize) {
        if self.sockets[index].auths_pending > 0 {
            self.sockets[index].auths_pending -= 1;
            let packet = self.sockets[index].connect_packet();
            self.write(packet);
        }
    }

    /// `socket.disconnect()`. Returns whether the manager closes its engine.
    pub fn disconnect(&mut self, index: usize) -> bool {
        let socket = &self.sockets[index];
        if socket.is_connected {
            let packet = format!("41{}", prefix(socket.name));
            self.write(packet);
        }
        self.sockets[index].is_active = false;
        self.sockets[index].is_connected = false;
        self.close_if_unused()
    }

    /// `socket.emit()`.
    pub fn emit(&mut self, index: usize, number: u64) {
        let socket = &mut self.sockets[index];
        if socket.is_connected {
            let packet = socket.event_packet(number);
            self.write(packet);
        } else {
            socket.buffered.push(number);
        }
    }

    /// The engine is closed.
    pub fn closed(&mut self) {
        self.is_open = false;
        self.written.clear();
        for socket in self.sockets.iter_mut().filter(|socket| socket.is_active) {
            socket.is_connected = false;
        }
        for socket in &mut self.sockets {
            socket.has_kept_early |= !socket.received_early.is_empty();
        }
    }

    /// A packet arrives. Returns whether the manager closes its engine.
    pub fn packet(&mut self, packet: &str) -> bool {
        let (kind, rest) = packet.split_at(2);
        let index = self.sockets.iter().position(|socket| {
            let is_main = !rest.starts_with('/');
            if socket.name == "/" { is_main } else { rest.starts_with(&prefix(socket.name)) }
        });
        let index = index.expect("a namespace of the client");
        let socket = &mut self.sockets[index];
        if !socket.is_active {
            return false;
        }
        let json = &rest[if socket.name == "/" { 0 } else { prefix(socket.name).len() }..];
        match kind {
            "40" => {
                let ids: serde_json::Value = serde_json::from_str(json).unwrap();
                ids["sid"].as_str().unwrap().clone_into(&mut socket.id);
                socket.pid = ids["pid"].as_str().map(str::to_owned);
                socket.is_connected = true;
                for (number, offset) in std::mem::take(&mut socket.received_early) {
                    socket.hear(number, offset);
                }
                for number in std::mem::take(&mut socket.buffered) {
                    let packet = self.sockets[index].event_packet(number);
                    self.write(packet);
                }
            }
            "42" => {
                let list: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
                let number = list[1].as_u64().unwrap();
                let offset = list.get(2).and_then(|it| it.as_str()).map(str::to_owned);
                if socket.is_connected {
                    socket.hear(number, offset);
                } else {
                    socket.received_early.push((number, offset));
                }
            }
            "41" => {
                socket.is_active = false;
                socket.is_connected = false;
                socket.is_refused = true;
                return self.close_if_unused();
            }
            "44" => {
                // It takes itself for connected still if it did.
                socket.is_active = false;
                socket.is_refused = true;
                return self.close_if_unused();
            }
            _ => panic!("unexpected: {packet}"),
        }
        false
    }

    fn close_if_unused(&mut self) -> bool {
        self.is_open && self.sockets.iter().all(|socket| !socket.is_active)
    }

    /// What is written while there is no engine is lost.
    fn write(&mut self, packet: String) {
        if self.is_open {
            self.written.push_back(packet);
        }
    }
}

impl Socket {
    fn connect_packet(&self) -> String {
        let mut auth = serde_json::json!({ "v": self.auth });
        if let Some(pid) = &self.pid {
            auth["pid"] = pid.as_str().into();
            if let Some(offset) = &self.offset {
                auth["offset"] = offset.as_str().into();
            }
        }
        format!("40{}{auth}", prefix(self.name))
    }

    fn event_packet(&self, number: u64) -> String {
        format!("42{}[\"m\",{number}]", prefix(self.name))
    }

    fn hear(&mut self, number: u64, offset: Option<String>) {
        self.heard.push(number);
        if self.pid.is_some() && offset.is_some() {
            self.offset = offset;
        }
    }
}

fn prefix(name: &str) -> String {
    if name == "/" { String::new() } else { format!("{name},") }
}
