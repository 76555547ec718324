//! A property test of an application: everybody who is in the chat at the end hears the last
//! message, whatever has failed before.

use proptest::prelude::*;
use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    server::{Server, ServerEvent},
    socket::Event,
};
use socketio_proto_sim::{Simulation, World, client::Delivery};

/// The application under test.
fn chat(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    match event {
        ServerEvent::ConnectRequested { request, .. } => {
            server.at(now).accept(request);
        }
        ServerEvent::Connected { socket, recovery, .. } if !recovery.is_recovered() => {
            server.at(now).join(socket, "lobby").unwrap();
        }
        ServerEvent::Received { event, .. } if event.name() == "say" => {
            let said: (u64,) = event.parse().unwrap();
            server.at(now).to("lobby").emit("said", &said).unwrap();
        }
        _ => {}
    }
}

type Chat = fn(&mut Server, Timestamp, ServerEvent<()>);

fn simulation() -> Simulation<Chat> {
    let config = ServerConfig::new().recovery(RecoveryConfig::default());
    Simulation::new(config, || chat as Chat)
        .clients(3)
        .events(|choices| Event::new("say", &(choices.below(100),)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..Default::default() })]

    #[test]
    fn everybody_hears_the_last_message(seed: u64, steps in simulation().steps()) {
        let mut world: World<Chat> = simulation().play(seed, &steps);
        // Those who have left come back.
        (0..3).for_each(|client| world.join(client, "/"));
        world.settle();
        world.emit(0, "/", &Event::new("say", &(12_345,)).unwrap(), Delivery::Plain);
        world.settle();
        for client in 0..3 {
            let last = world.received(client).last().expect("something").event.parse();
            prop_assert_eq!(last, Ok((12_345_u64,)), "client {}\n{}", client, world.trace());
        }
    }
}
