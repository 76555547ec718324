//! One node of a cluster under an arbitrary engine, arbitrary other nodes and arbitrary clients.

mod clients;
mod engine;
mod entries;
mod history;
mod world;

use self::world::World;
use super::source::Source;

/// Whatever the engine of a node reports and other nodes say, the node keeps its promises: clients
/// get only events that are in the channel, each with its position and in the order of positions;
/// nothing is sent to an engine that is away; what waits is bounded; every session is reported as
/// begun and as ended; the same inputs give the same outputs. Afterwards, with an honest engine, the
/// node serves as if nothing had been, and nothing is left when all have gone.
pub fn node(data: &[u8]) {
    let mut source = Source::new(data);
    if source.below(8) == 1 {
        // Not every time, for it takes longer.
        let again = Source::new(data.get(1..).unwrap_or_default());
        let first = outputs(source, Some(Vec::new()));
        assert_eq!(outputs(again, Some(Vec::new())), first, "same inputs, same outputs");
    } else {
        drop(outputs(source, None));
    }
}

/// Runs a node, and notes its outputs where that is asked for.
fn outputs(source: Source<'_>, log: Option<Vec<String>>) -> Option<Vec<String>> {
    let mut world = World::new(source, log);
    for _ in 0..STEPS_MAX {
        if world.source.is_empty() {
            break;
        }
        let choice = world.source.byte();
        match choice & 0x0f {
            0..=3 => world.act_as_client(),
            4..=6 => world.act_as_application(),
            7..=14 => world.act_as_engine(),
            _ => world.wait(),
        }
        // Draining is never a precondition.
        if choice & 0x80 == 0 {
            world.drain();
        }
    }
    world.finish()
}

const STEPS_MAX: usize = 200;
