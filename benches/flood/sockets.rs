//! The same over sockets.
//!
//! ```sh
//! PORT=3300 PACKETS_PER_SECOND=4000000000 target/release/examples/contract --profile acceptance
//! cargo bench --bench flood -- --server 127.0.0.1:3300
//! ```
//!
//! Without `PACKETS_PER_SECOND` the flood comes to an end at the server's rate, and the flooding
//! client begins again on another connection. Each rate under a flood stands beside one alone that
//! was measured in turn with it.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tungstenite::{Message, WebSocket};

const WINDOW: Duration = Duration::from_secs(1);
/// Windows of each rate.
const ROUNDS: u32 = 3;

/// Prints the rates of round trips, alone and under floods.
pub fn measure(server: &str) {
    println!(
        "{:<44} {:>10} {:>10} {:>8}",
        "round trips a second of a client", "alone", "now", "ratio"
    );
    let large = format!("42[\"{}\"]", "x".repeat(100_000));
    for (name, packet) in [
        ("under events", "42[\"x\"]"),
        ("under unsolicited acks", "4399[\"x\"]"),
        ("under events of 100 kB", &large),
        ("under violations and handshakes", "4bad"),
    ] {
        for floods in [1, 4] {
            let name = format!("{name}, {floods} connections");
            let (mut alone, mut now) = (0.0, 0.0);
            for _ in 0..ROUNDS {
                alone += rate(server, 0, "") / f64::from(ROUNDS);
                now += rate(server, floods, packet) / f64::from(ROUNDS);
            }
            println!("{name:<44} {alone:>10.0} {now:>10.0} {:>8.3}", now / alone);
        }
    }
}

/// Round trips per second.
fn rate(server: &str, floods: usize, packet: &str) -> f64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..floods {
            scope.spawn(|| flood(server, packet, &is_over));
        }
        // However it ends, so do the floods.
        let _over = Over(&is_over);
        let mut client = connect(server);
        #[expect(clippy::disallowed_methods, reason = "a bench is about time")]
        let start = Instant::now();
        let mut count = 0_u32;
        while start.elapsed() < WINDOW {
            client.send(Message::text("42/quiet,7[\"message-with-ack\",1]")).expect("served");
            while !client.read().expect("served").to_text().unwrap_or("").starts_with("43") {}
            count += 1;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    })
}

/// Ends the floods when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends as fast as the server takes it, and begins again whenever it is closed.
fn flood(server: &str, packet: &str, is_over: &AtomicBool) {
    // A client's frame: masked, with zeros.
    let mut frame = vec![0x81];
    match packet.len() {
        short @ ..126 => frame.push(0x80 | short.to_le_bytes()[0]),
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(packet.as_bytes());
    let batch = frame.repeat((16_384 / frame.len()).max(1));
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = connect(server).into_inner();
        stream.set_nonblocking(false).expect("a socket");
        stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a socket");
        let mut reader = stream.try_clone().expect("a socket");
        let drained =
            thread::spawn(move || while matches!(reader.read(&mut [0; 4096]), Ok(1..)) {});
        while !is_over.load(Ordering::Relaxed) && stream.write_all(&batch).is_ok() {}
        stream.shutdown(std::net::Shutdown::Both).ok();
        drained.join().ok();
    }
}

fn connect(server: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server).expect("the server runs");
    stream.set_nodelay(true).expect("a socket");
    let url = format!("ws://{server}/socket.io/?EIO=4&transport=websocket");
    let (mut client, _) = tungstenite::client(url, stream).expect("a WebSocket");
    for namespace in ["", "/quiet,"] {
        client.send(Message::text(format!("40{namespace}"))).expect("a namespace");
        let answer = format!("40{namespace}");
        while !client.read().expect("a namespace").to_text().unwrap_or("").starts_with(&answer) {}
    }
    client
}
