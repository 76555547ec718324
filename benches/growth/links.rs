//! Links that run elsewhere, and one that has gone before it hears from the hub.

use std::sync::Arc;

use socketio_proto::{
    ConnectionId, EngineId, ServerConfig, Timestamp, WireId,
    engine::{EngineInput, Frame, Transport},
    hub::{Hub, HubOutput, Reply, ServerEvent},
    link::{Link, LinkOutput},
};

use crate::{count::Meter, world};

const NOW: Timestamp = Timestamp::from_millis(1_000);

/// A client goes while it is let in, and its link with it: the hub alone knows of its session.
pub fn gone_unheard(count: usize, meter: &mut Meter) {
    let config = Arc::new(world::config());
    let mut state = 0_u64;
    let entropy = move |dest: &mut [u8]| {
        for byte in dest {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    };
    let mut hub = Hub::<()>::new(config.clone(), entropy).expect("valid");
    hub.at(NOW).add_namespace("/").expect("a name");
    for place in 0..count as u64 {
        let (mut link, reply) = let_in(&mut hub, &config, place);
        link.handle_reply(NOW, reply);
        tell(&mut hub, &mut link, place);
    }
    for place in meter.rounds().map(|round| (count + round) as u64) {
        let (mut link, _) = let_in(&mut hub, &config, place);
        link.handle_input(NOW, EngineInput::WireClosed { wire: WireId(place) });
        let was_told = meter.count("a link is lost before it hears that its client is in", || {
            tell(&mut hub, &mut link, place);
            let output = hub.poll_output();
            matches!(output, Some(HubOutput::Event(ServerEvent::Disconnected { .. })))
        });
        assert!(was_told);
    }
}

/// A link with a client that is let in, and the word of it.
fn let_in(hub: &mut Hub<()>, config: &Arc<ServerConfig>, place: u64) -> (Link, Reply) {
    let wire = WireId(place);
    let id = EngineId::parse(&format!("{place:020}")).expect("20 characters");
    let mut link = Link::new(NOW, config.clone(), id, Transport::WebSocket, wire);
    link.handle_input(NOW, EngineInput::Frame { wire, frame: Frame::Text("40".into()) });
    tell(hub, &mut link, place);
    let mut word = None;
    while let Some(output) = hub.poll_output() {
        match output {
            HubOutput::Reply { reply, .. } => word = Some(reply),
            HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                assert!(hub.at(NOW).accept(request).is_some());
            }
            _ => {}
        }
    }
    (link, word.expect("an answer"))
}

/// Passes on what a link asks.
fn tell(hub: &mut Hub<()>, link: &mut Link, place: u64) {
    while let Some(output) = link.poll_output() {
        if let LinkOutput::Hub(request) = output {
            hub.handle_request(NOW, ConnectionId::from_raw(place), request);
        }
    }
}
