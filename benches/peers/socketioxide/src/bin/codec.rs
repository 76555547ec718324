//! The codec of socketioxide, in the harness and with the packets of `benches/codec.rs`.

#[allow(unfulfilled_lint_expectations, reason = "its rules are those of the crate")]
#[path = "../../../../support/mod.rs"]
mod support;

use std::{
    collections::VecDeque,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use engineioxide_core::{Packet as EnginePacket, ProtocolVersion, Str, payload};
use futures_util::{StreamExt as _, stream};
use http_body_util::Full;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};
use smallvec::smallvec;
use socketioxide_core::{
    Value,
    packet::{Packet, PacketData},
    parser::{Parse, ParseConfig, ParserState},
};
use socketioxide_parser_common::CommonParser;
use support::{
    Bench,
    workload::{self, BINARY2, SMALL, SMALL_NSP_ACK},
};

static CONFIG: ParseConfig = ParseConfig {
    max_incoming_binary_buf_size: 10_000_000,
    max_incoming_binaries: 10_000,
    packet_completion_timeout: Duration::from_mins(1),
};

#[derive(Clone, Serialize, Deserialize)]
struct Chat {
    id: u32,
    room: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Doc {
    items: Vec<Item>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Item {
    id: u32,
    name: String,
    price: f64,
    tags: [String; 3],
    ok: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Count {
    n: u32,
}

fn main() {
    let bench = Bench::from_args("socketioxide, a packet each (payload10: ten)");
    let chat = ("hello world".to_owned(), Chat { id: 123, room: "lobby".into() });
    let dynamic = (json!("hello world"), json!({ "id": 123, "room": "lobby" }));
    for (name, packet, namespace, ack) in
        [("small", SMALL, "/", None), ("small_nsp_ack", SMALL_NSP_ACK, "/admin", Some(42))]
    {
        let event = "chat message";
        encode(&bench, &format!("{name}/encode typed"), &chat, event, namespace, ack);
        encode(&bench, &format!("{name}/encode dynamic"), &dynamic, event, namespace, ack);
        text::<(String, Chat)>(&bench, &format!("{name}/decode typed"), packet);
        text::<(Json, Json)>(&bench, &format!("{name}/decode dynamic"), packet);
    }
    let json10k = workload::json10k();
    let doc: (Doc,) = arguments(&mut decode(&format!("4{json10k}"), &[]));
    encode(&bench, "json10k/encode typed", &doc, "doc", "/", None);
    text::<(Doc,)>(&bench, "json10k/decode typed", &json10k);
    text::<(Json,)>(&bench, "json10k/decode dynamic", &json10k);
    binary(&bench);
    polling(&bench);
}

/// Values to the text of a WebSocket message.
fn encode<T: Serialize>(
    bench: &Bench,
    name: &str,
    args: &T,
    event: &str,
    namespace: &'static str,
    ack: Option<i64>,
) {
    bench.run(name, 1, || {
        let value = CommonParser.encode_value(args, Some(event)).expect("legal");
        let (text, _) = packet(namespace, ack, value);
        String::from(EnginePacket::Message(text))
    });
}

fn packet(
    namespace: &'static str,
    ack: Option<i64>,
    value: Value,
) -> (Str, Option<VecDeque<Bytes>>) {
    let mut packet = Packet::event(namespace, value);
    if let Some(id) = ack {
        packet.inner.set_ack_id(id);
    }
    match CommonParser.encode(packet) {
        Value::Str(text, attachments) => (text, attachments),
        Value::Bytes(_) => unreachable!("the common parser writes text"),
    }
}

/// The bytes of a WebSocket message to values.
fn text<T: DeserializeOwned>(bench: &Bench, name: &str, packet: &str) {
    let message = format!("4{packet}");
    bench.run(name, 1, || arguments::<T>(&mut decode(&message, &[])));
}

fn decode(text: &str, attachments: &[Vec<u8>]) -> Packet {
    let state = ParserState::default();
    let mut packet = CommonParser.decode_str(&CONFIG, &state, message(text));
    for attachment in attachments {
        packet = CommonParser.decode_bin(&CONFIG, &state, Bytes::copy_from_slice(attachment));
    }
    packet.expect("a packet")
}

/// One copy out of the read buffer and a check for UTF-8.
fn message(text: &str) -> Str {
    let text = String::from_utf8(text.as_bytes().to_vec()).expect("text");
    match EnginePacket::parse(ProtocolVersion::V4, text) {
        Ok(EnginePacket::Message(text)) => text,
        other => unreachable!("all are messages: {other:?}"),
    }
}

fn arguments<T: DeserializeOwned>(packet: &mut Packet) -> T {
    let value = match &mut packet.inner {
        PacketData::Event(value, _) | PacketData::BinaryEvent(value, _) => value,
        other => unreachable!("all are events: {other:?}"),
    };
    assert!(!CommonParser.read_event(value).expect("a name").is_empty());
    CommonParser.decode_value(value, true).expect("the arguments are of the type")
}

fn binary(bench: &Bench) {
    let attachments = [100, 10_240].map(workload::attachment);
    let [first, second] = attachments.each_ref().map(|bytes| Bytes::copy_from_slice(bytes));
    let args = (first, Count { n: 1 }, second);
    bench.run("binary2/encode typed", 1, || {
        let value = CommonParser.encode_value(&args, Some("upload")).expect("legal");
        packet("/", None, value)
    });
    let message = format!("4{BINARY2}");
    bench.run("binary2/decode typed", 1, || {
        arguments::<(Bytes, Count, Bytes)>(&mut decode(&message, &attachments))
    });
}

fn polling(bench: &Bench) {
    let message = Str::from(SMALL);
    bench.run("payload10/encode", 1, || {
        let packets = (0..10).map(|_| smallvec![EnginePacket::Message(message.clone())]);
        block_on(payload::encoder(stream::iter(packets), ProtocolVersion::V4, true, 1_000_000)).data
    });
    let payload = workload::payload10();
    let packets = || {
        let body = Full::new(Bytes::copy_from_slice(payload.as_bytes()));
        let decoder = payload::decoder(body, None, ProtocolVersion::V4, 1_000_000);
        block_on(decoder.collect::<Vec<_>>())
    };
    assert_eq!(packets().len(), 10);
    bench.run("payload10/decode", 1, packets);
}

/// Nothing here ever waits.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
