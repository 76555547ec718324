//! The drivers of the examples over real sockets. Each test has its own processes and ports. Tests
//! that need an official client or server are in `interop` and `official_server`.

mod bench_server;
mod chat_store;
mod client_example;
mod cross_origin;
mod event_loop;
mod event_loop_deadlines;
mod event_loop_support;
#[path = "../interop/example.rs"]
mod example;
#[path = "../interop/output.rs"]
mod output;
mod own_server;
#[path = "../fixtures/ports.rs"]
mod ports;
#[path = "../interop/terminal.rs"]
mod terminal;
mod threads;
mod tokio_driver;
mod websocket_control_frames;
mod websocket_handshakes;
mod workers;
