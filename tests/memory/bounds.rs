//! Compares the memory that one connection can make a server use with the table in SECURITY.md.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use socketio_proto::{
    ServerConfig, SocketKey, WireId,
    engine::Frame,
    hub::EmitError,
    server::{ServerEvent, ServerInput, ServerOutput},
    socket::{Args, Event as SocketEvent},
};

use crate::{growth, poller::Poller, support::fleet::Fleet};

/// What a hostile client does to a server that has it in its main namespace.
type Attack = fn(&mut Fleet, &Hostile);

/// Each row of the table that the core has a say in, and who gets there.
const ATTACKS: [(&str, Attack); 6] = [
    ("a packet whose attachments are not complete", begin_attachments),
    ("authentication data of CONNECTs that wait for the application", wait_with_auth),
    ("what is queued for it while it does not read", read_nothing),
    ("what the application has emitted to it at once", take_a_burst),
    ("what its session remembers of its events", have_offsets_remembered),
    ("rooms that it has asked for", join_rooms),
];

/// A client that has joined the main namespace and does not read any more.
struct Hostile {
    wire: WireId,
    socket: SocketKey,
}

impl Hostile {
    fn connect(fleet: &mut Fleet) -> Self {
        let client = fleet.connect();
        fleet.server.pause(client.wire);
        Self { wire: client.wire, socket: client.socket }
    }
}

#[test]
fn each_row_of_the_table_holds() {
    for (row, attack) in ATTACKS {
        let mut fleet = Fleet::new(config());
        // The tables of the server itself.
        attack_once(&mut fleet, attack);
        let held = attack_once(&mut fleet, attack);
        let bound = bound(row);
        println!("{row}: {held} of {bound}");
        assert!(held <= bound, "{row}: {held} bytes, and SECURITY.md says {bound}");
        assert!(held >= bound / 2, "{row}: {held} bytes are far from {bound}: is it an attack?");
    }
}

fn attack_once(fleet: &mut Fleet, attack: Attack) -> i64 {
    let hostile = Hostile::connect(fleet);
    growth(|| {
        attack(fleet, &hostile);
        assert!(fleet.server.socket_id(hostile.socket).is_some(), "it went too far");
    })
}

#[test]
fn a_connection_with_all_of_them_holds_no_more_than_all_rows() {
    let mut fleet = Fleet::new(config());
    let attack_all = |fleet: &mut Fleet| {
        growth(|| {
            let hostile = Hostile::connect(fleet);
            // An incomplete packet takes no other one in its middle.
            for (_, attack) in ATTACKS.iter().rev() {
                attack(fleet, &hostile);
            }
            hostile
        })
    };
    let bound: i64 = ATTACKS.iter().map(|(row, _)| bound(row)).sum();
    attack_all(&mut fleet);
    for _ in 0..2 {
        let held = attack_all(&mut fleet);
        assert!((bound / 2..=bound).contains(&held), "{held} bytes of {bound}");
    }
    // Nobody who reads nothing lives on, and what was held for them goes.
    let held = growth(|| fleet.pass(Duration::from_mins(10)));
    assert_eq!(fleet.server.stats().connections, 0);
    assert!(held < -2 * bound, "{held} bytes for three connections that have gone");
}

#[test]
fn a_client_on_polling_that_reads_nothing_holds_no_more() {
    let mut fleet = Fleet::new(config());
    let bound = bound("what is queued for it while it does not read");
    for number in 0..3 {
        let mut poller = Poller::connect(&mut fleet, number);
        let name = "n".repeat(250);
        let body = (0..1_000).map(|number| format!("40/{name}{number}")).collect::<Vec<_>>();
        let body = body.join("\u{1e}");
        let held = growth(|| {
            for _ in 0..30 {
                poller.post_or_fail(&mut fleet, body.clone());
            }
        });
        assert!(held <= bound, "{held} bytes, and SECURITY.md says {bound}");
        let overflows = fleet.server.stats().total.connections_closed.overflow;
        assert_eq!(overflows, number + 1, "it is closed");
    }
}

