#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| startguard_fuzz::next_link::check(input));
