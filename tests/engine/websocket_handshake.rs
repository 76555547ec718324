//! WebSocket handshakes: the requirements of RFC 6455, and the answers to invalid handshakes.

use proptest::{collection::vec, prelude::*, sample::select};
use socketio_proto::engine::{Method, Response, WebSocketRequest};
use socketio_proto::{ServerConfig, Subprotocols};

type Field = (&'static str, &'static [u8]);

const CONNECTION: Field = ("connection", b"Upgrade");
const UPGRADE: Field = ("upgrade", b"websocket");
const VERSION: Field = ("sec-websocket-version", b"13");
const KEY: Field = ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==");

fn read(fields: &[Field]) -> Option<WebSocketRequest> {
    WebSocketRequest::read(Method::Get, true, fields.iter().copied())
}

/// The sub-protocol that is chosen, or the status and the text of the refusal.
fn answer_of(
    request: &WebSocketRequest,
    config: &ServerConfig,
) -> Result<Option<String>, (u16, String)> {
    match request.answer(config) {
        Ok(response) => Ok(response.protocol.map(|name| name.to_string())),
        Err(refusal) => {
            let response = refusal.response(true);
            assert!(response.headers.contains(&("connection", "close")), "{response:?}");
            Err((response.status, String::from_utf8(response.body.to_vec()).unwrap()))
        }
    }
}

fn answer(fields: &[Field]) -> Result<Option<String>, (u16, String)> {
    answer_of(&read(fields).expect("it asks for a WebSocket"), &ServerConfig::new())
}

