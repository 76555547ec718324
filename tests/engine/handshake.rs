//! The handshake, and every row of the table of refusals.

use alloc::sync::Arc;

use socketio_proto::engine::{
    EngineOutput, Frame, Method, Query, QuerySid, RequestHead, RequestRefusal, Response,
    ServerConnection, Transport, Verified, verify,
};
use socketio_proto::{EngineId, ServerConfig, Timestamp, Transports, WireId};

const SID: &str = "abcdefghijklmnopqrst";
const SECOND_SID: &str = "ABCDEFGHIJKLMNOPQRST";

fn plain(query: &str) -> RequestHead<'_> {
    RequestHead { method: Method::Get, query, upgrade: false, origin: None, binary: false }
}

fn upgrade(query: &str) -> RequestHead<'_> {
    RequestHead { upgrade: true, ..plain(query) }
}

/// `SID` is on polling, `SECOND_SID` on WebSocket.
fn find(id: &EngineId) -> Option<(u8, Transport)> {
    match id.as_str() {
        SID => Some((1, Transport::Polling)),
        SECOND_SID => Some((2, Transport::WebSocket)),
        _ => None,
    }
}

fn check(head: &RequestHead<'_>) -> Result<Verified<u8>, RequestRefusal> {
    verify(head, &ServerConfig::new(), find)
}

fn refused(head: &RequestHead<'_>, config: &ServerConfig) -> Option<(u8, &'static str)> {
    verify(head, config, find).err().map(|refusal| (refusal.code.as_u8(), refusal.context))
}

fn with_origin<'a>(head: RequestHead<'a>, origin: &'a [u8]) -> RequestHead<'a> {
    RequestHead { origin: Some(origin), ..head }
}

