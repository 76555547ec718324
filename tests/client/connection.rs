//! Joining and leaving namespaces, credentials, errors, reasons.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        ServerConfig, Timestamp, Transports,
        client::{
            Auth, Client, ClientConfig, ClientDisconnectReason, ClientEmitError, ClientEvent,
            ClientLimits, ClientOutput, ConnectError, JoinError,
        },
        engine::{ClientInput, EngineClientOutput, Transport},
        hub::Rejection,
        server::ServerEvent,
        socket::{self, Json},
    };

    use crate::client_support::{
        Pair, Scripted, event, polling, recovering, scripted::word, websocket,
    };

    /// Taken for an answer, it left the server with a socket that the client knew nothing of, and
    /// the next CONNECT was a violation that ended all sessions of the connection.
    #[test]
    fn a_disconnect_that_crosses_the_clients_own_is_no_answer_to_its_next_connect() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.connect(scripted.now, "/b", Auth::None).unwrap();
        for sid in ["s2", "s3"] {
            scripted.text(&format!(r#"40/b,{{"sid":"{sid}"}}"#));
            scripted.client.disconnect(scripted.now, "/b");
            scripted.client.connect(scripted.now, "/b", Auth::None).unwrap();
            scripted.text("41/b,");
        }
        scripted.text(r#"40/b,{"sid":"s4"}"#);
        assert!(scripted.client.is_connected("/b"));
        scripted.text("41/b,");
        assert!(!scripted.client.is_active("/b"), "this one is meant");
        scripted.client.connect(scripted.now, "/b", Auth::None).unwrap();
        scripted.text("41/b,");
        let error = ConnectError::Disconnected;
        let errors = scripted.events.iter().filter(
            |event| matches!(event, ClientEvent::ConnectError { error: other, .. } if *other == error),
        );
        assert_eq!(errors.count(), 1, "in the place of an answer");
    }

    #[test]
    fn client_and_server_talk_over_every_transport() {
        for (config, transport) in [
            (polling(), Transport::Polling),
            (websocket(), Transport::WebSocket),
            (ClientConfig::new(), Transport::WebSocket),
        ] {
            let mut pair = Pair::connected(config, recovering());
            assert_eq!(pair.client.transport(), Some(transport));
            for number in 0..20 {
                pair.client.emit(pair.now, "/", &event("m", number)).unwrap();
                pair.broadcast(number);
            }
            pair.settle();
            assert_eq!(pair.server_numbers(), (0..20).collect::<Vec<_>>(), "{transport}");
            assert_eq!(pair.numbers(), (0..20).collect::<Vec<_>>(), "{transport}");
        }
    }

    #[test]
    fn an_upgrade_that_the_server_does_not_offer_is_not_tried() {
        let server = ServerConfig::new().transports(Transports::PollingOnly);
        let mut pair = Pair::connected(ClientConfig::new(), server);
        pair.advance(Duration::from_secs(300));
        assert_eq!(pair.client.transport(), Some(Transport::Polling));
        assert!(pair.client.is_connected("/"), "heartbeats pass");
    }

    #[test]
    fn binary_travels_both_ways() {
        for config in [polling(), websocket()] {
            let mut pair = Pair::connected(config, recovering());
            let data = socketio_proto::engine::Payload::Binary(vec![0, 255].into());
            let socketio_proto::engine::Payload::Binary(bytes) = data else { unreachable!() };
            let file = socket::Event::new("file", &("a", &bytes)).unwrap();
            pair.client.emit(pair.now, "/", &file).unwrap();
            pair.settle();
            let received = pair.pick_server(|event| match event {
                ServerEvent::Received { event, .. } => Some(event.attachments().to_vec()),
                _ => None,
            });
            assert_eq!(received, [vec![bytes.clone()]]);
            let socket = pair.socket();
            pair.server.at(pair.now).emit(socket, &file).unwrap();
            pair.settle();
            let received = pair.pick(|event| match event {
                ClientEvent::Received { event, .. } => Some(event.attachments().to_vec()),
                _ => None,
            });
            assert_eq!(received, [vec![bytes]]);
        }
    }

    #[test]
    fn several_namespaces_share_a_connection() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.server.at(pair.now).add_namespace("/admin").unwrap();
        let name = pair.client.connect(pair.now, "admin", Auth::None).unwrap();
        pair.settle();
        assert_eq!(name.as_str(), "/admin");
        assert!(pair.client.is_connected("/admin"));
        assert_ne!(pair.client.socket_id("/"), pair.client.socket_id("/admin"));
        assert!(pair.client.disconnect(pair.now, "/"));
        pair.settle();
        assert!(pair.client.is_connected("/admin") && !pair.client.is_connected("/"));
        assert!(pair.client.disconnect(pair.now, "/admin"));
        pair.settle();
        assert_eq!(pair.client.transport(), None, "the last one closes the connection");
        assert_eq!(pair.client.deadline(), None);
    }

    #[test]
    fn a_refusal_brings_its_data_and_is_final() {
        let mut pair = Pair::new(websocket(), recovering());
        pair.auto_accept = false;
        pair.connect();
        let request = pair.pick_server(|event| match event {
            ServerEvent::ConnectRequested { request, .. } => Some(*request),
            _ => None,
        });
        let rejection = Rejection::new("not authorized").data(&("code", 7)).unwrap();
        pair.server.at(pair.now).reject(request[0], &rejection);
        pair.settle();
        let errors = pair.pick(|event| match event {
            ClientEvent::ConnectError { error, .. } => Some(error.clone()),
            _ => None,
        });
        let data = Some(Json::from_text(r#"["code",7]"#).unwrap());
        assert_eq!(errors, [ConnectError::Refused { message: "not authorized".into(), data }]);
        assert!(!pair.client.is_active("/"));
        pair.advance(Duration::from_secs(60));
        assert_eq!(pair.client.deadline(), None, "no further attempt");
    }

    #[test]
    fn credentials_are_sent_as_they_are() {
        let mut scripted = Scripted::new(ClientConfig::new());
        let auth = Json::from_text(r#"{"token":"t"}"#).unwrap();
        scripted.client.connect(scripted.now, "/", Auth::Value(auth)).unwrap();
        scripted.open();
        assert_eq!(scripted.take_sent(), [r#"40{"token":"t"}"#]);

        let not_an_object = Auth::Value(Json::from_text("[1]").unwrap());
        let result = scripted.client.connect(scripted.now, "/", not_an_object);
        assert_eq!(result, Err(JoinError::AuthNotAnObject));
        assert!(!format!("{:?}", Auth::Value(Json::empty_object())).contains('{'), "redacted");
    }

    #[test]
    fn fresh_credentials_are_asked_for_at_each_attempt() {
        let mut scripted = Scripted::new(ClientConfig::new());
        scripted.client.connect(scripted.now, "/", Auth::Ask).unwrap();
        let mut requests = Vec::new();
        for attempt in 1..=2 {
            scripted.open();
            let request = scripted.events.drain(..).find_map(|event| match event {
                ClientEvent::AuthRequested { request, .. } => Some(request),
                _ => None,
            });
            requests.push(request.unwrap());
            assert!(scripted.take_sent().is_empty(), "not before the answer");
            if attempt == 1 {
                scripted.input(ClientInput::WireClosed { wire: scripted.wire });
                scripted.expire();
            }
        }
        let late = requests.remove(0);
        let auth = Json::from_text(r#"{"n":2}"#).unwrap();
        let mut provide =
            |request, auth: &Json| scripted.client.provide_auth(scripted.now, request, auth);
        assert_eq!(provide(late, &auth), Ok(false), "that attempt is over");
        let request = requests.remove(0);
        let list = Json::from_text("[1]").unwrap();
        assert_eq!(provide(request, &list), Err(JoinError::AuthNotAnObject));
        assert_eq!(provide(request, &auth), Ok(true), "it waits for another answer");
        assert_eq!(provide(request, &auth), Ok(false), "one is enough");
        assert_eq!(scripted.take_sent(), [r#"40{"n":2}"#]);
    }

    #[test]
    fn c5_a_connect_that_is_not_answered_times_out_and_is_tried_again() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.events.clear();
        assert_eq!(scripted.expire(), Duration::from_secs(20));
        assert_eq!(
            scripted.words(),
            ["connect error: Timeout", "closed: forced close", "reconnecting 1"]
        );
        scripted.expire();
        scripted.open();
        assert_eq!(scripted.take_sent(), ["40", "40"]);
    }

    #[test]
    fn c5_a_namespace_that_hangs_does_not_hurt_the_others() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.connect(scripted.now, "/slow", Auth::None).unwrap();
        assert_eq!(scripted.take_sent(), ["40/slow,"]);
        assert_eq!(scripted.expire(), Duration::from_secs(20));
        assert_eq!(scripted.words(), ["connect error: Timeout"]);
        assert!(scripted.client.is_connected("/"));
        scripted.text(r#"40/slow,{"sid":"s2"}"#);
        assert!(scripted.client.is_connected("/slow"), "late is better than never");
    }

    #[test]
    fn c4_only_a_namespace_that_was_joined_is_reported_as_disconnected() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.events.clear();
        scripted.input(ClientInput::WireClosed { wire: scripted.wire });
        assert_eq!(scripted.words(), ["closed: transport close", "reconnecting 1"]);
    }

    #[test]
    fn invalid_connect_answers_are_refused() {
        for answer in ["40", "40{}", r#"40{"sid":1}"#] {
            let mut scripted = Scripted::connecting(ClientConfig::new());
            scripted.events.clear();
            scripted.text(answer);
            let words = scripted.words();
            assert_eq!(words[0], "connect error: InvalidAnswer", "{answer}");
            assert_eq!(scripted.client.deadline(), None, "no further attempt");
        }
    }

    /// JavaScript has one type of number: `5.0` and `5e0` are `5`.
    #[test]
    fn numbers_may_be_written_with_a_fraction_or_an_exponent() {
        for number in ["1", "1.0", "1e0", "0.1E1"] {
            let mut scripted = Scripted::connecting(ClientConfig::new());
            scripted.text(&format!(r#"40{{"sid":"s1","pid":"p1","received":{number}}}"#));
            assert!(scripted.take_sent().contains(&"43[]".to_owned()), "it counts: {number}");
            scripted.client.emit(scripted.now, "/", &event("e", 1)).unwrap();
            assert_eq!(scripted.client.snapshot().sessions()[0].events().count(), 1);
            scripted.text("43[2.0]");
            assert_eq!(scripted.client.snapshot().sessions()[0].events().count(), 0, "{number}");
        }
    }

    #[test]
    fn disconnect_reasons_are_those_of_the_reference() {
        let reason_of = |act: &dyn Fn(&mut Scripted)| {
            let mut scripted = Scripted::connected(ClientConfig::new());
            act(&mut scripted);
            scripted.drain();
            let reasons = scripted.events.iter().filter_map(|event| match event {
                ClientEvent::Disconnected { reason, rejoins, .. } => Some((*reason, *rejoins)),
                _ => None,
            });
            let reasons: Vec<_> = reasons.collect();
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            (reasons[0].0.as_str(), reasons[0].1)
        };
        assert_eq!(reason_of(&|s| s.text("41")), ("io server disconnect", false));
        let leave = |s: &mut Scripted| assert!(s.client.disconnect(s.now, "/"));
        assert_eq!(reason_of(&leave), ("io client disconnect", false));
        assert_eq!(reason_of(&|s| assert!(!s.expire().is_zero())), ("ping timeout", true));
        let lost = |s: &mut Scripted| s.input(ClientInput::WireClosed { wire: s.wire });
        assert_eq!(reason_of(&lost), ("transport close", true));
        assert_eq!(reason_of(&|s| s.text("1")), ("transport close", true));
        assert_eq!(reason_of(&|s| s.text("x")), ("transport error", true));
        assert_eq!(reason_of(&|s| s.text("4x")), ("parse error", true));
        assert_eq!(reason_of(&|s| s.client.close(s.now)), ("forced close", false));
        assert_eq!(ClientDisconnectReason::PingTimeout.to_string(), "ping timeout");
    }

    #[test]
    fn leaving_before_the_answer_sends_a_disconnect_after_it() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        scripted.client.connect(scripted.now, "/a", Auth::None).unwrap();
        scripted.client.disconnect(scripted.now, "/a");
        scripted.client.connect(scripted.now, "/a", Auth::None).unwrap();
        assert_eq!(scripted.take_sent(), ["40/a,"], "one CONNECT at a time");
        scripted.text(r#"40/a,{"sid":"s2"}"#);
        assert_eq!(scripted.take_sent(), ["41/a,", "40/a,"]);
        assert!(!scripted.client.is_connected("/a"));
        scripted.text(r#"40/a,{"sid":"s3"}"#);
        assert_eq!(scripted.client.socket_id("/a"), Some("s3"));
    }

    #[test]
    fn a_namespace_that_is_joined_again_while_the_connection_closes_gets_a_new_connection() {
        let mut pair = Pair::connected(polling(), recovering());
        pair.client.disconnect(pair.now, "/");
        pair.client.connect(pair.now, "/", Auth::None).unwrap();
        pair.settle();
        assert!(pair.client.is_connected("/"));
    }

    #[test]
    fn closing_keeps_the_session() {
        for config in [polling(), websocket()] {
            let mut pair = Pair::connected(config, recovering());
            pair.client.close(pair.now);
            pair.settle();
            assert!(!pair.client.is_connected("/") && pair.client.is_recoverable("/"));
            pair.advance(Duration::from_secs(30));
            pair.connect();
            assert!(pair.client.is_recovered("/"));
        }
    }

    #[test]
    fn the_server_disconnects_for_good() {
        let mut pair = Pair::connected(websocket(), recovering());
        let socket = pair.socket();
        pair.server.at(pair.now).disconnect(socket, true);
        pair.settle();
        assert!(!pair.client.is_active("/") && !pair.client.is_recoverable("/"));
        assert_eq!(pair.client.deadline(), None);
    }

    /// The last GET of a polling client brings everything at once.
    #[test]
    fn what_comes_before_a_close_packet_still_counts() {
        let mut client = Client::new(polling(), |dest: &mut [u8]| dest.fill(1)).unwrap();
        let now = Timestamp::ZERO;
        client.connect(now, "/", Auth::None).unwrap();
        let answers = [
            r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#,
            r#"40{"sid":"s"}"#,
            "42[\"bye\"]\u{1e}41\u{1e}1\u{1e}42[\"late\"]",
        ];
        let mut answers = answers.into_iter();
        let mut words = Vec::new();
        while let Some(output) = client.poll_output() {
            match output {
                ClientOutput::Event(event) => words.push(word(&event)),
                ClientOutput::Wire(EngineClientOutput::Get { wire, .. }) => {
                    if let Some(body) = answers.next() {
                        let (status, body) = (200, body.into());
                        client.handle_input(now, ClientInput::Response { wire, status, body });
                    }
                }
                ClientOutput::Wire(_) => {}
                other => unreachable!("not known to this code: {other:?}"),
            }
        }
        let expected = [
            "opened",
            "connected",
            r#"received ["bye"]"#,
            "disconnected: io server disconnect",
            "closed: transport close",
        ];
        assert_eq!(words, expected);
        assert_eq!(client.deadline(), None, "the server has sent it away");
    }

    #[test]
    fn packets_that_no_server_sends_are_ignored() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        for text in [
            r#"42/other,["e"]"#,
            r#"40{"sid":"s1"}"#,
            r#"40{"sid":""}"#,
            "40",
            r#"44{"message":"no"}"#,
            "43[1]",
            "4377[1]",
            "42",
        ] {
            scripted.text(text);
        }
        assert_eq!(scripted.words(), [""; 0]);
        assert_eq!(scripted.client.socket_id("/"), Some("s1"));
    }

    #[test]
    fn limits_hold() {
        let mut limits = ClientLimits::default();
        limits.namespaces = 1;
        let mut scripted = Scripted::connected(ClientConfig::new().limits(limits));
        let result = scripted.client.connect(scripted.now, "/b", Auth::None);
        assert_eq!(result, Err(JoinError::TooMany { limit: 1 }));
        let result = scripted.client.connect(scripted.now, "a,b", Auth::None);
        assert_eq!(result, Err(JoinError::InvalidName));
        let result = scripted.client.emit(scripted.now, "/b", &event("e", 1));
        assert_eq!(result, Err(ClientEmitError::UnknownNamespace));
    }

    #[test]
    fn a_forgotten_namespace_does_not_count_against_the_limit() {
        let mut limits = ClientLimits::default();
        limits.namespaces = 2;
        let mut scripted = Scripted::connected(ClientConfig::new().limits(limits));
        let (connect, now) = (Auth::None, scripted.now);
        scripted.client.connect(now, "/a", connect.clone()).unwrap();
        scripted.text(r#"40/a,{"sid":"a1"}"#);
        scripted.take_sent();
        assert!(scripted.client.connect(now, "/b", connect.clone()).is_err());
        assert!(scripted.client.forget(now, "/a") && !scripted.client.forget(now, "/a"));
        assert_eq!(scripted.take_sent(), ["41/a,"]);
        assert!(scripted.client.connect(now, "/b", connect.clone()).is_ok());

        // This one's CONNECT is not answered yet, so it has to be left when it is.
        assert!(scripted.client.forget(now, "/b"));
        let unknown = Err(ClientEmitError::UnknownNamespace);
        assert_eq!(scripted.client.emit(now, "/b", &event("e", 1)), unknown);
        assert!(scripted.client.connect(now, "/c", connect.clone()).is_err());
        scripted.text(r#"40/b,{"sid":"b1"}"#);
        assert_eq!(scripted.take_sent(), ["40/b,", "41/b,"]);
        scripted.client.connect(now, "/c", connect.clone()).unwrap();

        // Wanted again before that, it stays.
        scripted.client.forget(now, "/c");
        scripted.client.connect(now, "/c", connect).unwrap();
        scripted.text(r#"40/c,{"sid":"c1"}"#);
        scripted.text(r#"40/c,{"sid":"c2"}"#);
        assert_eq!(scripted.client.socket_id("/c"), Some("c2"));
    }

    #[test]
    fn forgetting_a_namespace_drops_its_buffer_and_fails_its_acknowledgements() {
        let mut scripted = Scripted::connecting(ClientConfig::new());
        scripted.client.emit(scripted.now, "/", &event("e", 1)).unwrap();
        let timeout = Duration::from_secs(1);
        scripted.client.emit_with_ack(scripted.now, "/", &event("e", 2), timeout).unwrap();
        scripted.client.emit_with_retries(scripted.now, "/", &event("e", 3)).unwrap();
        scripted.words();
        assert!(scripted.client.forget(scripted.now, "/"));
        let words = scripted.words();
        assert_eq!(words, ["failed 0 Withdrawn", "failed 1 Withdrawn", "closed: forced close"]);
        assert_eq!(scripted.client.deadline(), None);
        assert!(scripted.client.snapshot().sessions().is_empty());
    }
}