fn offering(protocols: &[&'static str]) -> WebSocketRequest {
    let mut fields = vec![CONNECTION, UPGRADE, VERSION, KEY];
    fields.extend(protocols.iter().map(|value| ("Sec-WebSocket-Protocol", value.as_bytes())));
    read(&fields).unwrap()
}

#[test]
fn whoever_does_not_ask_for_a_websocket_is_a_plain_request() {
    assert_eq!(read(&[]), None);
    assert_eq!(read(&[UPGRADE, VERSION, KEY]), None, "a proxy has taken `Connection` away");
    assert_eq!(read(&[CONNECTION, VERSION, KEY]), None);
    assert_eq!(read(&[("connection", b"close"), UPGRADE, VERSION, KEY]), None);
    assert_eq!(read(&[CONNECTION, ("upgrade", b"h2c"), VERSION, KEY]), None);
    assert_eq!(read(&[CONNECTION, ("upgrade", b"websockets"), VERSION, KEY]), None);
}

#[test]
fn names_and_words_are_read_in_any_case_and_as_lists() {
    assert_eq!(answer(&[CONNECTION, UPGRADE, VERSION, KEY]), Ok(None));
    let firefox: Field = ("CONNECTION", b"keep-alive,\tUPGRADE");
    assert_eq!(answer(&[firefox, ("Upgrade", b"WebSocket"), VERSION, KEY]), Ok(None));
    let keep_alive: Field = ("connection", b"keep-alive");
    assert_eq!(answer(&[keep_alive, CONNECTION, UPGRADE, VERSION, KEY]), Ok(None));
    assert_eq!(answer(&[CONNECTION, ("upgrade", b"h2c, websocket"), VERSION, KEY]), Ok(None));
}

#[test]
fn http_1_0_is_refused_in_words() {
    let fields = [CONNECTION, UPGRADE, VERSION, KEY];
    let request = WebSocketRequest::read(Method::Get, false, fields).unwrap();
    let (status, text) = answer_of(&request, &ServerConfig::new()).unwrap_err();
    assert_eq!(status, 400);
    assert!(text.contains("HTTP/1.1") && text.contains("HTTP/1.0"), "{text}");
}

#[test]
fn another_method_than_get_is_refused_with_405() {
    for method in [Method::Post, Method::Other] {
        let fields = [CONNECTION, UPGRADE, VERSION, KEY];
        let request = WebSocketRequest::read(method, true, fields).unwrap();
        let response = request.answer(&ServerConfig::new()).unwrap_err().response(true);
        assert_eq!(response.status, 405);
        assert!(response.headers.contains(&("allow", "GET")));
        assert!(!response.body.is_empty());
    }
}

#[test]
fn another_version_than_13_is_refused_with_426_and_the_right_one() {
    let version = |value: &'static [u8]| ("sec-websocket-version", value);
    let none = [CONNECTION, UPGRADE, KEY];
    let old = [CONNECTION, UPGRADE, version(b"8"), KEY];
    let list = [CONNECTION, UPGRADE, version(b"13, 8"), KEY];
    let empty = [CONNECTION, UPGRADE, version(b""), KEY];
    let two = [CONNECTION, UPGRADE, VERSION, version(b"8"), KEY];
    for fields in [&none[..], &old, &list, &empty, &two] {
        let refusal = read(fields).unwrap().answer(&ServerConfig::new()).unwrap_err();
        let Response { status, headers, body } = refusal.response(true);
        assert_eq!(status, 426, "{fields:?}");
        assert!(headers.contains(&("sec-websocket-version", "13")), "{headers:?}");
        assert!(headers.contains(&("upgrade", "websocket")), "{headers:?}");
        assert!(!body.is_empty());
    }
}

#[test]
fn a_request_with_a_body_is_refused() {
    let bodies: [Field; 4] = [
        ("content-length", b"5"),
        ("Content-Length", b"00"),
        ("Transfer-Encoding", b"chunked"),
        ("transfer-encoding", b"identity"),
    ];
    for body in bodies {
        let refused = answer(&[body, CONNECTION, UPGRADE, VERSION, KEY]);
        assert!(matches!(&refused, Err((400, text)) if text.contains("body")), "{refused:?}");
    }
    assert_eq!(answer(&[("content-length", b" 0"), CONNECTION, UPGRADE, VERSION, KEY]), Ok(None));
}

#[test]
fn a_key_that_is_not_16_bytes_in_base64_is_refused() {
    let keys: [&[u8]; 7] = [
        b"",
        b"dGhlIHNhbXBsZSBub25jZQ",
        b"dGhlIHNhbXBsZSBub25j",
        b"dGhlIHNhbXBsZSBub25jZQ=A",
        b"dGhlIHNhbXBsZSBub25jZQAA",
        b"dGhlIHNhbXBsZSBub25-ZQ==",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff==",
    ];
    for key in keys {
        let refused = answer(&[CONNECTION, UPGRADE, VERSION, ("sec-websocket-key", key)]);
        assert!(
            matches!(&refused, Err((400, text)) if text.contains("Sec-WebSocket-Key")),
            "{key:?}"
        );
    }
    assert!(answer(&[CONNECTION, UPGRADE, VERSION]).is_err(), "no key at all");
    assert!(answer(&[CONNECTION, UPGRADE, VERSION, KEY, KEY]).is_err(), "RFC 6455: once");
    assert_eq!(
        answer(&[
            CONNECTION,
            UPGRADE,
            VERSION,
            ("sec-websocket-key", b" AAAAAAAAAAAAAAAAAAAAA+/== ")
        ])
        .map_err(|(status, _)| status),
        Err(400),
        "23 characters"
    );
}

/// As `ws` and so the reference do, which browsers rely on: they fail a handshake whose answer
/// selects none.
#[test]
fn the_first_sub_protocol_is_chosen() {
    let config = ServerConfig::new();
    assert_eq!(answer_of(&offering(&[]), &config), Ok(None));
    assert_eq!(answer_of(&offering(&["mcu.v1"]), &config), Ok(Some("mcu.v1".into())));
    assert_eq!(answer_of(&offering(&["mcu.v2 ,\tmcu.v1"]), &config), Ok(Some("mcu.v2".into())));
    assert_eq!(answer_of(&offering(&["b", "a"]), &config), Ok(Some("b".into())), "two fields");
}

#[test]
fn of_known_sub_protocols_the_client_prefers_one() {
    let known = vec!["a".to_owned(), "b".to_owned()];
    let config = ServerConfig::new().subprotocols(Subprotocols::Known(known));
    assert_eq!(answer_of(&offering(&["x, b, a"]), &config), Ok(Some("b".into())));
    assert_eq!(answer_of(&offering(&["x, A"]), &config), Ok(None), "none, and the client decides");
    let nothing = ServerConfig::new().subprotocols(Subprotocols::Known(Vec::new()));
    assert_eq!(answer_of(&offering(&["a"]), &nothing), Ok(None));
}

#[test]
fn malformed_sub_protocols_are_refused() {
    for list in ["", " ", ",", "a,", ",a", "a,,b", "a b", "a;b", "\"a\"", "\u{e4}", "a, a"] {
        let refused = answer_of(&offering(&[list]), &ServerConfig::new());
        assert!(
            matches!(&refused, Err((400, text)) if text.contains("Sec-WebSocket-Protocol")),
            "{list:?}: {refused:?}"
        );
    }
    assert!(answer_of(&offering(&["a", "a"]), &ServerConfig::new()).is_err(), "in two fields");
    let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let many: &'static str = many.join(",").leak();
    assert!(answer_of(&offering(&[many]), &ServerConfig::new()).is_err());
}

proptest! {
    /// Whatever the fields are: no panic, and nothing is switched that is not a handshake.
    #[test]
    fn any_fields_are_read(
        fields in vec((select(NAMES), value()), 0..4),
        is_poor: bool,
        is_http11: bool,
    ) {
        // Often enough nothing of it disturbs a handshake.
        let good = [CONNECTION, UPGRADE, VERSION, KEY].into_iter().skip(usize::from(is_poor));
        let read = fields.iter().map(|(name, value)| (*name, &value[..])).chain(good);
        let Some(request) = WebSocketRequest::read(Method::Get, is_http11, read) else { return Ok(()) };
        if let Ok(response) = request.answer(&ServerConfig::new()) {
            prop_assert!(is_http11);
            prop_assert_eq!(response.key.len(), 24);
            let is_offered = |name: &str| {
                fields.iter().any(|(field, value)| {
                    *field == PROTOCOL && String::from_utf8_lossy(value).contains(name)
                })
            };
            prop_assert!(response.protocol.is_none_or(|name| is_offered(&name)));
        }
    }
}

/// Often one that fits.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let good: &'static [&'static str] =
        &["Upgrade", "websocket", "13", "dGhlIHNhbXBsZSBub25jZQ==", "a, b"];
    prop_oneof![vec(any::<u8>(), 0..30), select(good).prop_map(|text| text.as_bytes().to_vec())]
}

const PROTOCOL: &str = "sec-websocket-protocol";
const NAMES: &[&str] =
    &["connection", "upgrade", "sec-websocket-version", "sec-websocket-key", PROTOCOL, "x"];
