//! Events for all clients at once. With one in flight nothing can be written together; with
//! several a server may.

use std::io;

use serde_json::json;

use super::Result;
use crate::{
    fleet::Fleet,
    meter::{Section, Server},
};

/// Bytes of an event's payload.
const PAYLOAD: usize = 100;

/// Returns how much the host took.
pub fn run(
    fleet: &mut Fleet,
    server: &Server,
    count: u64,
    window: u64,
    is_measured: bool,
) -> Result<f64> {
    let event = format!(r#"["bcast","lobby",1,"{}"]"#, "x".repeat(PAYLOAD));
    let (control, clients) = (fleet.control(), fleet.len() as u64);
    let (events, acks) = (fleet.tally.events, fleet.tally.acks);
    let mut sent = 0;
    let section = Section::start(server);
    let mut emit = |fleet: &mut Fleet| -> io::Result<bool> {
        let delivered = fleet.tally.events - events;
        while sent < count && sent * clients < delivered + window * clients {
            fleet.emit(control, &event)?;
            sent += 1;
        }
        Ok(delivered >= count * clients && fleet.tally.acks - acks >= count)
    };
    fleet.until("broadcasts", &mut emit)?;
    let deliveries = count * clients;
    if fleet.tally.events - events != deliveries {
        return Err("events were delivered more than once".into());
    }
    if !is_measured {
        return Ok(0.0);
    }
    let details = json!({ "window": window, "rss_kb": server.rss() });
    Ok(section.end(&format!("broadcast {window}"), deliveries, details))
}
