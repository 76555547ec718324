//! The targets, and whether they are met.

use std::fmt::Write as _;

use crate::measured::{Figure, Measured};

/// What a figure has to be.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

struct Target {
    what: String,
    ours: Option<f64>,
    unit: &'static str,
    against: &'static str,
    theirs: Option<f64>,
    /// What is bounded: a ratio, or a figure of its own.
    value: Option<f64>,
    bound: Bound,
    is_clean: bool,
}

/// The table, as Markdown.
pub fn table(measured: &Measured) -> String {
    let mut targets = Vec::new();
    codec(measured, &mut targets);
    fan_out(measured, &mut targets);
    recovery(measured, &mut targets);
    memory(measured, &mut targets);
    for driver in ["mio", "tokio"] {
        server(measured, driver, &mut targets);
    }
    let mut table = String::from(
        "| workload | ours | against | | ratio or figure | target | |\n| --- | --: | --- | --: | --: | --- | --- |\n",
    );
    for target in &targets {
        target.write(&mut table);
    }
    table
}

impl Target {
    fn write(&self, table: &mut String) {
        let Self { what, unit, against, .. } = self;
        let figure = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{} {unit}", plain(value)))
        };
        let (ours, theirs) = (figure(self.ours), figure(self.theirs));
        let (sign, bound, is_met) = match self.bound {
            Bound::AtMost(bound) => ("≤", bound, self.value.map(|value| value <= bound)),
            Bound::AtLeast(bound) => ("≥", bound, self.value.map(|value| value >= bound)),
        };
        let verdict = match is_met {
            Some(true) => "pass",
            Some(false) => "**miss**",
            None => "not measured",
        };
        let note = if self.is_clean { "" } else { " †" };
        let value = self.value.map_or_else(|| "-".to_owned(), plain);
        let bound = plain(bound);
        let row = writeln!(
            table,
            "| {what} | {ours} | {against} | {theirs} | {value} | {sign} {bound} | {verdict}{note} |"
        );
        row.expect("text takes everything");
    }
}

