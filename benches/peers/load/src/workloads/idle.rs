//! Clients that are connected and do nothing.

use std::time::Duration;

use serde_json::json;

use super::{Result, collect_garbage};
use crate::{
    fleet::Fleet,
    meter::{Section, Server},
};

pub fn run(fleet: &mut Fleet, server: &Server) -> Result {
    let section = Section::start(server);
    fleet.pump_for(Duration::from_secs(1))?;
    collect_garbage(fleet)?;
    section.end("idle", fleet.len() as u64, json!({ "rss_kb": server.rss() }));
    Ok(())
}
