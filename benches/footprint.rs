//! Bytes of heap that the core holds for what is idle.

mod support;

use socketio_proto::{engine::ServerConnection, link::Link};
use support::{Bench, fleet, held, mean};

fn main() {
    let bench = Bench::from_args("footprint");
    let count = if bench.is_smoke() { 1_000 } else { 100_000 };
    let print = |name: &str, bytes: f64| bench.figure(name, bytes, "bytes");
    for (name, config) in [("off", fleet::config()), ("on", fleet::recovery())] {
        let bytes = held::connection(config.clone(), count);
        print(&format!("connection before CONNECT, recovery {name}"), bytes);
        print(&format!("idle connected socket, recovery {name}"), held::socket(config, count));
    }
    print("  of it `engine::ServerConnection` itself", mean(size_of::<ServerConnection>(), 1));
    print("  of it `link::Link` itself, the one above included", mean(size_of::<Link>(), 1));
    print("parked session with 5 rooms", held::parked_session(count));
    print("log entry beyond the encoded bytes", held::log_entry(count));
    let one = held::replica_entry(count, |_| "elsewhere".into());
    print("entry of a cluster for nobody here, the same", one);
    let rooms = held::replica_entry(count, |number| format!("room {}", number % 1_000));
    print("  to one of 1,000 rooms", rooms);
    print("  to a room of its own", held::replica_entry(count, |number| format!("room {number}")));
}