/// Three digits that count.
pub fn plain(value: f64) -> String {
    match value.abs() {
        1_000.0.. => {
            let digits = format!("{value:.0}");
            let (head, tail) = digits.split_at(digits.len() - 3);
            if head.len() > 3 {
                let (millions, thousands) = head.split_at(head.len() - 3);
                format!("{millions},{thousands},{tail}")
            } else {
                format!("{head},{tail}")
            }
        }
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

/// Ours divided by theirs has to be at most `most`.
fn at_most(
    what: impl Into<String>,
    unit: &'static str,
    ours: Option<Figure>,
    against: &'static str,
    theirs: Option<Figure>,
    most: f64,
) -> Target {
    let value = ours.zip(theirs).map(|(ours, theirs)| ours.value / theirs.value);
    ratio(what, unit, ours, against, theirs, value, Bound::AtMost(most))
}

/// Theirs divided by ours has to be at least `least`.
fn at_least(
    what: impl Into<String>,
    unit: &'static str,
    ours: Option<Figure>,
    against: &'static str,
    theirs: Option<Figure>,
    least: f64,
) -> Target {
    let value = ours.zip(theirs).map(|(ours, theirs)| theirs.value / ours.value);
    ratio(what, unit, ours, against, theirs, value, Bound::AtLeast(least))
}

fn ratio(
    what: impl Into<String>,
    unit: &'static str,
    ours: Option<Figure>,
    against: &'static str,
    theirs: Option<Figure>,
    value: Option<f64>,
    bound: Bound,
) -> Target {
    let is_clean = [ours, theirs].into_iter().flatten().all(|figure| figure.is_clean);
    let (ours, theirs) = (ours.map(|figure| figure.value), theirs.map(|figure| figure.value));
    Target { what: what.into(), ours, unit, against, theirs, value, bound, is_clean }
}

/// A figure of its own.
fn absolute(what: &str, unit: &'static str, value: Option<f64>, most: f64) -> Target {
    let (what, bound) = (what.into(), Bound::AtMost(most));
    Target { what, ours: value, unit, against: "", theirs: None, value, bound, is_clean: true }
}

fn codec(measured: &Measured, targets: &mut Vec<Target>) {
    let cost = |who, name: &str| measured.cost(who, "codec", name);
    let raw = cost("ours", "small/decode raw");
    let theirs = cost("socketioxide", "small/decode dynamic");
    let what = "decode a small event, raw arguments";
    targets.push(at_most(what, "ns", raw, "socketioxide, dynamic", theirs, 0.3));
    targets.push(at_most(what, "ns", raw, "Node", cost("node", "small/decode"), 0.1));
    let theirs = cost("socketioxide", "small/decode typed");
    let typed = cost("ours", "small/decode typed");
    let what = "decode a small event, typed arguments";
    targets.push(at_most(what, "ns", typed, "socketioxide, typed", theirs, 0.8));
    let encode = cost("ours", "small/encode");
    let theirs = cost("socketioxide", "small/encode typed");
    let what = "encode a small event";
    targets.push(at_most(what, "ns", encode, "socketioxide, typed", theirs, 0.5));
    targets.push(at_most(what, "ns", encode, "Node", cost("node", "small/encode"), 0.15));
}

fn fan_out(measured: &Measured, targets: &mut Vec<Target>) {
    let cost = |who, name: &str| measured.cost(who, "fanout", name);
    for (room, order) in
        [("10000", ""), ("10000", ", shuffled"), ("100000", ""), ("100000", ", shuffled")]
    {
        let name = format!("{room}/recovery on{order}, queued");
        let ours = cost("ours", &name);
        let floor = cost("ours", &format!("{room}/floor{order}, queued"));
        let what = format!("broadcast to a room of {room}{order}, per recipient");
        targets.push(at_most(what.clone(), "ns", ours, "floor", floor, 2.0));
        let allocations = measured.allocations("ours", "fanout", &name);
        targets.push(absolute(&format!("{what}: allocations"), "", allocations, 0.0005));
    }
    let name = "10000/recovery on, queued";
    let what = "broadcast to a room of 10000, per recipient";
    targets.push(at_least(
        what,
        "ns",
        cost("ours", name),
        "Node's adapter",
        cost("node", name),
        8.0,
    ));
}

fn recovery(measured: &Measured, targets: &mut Vec<Target>) {
    let cost = |who, stored: u32| {
        let name = format!("1 rooms, {stored} stored, offset at head");
        measured.cost(who, "replay", &name)
    };
    let costs = [1_000, 10_000, 100_000, 1_000_000].map(|stored| cost("ours", stored));
    let costs: Option<Vec<f64>> =
        costs.into_iter().map(|figure| figure.map(|figure| figure.value)).collect();
    let spread = costs.map(|costs| {
        let (min, max) = costs
            .iter()
            .fold((f64::MAX, 0.0_f64), |(min, max), cost| (min.min(*cost), max.max(*cost)));
        (max - min) / (max + min)
    });
    let what = "claim and replay of 10, from 1k to 1M stored: spread around the middle";
    targets.push(absolute(what, "", spread, 0.2));
    let what = "claim and replay of 10, 10k stored, offset at head";
    targets.push(at_least(
        what,
        "ns",
        cost("ours", 10_000),
        "Node's adapter",
        cost("node", 10_000),
        100.0,
    ));
}

/// Bytes of the event in the log of all implementations, beyond what the log itself needs.
const ENCODED: f64 = 135.0;

fn memory(measured: &Measured, targets: &mut Vec<Target>) {
    let ours = |name: &str| measured.cost("ours", "footprint", name);
    let value = |figure: Option<Figure>| figure.map(|figure| figure.value);
    let entry = ours("log entry beyond the encoded bytes");
    targets.push(absolute("log entry, beyond the encoded bytes", "B", value(entry), 64.0));
    let whole = entry.map(|entry| Figure { value: entry.value + ENCODED, ..entry });
    let theirs = measured.cost("node", "footprint", "log entry");
    let what = "log entry, the encoded bytes included";
    targets.push(at_least(what, "B", whole, "Node's adapter", theirs, 4.0));
    let parked = value(ours("parked session with 5 rooms"));
    targets.push(absolute("parked session with 5 rooms", "B", parked, 600.0));
    let idle = value(ours("idle connected socket, recovery on"));
    targets.push(absolute("idle connected socket in the core", "B", idle, 1024.0));
    let heartbeats = measured.cost("ours", "heartbeat", "1000000 connections, of a core");
    targets.push(absolute("heartbeats of 1M idle connections", "%", value(heartbeats), 2.0));
}

fn server(measured: &Measured, driver: &str, targets: &mut Vec<Target>) {
    let cpu = |server: &str, workload| measured.section(server, workload, "cpu_us");
    let what = format!("server ({driver}), broadcast, window 1: CPU per delivery");
    let ours = cpu(driver, "broadcast 1");
    targets.push(at_most(what.clone(), "µs", ours, "write(2)", cpu("floor", "write"), 1.2));
    let theirs = cpu("socketioxide", "broadcast 1");
    targets.push(at_most(what, "µs", ours, "socketioxide", theirs, 0.8));

    let what = format!("server ({driver}), broadcast, window 16: CPU per delivery");
    let ours = cpu(driver, "broadcast 16");
    let theirs = cpu("socketioxide", "broadcast 16");
    targets.push(at_most(what.clone(), "µs", ours, "socketioxide", theirs, 0.7));
    targets.push(at_most(what, "µs", ours, "Node", cpu("node", "broadcast 16"), 0.08));

    let what = format!("server ({driver}), echo, 100 clients: CPU per round trip");
    let ours = cpu(driver, "echo 100");
    let theirs = cpu("socketioxide", "echo 100");
    targets.push(at_most(what.clone(), "µs", ours, "socketioxide", theirs, 0.8));
    targets.push(at_most(what, "µs", ours, "Node", cpu("node", "echo 100"), 0.2));

    let what = format!("server ({driver}): memory per idle connection");
    let theirs = measured.memory("socketioxide");
    targets.push(at_most(what, "kB", measured.memory(driver), "socketioxide", theirs, 0.5));

    let what = format!("server ({driver}), 1,000 clients back for their sessions: CPU each");
    let storm = "storm head";
    targets.push(at_least(what, "µs", cpu(driver, storm), "Node", cpu("node", storm), 10.0));
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn three_digits_count() {
        let vectors = [
            (0.0, "0"),
            (0.012_34, "0.012"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1_234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
        ];
        for (value, text) in vectors {
            assert_eq!(plain(value), text);
        }
    }
}
