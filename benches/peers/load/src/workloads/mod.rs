//! What the clients do. See `main` for the list.

mod broadcast;
mod echo;
mod idle;
mod reconnect;

use std::{error::Error, time::Duration};

use serde_json::json;

use crate::{
    fleet::Fleet,
    meter::{Section, Server},
};

/// A section during which the host took more than this percentage of the machine is repeated.
const MOST_STEAL: f64 = 3.0;
/// Times that a section is measured at most until the machine was ours.
const TRIES: u32 = 4;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Connects all clients.
pub fn connect(fleet: &mut Fleet, server: &Server) -> Result {
    collect_garbage(fleet)?;
    let empty = server.rss();
    let section = Section::start(server);
    fleet.connect(false)?;
    let details = json!({ "rss_before_kb": empty, "rss_kb": server.rss() });
    section.end("connect", fleet.len() as u64, details);
    Ok(())
}

/// Runs one workload.
pub fn run(fleet: &mut Fleet, server: &Server, workload: &str) -> Result {
    let parts: Vec<&str> = workload.split(':').collect();
    match parts[..] {
        ["idle"] => idle::run(fleet, server),
        ["broadcast", count, window] => {
            let (count, window) = (count.parse()?, window.parse()?);
            broadcast::run(fleet, server, count / 5, window, false)?;
            until_clean(fleet, |fleet| broadcast::run(fleet, server, count, window, true))
        }
        ["echo", clients, count] => {
            let (clients, count) = (clients.parse()?, count.parse()?);
            echo::run(fleet, server, clients, count / 5, false)?;
            until_clean(fleet, |fleet| echo::run(fleet, server, clients, count, true))
        }
        ["reconnect"] => until_clean(fleet, |fleet| reconnect::fresh(fleet, server)),
        ["storm", stored, missed, place] => {
            let is_head = place == "head";
            reconnect::storm(fleet, server, stored.parse()?, missed.parse()?, is_head)
        }
        _ => Err(format!("no such workload: {workload}").into()),
    }
}

/// Repeats a section, which returns how much was stolen, until the machine was ours.
fn until_clean(fleet: &mut Fleet, mut section: impl FnMut(&mut Fleet) -> Result<f64>) -> Result {
    for _ in 0..TRIES {
        if section(fleet)? <= MOST_STEAL {
            break;
        }
        fleet.pump_for(Duration::from_secs(1))?;
    }
    Ok(())
}

fn collect_garbage(fleet: &mut Fleet) -> Result {
    for _ in 0..2 {
        fleet.call(fleet.control(), r#"["gc"]"#)?;
        fleet.pump_for(Duration::from_millis(300))?;
    }
    Ok(())
}
