//! MongoDB, together with servers that use `@socket.io/mongo-adapter` 0.4.
//!
//! | what | where | how |
//! | --- | --- | --- |
//! | broadcasts, joins, leaves, disconnects, and our own entries | a document each | insert, read with the change stream of the collection |
//! | requests, answers, heartbeats and volatile events | a document each | as above, with the field `published` |
//! | sessions of clients that are away | a document of type 13 each | replace or insert; find; find and delete |
//!
//! Everything is in one collection, as with the official adapter. The field `createdAt`, with an index that
//! expires documents, keeps it small.
//!
//! The channel is the change stream: all of it, the node's own documents included, in the order in
//! which the replica set has committed it. A [position](MongodbPosition) is the cluster time of the
//! change, which ascends, and its place among those of the same time. Offsets look like the ids of
//! documents, but are none: those are made by the clocks of whoever writes, so their order is not that
//! of the change stream.
//!
//! [`Mongodb`] makes documents and filters, and reads what comes back. A driver converts both from and
//! to BSON.
//!
//! ```
//! use socketio_proto::cluster::engines::mongodb::{Mongodb, MongodbChange, MongodbOptions, MongodbValue};
//! use socketio_proto::cluster::message::{Body, BroadcastOptions, ClusterBroadcast, Message, NodeId};
//! use socketio_proto::socket::{Event, NamespaceName};
//!
//! let mongodb = Mongodb::new(MongodbOptions::default())?;
//! let event = Event::new("news", &("hello",))?;
//! let broadcast = ClusterBroadcast::new(BroadcastOptions::all().to("lobby"), event.clone());
//! let node = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
//! let message = Message::new(node, NamespaceName::ROOT, Body::Broadcast(broadcast));
//!
//! let document = Mongodb::append(&message, 1_700_000_000_000)?;
//! assert_eq!(document.get("type"), Some(&MongodbValue::Int32(3)));
//!
//! // The document comes back as it went in.
//! let MongodbChange::Entry(read) = mongodb.change(&document, 100) else { return Err("no entry".into()) };
//! let Body::Broadcast(broadcast) = read?.body else { return Err("no broadcast".into()) };
//! assert_eq!(broadcast.packet()?.event, event);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod convert;
mod documents;
mod options;
#[cfg(test)]
mod tests;
mod value;

pub use changes::{MongodbChange, MongodbPosition, MongodbSession};
pub use documents::Mongodb;
pub use options::MongodbOptions;
pub use value::{MongodbDocument, MongodbValue};