#[test]
fn a_replay_holds_as_much_as_its_row_says() {
    let mut recovery = socketio_proto::RecoveryConfig::default();
    recovery.claim_burst = 1_000_000;
    let mut fleet = Fleet::new(ServerConfig::new().recovery(recovery));
    let client = fleet.connect();
    fleet.lose(client.wire);
    fleet.drain();
    let event = SocketEvent::new("m", &()).unwrap();
    for _ in 0..100_000 {
        fleet.server.at(fleet.now).emit(client.socket, &event).unwrap();
    }
    let wire = fleet.open();
    fleet.server.pause(wire);
    let held = growth(|| {
        fleet.send(wire, &format!(r#"40{{"pid":"{}"}}"#, client.pid));
        fleet.drain();
    });
    assert_eq!(fleet.server.stats().total.replayed, 100_000);
    let bound = bound("a replay");
    assert!((bound / 2..=bound).contains(&held), "{held} bytes, and SECURITY.md says {bound}");
}

#[test]
fn pongs_and_repeated_words_hold_nothing() {
    let mut fleet = Fleet::new(config());
    let hostile = Hostile::connect(&mut fleet);
    fleet.send(hostile.wire, "3");
    fleet.drain();
    let held = growth(|| {
        for _ in 0..1_000 {
            for packet in ["3", "41/elsewhere,", "42/elsewhere,[\"m\"]", "437[]", "44/elsewhere,{}"]
            {
                fleet.send(hostile.wire, packet);
                fleet.drain();
            }
        }
    });
    assert!(held < 1_000, "{held} bytes");
    assert_eq!(fleet.server.stats().connections, 1);
}

/// All defaults, but for the rate of packets.
fn config() -> ServerConfig {
    let mut limits = socketio_proto::Limits::default();
    // Virtual time does not pass meanwhile.
    limits.packet_burst = u32::MAX;
    ServerConfig::new().limits(limits)
}

fn begin_attachments(fleet: &mut Fleet, hostile: &Hostile) {
    let text = "x".repeat(990_000 - 400);
    let placeholders = (0..10).map(|number| format!(r#"{{"_placeholder":true,"num":{number}}}"#));
    let placeholders = placeholders.collect::<Vec<_>>().join(",");
    fleet.send(hostile.wire, &format!("4510-[\"m\",{placeholders},\"{text}\"]"));
    for _ in 0..9 {
        let frame = Frame::Binary(Bytes::from(vec![0; 1_000_000]));
        fleet.server.handle_input(fleet.now, ServerInput::Frame { wire: hostile.wire, frame });
    }
    fleet.drain();
}

fn wait_with_auth(fleet: &mut Fleet, hostile: &Hostile) {
    let auth = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    for number in 0..20 {
        let name = format!("/{number}");
        fleet.server.at(fleet.now).add_namespace(&name).unwrap();
        fleet.send(hostile.wire, &format!("40{name},{auth}"));
        // The application does not decide.
        while let Some(output) = fleet.server.poll_output() {
            drop(output);
        }
    }
}

/// CONNECTs for namespaces that there are not, up to the limit.
fn read_nothing(fleet: &mut Fleet, hostile: &Hostile) {
    let name = "n".repeat(249);
    for number in 10_000..24_000 {
        fleet.send(hostile.wire, &format!("40/{name}{number}"));
        fleet.drain();
    }
}

/// The application emits as much as it can.
fn take_a_burst(fleet: &mut Fleet, hostile: &Hostile) {
    fleet.server.resume(fleet.now, hostile.wire);
    let event = SocketEvent::new("m", &("x".repeat(490),)).unwrap();
    loop {
        match fleet.server.at(fleet.now).emit(hostile.socket, &event) {
            Ok(()) => {}
            Err(EmitError::QueueFull) => break,
            Err(error) => panic!("{error}"),
        }
    }
    fleet.server.pause(hostile.wire);
}

/// As many events as are remembered, with offsets as long as they may be.
fn have_offsets_remembered(fleet: &mut Fleet, hostile: &Hostile) {
    let answer = Args::new(&("x".repeat(40),)).unwrap();
    for number in 0..1_024 {
        fleet.send(hostile.wire, &format!("42{number}[\"m\"]"));
        let offset = format!("{number:0>255}");
        while let Some(output) = fleet.server.poll_output() {
            let ServerOutput::Event(ServerEvent::Received { socket, ack, .. }) = output else {
                continue;
            };
            let once = fleet.server.at(fleet.now).accept_once(socket, &offset, ack).unwrap();
            let socketio_proto::hub::Once::Fresh(Some(token)) = once else { panic!("it is new") };
            assert!(fleet.server.at(fleet.now).ack(token, &answer));
        }
    }
}

/// The application lets it into as many rooms as there may be.
fn join_rooms(fleet: &mut Fleet, hostile: &Hostile) {
    for number in 0..1_023 {
        let name = format!("{}-{number:0>244}", hostile.wire.0 % 1_000_000_000);
        assert_eq!(fleet.server.at(fleet.now).join(hostile.socket, &name), Ok(true));
    }
    assert!(fleet.server.at(fleet.now).join(hostile.socket, "one more").is_err());
}

/// The bytes in a row of the table.
fn bound(row: &str) -> i64 {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let security = fs::read_to_string(file).unwrap();
    let line = security.lines().find(|line| line.starts_with(&format!("| {row}")));
    let line = line.unwrap_or_else(|| panic!("SECURITY.md has no row for {row}"));
    let bytes = line.split(" | ").nth(1).unwrap();
    bytes.replace(',', "").parse().unwrap_or_else(|_| panic!("{row}: {bytes} is no number"))
}

#[test]
fn every_row_of_the_table_has_its_attack() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let security = fs::read_to_string(file).unwrap();
    let (_, table) = security.split_once("<!-- memory -->\n").unwrap();
    let (table, _) = table.split_once("<!-- end of memory -->").unwrap();
    let rows: Vec<&str> =
        table.lines().skip(2).filter_map(|line| line.strip_prefix("| ")).collect();
    let others = ["a body or a frame that is being read (by the embedder)", "a replay"];
    let known = ATTACKS.iter().map(|(row, _)| *row).chain(others);
    for row in known.clone() {
        assert!(rows.iter().any(|line| line.starts_with(row)), "no row for {row}");
    }
    assert_eq!(rows.len(), known.count(), "a row without an attack");
}
