//! `results.svg`: what the servers take, as bars.

use std::fmt::Write as _;

use crate::{
    measured::{Figure, Measured},
    targets::plain,
};

const BARS: [(&str, &str, &str); 4] = [
    ("node", "Node", "#9aa5b1"),
    ("socketioxide", "socketioxide", "#e0a458"),
    ("tokio", "socketio-proto, tokio", "#5b8def"),
    ("mio", "socketio-proto, mio", "#2456c9"),
];
const WIDTH: u32 = 860;
const LEFT: u32 = 170;
const LONGEST: f64 = 560.0;
const BAR: u32 = 16;
const GAP: u32 = 4;
const TITLE: u32 = 30;

pub fn draw(measured: &Measured) -> String {
    let cpu =
        |workload: &'static str| move |server: &str| measured.section(server, workload, "cpu_us");
    let panels: [(&str, &str, Vec<Option<Figure>>); 5] = [
        (
            "Broadcast to 1,000 clients, one in flight: server CPU per delivery",
            "µs",
            each(cpu("broadcast 1")),
        ),
        ("The same, 16 in flight", "µs", each(cpu("broadcast 16"))),
        (
            "Echo with acknowledgement, 100 clients: server CPU per round trip",
            "µs",
            each(cpu("echo 100")),
        ),
        (
            "1,000 clients back after a failure, recovered with 10 missed events: server CPU per client",
            "µs",
            each(cpu("storm head")),
        ),
        ("Memory per idle connection", "kB", each(|server| measured.memory(server))),
    ];
    let floor = measured.section("floor", "write", "cpu_us").map(|figure| figure.value);
    let mut body = String::new();
    let mut top = 12;
    for (index, (title, unit, figures)) in panels.iter().enumerate() {
        top += TITLE;
        let middle = top - 10;
        writeln!(body, r#"<text class="title" x="12" y="{middle}">{title}</text>"#).ok();
        let most = figures.iter().flatten().map(|figure| figure.value).fold(0.0, f64::max);
        let start = top;
        for ((_, name, color), figure) in BARS.iter().zip(figures) {
            // One that does not have what is measured.
            let Some(figure) = figure else { continue };
            let (width, base) = (figure.value / most * LONGEST, top + BAR - 4);
            let label = LEFT - 8;
            let end = f64::from(LEFT) + width + 6.0;
            let value = plain(figure.value);
            writeln!(
                body,
                r#"<text class="name" x="{label}" y="{base}">{name}</text><rect x="{LEFT}" y="{top}" width="{width:.1}" height="{BAR}" fill="{color}"/><text x="{end:.1}" y="{base}">{value} {unit}</text>"#
            )
            .ok();
            top += BAR + GAP;
        }
        if let (0, Some(floor)) = (index, floor) {
            let x = f64::from(LEFT) + floor / most * LONGEST;
            writeln!(body, r##"<line x1="{x:.1}" x2="{x:.1}" y1="{start}" y2="{top}" stroke="#b3261e" stroke-dasharray="3 2"/>"##).ok();
            let base = top + 10;
            let value = plain(floor);
            writeln!(body, r##"<text class="note" x="{x:.1}" y="{base}" fill="#b3261e">one write(2): {value} µs</text>"##).ok();
            top += 12;
        }
    }
    let height = top + 14;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>Server CPU time and memory: Node, socketioxide and socketio-proto; less is better</title>
<style>text{{font:12px system-ui,sans-serif;fill:#1f2933}}.title{{font-weight:600;font-size:13px}}.name{{text-anchor:end}}.note{{font-size:11px}}</style>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
{body}</svg>
"##
    )
}

fn each(figure: impl Fn(&str) -> Option<Figure>) -> Vec<Option<Figure>> {
    BARS.iter().map(|(server, _, _)| figure(server)).collect()
}
