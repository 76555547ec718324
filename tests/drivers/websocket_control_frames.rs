//! Control frames over real sockets, with each driver: they count like packets, and the same limits
//! apply.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use socketio_proto::engine::close_text;
use tungstenite::{Message, WebSocket};

use crate::example::Example;

/// Longer than anything takes. Only a test that fails waits for it.
const WAIT: Duration = Duration::from_secs(60);
const RATE: &str = "100";
/// What may come at once: that of five seconds.
const BURST: usize = 500;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;

/// A server behind each of the drivers.
fn servers() -> [Example; 2] {
    let variables = [("PORT", "0"), ("PACKETS_PER_SECOND", RATE)];
    [
        Example::start("contract", &["--profile", "acceptance"], &variables),
        Example::start("event_loop", &["--port", "0"], &variables),
    ]
}

/// Opens a WebSocket and joins a namespace that says nothing by itself.
fn join(server: &Example) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(format!("127.0.0.1:{}", server.address)).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    let url = format!("ws://127.0.0.1:{}/socket.io/?EIO=4&transport=websocket", server.address);
    let (mut websocket, _) = tungstenite::client(url, stream).unwrap();
    websocket.send(Message::text("40/quiet,")).unwrap();
    for _ in ["the open packet", "the CONNECT"] {
        websocket.read().unwrap();
    }
    websocket
}

/// Asks something, which must be answered.
fn check(bystander: &mut WebSocket<TcpStream>) {
    bystander.send(Message::text("42/quiet,7[\"message-with-ack\",1]")).unwrap();
    assert_eq!(bystander.read().unwrap(), Message::text("43/quiet,7[1]"));
}

/// A control frame of a client with one byte in it, and a mask of zeros.
fn control(opcode: u8, byte: u8) -> [u8; 7] {
    [opcode, 0x81, 0, 0, 0, 0, byte]
}

/// Reads a frame that is no longer than a control frame.
fn read_frame(mut stream: &TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(head[1])];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

/// Sends the same frames in rounds, each when the pings of the one before were answered, until the
/// connection is closed. Returns how many frames that took.
fn flood(stream: &mut TcpStream, opcodes: &[u8], mut meanwhile: impl FnMut()) -> usize {
    for round in 1..=u8::MAX {
        let frames: Vec<u8> = opcodes.iter().flat_map(|opcode| control(*opcode, round)).collect();
        stream.write_all(&frames).unwrap();
        for _ in opcodes.iter().filter(|opcode| **opcode == PING) {
            match read_frame(stream) {
                (PONG, payload) => assert_eq!(payload, [round], "each ping is answered"),
                (CLOSE, payload) => {
                    assert_eq!(payload[..2], 1008_u16.to_be_bytes());
                    assert_eq!(payload[2..], *close_text(1008).as_bytes());
                    return usize::from(round) * opcodes.len();
                }
                other => panic!("{other:?}"),
            }
        }
        meanwhile();
    }
    panic!("the flood was never stopped")
}

#[test]
fn a_flood_of_control_frames_is_stopped() {
    let mostly_pongs = [[PONG; 24], [PING; 24]].concat();
    for mut server in servers() {
        for opcodes in [&[PING; 50][..], &mostly_pongs] {
            let mut bystander = join(&server);
            let mut hostile = join(&server);
            let mut round = 0;
            let sent = flood(hostile.get_mut(), opcodes, || {
                round += 1;
                if round % 5 == 1 {
                    check(&mut bystander);
                }
            });
            assert!(sent >= BURST - 1, "{sent} of {BURST} that it may send at once");
            check(&mut bystander);
        }
        server.assert_unharmed();
    }
}

/// The memory for answers to pings is bounded. If a client does not read the answers, the server
/// stops reading from it, or drops it.
#[test]
fn pings_whose_pongs_are_not_read_pile_nothing_up() {
    for mut server in servers() {
        let mut bystander = join(&server);
        let mut hostile = join(&server);
        let pings = [PING, 0xfd, 0, 0, 0, 0]
            .into_iter()
            .chain([b'x'; 125])
            .collect::<Vec<u8>>()
            .repeat(100);
        let stream = hostile.get_mut();
        // The server closes it, and then hears it out for a while.
        let rounds = (0..10_000).take_while(|_| stream.write_all(&pings).is_ok()).count();
        assert!(rounds < 10_000, "13 MB of pings were read");
        check(&mut bystander);
        server.assert_unharmed();
    }
}
