//! Web pages of other origins: which of them may read answers (CORS), and which may use the server
//! at all.

use std::time::Duration;

use socketio_proto::engine::{
    Cors, Fields, Method, RequestHead, RequestRefusal, Transport, Verified, verify,
};
use socketio_proto::{ConfigError, EngineId, Origins, ServerConfig};

const APP: &[u8] = b"https://app.example";
const EVIL: &[u8] = b"https://evil.example";

fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let mut found = fields.iter().filter(|(other, _)| *other == name).map(|(_, value)| &**value);
    let value = found.next();
    assert_eq!(found.next(), None, "{name} comes once");
    value
}

fn allowed(cors: &Cors, origin: &[u8]) -> Option<String> {
    value(&cors.fields(Some(origin)), "access-control-allow-origin").map(str::to_owned)
}

#[test]
fn every_origin_without_credentials_is_a_star() {
    let fields = Cors::new(Origins::any()).fields(Some(APP));
    assert_eq!(fields, [("access-control-allow-origin", "*".into())]);
    assert_eq!(Cors::new(Origins::any()).fields(None), fields, "the same for all, for caches");
}

/// Browsers refuse `*` for a request with credentials.
#[test]
fn with_credentials_the_origin_is_named() {
    let fields = Cors::new(Origins::any()).credentials(true).fields(Some(APP));
    assert_eq!(value(&fields, "access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(value(&fields, "access-control-allow-credentials"), Some("true"));
    assert_eq!(value(&fields, "vary"), Some("Origin"));
}

#[test]
fn listed_origins_are_compared_as_a_whole() {
    let cors = Cors::new(Origins::list(["https://app.example", "http://localhost:8080"]));
    assert_eq!(allowed(&cors, APP).as_deref(), Some("https://app.example"));
    assert_eq!(allowed(&cors, b"HTTPS://App.example").as_deref(), Some("HTTPS://App.example"));
    assert_eq!(allowed(&cors, b"http://localhost:8080").as_deref(), Some("http://localhost:8080"));
    for other in [
        EVIL,
        b"",
        b"null",
        b"http://app.example",
        b"https://app.example:8443",
        b"https://app.example.evil.example",
        b"https://app.example/",
        b"https://app.exampl",
        b"http://localhost",
        b"https://app.example, https://evil.example",
    ] {
        assert_eq!(allowed(&cors, other), None, "{}", String::from_utf8_lossy(other));
    }
    assert_eq!(value(&cors.fields(Some(APP)), "access-control-allow-credentials"), None);
}

#[test]
fn an_answer_that_depends_on_the_origin_says_so_to_caches() {
    let cors = Cors::new(Origins::list(["https://app.example"])).credentials(true);
    for origin in [None, Some(APP), Some(EVIL)] {
        assert_eq!(value(&cors.fields(origin), "vary"), Some("Origin"), "{origin:?}");
    }
    assert_eq!(cors.fields(Some(EVIL)).len(), 1, "and nothing else");
    assert_eq!(cors.fields(None).len(), 1);
}

#[test]
fn a_predicate_decides_about_origins_that_are_text() {
    let origins = Origins::matching(|origin| origin.ends_with(".example") || origin == "null");
    let cors = Cors::new(origins.clone()).credentials(true);
    assert!(allowed(&cors, APP).is_some());
    assert!(allowed(&cors, b"null").is_some());
    assert!(allowed(&cors, b"https://app.example.org").is_none());
    assert!(!origins.allows(b"\xff.example"));
    assert!(!format!("{origins:?} {cors:?}").is_empty());
}

/// Nothing of a request gets into the head of an answer that could begin another line.
#[test]
fn an_origin_that_is_no_visible_text_is_not_sent_back() {
    let cors = Cors::new(Origins::any()).credentials(true);
    for origin in [&b"https://a\r\nx: y"[..], b"https://a\0", b"\xc3\xa4", b"\xff", b"a\x7f"] {
        assert_eq!(allowed(&cors, origin), None, "{origin:?}");
    }
    let cors = Cors::new(Origins::any());
    let fields = cors.preflight(APP, Some(b"x-a\r\nset-cookie: a=b"));
    assert_eq!(value(&fields, "access-control-allow-headers"), None);
}

#[test]
fn a_preflight_request_is_told_methods_headers_and_for_how_long() {
    let cors = Cors::new(Origins::list(["https://app.example"])).credentials(true);
    let fields = cors.preflight(APP, Some(b"authorization,x-client"));
    assert_eq!(value(&fields, "access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(value(&fields, "access-control-allow-credentials"), Some("true"));
    assert_eq!(value(&fields, "access-control-allow-methods"), Some("GET,POST"));
    assert_eq!(value(&fields, "access-control-allow-headers"), Some("authorization,x-client"));
    assert_eq!(value(&fields, "access-control-max-age"), Some("86400"));
    assert_eq!(value(&fields, "vary"), Some("Origin, Access-Control-Request-Headers"));
    let fields = cors.preflight(APP, None);
    assert_eq!(value(&fields, "access-control-allow-headers"), None);

    let few = cors.allowed_headers(&["x-a", "x-b"]).max_age(Duration::from_secs(60));
    let fields = few.preflight(APP, Some(b"authorization"));
    assert_eq!(value(&fields, "access-control-allow-headers"), Some("x-a,x-b"));
    assert_eq!(value(&fields, "access-control-max-age"), Some("60"));
    assert_eq!(value(&fields, "vary"), Some("Origin"));
    assert_eq!(value(&few.preflight(EVIL, None), "access-control-allow-origin"), None);

    let any = Cors::new(Origins::any()).preflight(APP, Some(b"x"));
    assert_eq!(value(&any, "access-control-allow-origin"), Some("*"));
    assert_eq!(value(&any, "vary"), Some("Access-Control-Request-Headers"));
}

fn check(config: &ServerConfig, head: RequestHead<'_>) -> Result<Verified<()>, RequestRefusal> {
    verify(&head, config, |_: &EngineId| Some(((), Transport::Polling)))
}

/// A page can open a WebSocket to any server, with the user's cookies: CORS does not ask.
#[test]
fn only_allowed_origins_may_use_the_server_over_either_transport() {
    let config = ServerConfig::new().origins(Origins::list(["https://app.example"]));
    assert!(config.validate().is_ok());
    let sid = "abcdefghijklmnopqrst";
    for (query, upgrade) in [
        ("EIO=4&transport=polling".to_owned(), false),
        ("EIO=4&transport=websocket".to_owned(), true),
        (format!("EIO=4&transport=polling&sid={sid}"), false),
        (format!("EIO=4&transport=websocket&sid={sid}"), true),
    ] {
        let head = |origin| {
            let method = Method::Get;
            RequestHead { method, query: &query, upgrade, origin, binary: false }
        };
        assert!(check(&config, head(Some(APP))).is_ok(), "{query}");
        assert!(check(&config, head(None)).is_ok(), "a program, or the server's own page");
        assert!(check(&ServerConfig::new(), head(Some(EVIL))).is_ok(), "by default everyone may");
        for origin in [EVIL, b"null", b""] {
            let refusal = check(&config, head(Some(origin))).unwrap_err();
            assert_eq!((refusal.code.as_u8(), refusal.context), (4, "ORIGIN_NOT_ALLOWED"));
            let response = refusal.response(upgrade);
            assert_eq!(response.status, 403, "{query}");
            let body = String::from_utf8(response.body.to_vec()).unwrap();
            assert!(body.contains("Origin not allowed"), "{body}");
        }
    }
}

#[test]
fn a_listed_origin_that_no_browser_sends_is_a_mistake() {
    let validate = |origin: &str| ServerConfig::new().origins(Origins::list([origin])).validate();
    for good in ["https://app.example", "http://localhost:3000", "http://[::1]:80", "null"] {
        assert_eq!(validate(good), Ok(()), "{good}");
    }
    for bad in ["", "*", "app.example", "https://app.example/", "https://", "://x", "https://a b"] {
        let error = ConfigError::OutOfRange { field: "origins" };
        assert_eq!(validate(bad), Err(error), "{bad}");
    }
}
