//! Reconnection: when, how often, and with delays that differ between clients.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socketio_proto::{
        ServerConfig, Timestamp,
        client::{Auth, Client, ClientConfig, ClientEvent, ClientOutput},
        engine::{ClientInput, EngineClientOutput},
    };

    use crate::client_support::{Pair, Scripted, entropy, polling, websocket};

    const SECOND: Duration = Duration::from_secs(1);

    /// The delays before the first attempts of a client that never gets through.
    fn delays(seed: u64, attempts: usize) -> Vec<Duration> {
        let mut client = Client::new(websocket(), entropy(seed)).unwrap();
        let mut now = Timestamp::ZERO;
        let mut delays = Vec::new();
        client.connect(now, "/", Auth::None).unwrap();
        while delays.len() < attempts {
            match client.poll_output() {
                Some(ClientOutput::Wire(EngineClientOutput::OpenWebSocket { wire, .. })) => {
                    client.handle_input(now, ClientInput::WireClosed { wire });
                }
                Some(ClientOutput::Event(ClientEvent::Reconnecting { at, attempt })) => {
                    assert_eq!(usize::try_from(attempt).unwrap(), delays.len() + 1);
                    delays.push(at.saturating_since(now));
                }
                Some(_) => {}
                None => {
                    now = client.deadline().unwrap();
                    client.handle_input(now, ClientInput::Timeout);
                }
            }
        }
        delays
    }

    #[test]
    fn delays_double_within_the_bounds_of_the_reference() {
        for seed in 0..50 {
            let delays = delays(seed, 8);
            for (index, delay) in delays.iter().enumerate() {
                let base = SECOND * 2_u32.pow(u32::try_from(index).unwrap());
                let base = base.min(5 * SECOND);
                assert!(*delay >= base / 2 && *delay <= (base * 3 / 2).min(5 * SECOND));
            }
        }
    }

    /// In the reference all clients wait for exactly 5 s from the fifth attempt on, so that they
    /// come back as one.
    #[test]
    fn c1_a_thousand_clients_do_not_come_back_in_lockstep() {
        const CLIENTS: u64 = 1_000;
        let mut eleventh = [0_u64; 25];
        let mut moments = [0_u64; 60];
        for seed in 0..CLIENTS {
            let delays = delays(seed, 11);
            // Slots of 100 ms from 2.5 s to 5 s.
            let after = delays[10].saturating_sub(Duration::from_millis(2_500)).as_millis() / 100;
            eleventh[usize::try_from(after).unwrap().min(24)] += 1;
            let moment: Duration = delays.iter().sum();
            moments[usize::try_from(moment.as_secs()).unwrap().min(59)] += 1;
        }
        // 40 of them in each slot if they were spread evenly.
        assert!(eleventh.iter().all(|count| (10..=80).contains(count)), "{eleventh:?}");
        let busiest = moments.iter().max().unwrap();
        assert!(*busiest < CLIENTS / 4, "in one second of the eleventh attempt: {moments:?}");
        assert!(moments.iter().filter(|count| **count > 0).count() >= 10, "{moments:?}");
    }

    #[test]
    fn attempts_come_to_an_end_if_that_is_wanted() {
        let config = polling().reconnection_attempts(Some(2));
        let mut pair = Pair::new(config, ServerConfig::new());
        pair.is_down = true;
        pair.connect();
        pair.advance(60 * SECOND);
        let attempts = pair.pick(|event| match event {
            ClientEvent::Reconnecting { attempt, .. } => Some(i64::from(*attempt)),
            ClientEvent::ReconnectionFailed => Some(-1),
            _ => None,
        });
        assert_eq!(attempts, [1, 2, -1]);
        assert_eq!(pair.client.deadline(), None);
        pair.is_down = false;
        assert!(pair.client.reconnect(pair.now), "by hand");
        pair.settle();
        assert!(pair.client.is_connected("/"));
    }

    #[test]
    fn without_reconnection_nothing_happens_by_itself() {
        let mut pair = Pair::connected(websocket().reconnection(false), ServerConfig::new());
        pair.cut();
        pair.settle();
        assert_eq!(pair.client.deadline(), None);
        pair.connect();
        assert!(pair.client.is_connected("/"));
    }

    #[test]
    fn a_joined_namespace_resets_the_delay_and_an_open_connection_does_not() {
        let mut scripted = Scripted::new(ClientConfig::new());
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        for attempt in 1..=3 {
            scripted.open();
            scripted.input(ClientInput::WireClosed { wire: scripted.wire });
            assert_eq!(*scripted.words().last().unwrap(), format!("reconnecting {attempt}"));
            scripted.expire();
        }
        scripted.open();
        scripted.text(r#"40{"sid":"s1"}"#);
        scripted.input(ClientInput::WireClosed { wire: scripted.wire });
        assert_eq!(scripted.words().last().unwrap(), "reconnecting 1");
    }

    #[test]
    fn all_namespaces_come_back() {
        let mut pair = Pair::connected(websocket(), ServerConfig::new());
        pair.server.at(pair.now).add_namespace("/b").unwrap();
        pair.client.connect(pair.now, "/b", Auth::None).unwrap();
        pair.settle();
        pair.cut();
        assert!(!pair.client.is_connected("/") && !pair.client.is_connected("/b"));
        pair.reconnect();
        assert!(pair.client.is_connected("/b"));
    }

    #[test]
    fn a_silent_link_is_noticed_by_the_missing_ping() {
        let mut pair = Pair::connected(websocket(), ServerConfig::new());
        pair.is_silent = true;
        pair.advance(44 * SECOND);
        assert!(pair.client.is_connected("/"));
        pair.advance(2 * SECOND);
        assert!(!pair.client.is_connected("/"));
        pair.is_silent = false;
        pair.reconnect();
    }

    #[test]
    fn a_remembered_upgrade_spares_polling_the_next_time() {
        let mut pair =
            Pair::connected(ClientConfig::new().remember_upgrade(true), ServerConfig::new());
        pair.advance(SECOND);
        pair.events.clear();
        pair.cut();
        pair.reconnect();
        let transports = pair.pick(|event| match event {
            ClientEvent::ConnectionOpened { transport } => Some(transport.as_str()),
            _ => None,
        });
        assert_eq!(transports, ["websocket"]);
    }

    #[test]
    fn leaving_while_waiting_ends_the_waiting() {
        let mut pair = Pair::connected(websocket(), ServerConfig::new());
        pair.cut();
        assert!(pair.client.deadline().is_some());
        assert!(pair.client.disconnect(pair.now, "/"));
        pair.settle();
        assert_eq!(pair.client.deadline(), None);
    }
}
