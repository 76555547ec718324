//! Peers that do everything in any order. [`World`] checks what may be done with each stream.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    websockets::{UPGRADE, frame},
    world::World,
};

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    End,
    Fail,
    Respond,
    Emit,
    Pass(u64),
    /// The stream takes bytes from now on, or does not.
    Take(bool),
    Progress(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let whole = prop_oneof![
        Just(UPGRADE.as_bytes().to_vec()),
        Just(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n".to_vec()),
        Just(b"GET /a HTTP/1.1\r\n\r\n".to_vec()),
        Just(b"HEAD /a HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec()),
        Just(b"POST /a HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n".to_vec()),
        Just(frame(1, b"40")),
        Just(frame(1, b"42[\"a\"]")),
        Just(frame(8, b"")),
        Just(frame(9, b"ping")),
        prop::collection::vec(any::<u8>(), 1..40),
    ];
    let piece = (whole, 0.0..1.5).prop_map(|(mut bytes, part): (Vec<u8>, f64)| {
        // Most are whole, some are cut.
        #[expect(clippy::cast_precision_loss, reason = "they are short")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "likewise")]
        bytes.truncate((bytes.len() as f64 * part) as usize);
        Step::Send(bytes)
    });
    prop_oneof![
        8 => piece,
        1 => Just(Step::End),
        1 => Just(Step::Fail),
        3 => Just(Step::Respond),
        2 => Just(Step::Emit),
        2 => (0_u64..70).prop_map(Step::Pass),
        2 => any::<bool>().prop_map(Step::Take),
        2 => (1_usize..400).prop_map(Step::Progress),
    ]
}

proptest! {
    #[test]
    fn streams_in_any_order_do_no_harm(steps in prop::collection::vec((0_usize..3, step()), 1..60)) {
        let mut world = World::new();
        let mut streams = vec![world.open(), world.open(), world.open()];
        for (index, step) in steps {
            if world.got(streams[index]).is_closed {
                streams[index] = world.open();
            }
            let stream = streams[index];
            match step {
                Step::Send(bytes) => world.send(stream, bytes),
                Step::End => world.end(stream),
                Step::Fail => world.fail(stream),
                Step::Respond if world.requests.is_empty() => {}
                Step::Respond => world.respond("ok"),
                Step::Emit => {
                    world.endpoint.server_mut().at(world.now).all().emit("n", &()).unwrap();
                    world.drain();
                }
                Step::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
                Step::Take(takes) => world.takes_bytes = takes,
                Step::Progress(len) => world.progress(stream, len),
            }
        }
        // Who says nothing any more is closed, unless a request waits for the application.
        world.takes_bytes = true;
        while !world.requests.is_empty() {
            world.respond("ok");
        }
        world.shut_down();
        for stream in streams.clone() {
            world.progress(stream, usize::MAX);
        }
        while !world.requests.is_empty() {
            world.respond("ok");
        }
        world.pass(Duration::from_secs(120));
        prop_assert_eq!(world.endpoint.streams(), 0);
        prop_assert_eq!(world.endpoint.server().stats().connections, 0);
        for stream in streams {
            prop_assert!(world.got(stream).is_closed);
        }
    }
}
