//! Fuzzes `socketio_proto_fuzz::postgres_codec`; without a fuzzer, runs it with the files that are
//! named.

#![cfg_attr(fuzzing, no_main)]

socketio_proto_fuzz::fuzz!(postgres_codec);
