//! Sockets as other nodes see them.

use serde::Serialize;

use crate::cluster::message::Value;

/// The handshake of a socket in the form of official nodes. What a server does not keep is empty.
#[derive(Serialize)]
struct Handshake {
    headers: Empty,
    time: &'static str,
    address: &'static str,
    xdomain: bool,
    secure: bool,
    issued: u64,
    url: &'static str,
    query: Empty,
    auth: Empty,
}

#[derive(Serialize)]
struct Empty {}

impl Handshake {
    const UNKNOWN: Self = Self {
        headers: Empty {},
        time: "",
        address: "",
        xdomain: false,
        secure: false,
        issued: 0,
        url: "",
        query: Empty {},
        auth: Empty {},
    };
}

/// How every socket has connected.
pub(super) fn handshake() -> Value {
    Value::new(&Handshake::UNKNOWN).unwrap_or(Value::null())
}

/// The data of a socket. Handlers of official nodes read properties of it.
pub(super) fn data<D: Serialize>(data: &D) -> Value {
    let value = Value::new(data).ok().filter(|value| value.json() != "null");
    value.or_else(|| Value::new(&Empty {}).ok()).unwrap_or(Value::null())
}
