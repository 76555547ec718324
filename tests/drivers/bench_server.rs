//! The server of the benchmarks, with both drivers, behaves correctly.

use serde_json::{Value, json};
use tungstenite::Message;

use crate::event_loop_support::{Example, Ws, event};

/// Runs a test with each driver.
fn each(test: fn(&Example)) {
    for driver in ["mio", "tokio"] {
        let Some(server) = Example::run("bench_server", &["--driver", driver]) else { return };
        test(&server);
    }
}

/// Emits with an acknowledgement and returns its arguments. Events that come before are dropped.
fn call(ws: &mut Ws, event: &Value) -> Value {
    ws.send(&format!("427{event}"));
    loop {
        let packet = ws.receive();
        if let Some(answer) = packet.strip_prefix("437") {
            return serde_json::from_str(answer).unwrap();
        }
    }
}

fn join(server: &Example) -> (Ws, Value) {
    let (mut ws, session) = server.client("");
    assert_eq!(call(&mut ws, &json!(["join", "lobby"])), json!([]));
    (ws, session)
}

#[test]
fn the_contract() {
    each(|server| {
        let mut clients: Vec<Ws> = (0..3).map(|_| join(server).0).collect();
        let (mut control, _) = server.client("");
        assert_eq!(call(&mut control, &json!(["count"])), json!([4]));
        assert_eq!(call(&mut control, &json!(["gc"])), json!([]));
        assert_eq!(call(&mut control, &json!(["echo", {"a": [1, "ü"]}])), json!([{"a": [1, "ü"]}]));

        assert_eq!(call(&mut control, &json!(["bcast", "lobby", 20, "hello"])), json!([]));
        assert_eq!(call(&mut control, &json!(["bcast", "lobby", 1, "last"])), json!([]));
        for client in &mut clients {
            for _ in 0..20 {
                assert_eq!(client.event()[..2], [json!("msg"), json!("hello")]);
            }
            assert_eq!(client.event()[..2], [json!("msg"), json!("last")]);
        }
    });
}

#[test]
fn many_events_in_one_packet_of_the_network() {
    each(|server| {
        let (mut ws, _) = server.client("");
        let frames: Vec<u8> =
            (0..100).flat_map(|n| masked(&format!("42{n}[\"echo\",{n}]"))).collect();
        ws.write(&frames);
        for n in 0..100 {
            assert_eq!(ws.receive(), format!("43{n}[{n}]"));
        }
    });
}

/// A text frame as a client sends it, with a mask that changes nothing.
fn masked(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn pings_and_large_messages() {
    each(|server| {
        let (mut ws, _) = server.client("");
        ws.ping(b"are you there");
        assert_eq!(ws.next_frame(), Message::Pong((&b"are you there"[..]).into()));
        let text = "x".repeat(900_000);
        assert_eq!(call(&mut ws, &json!(["echo", text])), json!([text]));
        ws.send(&format!("4{}", "x".repeat(1_000_001)));
        assert_eq!(ws.next(), Err(Some(1009)));
        let (mut ws, _) = server.client("");
        ws.send("1");
        assert_eq!(ws.next(), Err(None), "closed without a status code");
    });
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    each(|server| {
        let (mut late, _) = join(server);
        let (mut control, _) = server.client("");
        let text = "x".repeat(100_000);
        // Some of it fits into the buffers of the system, the rest into the queue of the core.
        for n in 0..35 {
            assert_eq!(call(&mut control, &json!(["bcast", "lobby", 1, [n, text]])), json!([]));
        }
        for n in 0..35 {
            assert_eq!(late.event()[1][0], n);
        }
        assert_eq!(call(&mut late, &json!(["echo", "still here"])), json!(["still here"]));
    });
}

#[test]
fn a_client_that_does_not_read_loses_its_link_and_nothing_else() {
    each(|server| {
        let (mut slow, session) = join(server);
        let (mut control, _) = server.client("");
        let text = "x".repeat(100_000);
        let mut sent = 0;
        while call(&mut control, &json!(["count"])) == json!([2]) {
            assert_eq!(call(&mut control, &json!(["bcast", "lobby", 1, [sent, text]])), json!([]));
            sent += 1;
        }

        // What the network has taken arrives, and then the end.
        let (mut next, mut offset) = (0, Value::Null);
        while let Ok(message) = slow.next() {
            let mut news = event(message.to_text().unwrap());
            assert_eq!(news[1][0], next);
            offset = news.pop().unwrap();
            next += 1;
        }
        assert!(next > 0 && next < sent, "{next} events of {sent} before the end");
        let auth = json!({ "pid": session["pid"], "offset": offset });
        let (mut back, recovered) = server.client(&auth.to_string());
        assert_eq!(recovered, session);
        for n in next..sent {
            assert_eq!(back.event()[1][0], n);
        }
    });
}

#[test]
fn a_client_that_was_cut_off_gets_what_it_missed() {
    each(|server| {
        let (mut lost, session) = join(server);
        let (mut control, _) = server.client("");
        call(&mut control, &json!(["bcast", "lobby", 1, "first"]));
        let offset = lost.event().pop().unwrap();
        lost.cut();
        while call(&mut control, &json!(["count"])) != json!([1]) {}
        call(&mut control, &json!(["bcast", "other", 1_000, "not for it"]));
        call(&mut control, &json!(["bcast", "lobby", 10, "missed"]));
        let auth = json!({ "pid": session["pid"], "offset": offset });
        let (mut back, recovered) = server.client(&auth.to_string());
        assert_eq!(recovered, session, "the same ids");
        for _ in 0..10 {
            assert_eq!(back.event()[..2], [json!("msg"), json!("missed")]);
        }
        assert_eq!(call(&mut back, &json!(["echo", 1])), json!([1]), "and no more than that");
    });
}
