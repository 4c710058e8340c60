//! See `crates/usher/tests/it/parsers/bodies.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| usher_fuzz::bodies::run("webauthn_answer", data));
