//! Fuzzes `socketio_proto_fuzz::recovery`; without a fuzzer, runs it with the files that are named.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| socketio_proto_fuzz::recovery(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    socketio_proto_fuzz::replay(socketio_proto_fuzz::recovery)
}
