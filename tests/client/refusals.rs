//! One side refuses a packet, and the other side does not know the reason. The sender finds this
//! out and gives the packet up, so that later packets do not wait for ever. It never gives up a
//! valid event because of a bad link.

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use bytes::Bytes;
    use socketio_proto::{
        ServerConfig, Timestamp, WireId,
        client::{
            Auth, Client, ClientConfig, ClientEvent, ClientLimits, ClientOutput, Undeliverable,
        },
        engine::{ClientInput, EngineClientOutput, Frame, Transport},
    };

    use crate::client_support::{
        Pair, Scripted, attached, entropy, event, polling, recovering, websocket,
    };

    const MINUTE: Duration = Duration::from_mins(1);

    /// The client believes that the server accepts 20 attachments, but the limit is 10.
    fn generous(config: ClientConfig) -> ClientConfig {
        let mut limits = ClientLimits::default();
        limits.sent_attachments = 20;
        config.limits(limits).retries(1_000)
    }

    /// What nobody has said is found out, whichever way the event was emitted: it is given up after
    /// three times, and what stands behind it arrives.
    #[test]
    fn an_event_that_the_server_refuses_again_and_again_is_given_up() {
        for config in [websocket(), polling(), ClientConfig::new()] {
            for is_counted in [true, false] {
                for way in 0..3 {
                    let server = if is_counted { recovering() } else { ServerConfig::new() };
                    let mut pair = Pair::connected(generous(config.clone()), server);
                    pair.advance(MINUTE);
                    pair.events.clear();
                    let now = pair.now;
                    match way {
                        0 => pair.client.emit(now, "/", &attached(11)).unwrap(),
                        1 => drop(pair.client.emit_with_ack(now, "/", &attached(11), MINUTE)),
                        _ => drop(pair.client.emit_with_retries(now, "/", &attached(11))),
                    }
                    pair.client.emit_with_retries(now, "/", &event("after", 1)).unwrap();
                    pair.advance(2 * MINUTE);
                    assert_eq!(pair.server_names(), ["after"], "{is_counted} {way}");
                    let words = pair.undelivered();
                    let closed = words.iter().filter(|word| word.starts_with("closed")).count();
                    assert!((1..=4).contains(&closed), "{is_counted} {way} {words:?}");
                    if way == 2 {
                        let given_up = r"files Refused { times: 3 }".to_owned();
                        assert!(words.contains(&given_up), "{is_counted} {words:?}");
                        assert!(words.contains(&"failed Undeliverable".to_owned()));
                    }
                    // An application's mistake costs no session.
                    assert_eq!(pair.client.is_recovered("/"), is_counted, "{words:?}");
                    assert!(pair.client.is_connected("/"));
                    assert_eq!(pair.client.retrying("/").count(), 0);
                }
            }
        }
    }

    const COUNTED: &str = r#"40{"sid":"s1","pid":"p1","received":0}"#;

    /// A client whose server counts, with two events on their way.
    fn counted() -> Scripted {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.text(COUNTED);
        for number in 0..2 {
            scripted.client.emit(scripted.now, "/", &event("m", number)).unwrap();
        }
        scripted.events.clear();
        scripted
    }

    /// The link ends like this, and the client comes back.
    fn end(scripted: &mut Scripted, code: Option<u16>) {
        scripted.drain();
        let wire = scripted.wire;
        scripted.input(match code {
            Some(code) => ClientInput::WebSocketClosed { wire, code },
            None => ClientInput::WireClosed { wire },
        });
        scripted.drain();
        while !scripted.client.is_connected("/") {
            scripted.expire();
            scripted.open();
            scripted.text(COUNTED);
        }
    }

    fn given_up(scripted: &mut Scripted) -> Vec<(String, Undeliverable)> {
        scripted.drain();
        let events = scripted.events.drain(..);
        let given_up = events.filter_map(|event| match event {
            ClientEvent::Undeliverable { event, cause, .. } => {
                Some((event.event().json().to_owned(), cause))
            }
            _ => None,
        });
        given_up.collect()
    }

    #[test]
    fn only_what_the_server_does_on_purpose_counts() {
        // Lost, going away, too fast, restarted, busy, lost by a proxy.
        for code in [None, Some(1001), Some(1006), Some(1008), Some(1012), Some(1013), Some(1014)] {
            let mut scripted = counted();
            for _ in 0..20 {
                end(&mut scripted, code);
            }
            assert_eq!(given_up(&mut scripted), [], "{code:?}");
            assert_eq!(scripted.client.snapshot().sessions()[0].events().count(), 2);
        }
        for code in [1000, 1002, 1003, 1005, 1007, 1009, 1011, 4000] {
            let mut scripted = counted();
            for _ in 0..2 {
                end(&mut scripted, Some(code));
                assert_eq!(given_up(&mut scripted), []);
            }
            end(&mut scripted, Some(code));
            let first = (r#"["m",0]"#.to_owned(), Undeliverable::Refused { times: 3 });
            assert_eq!(given_up(&mut scripted), [first], "{code}");
            let sent = scripted.take_sent();
            assert!(sent.contains(&r#"42["m",1]"#.to_owned()), "what is behind it goes on");
        }
    }

    /// Found by the simulator: the server gives an upgrade up because the network is slow, and closes
    /// the WebSocket that the client has just moved to.
    #[test]
    fn an_upgrade_that_the_server_has_given_up_blames_nothing() {
        let config =
            ClientConfig::new().transports(&[Transport::Polling, Transport::WebSocket]).retries(10);
        let mut client = Client::new(config, entropy(3)).unwrap();
        let mut now = Timestamp::from_millis(1_000);
        client.connect(now, "/", Auth::None).unwrap();
        client.emit_with_retries(now, "/", &event("pay", 1)).unwrap();
        for _ in 0..5 {
            let websocket = upgrade(&mut client, now);
            client.handle_input(now, ClientInput::WebSocketClosed { wire: websocket, code: 1005 });
            while let Some(output) = client.poll_output() {
                assert!(!matches!(output, ClientOutput::Event(ClientEvent::Undeliverable { .. })));
            }
            now = now.max(client.deadline().unwrap());
            client.handle_input(now, ClientInput::Timeout);
        }
        assert_eq!(client.retrying("/").count(), 1, "it is still to be sent");
    }

    /// Lets a client join over polling and move to WebSocket. Returns the WebSocket.
    fn upgrade(client: &mut Client, now: Timestamp) -> WireId {
        let mut websocket = None;
        let mut answers = VecDeque::from([
            r#"0{"sid":"e1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}"#,
            COUNTED,
        ]);
        let mut is_upgraded = false;
        while !is_upgraded {
            let output = client.poll_output().expect("it moves on");
            let ClientOutput::Wire(output) = output else {
                continue;
            };
            match output {
                EngineClientOutput::Get { wire, .. } => {
                    let body = answers.pop_front().unwrap_or("6").into();
                    client.handle_input(now, ClientInput::Response { wire, status: 200, body });
                }
                EngineClientOutput::Post { wire, .. } => {
                    let body = "ok".into();
                    client.handle_input(now, ClientInput::Response { wire, status: 200, body });
                }
                EngineClientOutput::OpenWebSocket { wire, .. } => {
                    websocket = Some(wire);
                    client.handle_input(now, ClientInput::WebSocketOpened { wire });
                    let frame = Frame::Text("3probe".into());
                    client.handle_input(now, ClientInput::Frame { wire, frame });
                }
                EngineClientOutput::Send { frame, .. } => {
                    is_upgraded = frame == Frame::Text("5".into());
                }
                _ => {}
            }
        }
        websocket.unwrap()
    }

    /// A link that is lost in between says nothing, neither for nor against it.
    #[test]
    fn losses_between_refusals_do_not_count() {
        let mut scripted = counted();
        for _ in 0..2 {
            end(&mut scripted, Some(1009));
            end(&mut scripted, None);
            end(&mut scripted, None);
            assert_eq!(given_up(&mut scripted), []);
        }
        end(&mut scripted, Some(1009));
        assert_eq!(given_up(&mut scripted).len(), 1);
    }

    /// The server closes again and again, and yet each event arrives: another thing is the cause.
    #[test]
    fn an_event_that_arrives_is_not_blamed() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.text(COUNTED);
        for received in 1..20 {
            scripted.client.emit(scripted.now, "/", &event("m", received)).unwrap();
            scripted.drain();
            let wire = scripted.wire;
            scripted.input(ClientInput::WebSocketClosed { wire, code: 1005 });
            scripted.expire();
            scripted.open();
            scripted.text(&COUNTED.replace(":0}", &format!(":{received}}}")));
            assert!(scripted.client.is_recovered("/"));
        }
        assert_eq!(given_up(&mut scripted), []);
    }

    /// The event of one namespace is behind the poison of another on the same connection.
    #[test]
    fn only_the_first_event_on_the_connection_is_blamed() {
        let mut scripted = counted();
        let now = scripted.now;
        scripted.client.connect(now, "/a", Auth::None).unwrap();
        let in_a = COUNTED.replace("40", "40/a,").replace("p1", "p2");
        scripted.text(&in_a);
        scripted.client.emit(now, "/a", &event("a", 0)).unwrap();
        for _ in 0..3 {
            scripted.drain();
            let wire = scripted.wire;
            scripted.input(ClientInput::WebSocketClosed { wire, code: 1005 });
            scripted.expire();
            scripted.open();
            scripted.text(COUNTED);
            scripted.text(&in_a);
        }
        let names: Vec<String> = given_up(&mut scripted).into_iter().map(|it| it.0).collect();
        assert_eq!(names, [r#"["m",0]"#]);
    }

    #[test]
    fn a_bad_link_gives_nothing_up() {
        for config in [websocket(), polling(), ClientConfig::new()] {
            let mut pair = Pair::connected(config.retries(1_000), recovering());
            pair.client.emit(pair.now, "/", &event("plain", 1)).unwrap();
            pair.client.emit_with_retries(pair.now, "/", &event("retried", 2)).unwrap();
            for steps in 0..20 {
                for _ in 0..steps % 7 {
                    pair.step();
                }
                pair.cut();
                pair.advance(Duration::from_millis(steps * 100));
            }
            pair.reconnect();
            pair.advance(MINUTE);
            let words: Vec<String> =
                pair.undelivered().into_iter().filter(|word| !word.starts_with("closed")).collect();
            assert_eq!(words, [""; 0]);
            assert_eq!(pair.server_names(), ["plain", "retried"]);
        }
    }

    /// Emits events over a proxy that accepts bodies of at most `limit` bytes. Returns the sizes of
    /// the bodies, and the events that have arrived.
    fn through_a_proxy(limit: usize, events: u64) -> (Vec<usize>, Vec<u64>) {
        let mut client = Client::new(polling(), entropy(1)).unwrap();
        let mut now = Timestamp::from_millis(1_000);
        client.connect(now, "/", Auth::None).unwrap();
        let (mut sizes, mut arrived) = (Vec::new(), Vec::new());
        let mut get = None;
        let mut answers: Vec<String> = Vec::new();
        for _ in 0..10_000 {
            let Some(output) = client.poll_output() else {
                if let Some(wire) = get.take_if(|_| !answers.is_empty()) {
                    let body = answers.join("\u{1e}").into();
                    answers.clear();
                    client.handle_input(now, ClientInput::Response { wire, status: 200, body });
                } else if let Some(deadline) = client.deadline().filter(|_| get.is_none()) {
                    now = now.max(deadline);
                    client.handle_input(now, ClientInput::Timeout);
                } else {
                    break;
                }
                continue;
            };
            match output {
                ClientOutput::Wire(EngineClientOutput::Get { wire, query }) => {
                    get = Some(wire);
                    if !query.contains("sid=") {
                        answers = vec![
                            r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}"#
                                .into(),
                        ];
                    }
                }
                ClientOutput::Wire(EngineClientOutput::Post { wire, body, .. }) => {
                    sizes.push(body.len());
                    let status = if body.len() > limit { 413 } else { 200 };
                    let text = String::from_utf8(body.to_vec()).unwrap();
                    for packet in text.split('\u{1e}').filter(|_| status == 200) {
                        if packet.starts_with("40") {
                            let count = arrived.len();
                            answers
                                .push(format!(r#"40{{"sid":"s","pid":"p","received":{count}}}"#));
                        } else if let Some(event) = packet.strip_prefix(r#"42["m","#) {
                            arrived.push(event.trim_end_matches(']').parse().unwrap());
                        } else if packet.starts_with("43") {
                            answers.push(format!("43[{}]", arrived.len()));
                        }
                    }
                    let body = Bytes::from_static(b"ok");
                    client.handle_input(now, ClientInput::Response { wire, status, body });
                }
                ClientOutput::Wire(EngineClientOutput::Close { wire }) => {
                    get = get.filter(|it| *it != wire);
                }
                ClientOutput::Event(ClientEvent::Connected { recovered: false, .. }) => {
                    for number in 0..events {
                        client.emit(now, "/", &event("m", number)).unwrap();
                    }
                }
                ClientOutput::Event(ClientEvent::Undeliverable { .. }) => panic!("an honest event"),
                _ => {}
            }
        }
        (sizes, arrived)
    }

    /// A proxy takes less at once than the server says. Bodies become smaller until they pass.
    #[test]
    fn bodies_of_several_packets_become_smaller_for_a_proxy() {
        let (sizes, arrived) = through_a_proxy(200, 100);
        assert!(arrived.iter().copied().eq(0..100), "each once, in order: {arrived:?}");
        assert!(sizes.iter().any(|size| *size > 200), "it was found out: {sizes:?}");
    }

    /// The server's event has more attachments than this client takes: replayed again and again, it
    /// would keep everything behind it.
    #[test]
    fn a_session_that_goes_on_with_what_cannot_be_read_is_given_up() {
        for config in [websocket(), polling(), ClientConfig::new()] {
            let mut limits = ClientLimits::default();
            limits.attachments = 2;
            let mut pair = Pair::connected(config.limits(limits), recovering());
            pair.broadcast(1);
            pair.settle();
            let audience = socketio_proto::hub::Audience::all();
            pair.server.at(pair.now).broadcast("/", &audience, &attached(3)).unwrap();
            pair.broadcast(2);
            pair.advance(2 * MINUTE);
            assert!(pair.client.is_connected("/"));
            pair.broadcast(3);
            pair.settle();
            let events: Vec<ClientEvent> = pair.events.drain(..).collect();
            let closed = events
                .iter()
                .filter(|it| matches!(it, ClientEvent::ConnectionClosed { .. }))
                .count();
            assert!((1..=3).contains(&closed), "{closed}");
            let told = events
                .iter()
                .filter(|it| matches!(it, ClientEvent::ReplayUnreadable { .. }))
                .count();
            let numbers: Vec<u64> = events
                .iter()
                .filter_map(|event| match event {
                    ClientEvent::Received { event, .. } => event.get(0).ok(),
                    _ => None,
                })
                .collect();
            assert_eq!((told, numbers), (1, vec![1, 3]), "what was missed is lost, and told");
        }
    }

    /// Another namespace on the same connection keeps its session.
    #[test]
    fn only_the_session_that_cannot_be_read_is_given_up() {
        let mut scripted = counted();
        scripted.client.connect(scripted.now, "/a", Auth::None).unwrap();
        let in_a = COUNTED.replace("40", "40/a,").replace("p1", "p2");
        scripted.text(&in_a);
        for time in 1..=3 {
            scripted.text(r#"4511-/a,["files"]"#);
            scripted.drain();
            let told = scripted.events.drain(..).filter_map(|event| match event {
                ClientEvent::ReplayUnreadable { namespace } => Some(namespace.as_str().to_owned()),
                _ => None,
            });
            let told: Vec<String> = told.collect();
            assert_eq!(told.len(), usize::from(time == 3), "{told:?}");
            assert!(told.iter().all(|name| name == "/a"));
            scripted.take_sent();
            scripted.expire();
            scripted.open();
            let sent = scripted.take_sent();
            assert!(sent.contains(&r#"40{"pid":"p1"}"#.to_owned()), "{sent:?}");
            assert_eq!(sent.contains(&"40/a,".to_owned()), time == 3, "{sent:?}");
            scripted.text(COUNTED);
            scripted.text(&in_a);
        }
    }

    /// The driver does not read to its end what is too large. That is not a lost link.
    #[test]
    fn a_session_that_goes_on_with_what_is_too_large_is_given_up() {
        let mut scripted = counted();
        for time in 1..=3 {
            let wire = scripted.wire;
            scripted.input(ClientInput::TooLarge { wire });
            let told = scripted.events.drain(..).filter(|event| {
                matches!(event, ClientEvent::ReplayUnreadable { namespace } if namespace.as_str() == "/")
            });
            assert_eq!(told.count(), usize::from(time == 3));
            scripted.expire();
            scripted.open();
            scripted.text(COUNTED);
        }
    }

    /// A link that is lost in the middle of a replay is no reason to give the session up.
    #[test]
    fn a_session_is_not_given_up_for_links_that_are_lost() {
        let mut scripted = counted();
        for _ in 0..20 {
            end(&mut scripted, None);
            end(&mut scripted, Some(1011));
        }
        assert!(scripted.client.is_recovered("/"));
    }
}