fn with_method(head: RequestHead<'_>, method: Method) -> RequestHead<'_> {
    RequestHead { method, ..head }
}

fn check_table(table: &[(RequestHead<'_>, u8, &'static str)]) {
    let config = ServerConfig::new();
    for (head, code, context) in table {
        assert_eq!(refused(head, &config), Some((*code, *context)), "{head:?}");
    }
}

#[test]
fn rules_1_and_2_come_before_all_others() {
    let unknown = "EIO=4&transport=polling&sid=aaaaaaaaaaaaaaaaaaaa";
    let several = with_method(plain("sid=x"), Method::Post);
    check_table(&[
        (plain(""), 0, "TRANSPORT_UNKNOWN"),
        (plain("EIO=4"), 0, "TRANSPORT_UNKNOWN"),
        (plain("EIO=4&transport=abc"), 0, "TRANSPORT_UNKNOWN"),
        (plain("EIO=4&transport=webtransport"), 0, "TRANSPORT_UNKNOWN"),
        (plain("EIO=4&transport=polling&transport=abc"), 0, "TRANSPORT_UNKNOWN"),
        (upgrade("EIO=4&transport=abc"), 0, "TRANSPORT_UNKNOWN"),
        (with_origin(several, b"\n"), 0, "TRANSPORT_UNKNOWN"),
        (with_origin(plain(unknown), b"a\nb"), 3, "INVALID_ORIGIN"),
        (with_origin(plain("transport=polling"), b"\x7f"), 3, "INVALID_ORIGIN"),
        (with_origin(upgrade("transport=websocket"), b"\0"), 3, "INVALID_ORIGIN"),
    ]);
}

#[test]
fn rules_3_to_5_are_for_requests_with_a_sid() {
    let unknown = "EIO=4&transport=polling&sid=aaaaaaaaaaaaaaaaaaaa";
    let moved = format!("EIO=4&transport=polling&sid={SECOND_SID}");
    let early = format!("EIO=4&transport=websocket&sid={SID}");
    let moved3 = format!("EIO=3&transport=polling&sid={SECOND_SID}");
    let revision3 = format!("EIO=3&transport=polling&sid={SID}");
    let hanging = format!("EIO=4&transport=websocket&sid={SECOND_SID}");
    check_table(&[
        (plain(unknown), 1, "UNKNOWN_SID"),
        (plain("EIO=3&transport=websocket&sid=short"), 1, "UNKNOWN_SID"),
        (upgrade("EIO=4&transport=websocket&sid=%00"), 1, "UNKNOWN_SID"),
        (plain(&moved), 3, "TRANSPORT_MISMATCH"),
        (with_method(plain(&moved), Method::Post), 3, "TRANSPORT_MISMATCH"),
        (plain(&early), 3, "TRANSPORT_MISMATCH"),
        (plain(&moved3), 3, "TRANSPORT_MISMATCH"),
        (plain(&revision3), 3, "PROTOCOL_MISMATCH"),
        (upgrade(&revision3), 3, "PROTOCOL_MISMATCH"),
        // Not in the reference, which never answers.
        (plain(&hanging), 3, "TRANSPORT_HANDSHAKE_ERROR"),
    ]);
}

#[test]
fn rules_6_to_9_are_for_handshakes() {
    let post = with_method(plain("transport=polling"), Method::Post);
    let other = with_method(plain("transport=websocket"), Method::Other);
    check_table(&[
        (post, 2, "BAD_HANDSHAKE_METHOD"),
        (other, 2, "BAD_HANDSHAKE_METHOD"),
        (plain("EIO=4&transport=websocket"), 3, "TRANSPORT_HANDSHAKE_ERROR"),
        (plain("EIO=3&transport=websocket"), 3, "TRANSPORT_HANDSHAKE_ERROR"),
        (plain("transport=polling"), 5, "UNSUPPORTED_PROTOCOL_VERSION"),
        (plain("EIO=3&transport=polling"), 5, "UNSUPPORTED_PROTOCOL_VERSION"),
        (plain("EIO=04&transport=polling&sid="), 5, "UNSUPPORTED_PROTOCOL_VERSION"),
        (plain("EIO=4&EIO=5&transport=polling"), 5, "UNSUPPORTED_PROTOCOL_VERSION"),
    ]);
}

#[test]
fn disabled_transports_are_unknown() {
    let polling_only = ServerConfig::new().transports(Transports::PollingOnly);
    let websocket_only = ServerConfig::new().transports(Transports::WebSocketOnly);
    let unknown = Some((0, "TRANSPORT_UNKNOWN"));
    assert_eq!(refused(&upgrade("EIO=4&transport=websocket"), &polling_only), unknown);
    assert_eq!(refused(&plain("EIO=4&transport=polling"), &polling_only), None);
    assert_eq!(refused(&plain("EIO=4&transport=polling"), &websocket_only), unknown);
    assert_eq!(refused(&upgrade("EIO=4&transport=websocket"), &websocket_only), None);
}

#[test]
fn good_requests_are_let_in() {
    let handshake = |transport| Ok(Verified::Handshake { transport });
    assert_eq!(check(&plain("EIO=4&transport=polling&t=1")), handshake(Transport::Polling));
    assert_eq!(check(&plain("transport=x&transport=polling&EIO=4")), handshake(Transport::Polling));
    assert_eq!(check(&upgrade("EIO=4&transport=websocket")), handshake(Transport::WebSocket));
    assert_eq!(check(&plain("EIO=%34&transport=p%6flling&sid=")), handshake(Transport::Polling));

    let polling = format!("EIO=4&transport=polling&sid={SID}");
    for method in [Method::Get, Method::Post, Method::Other] {
        let head = RequestHead { method, ..plain(&polling) };
        assert_eq!(check(&head), Ok(Verified::Session(1)));
    }
    for (sid, session) in [(SID, 1), (SECOND_SID, 2)] {
        let query = format!("EIO=4&transport=websocket&sid={sid}");
        assert_eq!(check(&upgrade(&query)), Ok(Verified::Session(session)));
    }
    let legal = RequestHead { origin: Some(b"\thttp://\xe9 x"), ..plain(&polling) };
    assert_eq!(check(&legal), Ok(Verified::Session(1)));
}

/// The reference completes such a handshake and closes the WebSocket immediately, without a reason.
/// So old clients retry for ever, and the reason is never reported.
#[test]
fn an_upgrade_that_would_be_closed_at_once_is_refused_instead() {
    let polling = format!("EIO=4&transport=polling&sid={SID}");
    check_table(&[
        (upgrade("transport=websocket"), 5, "UNSUPPORTED_PROTOCOL_VERSION"),
        (upgrade("EIO=3&transport=websocket"), 5, "UNSUPPORTED_PROTOCOL_VERSION"),
        (upgrade("EIO=4&transport=polling"), 3, "TRANSPORT_MISMATCH"),
        (upgrade(&polling), 3, "TRANSPORT_MISMATCH"),
    ]);
    let response = check(&upgrade("EIO=3&transport=websocket")).unwrap_err().response(true);
    let headers: &[_] = &[("connection", "close"), ("content-type", "application/json")];
    let body = r#"{"code":5,"message":"Unsupported protocol version"}"#.into();
    assert_eq!(response, Response { status: 400, headers, body });
}

#[test]
fn e7_jsonp_parameters_change_nothing() {
    let plain_query = Query::parse("EIO=4&transport=polling");
    assert_eq!(Query::parse("EIO=4&transport=polling&j=0&b64=1"), plain_query);
    let verified = check(&plain("EIO=4&transport=polling&j=0"));
    assert_eq!(verified, Ok(Verified::Handshake { transport: Transport::Polling }));
}

#[test]
fn query_tells_a_malformed_sid_from_none() {
    let sid = |query: &str| Query::parse(query).sid;
    assert_eq!(sid("EIO=4"), None);
    assert_eq!(sid("sid="), None);
    assert_eq!(sid("sid=abc"), Some(QuerySid::Malformed));
    let id = EngineId::parse(SID).map(QuerySid::Id);
    assert_eq!(sid(&format!("sid=abc&sid={SID}")), id);
}

#[test]
fn plain_requests_are_refused_in_json() {
    let table = [
        ("transport=x", r#"{"code":0,"message":"Transport unknown"}"#),
        ("transport=polling&sid=x", r#"{"code":1,"message":"Session ID unknown"}"#),
        ("transport=websocket", r#"{"code":3,"message":"Bad request"}"#),
        ("transport=polling", r#"{"code":5,"message":"Unsupported protocol version"}"#),
    ];
    for (query, body) in table {
        let response = check(&plain(query)).unwrap_err().response(false);
        let headers: &[_] = &[("content-type", "application/json")];
        assert_eq!(response, Response { status: 400, headers, body: body.into() });
    }
    let head = RequestHead { method: Method::Other, ..plain("transport=polling") };
    let response = check(&head).unwrap_err().response(false);
    assert_eq!(response.body, r#"{"code":2,"message":"Bad handshake method"}"#);
}

#[test]
fn application_refuses_with_its_own_words() {
    let refusal = RequestRefusal::forbidden("no \"entry\"");
    let response = refusal.response(false);
    assert_eq!(response.status, 403);
    assert_eq!(response.body, r#"{"code":4,"message":"no \"entry\""}"#);
    let response = refusal.response(true);
    assert_eq!((response.status, &*response.body), (400, b"no \"entry\"".as_slice()));
    assert_eq!(refusal.to_string(), "no \"entry\" (code 4, FORBIDDEN)");
}

#[test]
fn upgrades_are_refused_with_the_bare_message() {
    let response = check(&upgrade("transport=websocket&sid=x")).unwrap_err().response(true);
    let headers: &[_] = &[("connection", "close"), ("content-type", "text/html")];
    let body = "Session ID unknown".into();
    assert_eq!(response, Response { status: 400, headers, body });
}

#[test]
fn other_refusals_have_their_codes() {
    assert_eq!(RequestRefusal::bad_request().code.as_u8(), 3);
    assert_eq!(RequestRefusal::too_many_connections().code.as_u8(), 3);
    assert_eq!(RequestRefusal::unknown_session().code.as_u8(), 1);
}

fn first_output(config: ServerConfig, transport: Transport) -> Option<EngineOutput> {
    let id = EngineId::parse(SID)?;
    let config = Arc::new(config);
    let mut session = ServerConnection::new(Timestamp::ZERO, config, id, transport, WireId(7));
    let output = session.poll_output();
    assert_eq!(session.poll_output(), None);
    output
}

#[test]
fn polling_handshake_is_answered_with_the_open_packet() {
    let body = r#"0{"sid":"abcdefghijklmnopqrst","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let headers: &[_] =
        &[("content-type", "text/plain; charset=UTF-8"), ("cache-control", "no-store")];
    let response = Response { status: 200, headers, body: body.into() };
    let expected = EngineOutput::Respond { wire: WireId(7), response };
    assert_eq!(first_output(ServerConfig::new(), Transport::Polling), Some(expected));
}

#[test]
fn websocket_handshake_is_answered_with_the_open_packet() {
    let text = r#"0{"sid":"abcdefghijklmnopqrst","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let expected = EngineOutput::Send { wire: WireId(7), frame: Frame::Text(text.into()) };
    assert_eq!(first_output(ServerConfig::new(), Transport::WebSocket), Some(expected));
}

#[test]
fn no_upgrade_is_offered_where_none_is_possible() {
    for config in [
        ServerConfig::new().allow_upgrades(false),
        ServerConfig::new().transports(Transports::PollingOnly),
    ] {
        let Some(EngineOutput::Respond { response, .. }) = first_output(config, Transport::Polling)
        else {
            panic!("no answer");
        };
        let body = core::str::from_utf8(&response.body).unwrap();
        assert!(body.contains(r#""upgrades":[],"#), "{body}");
    }
}
