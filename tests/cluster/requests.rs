//! What nodes ask each other.

use socketio_proto::cluster::ClusterOutput;

use crate::fleet::Fleet;

fn subscribed(fleet: &mut Fleet, node: usize) -> Vec<String> {
    let commands = std::mem::take(&mut fleet.nodes[node].commands);
    let names = commands.iter().filter_map(|command| match command {
        ClusterOutput::Subscribe { namespace } => Some(format!("+{namespace}")),
        ClusterOutput::Unsubscribe { namespace } => Some(format!("-{namespace}")),
        _ => None,
    });
    names.collect()
}

/// The official adapter does not unsubscribe when it closes a namespace. When that namespace is there
/// again, the node answers each request twice.
#[test]
fn h79_a_node_receives_what_is_published_in_each_of_its_namespaces_once() {
    let mut fleet = Fleet::new(1);
    assert_eq!(subscribed(&mut fleet, 0), ["+/", "+/b"]);
    fleet.at(0, |at| at.add_namespaces_matching(|name| name == "/dynamic"));
    for _ in 0..2 {
        let client = fleet.open_with(0, "40/dynamic,");
        assert_eq!(subscribed(&mut fleet, 0), ["+/dynamic"]);
        fleet.send(client, "41/dynamic,");
        assert_eq!(subscribed(&mut fleet, 0), ["-/dynamic"]);
    }
    fleet.cut(0, 0);
    fleet.connect(0);
    assert_eq!(subscribed(&mut fleet, 0), ["+/", "+/b"], "again after each connection");
}
