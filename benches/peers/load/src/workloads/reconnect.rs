//! All links fail at once.

use std::time::Duration;

use serde_json::json;

use super::{Result, collect_garbage};
use crate::{
    fleet::Fleet,
    meter::{Section, Server},
};

/// Bytes of a stored event's payload.
const PAYLOAD: usize = 100;

/// The clients come back as new ones. Returns how much the host took.
pub fn fresh(fleet: &mut Fleet, server: &Server) -> Result<f64> {
    fleet.cut()?;
    collect_garbage(fleet)?;
    let section = Section::start(server);
    fleet.connect(false)?;
    Ok(section.end("reconnect", fleet.len() as u64, json!({})))
}

/// The clients come back for their sessions and what they have missed. The events of another room
/// are stored behind their offset (`is_head`), or before it.
pub fn storm(
    fleet: &mut Fleet,
    server: &Server,
    stored: u64,
    missed: u64,
    is_head: bool,
) -> Result {
    let payload = "m".repeat(PAYLOAD);
    let others = format!(r#"["bcast","other",{stored},"{payload}"]"#);
    let event = format!(r#"["bcast","lobby",1,"{payload}"]"#);
    let (control, clients) = (fleet.control(), fleet.len() as u64);
    if !is_head {
        fleet.call(control, &others)?;
    }
    let events = fleet.tally.events;
    fleet.call(control, &event)?;
    fleet.until("the offset", |fleet| Ok(fleet.tally.events - events == clients))?;
    fleet.cut()?;
    if is_head {
        fleet.call(control, &others)?;
    }
    for _ in 0..missed {
        fleet.call(control, &event)?;
    }
    collect_garbage(fleet)?;

    let events = fleet.tally.events;
    let section = Section::start(server);
    fleet.connect(true)?;
    let recovered = fleet.recovered();
    if recovered == fleet.len() {
        let all = clients * missed;
        fleet.until("missed events", |fleet| Ok(fleet.tally.events - events >= all))?;
    }
    let place = if is_head { "head" } else { "tail" };
    let details = json!({ "stored": stored, "recovered": recovered, "rss_kb": server.rss() });
    section.end(&format!("storm {place}"), clients, details);
    fleet.pump_for(Duration::from_millis(300))?;
    if fleet.tally.events - events != recovered as u64 * missed {
        return Err("not exactly what was missed".into());
    }
    Ok(())
}
