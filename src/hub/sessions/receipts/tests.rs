//! What is remembered is bounded.

use super::*;

fn limits(offsets: usize, bytes: usize) -> Limits {
    Limits { client_offsets: offsets, client_ack_bytes: bytes, ..Limits::default() }
}

fn args(text: &str) -> Args {
    Args::new(&(text,)).unwrap()
}

fn kept(receipts: &Receipts) -> impl Iterator<Item = &Answer> {
    let with_offset = receipts.offsets.values().filter_map(|it| it.answer.as_ref());
    receipts.answers.values().chain(with_offset)
}

#[test]
fn answers_are_bounded_by_bytes_and_offsets_outlive_them() {
    let (mut receipts, limits) = (Receipts::default(), limits(10, 20));
    for offset in ["a", "b", "c"] {
        assert_eq!(receipts.accept(offset, None, &limits), Known::Fresh);
        receipts.answer(AnswerKey::Offset(offset.into()), &args("12345678"), true, &limits);
    }
    assert_eq!(receipts.answer_bytes, 12, "one answer of twelve bytes");
    assert_eq!(receipts.accept("a", None, &limits), Known::Duplicate(None));
    let kept = Known::Duplicate(Some(args("12345678")));
    assert_eq!(receipts.accept("c", None, &limits), kept);
    receipts.answer(AnswerKey::Offset("c".into()), &args(&"x".repeat(20)), true, &limits);
    assert_eq!((receipts.answer_bytes, receipts.answered.len()), (0, 0), "too large to be kept");
}

#[test]
fn the_window_is_bounded_by_count() {
    let (mut receipts, limits) = (Receipts::default(), limits(2, 1_000));
    for number in 0..100_u32 {
        let offset = alloc::format!("{number}");
        assert_eq!(receipts.accept(&offset, None, &limits), Known::Fresh);
        receipts.answer(AnswerKey::Offset(offset.into()), &args("ok"), true, &limits);
        receipts.answer(AnswerKey::Id(number.into()), &args("ok"), true, &limits);
        assert!(receipts.offsets.len() <= 2 && receipts.accepted.len() == receipts.offsets.len());
        assert!(receipts.answered.len() <= 2 && receipts.answered.len() == kept(&receipts).count());
        let bytes: usize = kept(&receipts).map(|answer| answer.args.wire_len()).sum();
        assert_eq!(receipts.answer_bytes, bytes);
    }
    let answers = receipts.question(&NamespaceName::ROOT, [99, 99, 5].into());
    assert_eq!(answers.len(), 2, "the count, and each once");
    assert!(receipts.answer(AnswerKey::Offset("5".into()), &args("late"), true, &limits).is_none());
    assert!(!receipts.offsets.contains_key("5"));
}

#[test]
fn what_was_withdrawn_is_bounded_and_leaves_nothing_in_the_window() {
    let (mut receipts, limits) = (Receipts::default(), limits(3, 1_000));
    for number in 0..100_u32 {
        let offset = alloc::format!("{number}");
        assert_eq!(receipts.accept(&offset, None, &limits), Known::Fresh);
        assert!(receipts.withdraw(Some(number.into()), Some(&offset), &limits));
        assert!(!receipts.withdraw(None, Some(&offset), &limits), "once");
        assert!(receipts.offsets.is_empty() && receipts.accepted.is_empty());
        assert!(receipts.withdrawn.len() <= 3);
    }
    let answers = receipts.question(&NamespaceName::ROOT, [96, 97, 99, 99].into());
    assert_eq!(answers[0].head(), "43[0,97,99]");
}

#[test]
fn an_offset_that_is_forgotten_takes_its_answer_along() {
    let (mut receipts, limits) = (Receipts::default(), limits(2, 1_000));
    for offset in ["a", "b", "c"] {
        assert_eq!(receipts.accept(offset, None, &limits), Known::Fresh);
        receipts.answer(AnswerKey::Offset(offset.into()), &args("ok"), true, &limits);
    }
    assert!(receipts.withdraw(None, Some("b"), &limits));
    assert_eq!((receipts.offsets.len(), receipts.accepted.len()), (1, 1));
    assert_eq!((receipts.answered.len(), receipts.answer_bytes), (1, args("ok").wire_len()));
}

#[test]
fn answers_that_have_arrived_are_forgotten() {
    let (mut receipts, limits) = (Receipts::default(), limits(10, 1_000));
    let mut kept = |ids: &[u64], sent: Option<(u64, bool)>| {
        let count = receipts.question(&NamespaceName::ROOT, ids.to_vec()).len() - 1;
        if let Some((id, is_sent)) = sent {
            receipts.answer(AnswerKey::Id(id), &args("ok"), is_sent, &limits);
        }
        (count, receipts.answered.len())
    };
    assert_eq!(kept(&[], Some((1, true))), (0, 1));
    assert_eq!(kept(&[], Some((2, false))), (0, 2), "sent behind the answer that has arrived");
    assert_eq!(kept(&[], None), (0, 1), "the one that was not sent is kept");
    assert_eq!(kept(&[1, 2], None), (1, 1));
    receipts.relink();
    for _ in 0..3 {
        receipts.question(&NamespaceName::ROOT, Vec::new());
    }
    assert_eq!(receipts.answered.len(), 1, "on another link nothing has arrived");
    assert_eq!(receipts.answer_bytes, args("ok").wire_len());
}
