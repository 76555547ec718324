//! The packets that other implementations are measured with, too.

use std::fmt::Write as _;

/// An event as chat programs send it, 57 bytes.
pub const SMALL: &str = r#"2["chat message","hello world",{"id":123,"room":"lobby"}]"#;
/// The same in a namespace, with an acknowledgement asked for.
pub const SMALL_NSP_ACK: &str =
    r#"2/admin,42["chat message","hello world",{"id":123,"room":"lobby"}]"#;
/// The text of an event with two attachments: [`attachment`] of 100 and of 10,240 bytes.
pub const BINARY2: &str =
    r#"52-["upload",{"_placeholder":true,"num":0},{"n":1},{"_placeholder":true,"num":1}]"#;

/// An event of objects, as many as it takes to be 10 KiB.
pub fn json10k() -> String {
    let mut text = String::from(r#"2["doc",{"items":["#);
    for id in 0.. {
        let price = 1.25 * f64::from(id);
        let ok = id % 2 == 0;
        write!(
            text,
            r#"{{"id":{id},"name":"item number {id}","price":{price},"tags":["red","green","blue"],"ok":{ok}}}"#
        )
        .expect("a string takes it");
        if text.len() + "]}]".len() >= 10_240 {
            break;
        }
        text.push(',');
    }
    text.push_str("]}]");
    text
}

pub fn attachment(len: usize) -> Vec<u8> {
    std::iter::successors(Some(7_u8), |byte| Some(byte.wrapping_add(31))).take(len).collect()
}

/// Ten times [`SMALL`] as a polling body.
pub fn payload10() -> String {
    [format!("4{SMALL}").as_str(); 10].join("\u{1e}")
}
