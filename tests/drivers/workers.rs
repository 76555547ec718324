//! The server on several threads: clients of different threads share rooms, and the packets of a
//! session reach its thread.

use serde_json::{Value, json};

use crate::event_loop_support::{Example, Ws};

/// Connections go to the threads in turns, so any two after one another are on different ones.
const THREADS: &str = "2";

fn start(mode: &str) -> Option<Example> {
    Example::run("workers", &["--mode", mode, "--threads", THREADS])
}

/// Emits with an acknowledgement and returns its arguments. Events that come before are dropped.
fn call(ws: &mut Ws, event: &Value) -> Value {
    ws.send(&format!("427{event}"));
    loop {
        if let Some(answer) = ws.receive().strip_prefix("437") {
            return serde_json::from_str(answer).unwrap();
        }
    }
}

fn join(server: &Example) -> (Ws, Value) {
    let (mut ws, session) = server.client("");
    assert_eq!(call(&mut ws, &json!(["join", "lobby"])), json!([]));
    (ws, session)
}

/// The character that says which thread an id is of.
fn thread(id: &str) -> char {
    id.chars().next().unwrap()
}

#[test]
fn a_room_with_clients_on_all_threads() {
    for mode in ["hub", "servers"] {
        let Some(server) = start(mode) else { return };
        let mut clients: Vec<Ws> = (0..5).map(|_| join(&server).0).collect();
        for n in 0..10 {
            let sender = n % clients.len();
            let answer = call(&mut clients[sender], &json!(["bcast", "lobby", 3, n]));
            assert_eq!(answer, json!([]));
            for (index, client) in clients.iter_mut().enumerate() {
                // The sender's own came before the acknowledgement.
                for _ in 0..if index == sender { 0 } else { 3 } {
                    assert_eq!(client.event()[..2], [json!("msg"), json!(n)]);
                }
            }
        }
    }
}

#[test]
fn broadcasts_of_several_threads_come_in_one_order() {
    let Some(server) = start("hub") else { return };
    let mut clients: Vec<Ws> = (0..4).map(|_| join(&server).0).collect();
    for n in 0..200 {
        let sender = n % clients.len();
        clients[sender].send(&format!("42[\"bcast\",\"lobby\",1,{n}]"));
    }
    let mut orders = clients
        .iter_mut()
        .map(|client| (0..200).map(|_| client.event().swap_remove(1)).collect::<Vec<Value>>());
    let first = orders.next().unwrap();
    assert_eq!(first.len(), 200);
    assert!(orders.all(|order| order == first), "the hub's order, for everybody");
}

#[test]
fn a_client_recovers_on_another_thread() {
    let Some(server) = start("hub") else { return };
    let (mut control, _) = server.client("");
    let mut threads = std::collections::BTreeSet::new();
    let (mut client, mut session) = join(&server);
    for round in 0..4 {
        call(&mut control, &json!(["bcast", "lobby", 1, "seen"]));
        let offset = client.event().pop().unwrap();
        client.cut();
        while call(&mut control, &json!(["count"])) != json!([1]) {}
        call(&mut control, &json!(["bcast", "lobby", 5, round]));
        let auth = json!({ "pid": session["pid"], "offset": offset });
        let mut ws = server.websocket("");
        let open = ws.receive();
        threads.insert(thread(open.split('"').nth(3).unwrap()));
        ws.send(&format!("40{auth}"));
        let recovered: Value = serde_json::from_str(&ws.receive()[2..]).unwrap();
        assert_eq!(recovered, session, "the same ids");
        for _ in 0..5 {
            assert_eq!(ws.event()[..2], [json!("msg"), json!(round)]);
        }
        (client, session) = (ws, recovered);
    }
    assert_eq!(threads.len(), 2, "each connection is on the other thread");
}

#[test]
fn polling_requests_find_the_thread_of_their_session() {
    for mode in ["hub", "servers"] {
        let Some(server) = start(mode) else { return };
        let (mut here, mut there) = (server.connect(), server.connect());
        let sessions = [here.handshake(), there.handshake()];
        let threads = sessions.each_ref().map(|session| thread(&session["&sid=".len()..]));
        assert_ne!(threads[0], threads[1], "one on each");
        // Each request comes on the connection of the other thread, in turns.
        for (n, http) in [&mut there, &mut here].into_iter().enumerate() {
            for session in &sessions {
                assert_eq!(
                    http.post(session, if n == 0 { "40" } else { "421[\"echo\",1]" }).body,
                    "ok"
                );
                let body = http.get(session).body;
                assert!(body.starts_with(["40{", "431[1]"][n]), "{body}");
            }
        }
        // An upgrade comes to any thread as well.
        for session in sessions.iter().rev() {
            let mut ws = server.websocket(session);
            ws.send("2probe");
            assert_eq!(ws.receive(), "3probe");
        }
        assert!(here.get("&sid=AAAAAAAAAAAAAAAAAAAA").body.contains("Session ID unknown"));
        assert!(there.get("&sid=_AAAAAAAAAAAAAAAAAAA").body.contains("Session ID unknown"));
    }
}
