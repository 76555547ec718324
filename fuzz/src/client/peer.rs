//! What a server sends to a client: mostly what one would, at any time and in any order.

use bytes::Bytes;
use socketio_proto::{
    WireId,
    engine::{ClientInput, Frame},
};
use socketio_proto_sim::wire as packets;

use crate::source::Source;

pub(super) fn draw_frame(source: &mut Source<'_>) -> Frame {
    if source.below(16) == 1 {
        return Frame::Binary(Bytes::copy_from_slice(source.bytes()));
    }
    Frame::Text(draw_text(source).into())
}

/// A wire is lost, or what it carries is too large.
pub(super) fn lost(wire: WireId) -> ClientInput {
    if wire.0.is_multiple_of(4) {
        ClientInput::TooLarge { wire }
    } else {
        ClientInput::WireClosed { wire }
    }
}

pub(super) fn draw_body(source: &mut Source<'_>) -> Bytes {
    if source.below(16) == 1 {
        return Bytes::copy_from_slice(source.bytes());
    }
    let mut body = Vec::new();
    for index in 0..=source.below(3) {
        if index > 0 {
            body.push(0x1e);
        }
        body.extend_from_slice(draw_text(source).as_bytes());
    }
    body.into()
}

/// One text packet.
fn draw_text(source: &mut Source<'_>) -> String {
    const PACKETS: [&str; 8] = ["2", "3probe", "3", "1", "6", "5", "bAQID", "4x"];
    const NAMESPACES: [&str; 4] = ["/", "/b", "/c", "/x"];
    let choice = source.below(24);
    if let Some(packet) = PACKETS.get(usize::from(choice)) {
        return (*packet).to_owned();
    }
    if choice < 10 {
        return draw_open(source);
    }
    let namespace = *source.pick(&NAMESPACES).unwrap_or(&"/");
    let number = source.below(8);
    match choice {
        10..=12 => packets::connect(namespace, &draw_answer(source)),
        13 => packets::disconnect(namespace),
        14 => {
            let error = ["\"no\"", r#"{"message":"no","data":[1]}"#, "", "7"];
            packets::packet("4", namespace, "", source.pick(&error).unwrap_or(&""))
        }
        15 => packets::event_text(namespace, "m", &format!("1,\"7-{number}\""), None),
        // The offsets of other servers: of a stream, of a database, in memory.
        16 => {
            let offsets = [
                "1767225600000-0",
                "1767225600000-1",
                "65f0c0ffee65f0c0ffee65f0",
                "PaQ4F.9",
                "PaQ4Fq2.1",
                "PaQ4Fq3",
                "-",
                "text",
            ];
            let offset = offsets.get(usize::from(number)).unwrap_or(&"");
            packets::event_text(namespace, "m", &format!("\"{offset}\""), None)
        }
        17 => packets::event_text(namespace, "question", "", Some(number.into())),
        18 | 19 => packets::packet("3", namespace, &number.to_string(), "[\"answer\"]"),
        20 => packets::packet("3", namespace, "", &format!("[{number}]")),
        21 => {
            let list = format!("[\"m\",{{\"_placeholder\":true,\"num\":{number}}}]");
            packets::packet("51-", namespace, "", &list)
        }
        22 => format!("4{}", source.text()),
        _ => source.text(),
    }
}

fn draw_open(source: &mut Source<'_>) -> String {
    let choices = source.byte();
    if choices == 0xff {
        return format!("0{}", source.text());
    }
    let upgrades = if choices & 1 == 0 { "\"websocket\"" } else { "" };
    let (interval, timeout) = if choices & 2 == 0 { (300, 200) } else { (0, u64::MAX) };
    let limit = if choices & 4 == 0 { 30 } else { 0 };
    format!(
        "0{{\"sid\":\"e\",\"upgrades\":[{upgrades}],\"pingInterval\":{interval},\
         \"pingTimeout\":{timeout},\"maxPayload\":{limit}}}"
    )
}

/// The answer to a CONNECT.
fn draw_answer(source: &mut Source<'_>) -> String {
    let pid = if source.flag() { "q" } else { "p" };
    match source.below(8) {
        0 | 1 => format!("{{\"sid\":\"s\",\"pid\":\"{pid}\"}}"),
        2..=4 => {
            let received = source.below(6);
            format!("{{\"sid\":\"s\",\"pid\":\"{pid}\",\"received\":{received}}}")
        }
        5 => "{\"sid\":\"s\"}".to_owned(),
        6 => "{}".to_owned(),
        _ => source.text(),
    }
}
