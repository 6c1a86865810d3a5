#![no_main]
//! See `fuzz::expression`; mutated by the structure of its JSON half of the time.

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    fuzz::expression::check(data);
});
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::json::mutate_in_place(data, size, max_size, seed, fuzzer_mutate)
});
