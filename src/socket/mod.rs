//! Socket.IO v5: packets over an Engine.IO session.
//!
//! This layer converts the messages of one Engine.IO session to [`Packet`]s and back. It never sees
//! a connection, a timer or a room. It follows the [Socket.IO protocol, revision 5][protocol], in
//! its sections [packet encoding][encoding] and [exchange protocol][exchange].
//!
//! ```text
//!   message  = type [ count "-" ] [ namespace "," ] [ ack id ] [ JSON ]
//!   type     = "0" CONNECT | "1" DISCONNECT | "2" EVENT | "3" ACK | "4" CONNECT_ERROR
//!            | "5" BINARY_EVENT | "6" BINARY_ACK
//!   count    = how many binary messages follow, types 5 and 6 only
//!
//!   0/admin,{"token":"123"}                         connect to /admin
//!   2["hello",1]                                    event on /
//!   2/admin,13["hello",1]                           event on /admin that asks for an answer
//!   3/admin,13["answer"]                            the answer
//!   51-["file",{"_placeholder":true,"num":0}]       event, and then one binary message
//! ```
//!
//! A [`Decoder`] reads incoming messages. For outgoing ones, make an [`Event`] or [`Args`], and
//! then one [`Encoded`] for any number of recipients. Arguments stay JSON text, which is validated
//! once, until they are read as a type.
//!
//! ```
//! use bytestring::ByteString;
//! use socketio_proto::Limits;
//! use socketio_proto::socket::{
//!     Args, Decoder, DecoderLimits, Encoded, Event, Kind, NamespaceName,
//! };
//!
//! let event = Event::new("greet", &("Ada", 36))?;
//! let encoded = Encoded::event(&NamespaceName::root(), &event, Some(7), None);
//! assert_eq!(encoded.head(), r#"427["greet","Ada",36]"#);
//!
//! let mut decoder = Decoder::new(DecoderLimits::from(&Limits::default()));
//! let packet = decoder.push_text(ByteString::from_static(r#"27["greet","Ada",36]"#))?;
//! let Some(Kind::Event { event, ack: Some(id) }) = packet.map(|packet| packet.kind) else {
//!     unreachable!("one text is one plain packet");
//! };
//! assert_eq!(event.name(), "greet");
//! assert_eq!(event.parse::<(&str, u32)>()?, ("Ada", 36));
//!
//! let answer = Encoded::ack(&NamespaceName::root(), id, &Args::new(&("hello",))?);
//! assert_eq!(answer.head(), r#"437["hello"]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [protocol]: https://socket.io/docs/v4/socket-io-protocol/
//! [encoding]: https://socket.io/docs/v4/socket-io-protocol/#packet-encoding
//! [exchange]: https://socket.io/docs/v4/socket-io-protocol/#exchange-protocol

mod args;
mod binary;
mod check;
mod decoder;
mod encoded;
mod error;
mod event;
mod honest;
mod json;
mod list;
mod name;
mod packet;
mod placeholder;
mod ser;
mod snapshot;
mod text;

pub use args::Args;
pub use binary::Binary;
pub(crate) use binary::push_placeholder;
pub(crate) use decoder::namespace_of;
pub use decoder::{Decoder, DecoderLimits};
pub use encoded::Encoded;
pub use error::{ArgsError, DecodeError, EncodeError, InvalidName};
pub use event::Event;
pub(crate) use honest::{InvalidConnect, may_be_honest};
pub use json::Json;
pub(crate) use list::Attachments;
pub use name::NamespaceName;
pub use packet::{Kind, Packet};
pub(crate) use placeholder::find as find_placeholders;
pub(crate) use snapshot::{ArgsSnapshot, EncodedSnapshot};
pub(crate) use text::{push_number as push_decimal, push_string, unescape};
