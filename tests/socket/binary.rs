//! Packets with attachments.

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use bytes::Bytes;
    use bytestring::ByteString;
    use serde::{Deserialize, Serialize};
    use socketio_proto::Limits;
    use socketio_proto::socket::{
        Args, Binary, DecodeError, Decoder, DecoderLimits, EncodeError, Encoded, Event, Json, Kind,
        NamespaceName, Packet,
    };

    fn decoder() -> Decoder {
        Decoder::new(DecoderLimits::from(&Limits::default()))
    }

    fn decode(text: &str, attachments: &[&'static [u8]]) -> Result<Option<Packet>, DecodeError> {
        let mut decoder = decoder();
        let mut result = decoder.push_text(ByteString::from(text))?;
        for attachment in attachments {
            assert_eq!(result, None, "{text}");
            assert!(decoder.is_mid_packet(), "{text}");
            result = decoder.push_binary(Bytes::from_static(attachment))?;
        }
        assert_eq!(decoder.is_mid_packet(), result.is_none(), "{text}");
        Ok(result)
    }

    fn decode_event(text: &str, attachments: &[&'static [u8]]) -> Event {
        match decode(text, attachments) {
            Ok(Some(Packet { kind: Kind::Event { event, .. }, .. })) => event,
            other => unreachable!("{text} is an event, not {other:?}"),
        }
    }

    #[test]
    fn an_event_with_attachments() {
        let text = r#"52-/n,9["a",{"_placeholder":true,"num":1},[{"num":0,"_placeholder":true}]]"#;
        let packet = decode(text, &[b"x", b"yz"]).expect("legal").expect("complete");
        assert_eq!(packet.namespace.as_str(), "/n");
        let Kind::Event { event, ack } = &packet.kind else { panic!("an event") };
        assert_eq!(*ack, Some(9));
        assert_eq!(event.attachments(), ["x", "yz"]);
        let (first, [second]) = event.parse::<(Binary, [Binary; 1])>().expect("handles");
        assert_eq!(first.resolve(event), Some(&Bytes::from_static(b"yz")));
        assert_eq!(second.resolve(&event.args()), Some(&Bytes::from_static(b"x")));
        assert_eq!(first.resolve(&Args::empty()), None);

        let encoded = Encoded::packet(&packet);
        assert_eq!(encoded.head(), &format!("4{text}"));
        assert_eq!(encoded.attachments(), ["x", "yz"]);
        assert_eq!(encoded.wire_len(), text.len() + 1 + 3);
    }

    #[test]
    fn an_acknowledgement_with_attachments() {
        let text = r#"61-/admin,456[{"_placeholder":true,"num":0}]"#;
        let packet = decode(text, &[b"x"]).expect("legal").expect("complete");
        let Kind::Ack { id: Some(456), args } = &packet.kind else { panic!("an acknowledgement") };
        let handle: Binary = args.get(0).expect("a handle");
        assert_eq!(handle.resolve(args), Some(&Bytes::from_static(b"x")));
        assert_eq!(Encoded::packet(&packet).head(), &format!("4{text}"));
        assert_eq!(Encoded::ack(&packet.namespace, 456, args), Encoded::packet(&packet));
    }

    #[derive(Serialize)]
    struct Outgoing {
        data: Bytes,
        more: Vec<Option<Variants>>,
        name: &'static str,
    }

    #[derive(Serialize)]
    enum Variants {
        Newtype(Bytes),
        Tuple(u8, Bytes),
        Struct { data: Bytes },
        Unit,
    }

    #[test]
    fn bytes_anywhere_become_attachments_depth_first() {
        let bytes = Bytes::from_static;
        let value = Outgoing {
            data: bytes(b"0"),
            more: vec![
                Some(Variants::Newtype(bytes(b"1"))),
                None,
                Some(Variants::Tuple(7, bytes(b"2"))),
                Some(Variants::Struct { data: bytes(b"") }),
                Some(Variants::Unit),
            ],
            name: "n",
        };
        let event = Event::new("e", &(value, bytes(b"0"), [1_u8])).expect("legal");
        let place = |num| format!(r#"{{"_placeholder":true,"num":{num}}}"#);
        let expected = format!(
            r#"455-["e",{{"data":{},"more":[{{"Newtype":{}}},null,{{"Tuple":[7,{}]}},{{"Struct":{{"data":{}}}}},"Unit"],"name":"n"}},{},[1]]"#,
            place(0),
            place(1),
            place(2),
            place(3),
            place(4),
        );
        let encoded = Encoded::event(&NamespaceName::ROOT, &event, None, None);
        assert_eq!(encoded.head(), &expected);
        // Equal bytes are not shared: every occurrence has its own number.
        assert_eq!(encoded.attachments(), ["0", "1", "2", "", "0"]);
        let offset = Encoded::event(&NamespaceName::ROOT, &event, Some(1), Some("o"));
        assert!(
            offset.head().starts_with(r#"455-1["e","#) && offset.head().ends_with(r#",[1],"o"]"#)
        );

        let answer = Args::new(&(bytes(b"x"),)).expect("legal");
        let encoded = Encoded::ack(&NamespaceName::ROOT, 3, &answer);
        assert_eq!(encoded.head(), r#"461-3[{"_placeholder":true,"num":0}]"#);
        // Bytes cannot be the list itself.
        assert_eq!(Args::new(&bytes(b"x")), Err(EncodeError::NotAList));
    }

    #[test]
    fn placeholders_must_name_an_attachment() {
        let arguments = [
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":0.5}"#,
            r#"{"_placeholder":true,"num":"0"}"#,
            r#"{"_placeholder":true,"num":null}"#,
            r#"{"_placeholder":true}"#,
            r#"[0,{"a":{"num":3,"_placeholder":true}}]"#,
        ];
        for argument in arguments {
            for text in [format!(r#"51-["a",{argument}]"#), format!("61-[{argument}]")] {
                assert_eq!(decode(&text, &[]), Err(DecodeError::IllegalAttachments), "{text}");
            }
        }
    }

    #[test]
    fn loose_placeholders_are_accepted() {
        // Two handles on one attachment, and one that is not used.
        let place = r#"{"_placeholder":true,"num":0}"#;
        let event = decode_event(&format!(r#"52-["a",{place},{place}]"#), &[b"x", b"unused"]);
        let (first, second) = event.parse::<(Binary, Binary)>().expect("handles");
        assert_eq!(first, second);
        // No placeholder at all; a flag that is not `true` makes none.
        decode_event(r#"51-["a"]"#, &[b"x"]);
        let event = decode_event(r#"51-["a",{"_placeholder":false,"num":9}]"#, &[b"x"]);
        assert!(event.get::<Binary>(0).is_err());
        // Other keys, escapes, and integers as other languages write them.
        let event =
            decode_event(r#"51-["a",{"x":[{}],"n\u0075m":0.0,"_placeholder":true}]"#, &[b"x"]);
        let handle: Binary = event.get(0).expect("a handle");
        assert_eq!(handle.resolve(&event), Some(&Bytes::from_static(b"x")));
        // What JavaScript sends for half of an emoji.
        decode_event(&format!(r#"51-["a","\ud83d",{place}]"#), &[b"x"]);
    }

    #[test]
    fn placeholders_in_plain_packets_are_data() {
        let event = decode_event(r#"2["a",{"_placeholder":true,"num":7}]"#, &[]);
        assert_eq!(event.get::<Binary>(0).map(|handle| handle.resolve(&event).cloned()), Ok(None));
        let value: serde_json::Value = event.get(0).expect("plain data");
        // Passed on among plain arguments they stay what they are.
        let forwarded = Event::with_args("b", &event.args()).expect("legal");
        assert!(
            Encoded::event(&NamespaceName::ROOT, &forwarded, None, None).head().starts_with("42[")
        );
        assert!(Event::new("b", &[&value]).is_ok());
        // Next to real attachments they would point at one of them, or at none.
        let raw: &serde_json::value::RawValue = event.get(0).expect("plain data");
        let bytes = Bytes::from_static(b"x");
        assert_eq!(Event::new("b", &(&value, &bytes)), Err(EncodeError::Placeholder));
        assert_eq!(Args::new(&(&bytes, raw)), Err(EncodeError::Placeholder));
        let alias = Json::from_text(r#"{"_placeholder":true,"num":0}"#).expect("valid");
        let alias: &serde_json::value::RawValue = alias.parse().expect("raw");
        assert_eq!(Args::new(&(alias, &bytes)), Err(EncodeError::Placeholder));
        assert!(Args::new(&(alias,)).is_ok());
    }

    #[test]
    fn a_placeholder_around_bytes_is_refused() {
        #[derive(serde::Serialize)]
        struct Alias {
            #[serde(rename = "_placeholder")]
            flag: bool,
            num: u32,
            lost: Bytes,
        }
        let alias = Alias { flag: true, num: 0, lost: Bytes::from_static(b"x") };
        assert_eq!(Args::new(&(alias,)), Err(EncodeError::Placeholder));
    }

    #[test]
    fn attachments_are_shared_when_passed_on() {
        let event = decode_event(r#"51-["a",{"_placeholder":true,"num":0}]"#, &[b"x"]);
        let forwarded = Event::with_args("b", &event.args()).expect("legal");
        let encoded = Encoded::event(&NamespaceName::ROOT, &forwarded, None, None);
        assert_eq!(encoded.head(), r#"451-["b",{"_placeholder":true,"num":0}]"#);
        assert_eq!(encoded.attachments().as_ptr(), event.attachments().as_ptr());
    }

    #[test]
    fn attachments_go_with_the_arguments_that_name_them() {
        let event = decode_event(
            r#"53-["to",{"_placeholder":true,"num":1}, {"a":[{"num":0,"_placeholder":true}]},"x",{"_placeholder":true,"num":0}]"#,
            &[b"zero", b"one", b"nobody's"],
        );
        let rest = event.args().skip(1);
        let expected =
            r#"[{"a":[{"_placeholder":true,"num":0}]},"x",{"_placeholder":true,"num":0}]"#;
        assert_eq!(rest.json(), expected);
        assert_eq!(rest.attachments(), [Bytes::from_static(b"zero")]);
        assert_eq!(event.args().skip(0), event.args());
        for (count, json) in [(3, r#"[{"_placeholder":true,"num":0}]"#), (4, "[]"), (9, "[]")] {
            assert_eq!(event.args().skip(count).json(), json);
        }
        for count in 0..6 {
            assert_eq!(event.skip(count), event.args().skip(count), "{count}");
        }
        assert!(event.args().skip(4).attachments().is_empty());
    }

    #[test]
    fn arguments_keep_attachments_that_nobody_names() {
        let event = decode_event(r#"51-["a"]"#, &[b"bytes"]);
        assert_eq!(event.args().attachments(), event.attachments());
    }

    #[test]
    fn a_binary_packet_needs_a_payload() {
        for text in ["51-", "51-/a,", "51-12", "61-", "61-12", "51-[]", "51-[\"connect\"]", "61-{}"]
        {
            assert_eq!(decode(text, &[]), Err(DecodeError::InvalidPayload), "{text}");
        }
    }

    #[test]
    fn nothing_may_come_between_a_packet_and_its_attachments() {
        let mut decoder = decoder();
        let unexpected = decoder.push_binary(Bytes::new());
        assert_eq!(unexpected, Err(DecodeError::UnexpectedBinary));

        for text in [r#"2["a"]"#, "", "x"] {
            assert_eq!(decoder.push_text(ByteString::from(r#"52-["a"]"#)), Ok(None));
            assert_eq!(decoder.push_binary(Bytes::new()), Ok(None));
            let unexpected = decoder.push_text(ByteString::from(text));
            assert_eq!(unexpected, Err(DecodeError::UnexpectedText));
            // The half-received packet is forgotten.
            assert!(!decoder.is_mid_packet());
            assert_eq!(decoder.push_binary(Bytes::new()), Err(DecodeError::UnexpectedBinary));
        }

        assert_eq!(decoder.push_text(ByteString::from(r#"51-["a"]"#)), Ok(None));
        decoder.reset();
        assert!(!decoder.is_mid_packet());
        assert!(matches!(decoder.push_text(ByteString::from(r#"2["a"]"#)), Ok(Some(_))));
    }

    #[test]
    fn a_handle_is_a_handle_in_any_shape() {
        #[derive(Deserialize)]
        struct Incoming {
            file: Option<Binary>,
            #[serde(flatten)]
            rest: BTreeMap<String, Binary>,
        }
        let place = |num| format!(r#"{{"_placeholder":true,"num":{num}}}"#);
        let text = format!(r#"52-["a",{{"file":{},"x":{}}}]"#, place(0), place(1));
        let event = decode_event(&text, &[b"f", b"x"]);
        let incoming: Incoming = event.get(0).expect("handles");
        assert_eq!(incoming.file.and_then(|file| file.resolve(&event)), Some(&Bytes::from("f")));
        assert_eq!(incoming.rest["x"].resolve(&event), Some(&Bytes::from("x")));
    }
}
