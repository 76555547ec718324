//! Packets without attachments: the test vectors of the protocol in both directions.

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use bytestring::ByteString;
    use socketio_proto::socket::{
        Args, ArgsError, DecodeError, Decoder, DecoderLimits, EncodeError, Encoded, Event, Json,
        Kind, NamespaceName, Packet,
    };
    use socketio_proto::{Limits, RecoveryKey, SocketId};

    fn decode(text: &str) -> Result<Option<Packet>, DecodeError> {
        let mut decoder = Decoder::new(DecoderLimits::from(&Limits::default()));
        let result = decoder.push_text(ByteString::from(text));
        assert!(!decoder.is_mid_packet(), "{text}");
        result
    }

    fn name(name: &str) -> NamespaceName {
        NamespaceName::new(name).expect("a legal name")
    }

    fn packet(namespace: &str, kind: Kind) -> Packet {
        Packet { namespace: name(namespace), kind }
    }

    fn json(text: &str) -> Json {
        Json::from_text(text).expect("valid JSON")
    }

    fn event<T: serde::Serialize>(name: &str, args: &T, ack: Option<u64>) -> Kind {
        Kind::Event { event: Event::new(name, args).expect("a legal event"), ack }
    }

    fn ack<T: serde::Serialize>(id: Option<u64>, args: &T) -> Kind {
        Kind::Ack { id, args: Args::new(args).expect("legal arguments") }
    }

    fn connections() -> Vec<(&'static str, Packet)> {
        vec![
            ("0", packet("/", Kind::Connect { auth: None })),
            ("0/admin,", packet("/admin", Kind::Connect { auth: None })),
            (r#"0{"a":1}"#, packet("/", Kind::Connect { auth: Some(json(r#"{"a":1}"#)) })),
            ("0/admin?x=1,{}", packet("/admin?x=1", Kind::Connect { auth: Some(json("{}")) })),
            ("1", packet("/", Kind::Disconnect)),
            ("1/a,", packet("/a", Kind::Disconnect)),
            ("4", packet("/", Kind::ConnectError { error: None })),
            (r#"4"no""#, packet("/", Kind::ConnectError { error: Some(json(r#""no""#)) })),
            (
                r#"4/admin,{"message":"Not authorized"}"#,
                packet(
                    "/admin",
                    Kind::ConnectError { error: Some(json(r#"{"message":"Not authorized"}"#)) },
                ),
            ),
        ]
    }

    fn events() -> Vec<(&'static str, Packet)> {
        vec![
            (r#"2["foo"]"#, packet("/", event("foo", &(), None))),
            (r#"2["foo",{}]"#, packet("/", event("foo", &[Empty {}], None))),
            (r#"2["a",1,"é😀"]"#, packet("/", event("a", &(1, "é😀"), None))),
            (r#"20["a"]"#, packet("/", event("a", &(), Some(0)))),
            (r#"2/a,12["x"]"#, packet("/a", event("x", &(), Some(12)))),
            (r#"29007199254740991["x"]"#, packet("/", event("x", &(), Some((1 << 53) - 1)))),
            (r#"2["a\"\\\n\u0001"]"#, packet("/", event("a\"\\\n\u{1}", &(), None))),
            ("3[]", packet("/", ack(None, &()))),
            ("312[]", packet("/", ack(Some(12), &()))),
            (r#"3/admin,456["x",null]"#, packet("/admin", ack(Some(456), &("x", ())))),
        ]
    }

    #[test]
    fn texts_and_packets_are_each_other_s_images() {
        for (text, packet) in connections().into_iter().chain(events()) {
            assert_eq!(decode(text), Ok(Some(packet.clone())), "{text}");
            let encoded = Encoded::packet(&packet);
            assert_eq!(encoded.head(), &format!("4{text}"));
            assert!(encoded.attachments().is_empty());
            assert_eq!(encoded.wire_len(), text.len() + 1);
        }
    }

    #[derive(serde::Serialize)]
    struct Empty {}

    #[test]
    fn other_spellings_are_accepted() {
        let vectors = [
            ("0/admin", packet("/admin", Kind::Connect { auth: None })),
            ("0/,", packet("/", Kind::Connect { auth: None })),
            (r#"0{"sid":{}} "#, packet("/", Kind::Connect { auth: Some(json(r#"{"sid":{}}"#)) })),
            // An id is of no use here, and harmless.
            ("01", packet("/", Kind::Connect { auth: None })),
            ("1/a,5", packet("/a", Kind::Disconnect)),
            ("41", packet("/", Kind::ConnectError { error: None })),
            (r#"412{"a":1}"#, packet("/", Kind::ConnectError { error: Some(json(r#"{"a":1}"#)) })),
            (r#"2007["a"]"#, packet("/", event("a", &(), Some(7)))),
            (r#"2000000000000000000000000["a"]"#, packet("/", event("a", &(), Some(0)))),
            // An answer without arguments.
            ("37", packet("/", ack(Some(7), &()))),
            ("3", packet("/", ack(None, &()))),
        ];
        for (text, packet) in vectors {
            assert_eq!(decode(text), Ok(Some(packet)), "{text}");
        }
    }

    #[test]
    fn white_space_around_json_does_not_matter() {
        for text in ["2 [\"a\" , 1 ]", "2[ \"a\",1]\r\n", "2\t[\"a\",1\n] "] {
            let Ok(Some(Packet { kind: Kind::Event { event, ack: None }, .. })) = decode(text)
            else {
                panic!("{text:?}");
            };
            assert_eq!(event.name(), "a");
            assert_eq!(event.parse(), Ok((1,)));
            // The official decoder takes a space before the bracket for an acknowledgement id.
            let encoded = Encoded::event(&NamespaceName::ROOT, &event, None, Some("o"));
            assert!(encoded.head().starts_with("42["), "{encoded:?}");
            assert!(encoded.head().ends_with(r#","o"]"#), "{}", encoded.head());
        }
    }

    #[test]
    fn an_event_without_payload_is_ignored() {
        for text in ["2", "212", "2/a,", "2/a,1", r#"2/a["x"]"#] {
            assert_eq!(decode(text), Ok(None), "{text}");
        }
    }

    /// What is refused, and why.
    const REFUSED: &[(DecodeError, &[&str])] = &[
        (DecodeError::UnknownType, &["", " ", "7", "9[]", "a", "é", "-1", "\u{0662}[\"a\"]"]),
        (
            DecodeError::InvalidPayload,
            &[
                "0[]",
                "0null",
                "0\"a\"",
                "0{",
                "0{}x",
                "0 ",
                "1{}",
                "1[]",
                "1\"\"",
                "1 ",
                "4[]",
                "4null",
                "4true",
                "2[]",
                "2{}",
                "2[null]",
                "2[true]",
                "2[[]]",
                "2[{}]",
                "2\"a\"",
                "2abc[\"a\"]",
                "2-1[\"a\"]",
                "21.5[\"a\"]",
                "2[\"a\"",
                "2[\"a\",]",
                "2[\"a\"]]",
                "2[\"a\",01]",
                "2[\"a\",\"\u{1}\"]",
                "2[\"a\",nul]",
                "2[\"a\",'b']",
                "3{}",
                "3null",
                "3\"a\"",
                "3[1",
                "2\u{a0}[\"a\"]",
                "2 1[\"a\"]",
                "2\u{661}[\"a\"]",
                "2+1[\"a\"]",
                "2[\"connect\"]",
                "2[\"connect_error\"]",
                "2[\"disconnect\"]",
                "2[\"disconnecting\"]",
                "2[\"newListener\"]",
                "2[\"removeListener\"]",
                "2[\"c\\u006fnnect\"]",
            ],
        ),
        (DecodeError::IllegalAckId, &["29007199254740992[\"a\"]", "399999999999999999999999[]"]),
        (
            DecodeError::IllegalAttachments,
            &[
                "5",
                "6",
                "51",
                "5[\"a\"]",
                "50-[\"a\"]",
                "500-[\"a\"]",
                "5-[\"a\"]",
                "5-1-[\"a\"]",
                "51.5-[\"a\"]",
                "50x1-[\"a\"]",
                "51e0-[\"a\"]",
                "5 1-[\"a\"]",
                "5+1-[\"a\"]",
                "5\u{661}-[\"a\"]",
            ],
        ),
        (
            DecodeError::TooManyAttachments { limit: 10 },
            &["511-[\"a\"]", "699999999999999999999999-[]"],
        ),
    ];

    #[test]
    fn other_texts_are_refused() {
        for (error, texts) in REFUSED {
            for text in *texts {
                assert_eq!(decode(text), Err(*error), "{text}");
            }
        }
    }

    #[test]
    fn the_wording_is_the_reference_s() {
        let vectors = [
            (DecodeError::UnknownType, "unknown packet type"),
            (DecodeError::IllegalAttachments, "Illegal attachments"),
            (DecodeError::TooManyAttachments { limit: 1 }, "too many attachments"),
            (DecodeError::InvalidPayload, "invalid payload"),
            (DecodeError::UnexpectedText, "got plaintext data when reconstructing a packet"),
            (DecodeError::UnexpectedBinary, "got binary data when not reconstructing a packet"),
        ];
        for (error, wording) in vectors {
            assert!(error.to_string().contains(wording), "{error}");
        }
    }

    #[test]
    fn a_number_may_take_the_place_of_the_name() {
        let Ok(Some(Packet { kind: Kind::Event { event, .. }, .. })) = decode("2[1,2]") else {
            panic!("legal by the reference");
        };
        assert_eq!((event.name(), event.len(), event.get(0)), ("1", 1, Ok(2)));
        let again = Encoded::event(&NamespaceName::ROOT, &event, None, None);
        assert_eq!(again.head(), "42[1,2]");
    }

    #[test]
    fn names_that_are_not_reserved_may_be_used() {
        for name in ["error", "message", "reconnect", "Connect", ""] {
            assert_eq!(Event::new(name, &()).map(|it| it.name().to_owned()), Ok(name.to_owned()));
        }
        for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener"] {
            assert_eq!(Event::new(name, &()), Err(EncodeError::ReservedName));
        }
        assert_eq!(
            Event::with_args("removeListener", &Args::empty()),
            Err(EncodeError::ReservedName)
        );
    }

    #[test]
    fn text_that_rust_cannot_hold_passes_as_text() {
        let text = r#"2["a","\ud800",1e999]"#;
        let Ok(Some(packet)) = decode(text) else { panic!("JSON.parse accepts it") };
        assert_eq!(Encoded::packet(&packet).head(), &format!("4{text}"));
        let Kind::Event { event, .. } = packet.kind else { panic!("an event") };
        assert!(matches!(event.get::<String>(0), Err(ArgsError::Mismatch(_))));
        // Nor may it be a reason to close the connection when it is the name.
        assert!(matches!(decode(r#"2["\ud800"]"#), Ok(Some(_))));
    }

    #[test]
    fn an_offset_is_one_more_argument() {
        let root = NamespaceName::ROOT;
        let vectors = [
            (Event::new("a", &()), None, "o", r#"42["a","o"]"#),
            (Event::new("a", &(1, 2)), Some(3), "x.0", r#"423["a",1,2,"x.0"]"#),
            (Event::new("a", &("b",)), None, "\"\n", r#"42["a","b","\"\n"]"#),
        ];
        for (event, ack, offset, head) in vectors {
            let encoded = Encoded::event(&root, &event.expect("legal"), ack, Some(offset));
            assert_eq!(encoded.head(), head);
        }
    }

    #[test]
    fn a_server_s_answers_to_connect() {
        let sid = SocketId::parse("AAAAAAAAAAAAAAAAAAAA").expect("an id");
        let pid = RecoveryKey::parse("BBBBBBBBBBBBBBBBBBBB").expect("a key");
        let (root, admin) = (NamespaceName::root(), name("/admin"));
        let error = Json::from_text(r#" {"message":"no"} "#).expect("valid");
        let vectors = [
            (Encoded::connect(&root, &sid, None), r#"40{"sid":"AAAAAAAAAAAAAAAAAAAA"}"#),
            (
                Encoded::connect(&admin, &sid, Some(&pid)),
                r#"40/admin,{"sid":"AAAAAAAAAAAAAAAAAAAA","pid":"BBBBBBBBBBBBBBBBBBBB"}"#,
            ),
            (Encoded::connect_error(&root, &error), r#"44{"message":"no"}"#),
            (Encoded::connect_error(&admin, &error), r#"44/admin,{"message":"no"}"#),
            (Encoded::disconnect(&root), "41"),
            (Encoded::disconnect(&admin), "41/admin,"),
        ];
        for (encoded, head) in vectors {
            assert_eq!(encoded.head(), head);
            assert!(!format!("{encoded:?}").contains("BBBB"), "the key is a secret");
        }
    }

    #[test]
    fn arguments_are_read_as_types() {
        let event = Event::new("a", &("x", 5, [1.5])).expect("legal");
        assert_eq!(event.len(), 3);
        assert!(!event.is_empty());
        assert_eq!(event.get::<&str>(0), Ok("x"));
        assert_eq!(event.get::<Vec<f64>>(2), Ok(vec![1.5]));
        assert_eq!(event.get::<u8>(3), Err(ArgsError::Missing { index: 3 }));
        assert_eq!(event.get::<u8>(usize::MAX), Err(ArgsError::Missing { index: usize::MAX }));
        assert!(matches!(event.get::<u8>(0), Err(ArgsError::Mismatch(_))));
        // Fewer are taken, more are an error.
        assert_eq!(event.parse::<(String,)>(), Ok(("x".to_owned(),)));
        assert_eq!(event.parse::<()>(), Ok(()));
        assert_eq!(event.parse::<(String, u8, [f32; 1])>(), Ok(("x".to_owned(), 5, [1.5])));
        assert!(event.parse::<(String, u8, [f32; 1], u8)>().is_err());
        assert_eq!(event.parse::<Vec<serde_json::Value>>().map(|all| all.len()), Ok(3));
        assert_eq!(Event::new("a", &()).expect("legal").parse::<()>(), Ok(()));
        assert_eq!(Event::new("a", &()).expect("legal").parse::<Vec<u8>>(), Ok(vec![]));
    }

    #[test]
    fn arguments_are_a_list() {
        assert_eq!(Args::new(&()), Ok(Args::empty()));
        assert_eq!(Args::new::<[u8]>(&[]), Ok(Args::empty()));
        assert_eq!(
            Args::new(&vec!["a"]).map(|args| args.json().to_owned()),
            Ok(r#"["a"]"#.to_owned())
        );
        assert_eq!(Args::new("a"), Err(EncodeError::NotAList));
        assert_eq!(Args::new(&1), Err(EncodeError::NotAList));
        assert_eq!(Args::new(&Empty {}), Err(EncodeError::NotAList));
        assert_eq!(Event::new("a", &Some(true)), Err(EncodeError::NotAList));
        let unusable = Args::new(&[[((), 1)].into_iter().collect::<UnusableMap>()]);
        assert!(matches!(unusable, Err(EncodeError::Serialize(_))), "{unusable:?}");
    }

    type UnusableMap = BTreeMap<(), u8>;

    #[test]
    fn an_event_is_passed_on_verbatim() {
        let text = r#"2["a", 1.0 ,{"b" : "\u0041"}]"#;
        let Ok(Some(Packet { kind: Kind::Event { event, .. }, .. })) = decode(text) else {
            panic!("a legal event");
        };
        let args = event.args();
        assert_eq!((args.len(), args.is_empty()), (2, false));
        assert_eq!(args.get::<f64>(0), Ok(1.0));
        let forwarded = Event::with_args("b\"", &args).expect("legal");
        assert_eq!(forwarded.name(), "b\"");
        assert_eq!(forwarded.json(), r#"["b\"",1.0 ,{"b" : "\u0041"}]"#);
        assert_eq!(forwarded.args(), args);

        let nothing = Event::new("a", &()).expect("legal").args();
        assert_eq!(nothing, Args::empty());
        assert_eq!(Event::with_args("b", &nothing), Event::new("b", &()));
    }

    #[test]
    fn namespace_names() {
        for (given, expected) in
            [("/", "/"), ("admin", "/admin"), ("/a?b=c", "/a?b=c"), ("é", "/é")]
        {
            let namespace = name(given);
            assert_eq!(namespace.as_str(), expected);
            assert_eq!(namespace.to_string(), expected);
            assert_eq!(namespace.is_root(), expected == "/");
            let text = serde_json::to_string(&namespace).expect("serializable");
            assert_eq!(serde_json::from_str::<NamespaceName>(&text).expect("the same"), namespace);
        }
        for refused in ["", "a,b", "/a,", "a\n", "/\u{7f}", "\0"] {
            assert!(NamespaceName::new(refused).is_err(), "{refused:?}");
        }
        for refused in [r#""""#, r#""a""#, r#""/a,b""#] {
            assert!(serde_json::from_str::<NamespaceName>(refused).is_err(), "{refused}");
        }
    }
}
