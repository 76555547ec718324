//! What the file costs: events per second, CPU and round trips of a server around a file, beside the same
//! server without one.
//!
//! `cargo bench -p socketio-proto-sqlite --bench events` prints the figures: the median of some rounds, in
//! which both servers take turns. The servers are processes of their own. With `-- --one-core`, the server has
//! the first core and the clients have the second one, by `taskset`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and reports")]

mod support;

use std::{
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use socketio_proto::{
    client::{ClientConfig, ClientEvent},
    engine::Transport,
    server::ServerEvent,
};
use socketio_proto_tokio::{App, Context};
use socketio_proto_tokio_client::{Events, Options, Socket, connect};

use self::support::{Failure, Process, run_server};

/// Says to everyone what a client says.
struct Chat;

impl App for Chat {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { event, .. } => {
                if let Ok((text,)) = event.parse::<(String,)>() {
                    cx.at().all().emit("said", &(text,)).ok();
                }
            }
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().collect();
    let has = |option: &str| arguments.iter().any(|it| it == option);
    let cores = if has("--one-core") { Cores::One } else { Cores::All };
    match arguments.get(1).map(String::as_str) {
        Some("serve") => run_server(Chat, arguments.get(2)).await,
        // `cargo test` has it run once, to see that it works.
        _ => measure(cores, has("--bench")).await,
    }
}

/// What a server runs on.
#[derive(Clone, Copy)]
enum Cores {
    /// As the system wants.
    All,
    /// One. The clients are on another one.
    One,
}

impl Cores {
    fn start(self, file: Option<&Path>) -> Result<Process, Failure> {
        match self {
            Self::All => Process::start(file),
            Self::One => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", "0"]).arg(env::current_exe()?);
                Process::run(command, file)
            }
        }
    }

    /// The clients are in this process.
    fn place_clients(self) -> Result<(), Failure> {
        if let Self::One = self {
            let id = std::process::id().to_string();
            let place = Command::new("taskset").args(["--cpu-list", "--pid", "1", &id]).output()?;
            if !place.status.success() {
                return Err(String::from_utf8_lossy(&place.stderr).into());
            }
            println!("the server on core 0, the clients on core 1");
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Figures {
    events_per_second: f64,
    cpu_micros: f64,
    round_trip_micros: f64,
}

/// One client that speaks, and others that only hear.
struct Clients {
    speaker: Socket,
    heard: Events,
    others: Vec<(Socket, Events)>,
}

impl Clients {
    async fn connect(port: u16, others: usize) -> Result<Self, Failure> {
        let url = format!("http://127.0.0.1:{port}");
        let mut all = Vec::new();
        for _ in 0..=others {
            all.push(connect(&url, Options::new()).await?);
        }
        let (speaker, heard) = all.pop().ok_or("no client")?;
        Ok(Self { speaker, heard, others: all })
    }

    /// Says so many things, with at most `window` of them on their way. Returns the times of the round
    /// trips.
    async fn talk(&mut self, count: usize, window: usize) -> Result<Vec<Duration>, Failure> {
        let text = "x".repeat(100);
        let mut begun = Vec::with_capacity(count);
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            while begun.len() < count && begun.len() - times.len() < window {
                begun.push(Instant::now());
                self.speaker.emit("say", &(&text,)).await?;
            }
            hear(&mut self.heard).await?;
            times.push(begun[times.len()].elapsed());
        }
        for (_, events) in &mut self.others {
            for _ in 0..count {
                hear(events).await?;
            }
        }
        Ok(times)
    }
}

async fn hear(events: &mut Events) -> Result<(), Failure> {
    while !matches!(events.next().await.ok_or("closed")?, ClientEvent::Received { .. }) {}
    Ok(())
}

async fn run(
    cores: Cores,
    file: Option<&Path>,
    (others, count): (usize, usize),
) -> Result<Figures, Failure> {
    let server = cores.start(file)?;
    let mut clients = Clients::connect(server.port, others).await?;
    clients.talk(count / 10 + 1, 16).await?;
    let (begin, cpu) = (Instant::now(), server.cpu());
    clients.talk(count, 16).await?;
    let (elapsed, cpu) = (begin.elapsed(), server.cpu().saturating_sub(cpu));
    let mut round_trips = clients.talk(count / 10 + 1, 1).await?;
    round_trips.sort_unstable();
    let events = f64::from(u32::try_from(count)?);
    Ok(Figures {
        events_per_second: events / elapsed.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / events,
        round_trip_micros: round_trips[round_trips.len() / 2].as_secs_f64() * 1e6,
    })
}

const BOTH: [Transport; 2] = [Transport::Polling, Transport::WebSocket];

/// What it costs to connect: the CPU time of the server, and how long a client waits, in microseconds.
async fn connects(
    cores: Cores,
    file: Option<&Path>,
    transports: &[Transport],
    count: usize,
) -> Result<(f64, f64), Failure> {
    let server = cores.start(file)?;
    let url = format!("http://127.0.0.1:{}", server.port);
    let options = || Options::new().config(ClientConfig::new().transports(transports));
    let mut clients = vec![connect(&url, options()).await?];
    let (cpu, mut times) = (server.cpu(), Vec::new());
    for _ in 0..count {
        let begin = Instant::now();
        clients.push(connect(&url, options()).await?);
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = server.cpu().saturating_sub(cpu).as_secs_f64() * 1e6;
    times.sort_by(f64::total_cmp);
    Ok((cpu / f64::from(u32::try_from(count)?), times[times.len() / 2]))
}

async fn measure_connects(
    cores: Cores,
    folder: &Path,
    (rounds, count): (usize, usize),
) -> Result<(), Failure> {
    println!("a client connects | CPU us | us until it is connected");
    for transports in [BOTH.as_slice(), &BOTH[1..], &BOTH[..1]] {
        let (mut alone, mut stored) = (Vec::new(), Vec::new());
        let names: Vec<_> = transports.iter().map(Transport::to_string).collect();
        let names = names.join("-");
        for round in 0..rounds {
            let file = folder.join(format!("connects-{names}-{round}.db"));
            alone.push(connects(cores, None, transports, count).await?);
            stored.push(connects(cores, Some(&file), transports, count).await?);
        }
        for (name, figures) in [("alone", &alone), ("with a file", &stored)] {
            let (cpu, time) = (middle(figures, |it| it.0), middle(figures, |it| it.1));
            println!("{:<30} {cpu:>9.0} {time:>9.0}", format!("{names}, {name}"));
        }
    }
    Ok(())
}

async fn measure(cores: Cores, is_whole: bool) -> Result<(), Failure> {
    cores.place_clients()?;
    let (rounds, count) = if is_whole { (5, 5000) } else { (1, 20) };
    let folder = env::temp_dir().join(format!("socketio-proto-events-{}", std::process::id()));
    fs::create_dir(&folder)?;
    println!("window 16, 100 bytes | events/s | CPU us/event | round trip us (window 1)");
    for others in [0, 9, 99] {
        let (mut alone, mut stored) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let file = folder.join(format!("{others}-{round}.db"));
            let count = count * 10 / (others + 10);
            alone.push(run(cores, None, (others, count)).await?);
            stored.push(run(cores, Some(&file), (others, count)).await?);
        }
        print(&format!("{} client(s), alone", others + 1), &alone);
        print(&format!("{} client(s), with a file", others + 1), &stored);
        let ratio =
            middle(&stored, |it| it.events_per_second) / middle(&alone, |it| it.events_per_second);
        println!("  events per second: {ratio:.2} x");
    }
    measure_connects(cores, &folder, (rounds, count / 10)).await?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn print(name: &str, rounds: &[Figures]) {
    let (events, cpu) = (|it: &Figures| it.events_per_second, |it: &Figures| it.cpu_micros);
    let trip = middle(rounds, |it| it.round_trip_micros);
    println!("{name:<26} {:>9.0} {:>9.1} {trip:>9.0}", middle(rounds, events), middle(rounds, cpu));
}

/// The median of a figure.
fn middle<T>(rounds: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
