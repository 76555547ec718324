//! The server in tokio.

use std::{convert::Infallible, error::Error};

use hyper::StatusCode;
use socketio_proto::server::Event;
use tokio::sync::mpsc;

use crate::{
    app,
    tokio_driver::{
        App, Context, Hosted, Listeners, PeerLimits, Route, Site, plain, serve, shutdown_on_signal,
        spawn,
    },
};

#[tokio::main(flavor = "current_thread")]
pub async fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_on_signal();
    // Nobody else has anything to say here.
    let (_, messages) = mpsc::channel(1);
    let machine = Hosted::new(app::new_server()?, Benchmark);
    let (endpoint, task) = spawn(machine, messages, shutdown.clone());
    let route = Route {
        path: "/socket.io",
        endpoint,
        max_payload: app::MAX_PAYLOAD,
        cors: None,
        delay: std::time::Duration::ZERO,
    };
    let fallback = Box::new(|_: &_| plain(StatusCode::NOT_FOUND, "Not found"));
    let site = Site { routes: vec![route], fallback, peer_limits: PeerLimits::default() };
    let listeners = Listeners::bind(port)?;
    println!("listening {}", listeners.port());
    serve(listeners, site, vec![task], shutdown).await;
    Ok(())
}

struct Benchmark;

impl App for Benchmark {
    type Data = ();
    type Message = Infallible;

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: Event<()>) {
        app::handle_event(cx.server, cx.now, event);
    }

    fn handle_message(&mut self, _: &mut Context<'_, ()>, message: Infallible) {
        match message {}
    }
}
