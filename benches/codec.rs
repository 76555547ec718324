//! From values to wire bytes and back: the five workloads that the peers were measured with.

mod support;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use socketio_proto::{
    ByteString, Limits,
    engine::{EnginePacket, Frame, Payload, PayloadReader, PayloadWriter},
    socket::{Binary, Decoder, DecoderLimits, Encoded, Event, Kind, NamespaceName},
};
use support::{
    Bench,
    workload::{self, BINARY2, SMALL, SMALL_NSP_ACK},
};

fn main() {
    let bench = Bench::from_args("codec, a packet each (payload10: ten)");
    let root = NamespaceName::ROOT;
    let admin = NamespaceName::new("/admin").expect("a name");
    text::<(String, Chat)>(&bench, "small", SMALL, "chat message", &root);
    text::<(String, Chat)>(&bench, "small_nsp_ack", SMALL_NSP_ACK, "chat message", &admin);
    text::<(Doc,)>(&bench, "json10k", &workload::json10k(), "doc", &root);
    binary(&bench);
    payload(&bench);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chat {
    id: u32,
    room: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Doc {
    items: Vec<Item>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    id: u32,
    name: String,
    #[serde(serialize_with = "as_javascript")]
    price: f64,
    tags: [String; 3],
    ok: bool,
}

/// JavaScript writes `5`, Rust `5.0`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices are small and positive"
)]
fn as_javascript<S: serde::Serializer>(price: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if price.fract() == 0.0 {
        serializer.serialize_u64(*price as u64)
    } else {
        serializer.serialize_f64(*price)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Count {
    n: u32,
}

/// One packet without attachments whose arguments are a `T`.
fn text<T: Serialize + for<'a> Deserialize<'a>>(
    bench: &Bench,
    name: &str,
    packet: &str,
    event: &str,
    namespace: &NamespaceName,
) {
    let wire = format!("4{packet}").into_bytes();
    let ack = (name == "small_nsp_ack").then_some(42);
    let args: T = decode(&wire, &[]).parse().expect("the arguments are of the type");
    let encode = || {
        let event = Event::new(event, &args).expect("legal");
        Encoded::event(namespace, &event, ack, None)
    };
    assert_eq!(encode().head().as_bytes(), &*wire, "byte for byte");
    bench.run(&format!("{name}/encode"), 1, encode);
    bench.run(&format!("{name}/decode raw"), 1, || decode(&wire, &[]));
    bench.run(&format!("{name}/decode typed"), 1, || {
        decode(&wire, &[]).parse::<T>().expect("the arguments are of the type")
    });
}

fn binary(bench: &Bench) {
    let wire = format!("4{BINARY2}").into_bytes();
    let (first, second) = (workload::attachment(100), workload::attachment(10_240));
    let attachments = [&*first, &*second];
    // An application that has its bytes as `Bytes` and passes them on pays for one copy.
    let args = (Bytes::from(first.clone()), Count { n: 1 }, Bytes::from(second.clone()));
    let encode = || {
        let event = Event::new("upload", &args).expect("legal");
        Encoded::event(&NamespaceName::ROOT, &event, None, None)
    };
    let encoded = encode();
    assert_eq!(encoded.head().as_bytes(), &*wire);
    assert_eq!(encoded.attachments(), attachments);
    bench.run("binary2/encode", 1, encode);
    bench.run("binary2/decode raw", 1, || decode(&wire, &attachments));
    let typed = || {
        let event = decode(&wire, &attachments);
        let (first, count, second) = event.parse::<(Binary, Count, Binary)>().expect("typed");
        let resolve = |binary: Binary| binary.resolve(&event).expect("an attachment").clone();
        (resolve(first), count, resolve(second))
    };
    assert_eq!(typed(), args);
    bench.run("binary2/decode typed", 1, typed);
}

fn payload(bench: &Bench) {
    let frame = Frame::Text(format!("4{SMALL}").into());
    let encode = || {
        let mut body = PayloadWriter::new(1_000_000);
        for _ in 0..10 {
            assert!(body.push(&frame));
        }
        body.finish()
    };
    let body = Bytes::from(workload::payload10());
    assert_eq!(encode(), body);
    bench.run("payload10/encode", 1, encode);
    let packets = || PayloadReader::new(Bytes::copy_from_slice(&body));
    assert!(packets().all(|packet| packet.is_ok_and(|packet| packet.encode() == frame)));
    bench.run("payload10/decode", 1, || packets().map(|packet| packet.is_ok()).collect::<Vec<_>>());
    bench.run("payload10/decode full, raw", 1, || {
        let events: Vec<_> =
            packets().map(|packet| event_of(packet.expect("valid"), &[])).collect();
        assert_eq!(events.len(), 10);
        events
    });
}

/// From the bytes of WebSocket messages to a validated event whose arguments are still text.
fn decode(text: &[u8], attachments: &[&[u8]]) -> Event {
    // As a WebSocket library does: one copy out of its buffer, and a check for UTF-8.
    let text = ByteString::try_from(Bytes::copy_from_slice(text)).expect("text");
    event_of(EnginePacket::decode(Frame::Text(text)).expect("a packet"), attachments)
}

fn event_of(packet: EnginePacket, attachments: &[&[u8]]) -> Event {
    let EnginePacket::Message(Payload::Text(text)) = packet else {
        unreachable!("all are messages");
    };
    let mut decoder = Decoder::new(DecoderLimits::from(&Limits::default()));
    let mut packet = decoder.push_text(text).expect("a packet");
    for attachment in attachments {
        packet = decoder.push_binary(Bytes::copy_from_slice(attachment)).expect("expected");
    }
    match packet.expect("complete").kind {
        Kind::Event { event, .. } => event,
        kind => unreachable!("{kind:?}"),
    }
}
