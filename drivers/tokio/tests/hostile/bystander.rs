//! Clients that must not notice an attack.

use std::time::Duration;

use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::raw::{Raw, get, in_time, post};

/// So that the clients do not take the whole processor.
const PAUSE: Duration = Duration::from_millis(2);
/// Between the packets of a polling body.
const SEPARATOR: char = '\u{1e}';

/// A client in a task of its own. It emits an event and waits for the acknowledgement and for the
/// event that the server emits in return, again and again.
pub struct Bystander {
    exchanges: watch::Receiver<u32>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Bystander {
    pub async fn on_polling(port: u16) -> Self {
        let (mut posts, mut gets) = (Raw::connect(port).await, Raw::connect(port).await);
        let path = gets.open_polling().await;
        assert_eq!(posts.ask(post(&path, "40")).await.body, "ok");
        check_recoverable(&gets.ask(get(&path)).await.body);
        Self::start(OnPolling { path, posts, gets })
    }

    pub async fn on_websocket(port: u16) -> Self {
        let mut client = Raw::connect(port).await;
        client.open_websocket().await;
        client.send_packet("40").await;
        check_recoverable(&client.packet().await);
        Self::start(OnWebSocket(client))
    }

    fn start(mut client: impl Client) -> Self {
        let (done, exchanges) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            for number in 1.. {
                client.emit(number).await;
                let mut packets = Vec::new();
                while packets.len() < 2 {
                    packets.extend(client.packets().await);
                }
                check(number, &packets);
                done.send_replace(number);
                if *stopped.borrow() {
                    return;
                }
                sleep(PAUSE).await;
            }
        });
        Self { exchanges, stop, task }
    }

    /// Waits for an exchange that begins from now on.
    pub async fn exchange(&mut self) {
        let next = *self.exchanges.borrow() + 2;
        let done = in_time(self.exchanges.wait_for(|number| *number >= next)).await;
        // Otherwise it has panicked, and has said why.
        assert!(done.is_ok(), "a bystander was harmed");
    }

    /// Lets it complete its exchange.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        in_time(self.task).await.expect("the bystander is well");
    }
}

fn emission(number: u32) -> String {
    format!("42{number}[\"echo\",{number}]")
}

/// The event in return has an offset at its end, and the acknowledgement comes next.
fn check(number: u32, packets: &[String]) {
    let event: Vec<Value> =
        serde_json::from_str(packets[0].strip_prefix("42").expect("an event")).unwrap();
    assert_eq!(event[..2], [Value::from("echoed"), number.into()]);
    assert!(event[2].is_string(), "{event:?}");
    assert_eq!(packets[1..], [format!("43{number}[{number}]")]);
}

fn check_recoverable(joined: &str) {
    assert!(joined.starts_with("40{\"sid\":\"") && joined.contains("\"pid\":\""), "{joined}");
}

trait Client: Send + 'static {
    /// Emits an event with a number.
    fn emit(&mut self, number: u32) -> impl Future<Output = ()> + Send;

    /// The next packets, without pings.
    fn packets(&mut self) -> impl Future<Output = Vec<String>> + Send;
}

struct OnPolling {
    path: String,
    posts: Raw,
    gets: Raw,
}

impl Client for OnPolling {
    async fn emit(&mut self, number: u32) {
        let posted = self.posts.ask(post(&self.path, &emission(number))).await;
        assert_eq!(posted.body, "ok", "{posted:?}");
    }

    async fn packets(&mut self) -> Vec<String> {
        let polled = self.gets.ask(get(&self.path)).await;
        assert_eq!(polled.status, 200, "{polled:?}");
        if polled.body.split(SEPARATOR).any(|packet| packet == "2") {
            assert_eq!(self.posts.ask(post(&self.path, "3")).await.body, "ok");
        }
        let packets = polled.body.split(SEPARATOR).filter(|packet| *packet != "2");
        packets.map(str::to_owned).collect()
    }
}

struct OnWebSocket(Raw);

impl Client for OnWebSocket {
    async fn emit(&mut self, number: u32) {
        self.0.send_packet(&emission(number)).await;
    }

    async fn packets(&mut self) -> Vec<String> {
        match self.0.packet().await {
            ping if ping == "2" => {
                self.0.send_packet("3").await;
                Vec::new()
            }
            packet => vec![packet],
        }
    }
}
