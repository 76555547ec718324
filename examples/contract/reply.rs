//! What handlers have in common.

use serde::Serialize;
use serde_json::value::RawValue;
use socketio_proto::{
    SocketKey,
    hub::AckToken,
    socket::{Args, Event, Json},
};

use crate::tokio_driver::Context;

/// Emits to one socket. A client that has gone meanwhile, or an event name that a client has chosen
/// and that belongs to the protocol, is no matter.
pub fn emit<D: Default>(
    cx: &mut Context<'_, D>,
    socket: SocketKey,
    name: &str,
    args: &(impl Serialize + ?Sized),
) {
    if let Ok(event) = Event::new(name, args) {
        cx.server.emit(cx.now, socket, &event).ok();
    }
}

/// Emits arguments that are there already to one socket.
pub fn pass_on<D: Default>(cx: &mut Context<'_, D>, socket: SocketKey, name: &str, args: &Args) {
    if let Ok(event) = Event::with_args(name, args) {
        cx.server.emit(cx.now, socket, &event).ok();
    }
}

/// Acknowledges, if an acknowledgement was asked for.
pub fn ack<D: Default>(
    cx: &mut Context<'_, D>,
    token: Option<AckToken>,
    args: &(impl Serialize + ?Sized),
) {
    if let Ok(args) = Args::new(args) {
        ack_args(cx, token, &args);
    }
}

/// Acknowledges with arguments that are there already.
pub fn ack_args<D: Default>(cx: &mut Context<'_, D>, token: Option<AckToken>, args: &Args) {
    if let Some(token) = token {
        cx.server.ack(cx.now, token, args);
    }
}

/// JSON that goes out as it came in.
pub fn raw(json: &Json) -> Option<&RawValue> {
    json.parse().ok()
}

/// `message` is answered with `message-back`, `message-with-ack` with an acknowledgement, each with
/// the arguments that came, attachments included. Returns false for other events.
pub fn echo<D: Default>(
    cx: &mut Context<'_, D>,
    socket: SocketKey,
    event: &Event,
    token: &mut Option<AckToken>,
) -> bool {
    match event.name() {
        "message" => {
            pass_on(cx, socket, "message-back", &event.args());
            true
        }
        "message-with-ack" => {
            ack_args(cx, token.take(), &event.args());
            true
        }
        _ => false,
    }
}
