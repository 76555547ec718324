//! Sessions in the store whose namespace is idle, while others are busy.

use socketio_proto::cluster::Durability;

use crate::{fleet::Fleet, moves::ids};

/// Nothing has happened in its namespace for so long that a node which starts later has not read it. Then
/// nothing is missing.
#[test]
fn a_session_of_an_idle_namespace_is_of_use_to_a_node_that_starts_later() {
    for durability in [Durability::OnPark, Durability::OnChange] {
        let mut fleet = Fleet::durable(&[durability, durability]);
        for _ in 0..20 {
            fleet.at(1, |at| at.of("/b").emit("not for it", &()).unwrap());
            fleet.settle();
        }
        let client = fleet.open(0);
        fleet.settle();
        let of_client = ids(&fleet, client);
        fleet.lose(client);
        fleet.settle();
        fleet.crash(0);
        fleet.channel.trimmed = fleet.channel.entries.len();
        fleet.crash(1);
        fleet.connect(1);
        let back = fleet.open_with(1, &format!(r#"40{{"pid":"{}"}}"#, of_client.0));
        fleet.settle();
        // It does not know that the node with the session is gone.
        fleet.wait(500);
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{durability:?}");
    }
}
