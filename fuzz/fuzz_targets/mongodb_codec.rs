//! Fuzzes `socketio_proto_fuzz::mongodb_codec`; without a fuzzer, runs it with the files that are
//! named.

#![cfg_attr(fuzzing, no_main)]

socketio_proto_fuzz::fuzz!(mongodb_codec);
