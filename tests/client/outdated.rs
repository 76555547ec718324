//! The client does not mistake packets of an earlier session, or snapshots of an earlier process,
//! for current ones.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        client::{Auth, Client, ClientConfig, ClientEvent},
        hub::Audience,
        server::ServerEvent,
        socket,
    };

    use crate::client_support::{Pair, Scripted, entropy, event, recovering, websocket};

    const MINUTE: Duration = Duration::from_mins(1);

    fn pair() -> Pair {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.server.at(pair.now).add_namespace("/b").unwrap();
        pair.client.connect(pair.now, "/b", Auth::None).unwrap();
        pair.settle();
        assert!(pair.client.is_connected("/b"));
        pair.events.clear();
        pair.server_events.clear();
        pair
    }

    /// The ways in which an application can leave a namespace and join it again.
    const WAYS: [fn(&mut Pair); 2] = [
        |pair| assert!(pair.client.forget(pair.now, "/b")),
        |pair| assert!(pair.client.disconnect(pair.now, "/b")),
    ];

    /// Sends packets that cross the DISCONNECT of the client. The application gets no event for
    /// them.
    fn crossed(send: impl Fn(&mut Pair)) {
        for leave in WAYS {
            // Back at once, or after the rest of what was on its way.
            for is_late in [false, true] {
                let mut pair = pair();
                send(&mut pair);
                pair.collect();
                leave(&mut pair);
                if is_late {
                    pair.settle();
                }
                pair.client.connect(pair.now, "/b", Auth::None).unwrap();
                pair.settle();
                assert!(pair.client.is_connected("/b"));
                let ends = pair.pick_server(|event| match event {
                    ServerEvent::ConnectionClosed { reason, .. } => Some(*reason),
                    _ => None,
                });
                assert!(ends.is_empty(), "{ends:?}");
                let news = pair.pick(|event| match event {
                    ClientEvent::ConnectError { .. }
                    | ClientEvent::Received { .. }
                    | ClientEvent::Acked { .. } => Some(format!("{event:?}")),
                    _ => None,
                });
                assert!(news.is_empty(), "{news:?}");
                // The present stay is a whole one.
                pair.server.at(pair.now).broadcast("/b", &Audience::all(), &event("m", 8)).unwrap();
                pair.settle();
                assert_eq!(pair.numbers(), [8]);
            }
        }
    }

    #[test]
    fn a_server_disconnect_that_crosses_the_clients_own_does_not_end_the_next_session() {
        crossed(|pair| {
            let socket = pair.server.at(pair.now).local_sockets("/b", &Audience::all()).unwrap()[0];
            assert!(pair.server.at(pair.now).disconnect(socket, false));
        });
    }

    #[test]
    fn an_event_from_before_leaving_is_not_delivered_after_rejoining() {
        crossed(|pair| {
            pair.server.at(pair.now).broadcast("/b", &Audience::all(), &event("m", 7)).unwrap();
        });
    }

    #[test]
    fn an_answer_from_before_leaving_does_not_acknowledge_a_later_event() {
        let mut scripted = Scripted::connected(ClientConfig::new());
        let now = scripted.now;
        for stay in 0..2 {
            scripted.client.connect(now, "/b", Auth::None).unwrap();
            scripted.text(&format!(r#"40/b,{{"sid":"b{stay}"}}"#));
            let pay = event("pay", stay);
            scripted.client.emit_with_ack(now, "/b", &pay, MINUTE).unwrap();
            if stay == 0 {
                scripted.client.forget(now, "/b");
            }
        }
        let sent = scripted.take_sent();
        let ids: Vec<&str> =
            sent.iter().filter_map(|text| text.split_once("[\"pay")).map(|it| it.0).collect();
        assert_eq!(ids, ["42/b,0", "42/b,1"], "{sent:?}");
        scripted.words();
        // An official server answers although the socket has left.
        scripted.text(r#"43/b,0["paid 0"]"#);
        assert_eq!(scripted.words(), [""; 0]);
        scripted.text(r#"43/b,1["paid 1"]"#);
        assert_eq!(scripted.words(), [r#"acked 1 ["paid 1"]"#]);
    }

    #[test]
    fn a_second_server_disconnect_counts() {
        let mut pair = pair();
        pair.client.forget(pair.now, "/b");
        pair.client.connect(pair.now, "/b", Auth::None).unwrap();
        pair.settle();
        let socket = pair.server.at(pair.now).local_sockets("/b", &Audience::all()).unwrap()[0];
        assert!(pair.server.at(pair.now).disconnect(socket, false));
        pair.settle();
        assert!(!pair.client.is_active("/b"));
    }

    /// Starts a process with the snapshot of another one.
    fn restart(pair: &mut Pair, state: &socketio_proto::client::ClientSnapshot) {
        pair.cut();
        // The same entropy each time: whatever tells processes apart, it is not that.
        pair.client = Client::new(websocket(), entropy(9)).unwrap();
        pair.client.restore(pair.now, state.clone()).unwrap();
        pair.events.clear();
    }

    fn join(pair: &mut Pair) {
        pair.connect();
        // Claims of one session in a row are paced.
        pair.advance(Duration::from_secs(5));
        assert!(pair.client.is_recovered("/"));
    }

    fn words(pair: &mut Pair) -> Vec<String> {
        pair.pick(|event| match event {
            ClientEvent::Acked { args, .. } => Some(format!("acked {}", args.json())),
            ClientEvent::AckFailed { cause, .. } => Some(format!("failed {cause:?}")),
            ClientEvent::Unconfirmed { event, .. } => {
                Some(format!("unconfirmed {}", event.event().json()))
            }
            ClientEvent::SnapshotOutOfDate { unknown, .. } => {
                Some(format!("out of date by {unknown}"))
            }
            _ => None,
        })
    }

    /// Acknowledges all events that ask for it.
    fn answer(pair: &mut Pair, text: &str) {
        let events: Vec<_> = pair.server_events.drain(..).collect();
        for it in events {
            if let ServerEvent::Received { event, ack: Some(token), .. } = it {
                let number: u64 = event.get(0).unwrap();
                let args = socket::Args::new(&(format!("{text} {number}"),)).unwrap();
                pair.server.at(pair.now).ack(token, &args);
            }
        }
    }

    /// Several processes restore a snapshot that was stored before the last one sent an event. The answer
    /// to the unknown event is never taken for the answer to another.
    #[test]
    fn an_answer_to_an_event_that_the_snapshot_does_not_know_acknowledges_no_other() {
        let emit: [fn(&mut Pair, u64); 2] = [
            |pair, number| {
                pair.client.emit_with_retries(pair.now, "/", &event("pay", number)).unwrap();
            },
            |pair, number| {
                let pay = event("pay", number);
                pair.client.emit_with_ack(pair.now, "/", &pay, 5 * MINUTE).unwrap();
            },
        ];
        for emit in emit {
            for is_buffered in [false, true] {
                let mut pair = Pair::connected(websocket(), recovering());
                pair.auto_ack = false;
                let state = pair.client.snapshot();
                emit(&mut pair, 1);
                pair.settle();
                for process in 2..5 {
                    restart(&mut pair, &state);
                    answer(&mut pair, "paid");
                    if is_buffered {
                        emit_early(&mut pair, emit, process);
                    } else {
                        join(&mut pair);
                        emit(&mut pair, process);
                        pair.settle();
                    }
                    // Asked again in time, and after a link that was lost.
                    pair.advance(Duration::from_secs(20));
                    pair.cut();
                    pair.reconnect();
                    pair.advance(Duration::from_secs(5));
                    assert!(words(&mut pair).iter().all(|word| !word.starts_with("acked")));
                    answer(&mut pair, "late");
                    pair.settle();
                    let acked: Vec<String> = words(&mut pair);
                    assert_eq!(acked, [format!("acked [\"late {process}\"]")], "{is_buffered}");
                    emit(&mut pair, 100 + process);
                    pair.settle();
                }
            }
        }
    }

    fn emit_early(pair: &mut Pair, emit: fn(&mut Pair, u64), number: u64) {
        let now = pair.now;
        pair.client.connect(now, "/", Auth::None).unwrap();
        emit(pair, number);
        pair.advance(Duration::from_secs(5));
        assert!(pair.client.is_recovered("/"));
    }

    /// The other process may have sent the buffered events: they are reported and not sent again.
    #[test]
    fn buffered_events_of_an_outdated_snapshot_are_reported() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.cut();
        pair.client.emit(pair.now, "/", &event("m", 1)).unwrap();
        pair.client.emit_with_ack(pair.now, "/", &event("m", 2), MINUTE).unwrap();
        let state = pair.client.snapshot();
        pair.reconnect();
        pair.settle();
        assert_eq!(pair.server_numbers(), [1, 2]);

        restart(&mut pair, &state);
        pair.client.emit(pair.now, "/", &event("m", 3)).unwrap();
        join(&mut pair);
        let reported = ["out of date by 2", r#"unconfirmed ["m",1]"#, r#"unconfirmed ["m",2]"#];
        assert_eq!(words(&mut pair), reported);
        assert_eq!(pair.server_numbers(), [3], "of this process, so it was not sent before");
    }

    /// An event with retries arrives at least once, so it is sent again.
    #[test]
    fn retried_events_of_an_outdated_snapshot_are_sent_again() {
        let mut pair = Pair::connected(websocket(), recovering());
        pair.cut();
        pair.client.emit_with_retries(pair.now, "/", &event("m", 1)).unwrap();
        let state = pair.client.snapshot();
        pair.reconnect();
        pair.settle();
        restart(&mut pair, &state);
        join(&mut pair);
        assert_eq!(words(&mut pair), ["out of date by 1", "acked [1]"]);
        assert_eq!(pair.server_numbers(), [1, 1]);
    }

    #[test]
    fn a_current_snapshot_is_not_reported_as_outdated() {
        let mut pair = Pair::connected(websocket(), recovering());
        for number in 0..3 {
            pair.client.emit_volatile(pair.now, "/", &event("m", 90 + number));
            pair.client.emit(pair.now, "/", &event("m", number)).unwrap();
            let state = pair.client.snapshot();
            restart(&mut pair, &state);
            join(&mut pair);
            pair.settle();
            assert_eq!(words(&mut pair), [""; 0]);
        }
        let received = pair.server_numbers();
        assert!(received.into_iter().filter(|number| *number < 90).eq(0..3));
    }
}
