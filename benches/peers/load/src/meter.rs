//! What a server costs, and whether the machine was ours while it was measured.

use std::{fs, time::Instant};

use serde_json::{Map, Value, json};

/// The server that is measured.
pub struct Server {
    pub name: String,
    pub pid: u32,
}

impl Server {
    /// Seconds of CPU time of all its threads, kernel included; the busiest thread's apart.
    pub fn cpu(&self) -> Cpu {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the server runs");
        let mut cpu = Cpu::default();
        for task in tasks.flatten() {
            let seconds = schedstat(&task.path().join("schedstat").display().to_string());
            cpu.threads.push((task.file_name().to_string_lossy().into_owned(), seconds));
            cpu.total += seconds;
        }
        cpu
    }

    /// Resident memory in kB.
    pub fn rss(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or_default()
    }
}

/// CPU time of a process in seconds.
#[derive(Default)]
pub struct Cpu {
    pub total: f64,
    threads: Vec<(String, f64)>,
}

impl Cpu {
    /// What the busiest thread has used since.
    fn busiest_since(&self, before: &Self) -> f64 {
        let former =
            |id| before.threads.iter().find(|(other, _)| *other == id).map_or(0.0, |t| t.1);
        self.threads.iter().map(|(id, now)| now - former(id.clone())).fold(0.0, f64::max)
    }
}

/// Seconds on a CPU.
fn schedstat(path: &str) -> f64 {
    let stat = fs::read_to_string(path).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// One measured section.
pub struct Section<'a> {
    server: &'a Server,
    start: Instant,
    cpu: Cpu,
    own_cpu: f64,
    host: HostTime,
}

impl<'a> Section<'a> {
    pub fn start(server: &'a Server) -> Self {
        Self {
            server,
            cpu: server.cpu(),
            own_cpu: schedstat("/proc/self/schedstat"),
            host: HostTime::now(),
            start: Instant::now(),
        }
    }

    /// Ends the section and prints it. Returns the percentage of the machine that the host took.
    pub fn end(self, workload: &str, count: u64, details: Value) -> f64 {
        let seconds = self.start.elapsed().as_secs_f64();
        let cpu = self.server.cpu();
        let used = cpu.total - self.cpu.total;
        let steal = HostTime::now().steal_since(&self.host);
        let mut line = Map::new();
        line.insert("server".into(), json!(self.server.name));
        line.insert("workload".into(), json!(workload));
        line.insert("count".into(), json!(count));
        line.insert("seconds".into(), json!(seconds));
        line.insert("cpu_us".into(), json!(used * 1e6 / count as f64));
        let busiest = cpu.busiest_since(&self.cpu);
        line.insert("busiest_thread_us".into(), json!(busiest * 1e6 / count as f64));
        line.insert("server_load".into(), json!(used / seconds));
        let own_cpu = schedstat("/proc/self/schedstat") - self.own_cpu;
        line.insert("generator_load".into(), json!(own_cpu / seconds));
        line.insert("steal_percent".into(), json!(steal));
        if let Value::Object(details) = details {
            line.extend(details);
        }
        println!("{}", Value::Object(line));
        steal
    }
}

/// Time of the machine, and how much of it the host took for others, in ticks.
pub struct HostTime {
    all: f64,
    stolen: f64,
}

impl HostTime {
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks: Vec<f64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|field| field.parse().ok())
            .collect();
        Self { all: ticks.iter().sum(), stolen: ticks.get(7).copied().unwrap_or_default() }
    }

    /// The percentage taken since.
    pub fn steal_since(&self, before: &Self) -> f64 {
        (self.stolen - before.stolen) * 100.0 / (self.all - before.all).max(1.0)
    }
}
