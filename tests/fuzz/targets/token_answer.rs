#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| startguard_fuzz::token_answer::check(input));
