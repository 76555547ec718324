//! The server in an event loop of its own.

use std::error::Error;

use crate::{
    app,
    mio_driver::{EventLoop, Hosted, listen},
};

pub fn run(port: u16) -> Result<(), Box<dyn Error>> {
    let listener = listen(port)?;
    println!("listening {}", listener.local_addr()?.port());
    let machine = Hosted::new(app::new_server()?, app::handle_event);
    Ok(EventLoop::new(machine, app::MAX_PAYLOAD, Some(listener))?.run()?)
}
