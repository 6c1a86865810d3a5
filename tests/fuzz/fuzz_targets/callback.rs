#![no_main]
//! See `fuzz::callback`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::callback::check(data);
});
