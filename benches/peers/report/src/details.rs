//! `RESULTS.md`.

use std::fmt::Write as _;

use crate::{
    measured::{Figure, Measured},
    targets::plain,
};

const SERVERS: [(&str, &str); 4] = [
    ("node", "Node"),
    ("socketioxide", "socketioxide"),
    ("tokio", "ours, tokio"),
    ("mio", "ours, mio"),
];

pub fn document(measured: &Measured, targets: &str, notes: &str) -> String {
    let machine = |name: &str| measured.machine.get(name).map_or("?", String::as_str);
    let versions: Vec<String> = [
        "socket.io",
        "engine.io",
        "ws",
        "socket.io-adapter",
        "socket.io-parser",
        "node",
        "socketioxide",
        "engineioxide",
        "axum",
        "hyper",
        "tokio",
        "rust",
    ]
    .map(|name| format!("{name} {}", machine(name)))
    .into();
    let [date, cpu, memory, system, commit] =
        ["date", "cpu", "memory", "system", "commit"].map(machine);
    format!(
        "# Results\n\n\
         Measured on {date} at {commit} by `benches/peers/run`, all in one run, in turns.\n\n\
         * Machine: {cpu}, {memory}, {system}; a virtual one whose host is shared.\n\
         * Versions: {}.\n\
         * Everything is CPU time, kernel time included; medians of rounds. Servers run on one core, \
         the load generator on another. † marks figures without a round in which the machine was ours.\n\n\
         ![CPU time and memory of the servers](results.svg)\n\n\
         ## Targets\n\n{targets}\n{notes}{}{}{}",
        versions.join(", "),
        servers(measured),
        cores(measured),
        loops(measured),
    )
}

fn row(table: &mut String, what: &str, figures: &[Option<Figure>]) {
    write!(table, "| {what} |").expect("text takes everything");
    for figure in figures {
        let text = figure.map_or_else(
            || "-".to_owned(),
            |figure| {
                let note = if figure.is_clean { "" } else { " †" };
                format!(
                    "{} ({}-{}){note}",
                    plain(figure.value),
                    plain(figure.min),
                    plain(figure.max)
                )
            },
        );
        write!(table, " {text} |").expect("text takes everything");
    }
    table.push('\n');
}

fn header(first: &str, columns: &[&str]) -> String {
    let names = columns.join(" | ");
    format!("| {first} | {names} |\n| --- |{}\n", " --: |".repeat(columns.len()))
}

fn servers(measured: &Measured) -> String {
    let mut table = String::from(
        "\n## Whole servers\n\n1,000 WebSocket clients on loopback. In brackets the least and the \
         most of the rounds.\n\n",
    );
    table.push_str(&header("", &SERVERS.map(|(_, name)| name)));
    let rows = [
        ("memory per idle connection, kB", "", ""),
        ("connect and join a room, CPU µs per client", "connect", "cpu_us"),
        ("broadcast, window 1: CPU µs per delivery", "broadcast 1", "cpu_us"),
        ("broadcast, window 16: CPU µs per delivery", "broadcast 16", "cpu_us"),
        ("echo, 100 clients: CPU µs per round trip", "echo 100", "cpu_us"),
        ("echo, 100 clients: median, µs", "echo 100", "p50_us"),
        ("echo, 100 clients: 99th percentile, µs", "echo 100", "p99_us"),
        ("all links cut, clients new: CPU µs per client", "reconnect", "cpu_us"),
        (
            "all links cut, clients recovered, offset at head: CPU µs per client",
            "storm head",
            "cpu_us",
        ),
        ("the same, offset at tail", "storm tail", "cpu_us"),
        ("load of the server's core in `broadcast, window 1`", "broadcast 1", "server_load"),
        ("load of the generator's core in it", "broadcast 1", "generator_load"),
    ];
    for (what, workload, field) in rows {
        let figures = SERVERS.map(|(server, _)| match workload {
            "" => measured.memory(server),
            _ => measured.section(server, workload, field),
        });
        row(&mut table, what, &figures);
    }
    let floor = |workload| measured.section("floor", workload, "cpu_us");
    if let (Some(write), Some(echo)) = (floor("write"), floor("echo")) {
        let text = |figure: Figure| {
            let [value, min, max] = [figure.value, figure.min, figure.max].map(plain);
            format!("{value} µs ({min}-{max})")
        };
        let (write, echo) = (text(write), text(echo));
        writeln!(
            table,
            "\nThe system's share, without any server: one write(2) to one of 1,000 loopback sockets takes \
             {write}, and to read a message on one of 100 and write an answer {echo}. Nobody delivers or \
             answers for less without writing several frames together."
        )
        .expect("text takes everything");
    }
    table
}

/// From one to two threads.
fn cores(measured: &Measured) -> String {
    let columns = ["hub-1", "hub-2", "servers-1", "servers-2"];
    if measured.section(columns[0], "echo 100", "cpu_us").is_none() {
        return String::new();
    }
    let mut table = String::from(
        "\n## From one to two threads\n\n`examples/workers`: links on threads around one hub, and \
         whole servers on threads. The load generator has to share the two cores, so what says how \
         far it scales is the CPU time of the busiest thread: half of it is twice the throughput. \
         In the mode of whole servers a broadcast is made in each.\n\n",
    );
    let names = ["hub, 1 thread", "hub, 2 threads", "servers, 1 thread", "servers, 2 threads"];
    table.push_str(&header("busiest thread, CPU µs", &names));
    for (what, workload) in [
        ("echo, 100 clients: per round trip", "echo 100"),
        ("broadcast, window 1: per delivery", "broadcast 1"),
        ("broadcast, window 16: per delivery", "broadcast 16"),
    ] {
        let figures = columns.map(|server| measured.section(server, workload, "busiest_thread_us"));
        row(&mut table, what, &figures);
        for (mode, [one, two]) in [("hub", [0, 1]), ("servers", [2, 3])] {
            if let (Some(one), Some(two)) = (figures[one], figures[two]) {
                let speedup = plain(one.value / two.value);
                writeln!(table, "| speed-up of it, {mode} | | {speedup} | | |").ok();
            }
        }
    }
    table
}

fn loops(measured: &Measured) -> String {
    let mut text = String::from("\n## Loops\n\nNanoseconds of CPU time, one thread, no sockets.\n");
    let kinds = [
        ("codec", "Codec, a packet each (payload10: ten)"),
        ("fanout", "Fan-out, per recipient"),
        ("replay", "Claim and replay of 10 missed packets, per session"),
        ("heartbeat", "Idle connections"),
        ("footprint", "Memory, bytes of heap"),
    ];
    for (kind, title) in kinds {
        write!(text, "\n### {title}\n\n").expect("text takes everything");
        text.push_str(&header("", &["Node", "socketioxide", "ours"]));
        let implementations = ["node", "socketioxide", "ours"];
        let mut names: Vec<&str> =
            implementations.iter().flat_map(|who| measured.names(who, kind)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            row(&mut text, name, &implementations.map(|who| measured.cost(who, kind, name)));
        }
    }
    text
}
