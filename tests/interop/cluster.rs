//! The official adapter for Redis Streams, over a Redis that is a few functions in `cluster.mjs`:
//! what it writes is understood here as its clients would get it, and the other way round.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value as JsonValue, json};
use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::{
        engines::redis_streams::{RedisReply, RedisStreams, RedisStreamsOptions},
        message::{
            Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, NodeId,
            StoredSession, Value,
        },
    },
    socket::{Encoded, Event, NamespaceName},
};

use super::{
    npm::{have, install},
    turn,
};

fn redis() -> RedisStreams {
    RedisStreams::new(RedisStreamsOptions::new()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &JsonValue) -> Bytes {
    let digits = text.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<u8>>().into()
}

/// The fields of an entry, as text.
fn read_entry(fields: &JsonValue) -> Message {
    let bulk = |field: &JsonValue| {
        RedisReply::Bulk(Bytes::copy_from_slice(field.as_str().unwrap().as_bytes()))
    };
    let fields = RedisReply::Array(fields.as_array().unwrap().iter().map(bulk).collect());
    let entry = RedisReply::Array(vec![RedisReply::Bulk("1-1".into()), fields]);
    let page = redis().page(&RedisReply::Array(vec![entry])).unwrap();
    page.into_iter().next().unwrap().message.unwrap()
}

/// What clients get of a broadcast: a text, and then attachments in hexadecimal digits.
fn sent(event: &Event) -> Vec<String> {
    let packet = Encoded::event(&NamespaceName::ROOT, event, None, None);
    let text = packet.head().strip_prefix('4').unwrap().to_owned();
    std::iter::once(text).chain(packet.attachments().iter().map(|bytes| hex(bytes))).collect()
}

fn check_broadcast(message: &Message, line: &JsonValue) {
    let Body::Broadcast(broadcast) = &message.body else { panic!("{message:?}") };
    assert_eq!(broadcast.options.rooms(), ["a", "7"]);
    assert_eq!(broadcast.options.excepted(), ["b"]);
    let packet = broadcast.packet().unwrap();
    assert_eq!(json!(sent(&packet.event)), line["sent"]);
    assert!(!broadcast.is_recoverable(&packet), "volatile, or with acknowledgements");
}

fn ours() -> Vec<Event> {
    let bytes = Bytes::from_static(b"\0\xff");
    let big = u64::MAX;
    vec![
        Event::new("plain", &(1, "é😀\u{2028}\"\\\n\u{1}", [0.5, 1e300, -2.5e-9])).unwrap(),
        Event::new("bytes", &(&bytes, [&bytes, &bytes])).unwrap(),
        Event::new("numbers", &(&bytes, [0_i64, -1, 300, -40_000, 1 << 52], big, 1.5, 1e-7))
            .unwrap(),
        Event::new("words", &(&bytes, None::<u8>, true, "", "x".repeat(70_000))).unwrap(),
        Event::new("maps", &(json!({"a": {"b": []}, "": {}}), &bytes, vec![0; 20])).unwrap(),
    ]
}

fn message(event: Event, flags: BroadcastFlags) -> Message {
    let node = NodeId::new("f0aebfa2cd17e8df").unwrap();
    let broadcast = ClusterBroadcast::new(BroadcastOptions::all().flags(flags), event);
    Message::new(node, NamespaceName::ROOT, Body::Broadcast(broadcast))
}

fn floats(value: &mut JsonValue) {
    match value {
        JsonValue::Number(number) => *value = number.as_f64().unwrap().into(),
        JsonValue::Array(list) => list.iter_mut().for_each(floats),
        JsonValue::Object(fields) => fields.values_mut().for_each(floats),
        _ => {}
    }
}

/// What JavaScript reads. It counts in floating point.
fn meaning(sent: &[JsonValue]) -> (String, JsonValue, Vec<JsonValue>) {
    let text = sent[0].as_str().unwrap();
    let (head, json) = text.split_at(text.find('[').unwrap());
    let mut json: JsonValue = serde_json::from_str(json).unwrap();
    floats(&mut json);
    (head.into(), json, sent[1..].to_vec())
}

fn check_sent(events: &[Event], sent_there: &JsonValue) {
    let there = sent_there.as_array().unwrap();
    assert_eq!(there.len(), events.len());
    for (event, there) in events.iter().zip(there) {
        let here: Vec<JsonValue> = sent(event).into_iter().map(JsonValue::from).collect();
        assert_eq!(meaning(there.as_array().unwrap()), meaning(&here));
    }
}

/// The process of `cluster.mjs`, with lines in both directions.
struct Peer {
    node: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn start(folder: &Path) -> Self {
        let mut node = Command::new("node")
            .arg("cluster.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = node.stdin.take().unwrap();
        let output = BufReader::new(node.stdout.take().unwrap()).lines();
        Self { node, input, output }
    }

    fn say(&mut self, line: &JsonValue) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn hear(&mut self) -> JsonValue {
        serde_json::from_str(&self.output.next().unwrap().unwrap()).unwrap()
    }
}

#[test]
fn official_adapter() {
    let _turn = turn::shared();
    if !have("node") || !have("npm") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    install(&folder);
    let mut peer = Peer::start(&folder);
    read_what_it_writes(&mut peer);
    let events = ours();
    write_entries(&mut peer, &events);
    write_messages(&mut peer, &events);
    write_session(&mut peer);

    drop(peer.input);
    let last = peer.output.next().unwrap().unwrap();
    let last: JsonValue = serde_json::from_str(&last).unwrap();
    // Each entry is read once, and then one that does not come yet.
    assert_eq!(last["reads"].as_u64(), last["entries"].as_u64().map(|entries| entries + 1));
    let sent = last["sent"].as_array().unwrap();
    check_sent(&events, &json!(sent[..events.len()]));
    assert_eq!(sent.len(), events.len() + 1);
    assert!(peer.node.wait().unwrap().success());
}

fn read_what_it_writes(peer: &mut Peer) {
    let mut read = 0;
    loop {
        let line = peer.hear();
        if line.get("end").is_some() {
            break;
        }
        read += 1;
        if line.get("fields").is_some() {
            check_broadcast(&read_entry(&line["fields"]), &line);
        } else if line.get("payload").is_some() {
            check_broadcast(&redis().message(&unhex(&line["payload"])).unwrap(), &line);
        } else {
            let session = line["session"].as_str().unwrap();
            let session = StoredSession::from_base64(session.as_bytes()).unwrap();
            assert_eq!(session.rooms, ["bhZwQSdakf0anWUIAAAA", "r1", "7"]);
            let data = r#"{"a":[1.5,null,"é"],"b":{"_placeholder":true,"num":0}}"#;
            assert_eq!(session.data.json(), data);
            assert_eq!(session.data.attachments(), [Bytes::from_static(&[1, 2, 3])]);
        }
    }
    assert_eq!(read, 19 + 19 + 1);
}

fn write_entries(peer: &mut Peer, events: &[Event]) {
    let plain = |event: &Event| message(event.clone(), BroadcastFlags::default());
    let mut messages: Vec<Message> = events.iter().map(plain).collect();
    // The deepest nesting that is written harms nobody.
    let deep = format!("[\"deep\",{}{}]", "[".repeat(511), "]".repeat(511));
    let data = format!(r#"{{"packet":{{"type":2,"data":{deep}}},"opts":{{"rooms":[]}}}}"#);
    messages.push(read_entry(&json!(["uid", "a", "nsp", "/", "type", "3", "data", data])));
    for message in messages {
        let command = redis().append(&message).unwrap();
        let text = |arg: &Bytes| String::from_utf8(arg.to_vec()).unwrap();
        let fields: Vec<String> = command.to_args()[6..].iter().map(text).collect();
        peer.say(&json!({ "fields": fields }));
    }
}

fn write_messages(peer: &mut Peer, events: &[Event]) {
    let mut flags = BroadcastFlags::default();
    flags.volatile = Some(true);
    for event in events {
        let command = redis().publish(&message(event.clone(), flags), None).unwrap();
        peer.say(&json!({ "payload": hex(&command.to_args()[2]) }));
        check_sent(std::slice::from_ref(event), &peer.hear()["sent"]);
    }
}

#[derive(Serialize)]
struct Data {
    a: (f64, Option<u8>),
    b: Bytes,
}

fn write_session(peer: &mut Peer) {
    let sid = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
    let pid = RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap();
    let data = Value::new(&Data { a: (1.5, None), b: Bytes::from_static(b"\x07") }).unwrap();
    let mut session = StoredSession::new(sid, pid, vec!["r1".into()], data);
    session.extension = Some(Value::new(&[1, 2]).unwrap());
    let command = redis().store(&session, Duration::from_secs(1), None).unwrap();
    let value = String::from_utf8(command.to_args()[2].to_vec()).unwrap();
    peer.say(&json!({ "session": { "pid": pid.expose(), "value": value } }));
    let restored = &peer.hear()["session"];
    assert_eq!(restored["rooms"], json!(["r1"]));
    assert_eq!(restored["sid"], json!(sid.as_str()));
    assert_eq!(restored["data"], json!({"a": [1.5, null], "b": "07"}));
}
