//! The client against this crate's server, over real sockets. It behaves as with the official
//! server, and events arrive exactly once in both directions, wherever the network breaks.

mod host;
#[path = "../../official_server/peer.rs"]
mod peer;
mod proxy;
#[path = "../../official_server/random.rs"]
mod random;
#[path = "../../official_server/scenarios.rs"]
mod scenarios;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use socketio_proto::{
        AckId,
        client::{Auth, ClientEvent, SessionSnapshot},
        engine::Transport::{self, Polling, WebSocket},
        socket,
    };

    use super::{
        host::Host,
        peer::{Peer, config, in_time},
        proxy::Proxy,
        random::Random,
    };

    /// Cuts for each way to connect, a thousand in all; `CUTS=1000` for more.
    fn cuts() -> u64 {
        std::env::var("CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(334)
    }

    #[tokio::test]
    async fn exactly_once_over_polling() {
        exactly_once(&[Polling]).await;
    }

    #[tokio::test]
    async fn exactly_once_over_websocket() {
        exactly_once(&[WebSocket]).await;
    }

    #[tokio::test]
    async fn exactly_once_around_upgrades() {
        exactly_once(&[Polling, WebSocket]).await;
    }

    const KINDS: [&str; 3] = ["plain", "acked", "retried"];

    /// Both ends emit numbered events, and both count.
    struct Tally {
        /// Events of the client, by name.
        emitted: BTreeMap<&'static str, u64>,
        awaited: BTreeMap<AckId, u64>,
        broadcast: u64,
    }

    impl Tally {
        fn emit(&mut self, peer: &mut Peer, name: &'static str) {
            let number = self.emitted.entry(name).or_default();
            let event = socket::Event::new(name, &(*number,)).unwrap();
            let ack = peer.driver.client(|client, now| match name {
                "plain" => client.emit(now, "/", &event).map(|()| None),
                "acked" => {
                    client.emit_with_ack(now, "/", &event, Duration::from_secs(3_600)).map(Some)
                }
                _ => client.emit_with_retries(now, "/", &event).map(Some),
            });
            if let Some(ack) = ack.unwrap() {
                self.awaited.insert(ack, *number);
            }
            *number += 1;
        }

        fn count(&mut self, event: &ClientEvent) {
            match event {
                ClientEvent::Acked { ack, args, .. } => {
                    let number = self.awaited.remove(ack).expect("acknowledged once");
                    assert_eq!(args.get::<u64>(0), Ok(number));
                }
                ClientEvent::AckFailed { .. } | ClientEvent::Unconfirmed { .. } => {
                    panic!("{event:?}")
                }
                _ => {}
            }
        }

        async fn run_for(&mut self, peer: &mut Peer, millis: u64) {
            let end = tokio::time::Instant::now() + Duration::from_millis(millis);
            while let Ok(event) = tokio::time::timeout_at(end, peer.next()).await {
                self.count(&event);
            }
        }

        fn is_complete(&self, peer: &mut Peer) -> bool {
            let received = u64::try_from(peer.numbers.len()).unwrap();
            let left = peer.driver.client(|client, _| {
                let state = client.snapshot();
                state.sessions().iter().flat_map(SessionSnapshot::events).count()
            });
            received == self.broadcast && self.awaited.is_empty() && left == 0
        }
    }

    async fn exactly_once(transports: &[Transport]) {
        let mut server = Host::start().await.expect("it needs nothing");
        let mut proxy = Proxy::start(server.port()).await;
        let mut random = Random::new();
        let url = format!("http://127.0.0.1:{}", proxy.port());
        let config = config(transports).ack_timeout(Duration::from_millis(300)).retries(1_000_000);
        let mut peer = Peer::new(&url, config);
        peer.connect("/", Auth::None).await;
        let mut tally = Tally { emitted: BTreeMap::new(), awaited: BTreeMap::new(), broadcast: 0 };
        for _ in 0..cuts() {
            for _ in 0..random.below(6) {
                tally.emit(&mut peer, KINDS[usize::try_from(random.below(3)).unwrap()]);
                if random.below(2) == 0 {
                    server.emit(tally.broadcast);
                    tally.broadcast += 1;
                }
            }
            // Somewhere among the next bytes, or after a while.
            let bytes = random.below(2_000);
            proxy.cut_after(bytes, random.below(3) == 0);
            tally.run_for(&mut peer, random.below(25)).await;
            proxy.cut_now();
            if random.below(3) > 0 {
                // Otherwise on the way back.
                in_time(async {
                    while !peer.driver.client(|client, _| client.is_connected("/")) {
                        let event = peer.next().await;
                        tally.count(&event);
                    }
                })
                .await;
            }
        }
        in_time(async {
            while !tally.is_complete(&mut peer) {
                tally.run_for(&mut peer, 20).await;
            }
        })
        .await;
        server.count().await;
        assert_eq!(peer.sessions, 1, "one session throughout");
        assert_eq!(peer.numbers, (0..tally.broadcast).collect::<Vec<_>>());
        for (name, count) in &tally.emitted {
            assert_eq!(server.received(name), (0..*count).collect::<Vec<_>>(), "{name}");
        }
        let total: u64 = tally.emitted.values().sum();
        println!(
            "{} cuts, {} within a message; {total} events to the server, {} to the client",
            cuts(),
            proxy.cut_within(),
            tally.broadcast
        );
    }
}
