//! Bounds, sizes and memory use.

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use bytestring::ByteString;
    use socketio_proto::Limits;
    use socketio_proto::socket::{
        Args, Binary, DecodeError, Decoder, DecoderLimits, EncodeError, Encoded, Event, Kind,
        NamespaceName, Packet,
    };

    fn limits() -> DecoderLimits {
        DecoderLimits { attachments: 2, attachment_bytes: 10, namespace_name_bytes: 4 }
    }

    #[test]
    fn values_are_small() {
        assert!(size_of::<Decoder>() <= 32);
        assert!(size_of::<Encoded>() <= 48);
        assert!(size_of::<Event>() <= 80);
        assert!(size_of::<Args>() <= 64);
        assert!(size_of::<Packet>() <= 136);
        assert!(size_of::<Binary>() <= 8);
        assert!(size_of::<Option<NamespaceName>>() <= 32);
    }

    #[test]
    fn values_go_from_thread_to_thread() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Decoder>();
        check::<Encoded>();
        check::<Packet>();
    }

    #[test]
    fn a_namespace_name_is_bounded() {
        let decode = |text: &str| Decoder::new(limits()).push_text(ByteString::from(text));
        for text in ["0/abc", "0/abc,{}", "2/abc,[\"a\"]", "0/é,"] {
            assert!(matches!(decode(text), Ok(Some(_))), "{text}");
        }
        for text in ["0/abcd", "0/abcd,{}", "2/abcd,[\"a\"]", "0/éé,", "2/a[\"x\"]"] {
            assert_eq!(decode(text), Err(DecodeError::NamespaceTooLong { limit: 4 }), "{text}");
        }
    }

    #[test]
    fn the_number_of_attachments_is_bounded() {
        let decode = |text: &str| Decoder::new(limits()).push_text(ByteString::from(text));
        assert_eq!(decode("52-[\"a\"]"), Ok(None));
        assert_eq!(decode("5002-[\"a\"]"), Ok(None));
        for text in ["53-[\"a\"]", "618446744073709551617-[]"] {
            assert_eq!(decode(text), Err(DecodeError::TooManyAttachments { limit: 2 }), "{text}");
        }
    }

    #[test]
    fn the_bytes_of_attachments_are_bounded() {
        let mut decoder = Decoder::new(limits());
        let text = ByteString::from_static("52-[\"a\"]");
        assert_eq!(decoder.push_text(text.clone()), Ok(None));
        assert_eq!(decoder.push_binary(Bytes::from_static(b"01234")), Ok(None));
        assert!(matches!(decoder.push_binary(Bytes::from_static(b"56789")), Ok(Some(_))));

        assert_eq!(decoder.push_text(text), Ok(None));
        assert_eq!(decoder.push_binary(Bytes::from_static(b"01234")), Ok(None));
        let too_large = decoder.push_binary(Bytes::from_static(b"567890"));
        assert_eq!(too_large, Err(DecodeError::AttachmentsTooLarge { limit: 10 }));
        assert!(!decoder.is_mid_packet());
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let decode = |text: String| {
            Decoder::new(DecoderLimits::from(&Limits::default())).push_text(ByteString::from(text))
        };
        let depth = 1_000_000;
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        assert_eq!(decode(format!("2{open}")), Err(DecodeError::InvalidPayload));
        assert_eq!(decode(format!("2[\"a\",{open}")), Err(DecodeError::InvalidPayload));
        assert_eq!(
            decode(format!("0{}", "{\"a\":".repeat(depth))),
            Err(DecodeError::InvalidPayload)
        );
        let Ok(Some(packet)) = decode(format!("2[\"a\",{open}{close}]")) else {
            panic!("legal by the reference");
        };
        // Nothing that an application or the encoder does with it recurses without bound.
        let Kind::Event { event, .. } = packet.kind else { panic!("an event") };
        assert_eq!(event.len(), 1);
        assert!(event.get::<serde_json::Value>(0).is_err());
        assert_eq!(Encoded::event(&packet.namespace, &event, None, None).wire_len(), 2 * depth + 8);

        // With attachments the depth is bounded.
        let nested = |depth| format!("51-[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(decode(nested(127)), Ok(None));
        assert_eq!(decode(nested(128)), Err(DecodeError::InvalidPayload));
        assert_eq!(decode(format!("51-[\"a\",{open}{close}]")), Err(DecodeError::InvalidPayload));
        let Ok(Some(Packet { kind: Kind::Ack { args, .. }, .. })) =
            decode(format!("3[{}{}]", "[".repeat(200), "]".repeat(200)))
        else {
            panic!("a legal acknowledgement");
        };
        let raw: &serde_json::value::RawValue = args.get(0).expect("raw text has no depth");
        assert_eq!(Args::new(&(raw, Bytes::new())), Err(EncodeError::TooDeep));
    }

    #[test]
    fn arguments_of_plain_packets_are_not_copied() {
        let text = ByteString::from(String::from("2/a,1[\"a\",\"b\"]"));
        let memory = text.as_bytes().as_ptr_range();
        let packet = Decoder::new(limits()).push_text(text).expect("legal").expect("complete");
        let Kind::Event { event, .. } = packet.kind else { panic!("an event") };
        assert!(memory.contains(&event.json().as_ptr()));
        // The name is retained for longer, so it is.
        assert!(!memory.contains(&packet.namespace.as_str().as_ptr()));
    }

    #[test]
    fn what_waits_for_attachments_does_not_pin_read_buffers() {
        let text = ByteString::from(String::from("51-[\"a\"]"));
        let data = Bytes::from(vec![7; 1000]);
        let text_memory = text.as_bytes().as_ptr_range();
        let mut decoder = Decoder::new(limits());
        assert_eq!(decoder.push_text(text), Ok(None));
        let packet = decoder.push_binary(data.slice(10..12)).expect("legal").expect("complete");
        let Kind::Event { event, .. } = packet.kind else { panic!("an event") };
        assert!(!text_memory.contains(&event.json().as_ptr()));
        assert!(!data.as_ptr_range().contains(&event.attachments()[0].as_ptr()));
        assert!(data.is_unique());
    }

    #[test]
    fn a_clone_counts_references() {
        let event = Event::new("a", &("b", Bytes::from_static(b"c"))).expect("legal");
        let encoded = Encoded::event(&NamespaceName::ROOT, &event, None, None);
        let clone = encoded.clone();
        assert_eq!(clone.head().as_ptr(), encoded.head().as_ptr());
        assert_eq!(clone.attachments().as_ptr(), event.attachments().as_ptr());
    }
}
