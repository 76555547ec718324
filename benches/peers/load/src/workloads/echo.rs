//! Round trips: each client emits again when its last event was acknowledged.

use std::time::Duration;

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
    clients: usize,
    count: u64,
    is_measured: bool,
) -> Result<f64> {
    let event = format!(r#"["echo","{}"]"#, "e".repeat(PAYLOAD));
    let answer = format!(r#"["{}"]"#, "e".repeat(PAYLOAD));
    let mut micros = Vec::new();
    fleet.take_acked();
    let section = Section::start(server);
    for index in 0..clients {
        fleet.emit(index, &event)?;
    }
    let mut done = 0;
    fleet.until("echoes", |fleet| {
        for index in fleet.take_acked() {
            done += 1;
            let client = fleet.client(index);
            assert!(client.answer.ends_with(&answer), "not what was sent: {}", client.answer);
            micros.push(client.emitted.elapsed().as_micros());
            if done + clients as u64 <= count {
                fleet.emit(index, &event)?;
            }
        }
        Ok(done >= count)
    })?;
    if !is_measured {
        return Ok(0.0);
    }
    micros.sort_unstable();
    let quantile = |percent: usize| u64::try_from(micros[micros.len() * percent / 100]).ok();
    let details = json!({ "clients": clients, "p50_us": quantile(50), "p99_us": quantile(99) });
    let steal = section.end(&format!("echo {clients}"), count, details);
    fleet.pump_for(Duration::from_millis(100))?;
    Ok(steal)
}
