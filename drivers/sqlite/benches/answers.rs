//! What it costs to answer an event whose offset the session remembers, with the sessions written ahead: the
//! record of the session has all offsets that it remembers, and is written before each answer is sent.
//!
//! `cargo bench -p socketio-proto-sqlite --bench answers` prints the bytes written and the CPU time of the
//! server for each answer, as the number of remembered offsets grows. The server is a process of its own.
#![expect(clippy::print_stdout, reason = "it measures, and reports")]

mod support;

use std::{env, fs, time::Duration};

use socketio_proto::{hub::Once, server::ServerEvent, socket::Args};
use socketio_proto_tokio::{App, Context};
use socketio_proto_tokio_client::{Options, Socket, connect};

use self::support::{Failure, Process, run_server};

/// Answers each event once.
struct Answering;

impl App for Answering {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                let Ok((offset,)) = event.parse::<(String,)>() else { return };
                if let Ok(Once::Fresh(Some(ack))) = cx.at().accept_once(socket, &offset, ack) {
                    cx.at().ack(ack, &Args::empty());
                }
            }
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => run_server(Answering, arguments.get(2)).await,
        // `cargo test` has it run once, to see that it works.
        _ => measure(arguments.iter().any(|it| it == "--bench")).await,
    }
}

/// The bytes that a server has written to files, and the microseconds of CPU that it has taken. Zero where
/// there is no `/proc`.
fn costs(server: &Process) -> (f64, f64) {
    let io = fs::read_to_string(format!("/proc/{}/io", server.child.id())).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
    (written.unwrap_or_default(), server.cpu().as_secs_f64() * 1e6)
}

/// Says something with an offset of 36 bytes, as a UUID has, and waits for the answer.
async fn say(socket: &Socket, number: u32) -> Result<(), Failure> {
    socket.emit_with_ack("say", &(format!("{number:036}"),), Duration::from_secs(60)).await?;
    Ok(())
}

async fn measure(is_whole: bool) -> Result<(), Failure> {
    let (sizes, count): (&[u32], u32) =
        if is_whole { (&[0, 64, 256, 1024], 200) } else { (&[0, 4], 4) };
    let folder = env::temp_dir().join(format!("socketio-proto-answers-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let server = Process::start(Some(folder.join("sessions.db")))?;
    let (socket, _events) =
        connect(&format!("http://127.0.0.1:{}", server.port), Options::new()).await?;
    println!("offsets remembered | bytes written an answer | CPU us an answer");
    let mut said = 0;
    for size in sizes {
        while said < *size {
            say(&socket, said).await?;
            said += 1;
        }
        let before = costs(&server);
        for number in said..said + count {
            say(&socket, number).await?;
        }
        said += count;
        let after = costs(&server);
        let each = |before: f64, after: f64| (after - before) / f64::from(count);
        let (bytes, cpu) = (each(before.0, after.0), each(before.1, after.1));
        println!("{:>9} to {said:<6} {bytes:>12.0} {cpu:>12.1}", said - count);
    }
    drop(server);
    fs::remove_dir_all(&folder)?;
    Ok(())
}
