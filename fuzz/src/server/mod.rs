//! A whole server under arbitrary clients, an arbitrary application and time.

mod application;
mod clients;
pub(super) mod knowledge;
mod world;

use self::world::World;

/// Whatever the clients of a server, its network and its application do, it keeps its promises:
/// one final output for every wire, honest deadlines, well-formed events, every acknowledgement
/// settled once, limits kept, a bystander served, and nothing left when all have gone.
pub fn server(data: &[u8]) {
    let mut world = World::new(data);
    for _ in 0..STEPS_MAX {
        if world.source.is_empty() {
            break;
        }
        let choice = world.source.byte();
        match choice & 0x0f {
            0..=8 => world.act_as_client(choice & 0x0f),
            9..=13 => world.act_as_application(),
            _ => world.wait(),
        }
        // Draining is never a precondition.
        if choice & 0x80 == 0 {
            world.drain();
        }
    }
    world.finish();
}

const STEPS_MAX: usize = 200;
