//! A chat in the terminal, over the client of this crate:
//! `cargo run --release --example client http://localhost:3000`.
//!
//! It talks to `examples/chat` and to every Socket.IO server that handles the event `chat message`,
//! such as the server of the official tutorial. It reads and writes lines, so a program can use it too.
//! Lines that begin with `*` report what happens to the connection. Break it with `/drop` or
//! `/offline 30`, and see what is delivered afterwards.

mod chat;
mod view;

use std::{error::Error, io::BufRead as _, process::ExitCode};

use socketio_proto::{
    client::{Auth, ClientConfig},
    engine::Transport,
};
use socketio_proto_tokio_client::{Driver, Options};
use tokio::sync::mpsc;

use self::chat::{Chat, End};

/// The most lines that were typed and are not handled yet.
const LINES: usize = 64;
const USAGE: &str = "\
usage: client [--transport polling|websocket|both] [--name NAME] [--path /socket.io/] URL
The path of the URL names a namespace. Commands: /drop, /offline SECONDS, /name NAME, /state, /quit.";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(End::Left) => ExitCode::SUCCESS,
        Ok(End::Refused) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<End, Box<dyn Error>> {
    let Some(arguments) = Arguments::read()? else {
        println!("{USAGE}");
        return Ok(End::Left);
    };
    let config = ClientConfig::new().transports(&arguments.transports);
    let options = Options::new().config(config).path(arguments.path);
    let mut driver = Driver::new(&arguments.url, options)?;
    let namespace = driver.namespace().to_owned();
    driver.client(|client, now| client.connect(now, &namespace, Auth::Ask))?;
    Ok(Chat::new(driver, namespace, arguments.name).run(read_lines()).await)
}

/// Reads standard input on a separate thread. The program can end while that thread waits for a line.
fn read_lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    typed
}

struct Arguments {
    url: String,
    path: String,
    transports: Vec<Transport>,
    name: String,
}

impl Arguments {
    /// Returns `None` if the user asks for help.
    fn read() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::{
            Arg::{Long, Short, Value},
            ValueExt as _,
        };

        let mut url = None;
        let mut transports = vec![Transport::Polling, Transport::WebSocket];
        let (mut name, mut path) = (String::from("terminal"), String::from("/socket.io/"));
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("transport") => transports = parse_transports(&parser.value()?.string()?)?,
                Long("name") => name = parser.value()?.string()?,
                Long("path") => path = parser.value()?.string()?,
                Long("help") | Short('h') => return Ok(None),
                Value(value) if url.is_none() => url = Some(value.string()?),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        let url = url.ok_or(USAGE)?;
        Ok(Some(Self { url, path, transports, name }))
    }
}

fn parse_transports(text: &str) -> Result<Vec<Transport>, String> {
    match text {
        "polling" => Ok(vec![Transport::Polling]),
        "websocket" => Ok(vec![Transport::WebSocket]),
        "both" => Ok(vec![Transport::Polling, Transport::WebSocket]),
        other => Err(format!("no such transport: {other}\n{USAGE}")),
    }
}
