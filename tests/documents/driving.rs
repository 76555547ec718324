//! The pages in `src/docs`: each rule of driving has its tests, and each number that comments and
//! documents refer to is explained.

use std::{collections::BTreeSet, fs};

use socketio_proto::server::{ServerEvent, ServerInput, ServerOutput};
use socketio_proto::{engine::Frame, socket};

use crate::{repository::files, support::World};

const GUIDE: &str = include_str!("../../src/docs/guide.md");
const PROTOCOL: &str = include_str!("../../src/docs/protocol.md");

#[test]
fn every_rule_of_driving_names_tests_that_exist() {
    let tests = names_of_tests();
    let mut rules = 0;
    let mut untested = None;
    for line in GUIDE.lines() {
        if let Some((number, _)) = line.split_once(". **") {
            rules += 1;
            assert_eq!(number, rules.to_string(), "rules are numbered from 1 on");
            assert_eq!(untested.replace(number), None, "a rule without tests");
        } else if let Some(named) = line.trim_start().strip_prefix("* Tests: ") {
            let number = untested.take().expect("tests stand behind their rule");
            for name in named.split(", ") {
                assert!(tests.contains(name.trim_matches('`')), "rule {number}: {name} is no test");
            }
        }
    }
    assert_eq!(untested, None, "a rule without tests");
    assert!(rules > 20, "only {rules} rules were found");
}

#[test]
fn every_number_that_is_referred_to_is_on_the_page() {
    let is_section = |number: &str| {
        let heading = |line: &str| line.starts_with(&format!("## {number} "));
        PROTOCOL.lines().any(heading)
    };
    let is_hole = |number: &str| PROTOCOL.contains(&format!("| {number} | "));
    let mut references = 0;
    for file in files(&["src", "tests", "examples", "drivers", "benches", "fuzz", ""]) {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.replace("///", " ").replace("//!", " ");
        let words: Vec<&str> = words.split_whitespace().collect();
        for (index, word) in words.iter().enumerate() {
            let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_number_of_a_hole(bare) {
                references += 1;
                assert!(is_hole(bare), "{}: {bare}", file.display());
            }
            let before = &words[index.saturating_sub(2)..index];
            let is_fact = matches!(before, [first, "facts"] if first.ends_with("rotocol"));
            let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
            let section = &bare[..end];
            if is_fact && section.contains('.') {
                references += 1;
                assert!(is_section(section), "{}: protocol facts {section}", file.display());
            }
        }
    }
    assert!(references > 100, "only {references} references were found");
}

/// `H24`, `E1`, `C5`: a letter and digits, as holes are numbered.
fn is_number_of_a_hole(word: &str) -> bool {
    let digits = |letter, count| {
        let digits = word.strip_prefix::<char>(letter);
        digits.is_some_and(|digits| {
            digits.len() == count && digits.bytes().all(|b| b.is_ascii_digit())
        })
    };
    digits('H', 2) || digits('E', 1) || digits('C', 1)
}

#[test]
fn what_a_verb_causes_while_draining_comes_out_in_the_same_drain() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    for number in 1..=3 {
        let frame = Frame::Text(format!(r#"42["m",{number}]"#).into());
        world.server.handle_input(world.now, ServerInput::Frame { wire: client.wire, frame });
    }
    let mut received = 0;
    let mut sent = 0;
    while let Some(output) = world.server.poll_output() {
        match output {
            ServerOutput::Event(ServerEvent::Received { .. }) => {
                received += 1;
                let event = socket::Event::new("told", &(received,)).unwrap();
                world.server.at(world.now).emit(socket, &event).unwrap();
            }
            ServerOutput::Send { wire, frame: Frame::Text(text) } => {
                sent += 1;
                assert_eq!(wire, client.wire);
                assert!(text.starts_with(&format!(r#"42["told",{sent},"#)), "{text}");
            }
            _ => {}
        }
    }
    assert_eq!((received, sent), (3, 3));
}

/// Names of functions with a test attribute, and of the properties of `proptest!`.
fn names_of_tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files(&["src", "tests"]) {
        let text = fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[") {
                is_test |= line.ends_with("test]") || line.contains("test(");
            } else if let Some((_, rest)) = line.split_once("fn ") {
                if is_test {
                    names.insert(rest.split('(').next().unwrap_or_default().to_owned());
                }
                is_test = false;
            }
        }
    }
    names
}
