//! Heads of requests and responses, byte by byte.

use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode, Version};

use super::{HEAD_BYTES, Head, read_head, write_continue, write_response};

fn read(text: &str) -> Result<Option<Head>, StatusCode> {
    read_head(&mut BytesMut::from(text))
}

fn complete(text: &str) -> Head {
    read(text).unwrap().expect("a complete head")
}

fn written(response: &Response<Bytes>, is_head: bool, keep_alive: bool) -> (String, bool) {
    let mut output = BytesMut::new();
    let goes_on = write_response(&mut output, response, is_head, keep_alive);
    (String::from_utf8(output.to_vec()).unwrap(), goes_on)
}

#[test]
fn a_head_is_taken_when_it_is_complete() {
    let text = "POST /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
    for end in 0..text.len() - 4 {
        let mut input = BytesMut::from(&text[..end]);
        assert!(read_head(&mut input).unwrap().is_none(), "{end} bytes");
        assert_eq!(input.len(), end, "nothing is taken of half a head");
    }
    let mut input = BytesMut::from(text);
    let head = read_head(&mut input).unwrap().unwrap();
    assert_eq!(input, "body");
    assert_eq!(head.request.method(), Method::POST);
    assert_eq!(head.request.uri().path(), "/socket.io/");
    assert_eq!(head.request.uri().query(), Some("EIO=4"));
    assert_eq!(head.request.headers()["host"], "x");
    assert_eq!(head.framing.content_length, 4);
    assert!(head.framing.keep_alive && !head.framing.expects_continue);
}

#[test]
fn whether_another_request_may_follow() {
    for (rest, keep_alive) in [
        ("HTTP/1.1\r\n\r\n", true),
        ("HTTP/1.1\r\nconnection: keep-alive, Close\r\n\r\n", false),
        ("HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", false),
    ] {
        assert_eq!(complete(&format!("GET / {rest}")).framing.keep_alive, keep_alive, "{rest}");
    }
    assert_eq!(complete("GET / HTTP/1.0\r\n\r\n").request.version(), Version::HTTP_10);
    assert!(complete("POST / HTTP/1.1\r\nexpect: 100-Continue\r\n\r\n").framing.expects_continue);
    assert!(!complete("POST / HTTP/1.0\r\nexpect: 100-continue\r\n\r\n").framing.expects_continue);
}

#[test]
fn what_cannot_be_read_has_a_status() {
    let many = "a: b\r\n".repeat(65);
    let long = "a".repeat(HEAD_BYTES);
    for (text, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET /\u{7f} HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ncontent-length: \r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), 411),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        (format!("GET /{long}"), 431),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
    ] {
        let refused = read(&text).map(drop).expect_err(&text);
        assert_eq!(refused.as_u16(), status, "{}", &text[..text.len().min(80)]);
    }
    let same = complete("POST / HTTP/1.1\r\ncontent-length: 7\r\ncontent-length: 7\r\n\r\n");
    assert_eq!(same.framing.content_length, 7);
}

#[test]
fn responses_have_a_length_and_say_whether_they_are_the_last() {
    let mut response = Response::new(Bytes::from("hello"));
    response.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    let start = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    let whole = format!("{start}content-length: 5\r\n\r\nhello");
    assert_eq!(written(&response, false, true), (whole, true));
    let last = format!("{start}connection: close\r\ncontent-length: 5\r\n\r\nhello");
    assert_eq!(written(&response, false, false), (last, false));
    let head = format!("{start}content-length: 5\r\n\r\n");
    assert_eq!(written(&response, true, true), (head, true));

    let mut refusal = Response::new(Bytes::new());
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    refusal.headers_mut().insert("connection", "close".parse().unwrap());
    let text = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for keep_alive in [true, false] {
        assert_eq!(written(&refusal, false, keep_alive), (text.to_owned(), false));
    }
}

#[test]
fn some_responses_have_neither_body_nor_length() {
    for (status, line) in [(101, "101 Switching Protocols"), (204, "204 No Content")] {
        let mut response = Response::new(Bytes::from("not sent"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let text = format!("HTTP/1.1 {line}\r\n\r\n");
        assert_eq!(written(&response, false, true), (text, true));
    }
    let mut output = BytesMut::new();
    write_continue(&mut output);
    assert_eq!(output, "HTTP/1.1 100 Continue\r\n\r\n");
}
