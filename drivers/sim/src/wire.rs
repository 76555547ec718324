//! The bytes of a client: requests, packets and bodies, for tests and fuzz targets that feed a
//! server directly.
//!
//! ```
//! use socketio_proto::engine::Frame;
//! use socketio_proto::socket::Event;
//! use socketio_proto_sim::wire;
//!
//! let event = Event::new("chat message", &("hello",))?;
//! let [Frame::Text(text)] = &wire::event("/", &event, Some(7))[..] else { unreachable!() };
//! assert_eq!(text, r#"427["chat message","hello"]"#);
//! assert_eq!(wire::claim("/", "secret", Some("3-9"), "{}"), r#"40{"pid":"secret","offset":"3-9"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bytes::Bytes;
use socketio_proto::{
    ByteString,
    engine::{EnginePacket, Frame, Method, PayloadWriter, RequestHead, Transport},
    socket::{Args, Encoded, Event, NamespaceName},
};

/// The answer to a ping of Engine.IO.
pub const PONG: &str = "3";
/// The packet that moves a session to the WebSocket on which it is sent.
pub const UPGRADE: &str = "5";
/// The packet that tests a WebSocket before the upgrade.
pub const PROBE: &str = "2probe";
/// The packet that closes a connection.
pub const CLOSE: &str = "1";

/// The query of a request that opens a connection.
pub fn open_query(transport: Transport) -> String {
    format!("EIO=4&transport={transport}")
}

/// The query of any other request: `sid` is the id of the connection.
pub fn query(transport: Transport, sid: &str) -> String {
    format!("EIO=4&transport={transport}&sid={sid}")
}

/// The head of a request.
pub fn head(method: Method, query: &str) -> RequestHead<'_> {
    RequestHead { method, query, upgrade: false, origin: None, binary: false }
}

/// The head of the handshake of a WebSocket.
pub fn websocket_head(query: &str) -> RequestHead<'_> {
    RequestHead { upgrade: true, ..head(Method::Get, query) }
}

/// Any packet of Socket.IO: `kind` is the type with the number of attachments, such as `2` or `51-`;
/// `id` is the id of the acknowledgement, or empty; `payload` is any text.
pub fn packet(kind: &str, namespace: &str, id: &str, payload: &str) -> String {
    let comma = if namespace == "/" { "" } else { "," };
    let namespace = if namespace == "/" { "" } else { namespace };
    format!("4{kind}{namespace}{comma}{id}{payload}")
}

/// A CONNECT. `auth` is the text of a JSON object, or empty.
pub fn connect(namespace: &str, auth: &str) -> String {
    packet("0", namespace, "", auth)
}

/// A CONNECT that claims a session: with the private id from the answer to the last CONNECT, and the
/// offset of the last event. `auth` is the text of a JSON object, or empty.
pub fn claim(namespace: &str, pid: &str, offset: Option<&str>, auth: &str) -> String {
    let offset = offset.map(|offset| format!(",\"offset\":\"{offset}\"")).unwrap_or_default();
    let rest = auth.strip_prefix('{').unwrap_or("}");
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    connect(namespace, &format!("{{\"pid\":\"{pid}\"{offset}{comma}{rest}"))
}

/// A DISCONNECT.
pub fn disconnect(namespace: &str) -> String {
    packet("1", namespace, "", "")
}

/// An event with its attachments. `ack` is the id of the acknowledgement that it asks for.
///
/// # Panics
///
/// If the name of the namespace is not legal.
pub fn event(namespace: &str, event: &Event, ack: Option<u64>) -> Vec<Frame> {
    frames(&Encoded::event(&legal(namespace), event, ack, None))
}

/// An event without attachments, whose arguments are any text, legal or not: `name` is quoted,
/// `args` is what stands behind it, such as `1,"two"`.
pub fn event_text(namespace: &str, name: &str, args: &str, ack: Option<u64>) -> String {
    let comma = if args.is_empty() { "" } else { "," };
    let ack = ack.map(|id| id.to_string()).unwrap_or_default();
    let name = serde_json::Value::from(name);
    packet("2", namespace, &ack, &format!("[{name}{comma}{args}]"))
}

/// The answer to an event that has asked for an acknowledgement.
///
/// # Panics
///
/// If the name of the namespace is not legal.
pub fn ack(namespace: &str, id: u64, args: &Args) -> Vec<Frame> {
    frames(&Encoded::ack(&legal(namespace), id, args))
}

/// The body of a POST or of the response to a GET.
pub fn body(frames: &[Frame]) -> Bytes {
    let mut writer = PayloadWriter::new(usize::MAX);
    for frame in frames {
        writer.push(frame);
    }
    writer.finish()
}

/// A text as a frame.
pub fn text(text: impl Into<ByteString>) -> Frame {
    Frame::Text(text.into())
}

/// The Engine.IO session id in the open packet of a server, if a frame is one.
pub fn read_open(frame: &Frame) -> Option<String> {
    match EnginePacket::decode(frame.clone()) {
        Ok(EnginePacket::Open(open)) => Some(open.sid.to_string()),
        _ => None,
    }
}

/// The public and the private id in the answer to a CONNECT, if a frame is one. Without recovery
/// there is no private id.
pub fn read_connected(frame: &Frame) -> Option<(String, Option<String>)> {
    #[derive(serde::Deserialize)]
    struct Ids {
        sid: String,
        pid: Option<String>,
    }

    let Frame::Text(text) = frame else {
        return None;
    };
    let start = text.strip_prefix("40")?.find('{')?;
    let ids: Ids = serde_json::from_str(&text[2 + start..]).ok()?;
    Some((ids.sid, ids.pid))
}

fn frames(packet: &Encoded) -> Vec<Frame> {
    let head = std::iter::once(text(packet.head().to_owned()));
    head.chain(packet.attachments().iter().cloned().map(Frame::Binary)).collect()
}

fn legal(namespace: &str) -> NamespaceName {
    NamespaceName::new(namespace).expect("the name of a namespace")
}
