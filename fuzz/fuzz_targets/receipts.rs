//! Fuzzes `socketio_proto_fuzz::receipts`; without a fuzzer, runs it with the files that are named.

#![cfg_attr(fuzzing, no_main)]

socketio_proto_fuzz::fuzz!(receipts);
