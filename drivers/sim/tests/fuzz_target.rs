//! A fuzz target of an application: no input of one client makes it panic, or disturbs another one.
//! With `cargo fuzz` the last line of the target is `fuzz_target!(|data: &[u8]| target(data));`.

use socketio_proto::{
    ServerConfig, Timestamp,
    server::{Server, ServerEvent},
};
use socketio_proto_sim::{Harness, wire};

/// The application under test.
fn chat(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    match event {
        ServerEvent::ConnectRequested { request, .. } => {
            server.at(now).accept(request);
        }
        ServerEvent::Received { event, .. } => {
            if let Ok((text,)) = event.parse::<(String,)>() {
                server.at(now).all().emit("said", &(text,)).unwrap();
            }
        }
        _ => {}
    }
}

fn target(data: &[u8]) {
    let mut harness = Harness::new(ServerConfig::new(), chat);
    let bystander = harness.connect("/");
    for args in String::from_utf8_lossy(data).split('\n') {
        let client = harness.connect("/");
        harness.send(client, [wire::text(wire::event_text("/", "say", args, Some(1)))]);
    }
    assert!(harness.is_open(bystander), "nobody else is disturbed");
}

#[cfg(feature = "arbitrary")]
mod scripts {
    use arbitrary::Unstructured;
    use socketio_proto_sim::Simulation;

    /// A target that plays scripts: clients that keep to the protocol, and a network that fails.
    fn target(data: &[u8]) {
        let simulation = Simulation::new(super::ServerConfig::new(), || super::chat);
        let steps = simulation.arbitrary(&mut Unstructured::new(data));
        simulation.play(0, &steps);
    }

    #[test]
    fn some_inputs() {
        let noise: Vec<u8> = (0..200_u16).map(|number| (number * 37 % 251) as u8).collect();
        [&b""[..], b"a", b"some bytes", &noise].into_iter().for_each(target);
    }
}

#[test]
fn some_inputs() {
    let inputs: [&[u8]; 5] =
        [b"", b"\"hello\"", b"1,2\n{\"a\":[]}\n\"x\"", b"\xff\"]\n[", b"[[[[[["];
    inputs.into_iter().for_each(target);
}
