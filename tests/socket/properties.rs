//! Properties of the codec.

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use bytes::Bytes;
    use bytestring::ByteString;
    use proptest::{collection::vec, option, prelude::*};
    use serde::{Serialize, Serializer, ser::SerializeMap as _};
    use socketio_proto::Limits;
    use socketio_proto::socket::{
        Args, Binary, DecodeError, Decoder, DecoderLimits, Encoded, Event, Json, Kind,
        NamespaceName, Packet,
    };

    /// An argument with bytes anywhere inside.
    #[derive(Clone, Debug)]
    enum Tree {
        Null,
        Bool(bool),
        Integer(i64),
        Text(String),
        Bytes(Vec<u8>),
        Array(Vec<Self>),
        Object(Vec<(String, Self)>),
    }

    impl Serialize for Tree {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Null => serializer.serialize_unit(),
                Self::Bool(value) => serializer.serialize_bool(*value),
                Self::Integer(value) => serializer.serialize_i64(*value),
                Self::Text(value) => serializer.serialize_str(value),
                Self::Bytes(value) => serializer.serialize_bytes(value),
                Self::Array(values) => serializer.collect_seq(values),
                Self::Object(entries) => {
                    let mut map = serializer.serialize_map(Some(entries.len()))?;
                    for (key, value) in entries {
                        map.serialize_entry(key, value)?;
                    }
                    map.end()
                }
            }
        }
    }

    impl Tree {
        fn bytes<'a>(&'a self, found: &mut Vec<&'a [u8]>) {
            match self {
                Self::Bytes(bytes) => found.push(bytes),
                Self::Array(values) => values.iter().for_each(|value| value.bytes(found)),
                Self::Object(entries) => entries.iter().for_each(|(_, value)| value.bytes(found)),
                Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Text(_) => {}
            }
        }

        /// Whether a parsed argument is this one, with the attachment in every placeholder's place.
        fn is(&self, value: &serde_json::Value, attachments: &[Bytes]) -> bool {
            use serde_json::Value;
            match (self, value) {
                (Self::Null, Value::Null) => true,
                (Self::Bool(mine), Value::Bool(other)) => mine == other,
                (Self::Integer(mine), Value::Number(other)) => other.as_i64() == Some(*mine),
                (Self::Text(mine), Value::String(other)) => mine == other,
                (Self::Bytes(mine), Value::Object(_)) => {
                    let handle: Binary =
                        serde_json::from_value(value.clone()).expect("a placeholder");
                    handle.resolve(attachments).is_some_and(|bytes| bytes == mine)
                }
                (Self::Array(mine), Value::Array(other)) => {
                    mine.len() == other.len()
                        && mine.iter().zip(other).all(|(mine, other)| mine.is(other, attachments))
                }
                (Self::Object(mine), Value::Object(other)) => mine
                    .iter()
                    .all(|(key, mine)| other.get(key).is_some_and(|it| mine.is(it, attachments))),
                _ => false,
            }
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::Bool),
            any::<i64>().prop_map(Tree::Integer),
            any::<String>().prop_map(Tree::Text),
            vec(any::<u8>(), 0..4).prop_map(Tree::Bytes),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            // Keys that differ, so that a map holds all of them.
            let key = |(at, (key, value)): (usize, (String, Tree))| (format!("{at}{key}"), value);
            let entries = vec((any::<String>(), inner.clone()), 0..4)
                .prop_map(move |entries| entries.into_iter().enumerate().map(key).collect());
            prop_oneof![vec(inner, 0..4).prop_map(Tree::Array), entries.prop_map(Tree::Object)]
        })
    }

    fn namespace() -> impl Strategy<Value = NamespaceName> {
        prop_oneof![
            Just(NamespaceName::ROOT),
            "[^,\\p{Cc}]{1,20}".prop_map(|name| NamespaceName::new(&name).expect("legal")),
        ]
    }

    fn event_name() -> impl Strategy<Value = String> {
        any::<String>().prop_filter("reserved", |name| Event::new(name, &()).is_ok())
    }

    fn id() -> impl Strategy<Value = Option<u64>> {
        option::of(prop_oneof![0..100_u64, 0..1_u64 << 53])
    }

    fn roomy() -> DecoderLimits {
        DecoderLimits { attachments: 1000, ..DecoderLimits::from(&Limits::default()) }
    }

    /// Feeds a packet to a decoder as a peer would receive it.
    fn decode(encoded: &Encoded) -> Result<Option<Packet>, DecodeError> {
        let mut decoder = Decoder::new(roomy());
        let (prefix, text) = encoded.head().split_at(1);
        assert_eq!(prefix, "4");
        let mut result = decoder.push_text(text)?;
        for attachment in encoded.attachments() {
            assert_eq!(result, None);
            result = decoder.push_binary(attachment.clone())?;
        }
        assert!(!decoder.is_mid_packet());
        Ok(result)
    }

    /// Texts that are almost packets.
    fn almost_packet() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            Just("0"),
            Just("1"),
            Just("2"),
            Just("3"),
            Just("4"),
            Just("5"),
            Just("6"),
            Just("7"),
            Just("-"),
            Just("/a"),
            Just(","),
            Just("12"),
            Just("["),
            Just("]"),
            Just("{"),
            Just("}"),
            Just("\"a\""),
            Just("\"connect\""),
            Just(":"),
            Just("null"),
            Just("true"),
            Just(" "),
            Just("\"_placeholder\":true"),
            Just("\"num\":0"),
            Just("\"num\":1"),
            Just("1.5e3"),
            Just("\\"),
            Just("\""),
            Just("é"),
            Just("[\"a\",{\"_placeholder\":true,\"num\":0}]"),
            Just("[\"a\",1,\"b\"]"),
            Just("51-"),
            Just("62-"),
        ];
        prop_oneof![vec(token, 0..12).prop_map(|tokens| tokens.concat()), any::<String>()]
    }

    proptest! {
                #[test]
                fn an_event_survives_the_wire(
                    namespace in namespace(),
                    name in event_name(),
                    args in vec(tree(), 0..5),
                    ack in id(),
                    offset in option::of(any::<String>()),
                ) {
                    let event = Event::new(&name, &args).expect("legal");
                    prop_assert_eq!(event.name(), &name);
                    prop_assert_eq!(event.len(), args.len());
                    prop_assert_eq!(event.is_empty(), args.is_empty());
                    let mut bytes = Vec::new();
                    for arg in &args {
                        arg.bytes(&mut bytes);
                    }
                    prop_assert_eq!(event.attachments(), &bytes);

                    let encoded = Encoded::event(&namespace, &event, ack, offset.as_deref());
                    let packet = decode(&encoded).expect("legal").expect("complete");
                    prop_assert_eq!(&packet.namespace, &namespace);
                    let Kind::Event { event: received, ack: received_ack } = &packet.kind else {
                        panic!("an event");
                    };
                    prop_assert_eq!(*received_ack, ack);
                    prop_assert_eq!(received.name(), &name);
                    prop_assert_eq!(received.len(), args.len() + usize::from(offset.is_some()));
                    let values: Vec<serde_json::Value> = received.parse().expect("within the depth");
                    for (at, arg) in args.iter().enumerate() {
                        prop_assert!(arg.is(&values[at], received.attachments()));
                        let value: serde_json::Value = received.get(at).expect("there is one");
                        prop_assert_eq!(&value, &values[at]);
                    }
                    if let Some(offset) = &offset {
        prop_assert_eq!(received.get(args.len()), Ok(offset.clone()));
        } else {
        prop_assert_eq!(received, &event);
        }
                    // Passing it on changes nothing but the name.
                    let forwarded = Event::with_args("other", &received.args()).expect("legal");
                    prop_assert_eq!(forwarded.args(), received.args());
                    prop_assert_eq!(Event::with_args(&name, &forwarded.args()), Ok(received.clone()));
                }

                #[test]
                fn skipped_arguments_leave_nothing_behind(args in vec(tree(), 0..6), count in 0..8_usize) {
                    let rest = args.get(count..).unwrap_or_default();
                    let skipped = Args::new(&args).expect("legal").skip(count);
                    prop_assert_eq!(skipped, Args::new(rest).expect("legal"));
                }

                #[test]
                fn an_acknowledgement_survives_the_wire(
                    namespace in namespace(),
                    args in vec(tree(), 0..5),
                    id in 0..1_u64 << 53,
                ) {
                    let args = Args::new(&args).expect("legal");
                    let packet = decode(&Encoded::ack(&namespace, id, &args));
                    prop_assert_eq!(packet, Ok(Some(Packet { namespace, kind: Kind::Ack { id: Some(id), args } })));
                }

                #[test]
                fn credentials_survive_the_wire(namespace in namespace(), key in any::<String>(), value in any::<String>()) {
                    let auth = Json::new(&[(key, value)].into_iter().collect::<BTreeMap<_, _>>());
                    let packet = Packet { namespace, kind: Kind::Connect { auth: Some(auth.expect("legal")) } };
                    prop_assert_eq!(decode(&Encoded::packet(&packet)), Ok(Some(packet)));
                }

                #[test]
                fn no_sequence_of_messages_panics(
                    messages in vec(prop_oneof![
                        3 => almost_packet().prop_map(Ok),
                        2 => vec(any::<u8>(), 0..8).prop_map(Err),
                    ], 0..20),
                ) {
                    let limits = DecoderLimits { attachments: 2, attachment_bytes: 10, namespace_name_bytes: 6 };
                    let mut decoder = Decoder::new(limits);
                    for message in messages {
                        let was_mid_packet = decoder.is_mid_packet();
                        let is_text = message.is_ok();
                        let result = match message {
                            Ok(text) => decoder.push_text(text.into()),
                            Err(data) => decoder.push_binary(data.into()),
                        };
                        // Text starts packets, attachments end them, and an error leaves nothing behind.
                        prop_assert!(result.is_err() || is_text != was_mid_packet);
                        if matches!(result, Err(_) | Ok(Some(_))) {
                            prop_assert!(!decoder.is_mid_packet());
                        }
                        let Ok(Some(packet)) = result else { continue };
                        prop_assert!(packet.namespace.as_str().len() <= 6);
                        // What was accepted is accepted again, and encodes as before.
                        let encoded = Encoded::packet(&packet);
                        prop_assert!(encoded.attachments().len() <= 2);
                        let again = decode(&encoded).expect("legal").expect("complete");
                        prop_assert_eq!(&again, &packet);
                        prop_assert_eq!(Encoded::packet(&again), encoded);
                        if let Kind::Event { event, .. } = &packet.kind {
                            let len = event.len();
    prop_assert_eq!(event.is_empty(), len == 0);
                            prop_assert_eq!(event.args().len(), len);
                            prop_assert!(Event::with_args("x", &event.args()).is_ok());
                        }
                    }
                }

                #[test]
                fn validation_agrees_with_a_parser(payload in almost_packet()) {
                    // Texts of our tokens have no lone surrogates or numbers out of range, so the two agree.
                    let is_list = serde_json::from_str::<Vec<serde_json::Value>>(&payload).is_ok();
                    let mut decoder = Decoder::new(roomy());
                    let result = decoder.push_text(ByteString::from(format!("3/,{payload}")));
                    let digits = payload.bytes().take_while(u8::is_ascii_digit).count();
                    prop_assume!(digits == 0 && !payload.is_empty());
                    prop_assert_eq!(result.is_ok(), is_list, "{}", payload);
                }
            }
}
