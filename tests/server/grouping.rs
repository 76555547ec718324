//! The grouping of messages on the wire makes no difference: one message per WebSocket frame, or
//! polling bodies of any size.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use proptest::prelude::*;
use socketio_proto::{
    ByteString,
    engine::Frame,
    hub::Audience,
    server::{ServerEvent, ServerInput},
    socket,
};

use crate::support::{Received, World, get, post, recovery_config};

/// A message of the client as a frame; those of polling differ in how they write bytes.
#[derive(Clone, Debug)]
enum Message {
    Text(String),
    Binary(Vec<u8>),
}

/// What a client may say once it has joined.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let plain = (0_u32..100).prop_map(|n| vec![Message::Text(format!(r#"42["m",{n},"é\u001e"]"#))]);
    let asking = (0_u32..100).prop_map(|n| vec![Message::Text(format!(r#"42{n}["m",{n}]"#))]);
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    let binary = prop::collection::vec(bytes, 1..3).prop_map(|attachments| {
        let placeholder = |num| format!(r#"{{"_placeholder":true,"num":{num}}}"#);
        let list: Vec<String> = (0..attachments.len()).map(placeholder).collect();
        let head = format!(r#"45{}-["b",{}]"#, attachments.len(), list.join(","));
        let attachments = attachments.into_iter().map(Message::Binary);
        std::iter::once(Message::Text(head)).chain(attachments).collect()
    });
    let answer = Just(vec![Message::Text("430[]".into())]);
    let packet = prop_oneof![4 => plain, 2 => asking, 2 => binary, 1 => answer];
    prop::collection::vec(packet, 0..12).prop_map(|packets| packets.concat())
}

/// The events of the application and the frames of the client, each in their order.
#[derive(Debug, Default, PartialEq)]
struct Story {
    events: Vec<(String, String, Vec<Bytes>)>,
    packets: Vec<String>,
}

impl Story {
    /// The application answers each event, and tells everybody.
    fn go_on(&mut self, world: &mut World) {
        for event in std::mem::take(&mut world.events) {
            if let ServerEvent::Received { event, ack, .. } = event {
                let attachments = event.attachments().to_vec();
                let (name, args) = (event.name().to_owned(), event.args());
                self.events.push((name, args.json().to_owned(), attachments));
                if let Some(token) = ack {
                    world.server.at(world.now).ack(token, &args);
                }
                let told = socket::Event::with_args("told", &args).unwrap();
                world.server.at(world.now).broadcast("/", &Audience::all(), &told).unwrap();
            }
        }
        world.drain();
    }

    fn packet(&mut self, frame: Received) {
        self.packets.push(match frame {
            Received::Text(text) => text,
            Received::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)),
            other => panic!("{other:?}"),
        });
    }
}

fn over_websocket(messages: &[Message]) -> Story {
    let (mut world, mut story) = (World::new(recovery_config()), Story::default());
    let (client, _) = world.connect();
    for message in messages {
        let frame = match message {
            Message::Text(text) => Frame::Text(ByteString::from(text.as_str())),
            Message::Binary(bytes) => Frame::Binary(Bytes::copy_from_slice(bytes)),
        };
        world.input(ServerInput::Frame { wire: client.wire, frame });
    }
    story.go_on(&mut world);
    world.take(client.wire).into_iter().for_each(|frame| story.packet(frame));
    story
}

/// `ends` says after which messages a body ends.
fn over_polling(messages: &[Message], ends: &[bool]) -> Story {
    let (mut world, mut story) = (World::new(recovery_config()), Story::default());
    let open = respond(&mut world, "EIO=4&transport=polling", None);
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let query = format!("EIO=4&transport=polling&sid={}", open["sid"].as_str().unwrap());
    respond(&mut world, &query, Some("40".into()));
    respond(&mut world, &query, None);
    let mut body = Vec::new();
    for (message, is_end) in messages.iter().zip(ends.iter().chain(std::iter::repeat(&false))) {
        body.push(match message {
            Message::Text(text) => text.clone(),
            Message::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)),
        });
        if *is_end {
            respond(&mut world, &query, Some(std::mem::take(&mut body).join("\u{1e}")));
        }
    }
    if !body.is_empty() {
        respond(&mut world, &query, Some(body.join("\u{1e}")));
    }
    story.go_on(&mut world);
    loop {
        let wire = world.wire();
        world.input(ServerInput::Request { wire, head: get(&query), body: None });
        let Some(Received::Response(response)) = world.take(wire).pop() else {
            return story;
        };
        let body = std::str::from_utf8(&response.body).unwrap();
        assert_eq!(response.status, 200, "{body}");
        story.packets.extend(body.split('\u{1e}').map(str::to_owned));
    }
}

fn respond(world: &mut World, query: &str, body: Option<String>) -> String {
    let wire = world.wire();
    let head = if body.is_some() { post(query) } else { get(query) };
    world.input(ServerInput::Request { wire, head, body: body.map(Bytes::from) });
    let Some(Received::Response(response)) = world.take(wire).pop() else { panic!("no answer") };
    assert_eq!(response.status, 200);
    String::from_utf8(response.body.to_vec()).unwrap()
}

proptest! {
    #![proptest_config(crate::random::cases(300))]

    #[test]
    fn grouping_makes_no_difference(
        messages in messages(),
        ends in prop::collection::vec(any::<bool>(), 0..40),
    ) {
        let frames = over_websocket(&messages);
        let bodies = over_polling(&messages, &ends);
        prop_assert_eq!(&frames, &bodies);
        prop_assert!(frames.packets.len() >= frames.events.len(), "everybody was told");
    }
}

#[test]
fn the_story_has_everything_in_it() {
    let messages = [
        Message::Text(r#"427["m",1]"#.into()),
        Message::Text(r#"451-["b",{"_placeholder":true,"num":0}]"#.into()),
        Message::Binary(b"\0\xff".to_vec()),
    ];
    let story = over_websocket(&messages);
    assert_eq!(story.events.len(), 2);
    assert_eq!(story.events[1].2, [Bytes::from_static(b"\0\xff")]);
    assert_eq!(story.packets[0], "437[1]");
    assert!(story.packets[1].starts_with(r#"42["told",1,""#), "{:?}", story.packets);
    assert!(story.packets[2].starts_with(r#"451-["told",{"_placeholder":true,"num":0},""#));
    assert_eq!(story.packets[3], "bAP8=");
    assert_eq!(over_polling(&messages, &[true, false, true]), story);
}
