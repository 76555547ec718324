//! Commands, as `MONITOR` of Redis shows them.

use bytes::Bytes;

/// The arguments of a line, as `MONITOR` quotes them.
fn args(line: &str) -> Vec<Bytes> {
    let mut args = Vec::new();
    let mut input = line.bytes();
    while let Some(byte) = input.next() {
        if byte != b'"' {
            assert_eq!(byte, b' ', "{line}");
            continue;
        }
        let mut arg = Vec::new();
        loop {
            match input.next().unwrap() {
                b'"' => break,
                b'\\' => arg.push(match input.next().unwrap() {
                    b'x' => {
                        let mut digit = || char::from(input.next().unwrap()).to_digit(16).unwrap();
                        u8::try_from(digit() * 16 + digit()).unwrap()
                    }
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    other => other,
                }),
                byte => arg.push(byte),
            }
        }
        args.push(arg.into());
    }
    args
}

/// The commands with this name, without it.
pub(crate) fn commands(trace: &str, name: &str) -> Vec<Vec<Bytes>> {
    let lines = trace.lines().filter(|line| !line.starts_with('#')).map(args);
    let named = lines.filter(|args| args[0].eq_ignore_ascii_case(name.as_bytes()));
    let found: Vec<_> = named.map(|args| args[1..].to_vec()).collect();
    assert!(!found.is_empty(), "{name}");
    found
}

pub(crate) fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
