//! A client under an arbitrary server, network and application.

mod application;
mod connection;
mod peer;
mod wires;
mod world;

use self::world::World;
use super::source::Source;

/// Whatever a server sends, whatever becomes of the wires and whatever the application does
/// meanwhile, a client keeps its promises: wires that are named once and finished once, honest
/// deadlines, events in an order that makes sense, every acknowledgement settled once, bounded
/// buffers, sessions that outlive the process, silence after the end, and the same outputs for the
/// same inputs.
pub fn client(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(8) {
        0 | 1 => connection::run(source),
        2 => {
            // Not every time, for it takes longer.
            let again = Source::new(data.get(1..).unwrap_or_default());
            let first = outputs(source, Some(Vec::new()));
            assert_eq!(outputs(again, Some(Vec::new())), first, "same inputs, same outputs");
        }
        _ => drop(outputs(source, None)),
    }
}

/// Runs a client, and notes its outputs where that is asked for.
fn outputs(source: Source<'_>, log: Option<Vec<String>>) -> Option<Vec<String>> {
    let mut world = World::new(source, log);
    for _ in 0..STEPS_MAX {
        if world.source.is_empty() {
            break;
        }
        world.step();
    }
    world.finish()
}

const STEPS_MAX: usize = 300;
